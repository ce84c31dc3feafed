#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Frames per second of a whole run over a video against those of the network alone.

Both take turns, so that a busy machine slows both. The whole run decodes, infers, draws and writes
what tools/infer.py does.
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import itertools
import json
import statistics
import tempfile
from functools import partial

import torch

from smallobj_mm.benchmark.timing import in_turns, timed
from smallobj_mm.inference import SmallObjectInferencer, Source, list_sources
from smallobj_mm.inference.overlap import WriteBehind
from smallobj_mm.inference.result_folder import ResultFolder
from smallobj_mm.inference.video_results import VideoResults
from smallobj_mm.utils.errors import errors_in_one_line

SCORE = 0.3  #: Least score of boxes, as of tools/infer.py.


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('video', help='a video file')
    parser.add_argument('--config', default='ismallnet_s_nuaa', help='(default: %(default)s)')
    parser.add_argument('--weights', help='default: those that come with the package')
    parser.add_argument('--frames', type=int, default=60, help='of each turn (default: 60)')
    parser.add_argument('--turns', type=int, default=3, help='(default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=1, help='(default: %(default)s)')
    parser.add_argument('--device', help='default: cuda where it is, else cpu')
    parser.add_argument('--video-out', action='store_true', help='the run also marks the video')
    return parser.parse_args(argv)


def alone(inferencer: SmallObjectInferencer, items: list[dict], batch_size: int) -> None:
    """Run the network, with frames that are prepared already."""
    for first in range(0, len(items), batch_size):
        inferencer.predict_prepared(items[first : first + batch_size])


def whole(
    inferencer: SmallObjectInferencer, sources: list[Source], batch_size: int, mark: bool
) -> None:
    """Run from the file to the folder of results."""
    with tempfile.TemporaryDirectory() as folder:
        results = ResultFolder(folder, inferencer, {})
        videos = VideoResults(results, False, mark)
        with WriteBehind(videos.add) as add:
            threshold = SCORE if inferencer.task == 'detection' else None
            for result in inferencer.stream(sources, batch_size, None, threshold=threshold):
                add(result)
        videos.finish()
        results.summarize()


def main(argv: list[str] | None = None) -> None:
    """Measure."""
    args = parse_args(argv)
    inferencer = SmallObjectInferencer(args.config, args.weights, args.device)
    sources = list(itertools.islice(list_sources(args.video), args.frames))
    items = [inferencer.preparer.prepare(inferencer.read(s), s.path) for s in sources]
    device = next(inferencer.model.parameters(), torch.zeros(0)).device
    times = in_turns(
        {
            'network': timed(partial(alone, inferencer, items, args.batch_size), device),
            'run': timed(
                partial(whole, inferencer, sources, args.batch_size, args.video_out), device
            ),
        },
        args.turns,
    )
    rates = {name: [len(sources) / took for took in times[name]] for name in times}
    for turn, (network, run) in enumerate(zip(rates['network'], rates['run']), 1):
        print(f'turn {turn}: network {network:.2f}, whole run {run:.2f} frames/s, '
              f'{run / network:.3f}')  # fmt: skip
    ratio = statistics.median(b / a for a, b in zip(rates['network'], rates['run']))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(json.dumps(dict(medians, ratio=ratio)))


if __name__ == '__main__':
    with errors_in_one_line():
        main()
