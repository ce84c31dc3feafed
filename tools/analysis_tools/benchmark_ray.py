#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Images per second of a core under Ray against those of a single process.

Counted is the processor time of a run, in one thread each, from reading an image to writing its
results, between the first parts and the last: other work on the machine changes it little. ``core``
is of the processes that infer, ``all`` of Ray's own as well, which is a matter of the time by the
clock; ``clock`` is images per second of that. Linux alone.
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import itertools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from smallobj_mm.inference import SmallObjectInferencer
from smallobj_mm.inference.ray import Settings, run_on_ray
from smallobj_mm.inference.result_folder import ResultFolder
from smallobj_mm.inference.sources import list_sources
from smallobj_mm.utils.errors import UserError, errors_in_one_line

TICKS = os.sysconf('SC_CLK_TCK')
THRESHOLD = 0.3  # least score of what is written, as of smallobj-mm infer


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('images', help='a folder of images; they are taken again until --number')
    parser.add_argument('--config', default='ismallnet_s_nuaa', help='(default: %(default)s)')
    parser.add_argument('--number', type=int, default=400, help='of images (default: 400)')
    parser.add_argument('--part-size', type=int, default=20, help='(default: %(default)s)')
    parser.add_argument('--workers', type=int, default=2, help='(default: %(default)s)')
    return parser.parse_args(argv)


def processor_seconds() -> np.ndarray:
    """What this process and all below it have used so far; of them, those that infer."""
    parents, used, infers = {}, {}, {os.getpid()}
    for folder in filter(str.isdigit, os.listdir('/proc')):
        try:
            name, _, rest = Path(f'/proc/{folder}/stat').read_text().rpartition(')')
        except OSError:
            continue
        fields = rest.split()
        parents[int(folder)] = int(fields[1])
        used[int(folder)] = sum(map(int, fields[11:15]))
        if '(ray::MapWorker' in name:
            infers.add(int(folder))
    mine = [process for process in used if os.getpid() in ancestors(process, parents)]
    return np.array([sum(used[o] for o in mine if o in infers), sum(used[o] for o in mine)]) / TICKS


def ancestors(process: int, parents: dict[int, int]) -> Iterator[int]:
    """A process and all above it."""
    while process in parents:
        yield process
        process = parents[process]


def single(folder: str, config: str) -> dict[str, float]:
    """Rates of a single process, in images for a second of processor time and of the clock."""
    inferencer = SmallObjectInferencer(config, device='cpu')
    sources = list_sources(folder)
    with tempfile.TemporaryDirectory() as out:
        results = ResultFolder(out, inferencer, {})
        stream = inferencer.stream(sources, threshold=THRESHOLD)
        results.add(next(stream))  # warm up
        before = measured(1)
        for result in stream:
            results.add(result)
        results.summarize()
        return rates(before, measured(len(sources)))


def measured(images: int) -> np.ndarray:
    """Images, seconds by the clock, processor seconds of those that infer and of all."""
    return np.array([images, time.perf_counter(), *processor_seconds()])


def rates(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """Images per second between two measurements."""
    images, *seconds = (after - before).tolist()
    return {name: images / took for name, took in zip(('clock', 'core', 'all'), seconds)}


def on_ray(folder: str, config: str, workers: int, part_size: int) -> dict[str, float]:
    """The same of a run on Ray, from its first finished part on."""
    first, last = None, measured(0)
    with tempfile.TemporaryDirectory() as out:
        settings = Settings(config, device='cpu', threshold=THRESHOLD)
        for done, _, _ in run_on_ray([folder], out, settings, workers, part_size):
            # Until every worker has finished one, some still load their network.
            if first is None and done >= part_size * workers:
                first = measured(done)
            last = measured(done)
    if first is None or last[0] == first[0]:
        raise UserError(f'--number: too few images for {workers} workers and parts of {part_size}')
    return rates(first, last)


def main(argv: list[str] | None = None) -> None:
    """Measure, the single process before and after."""
    args = parse_args(argv)
    torch.set_num_threads(1)
    images = [source.path for source in list_sources(args.images)]
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(itertools.islice(itertools.cycle(images), args.number)):
            shutil.copy(path, f'{folder}/{number:06}{Path(path).suffix}')  # links count once
        before = single(folder, args.config)
        ray = on_ray(folder, args.config, args.workers, args.part_size)
        after = single(folder, args.config)
    core = (before['core'] + after['core']) / 2
    print(json.dumps(dict(before=before, ray=ray, after=after, ratio=ray['core'] / core)))


if __name__ == '__main__':
    with errors_in_one_line():
        main()
