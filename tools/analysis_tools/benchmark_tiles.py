#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What an image in tiles costs on top of its tiles: time, and memory by size of the image.

The inferencer on a whole image is compared with the sum of the times of its network on the same
tiles: each call is made a second time, alone, and what that takes is not counted as the image's.
What the inferencer adds is also read off clocks around its own calls of the network: one of the
time that passes, and one of the time that the processor works for this process, which neighbors on
the machine disturb least. Peak memory is that of fresh processes.
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import copy
import json
import os
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from mmengine.registry import MODELS, DefaultScope

from smallobj_mm.benchmark.timing import Stopwatch, peak_memory
from smallobj_mm.inference import SmallObjectInferencer
from smallobj_mm.inference.tiling import TileGrid, check_tiling
from smallobj_mm.models.building import read_model_config
from smallobj_mm.utils.errors import errors_in_one_line
from smallobj_mm.utils.processes import read_tool_output
from smallobj_mm.utils.sync_bn import disable_sync_bn_on_cpu


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path or name of a config')
    parser.add_argument('--weights', help='checkpoint; without, the weights are random')
    parser.add_argument(
        '--size', type=int, nargs=2, default=[4000, 3000], metavar=('WIDTH', 'HEIGHT'),
        help='of the image in px (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument('--tile', type=int, default=640, help='px (default: %(default)s)')
    parser.add_argument('--overlap', type=float, default=0.2, help='default: %(default)s')
    parser.add_argument('--batch-size', type=int, default=1, help='tiles at once')
    parser.add_argument('--rounds', type=int, default=3, help='images that are timed')
    parser.add_argument('--threads', type=int, default=2, help='threads on the CPU')
    parser.add_argument('--no-memory', action='store_true', help='leave the memory out')
    # What a fresh process is asked: it prints the memory that the size takes.
    parser.add_argument('--memory-only', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    numbers = (*args.size, args.tile, args.batch_size, args.rounds, args.threads)
    if min(numbers) < 1:
        parser.error('--size, --tile, --batch-size, --rounds and --threads are at least 1')
    return args


def build(args: argparse.Namespace) -> SmallObjectInferencer:
    """The inferencer of a config, with random weights if there are none."""
    if args.weights:
        return SmallObjectInferencer(args.config, args.weights)
    cfg = read_model_config(args.config)[0]
    disable_sync_bn_on_cpu(cfg)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        state = MODELS.build(cfg.model).state_dict()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'random.pth'
        torch.save(dict(state_dict=state), path)
        del state
        return SmallObjectInferencer(args.config, path)


def scene(width: int, height: int) -> np.ndarray:
    """A noisy image (H, W, 3) uint8 with bright dots."""
    rng = np.random.default_rng(0)
    image = rng.integers(30, 70, (height, width, 1), dtype=np.uint8).repeat(3, axis=2)
    number = max(width * height // 20000, 1)
    rows, columns = rng.integers(0, height, number), rng.integers(0, width, number)
    for offset in range(9):
        image[(rows + offset // 3) % height, (columns + offset % 3) % width] = 220
    return image


class NetworkTimes:
    """Times of a network's calls; after each of them the call is made again, alone.

    Whatever disturbs the machine for longer than a tile disturbs both alike.

    Args:
        network: It is watched from here on, until :meth:`close`.

    Attributes:
        own: Time of the calls that the inferencer makes.
        alone: Time of the same calls, with nothing of the inferencer between the clock's ends.
        extra: Time that the repetition takes in all.
    """

    def __init__(self, network: nn.Module) -> None:
        self.own, self.alone, self.extra = Stopwatch(), Stopwatch(), Stopwatch()
        self._handles = [
            network.register_forward_pre_hook(lambda *_: self.own.start()),
            network.register_forward_hook(self._again, with_kwargs=True),
        ]

    def _again(self, network: nn.Module, inputs: tuple, options: dict, result: object) -> None:
        self.own.stop()
        with self.extra:
            images, samples = inputs
            samples = copy.deepcopy(samples)  # the network writes into them
            with self.alone:
                network.forward(images, samples, **options)

    def close(self) -> None:
        """Watch no longer."""
        for handle in self._handles:
            handle.remove()


def measure_time(inferencer: SmallObjectInferencer, args: argparse.Namespace) -> dict:
    """Seconds of an image, and of the network alone on each of its batches of tiles."""
    image = scene(*args.size)
    tiles = len(TileGrid(args.size[1], args.size[0], args.tile, args.overlap))
    inferencer(image[: args.tile, : args.tile], args.batch_size, args.tile)  # warm-up
    rounds = []
    for _ in range(args.rounds):
        network = NetworkTimes(inferencer.model)
        with Stopwatch() as watch:
            inferencer(image, args.batch_size, args.tile, args.overlap)
        network.close()
        seconds = watch.seconds - network.extra.seconds
        processor = watch.processor - network.extra.processor
        rounds.append(
            dict(
                image_seconds=seconds,
                tile_seconds=network.alone.seconds,
                ratio=seconds / network.alone.seconds,
                inside=seconds / network.own.seconds,
                processor=processor / network.own.processor,
                added=(processor - network.own.processor) / tiles,
            )
        )
    medians = {key: statistics.median(values[key] for values in rounds) for key in rounds[0]}
    return dict(tiles=tiles, **medians)


def measure_memory(inferencer: SmallObjectInferencer, args: argparse.Namespace) -> dict:
    """Bytes that the image needs at most, on top of itself."""
    image = scene(*args.size)
    samples: list = []

    def infer() -> None:
        samples.extend(inferencer(image, args.batch_size, args.tile, args.overlap))

    peak = peak_memory(infer)
    (sample,) = samples
    fields = [sample.get(name) for name in ('seg_logits', 'pred_sem_seg')]
    result = sum(f.data.numel() * f.data.element_size() for f in fields if f is not None)
    return dict(peak=peak, image=image.nbytes, result=result)


def memory_of(args: argparse.Namespace, size: tuple[int, int]) -> dict:
    """What :func:`measure_memory` gives in a fresh process."""
    arguments = [
        args.config, '--memory-only', '--size', *size, '--tile', args.tile,
        '--overlap', args.overlap, '--batch-size', args.batch_size, '--threads', args.threads,
    ]  # fmt: skip
    arguments += ['--weights', args.weights] if args.weights else []
    return json.loads(read_tool_output(__file__, *arguments).splitlines()[-1])


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    check_tiling(args.tile, args.overlap)
    inferencer = build(args)
    if args.memory_only:
        print(json.dumps(measure_memory(inferencer, args)))
        return
    load = ', '.join(f'{value:.1f}' for value in os.getloadavg())
    print(
        f'{inferencer.name}: {args.size[0]}x{args.size[1]} px in tiles of {args.tile} px, overlap '
        f'{args.overlap}, batch {args.batch_size}, {args.threads} threads; load of the machine '
        f'{load} on {os.cpu_count()} cores'
    )
    times = measure_time(inferencer, args)
    print(
        f'{times["tiles"]} tiles alone {times["tile_seconds"]:.2f} s, image '
        f'{times["image_seconds"]:.2f} s\n'
        f'image / sum of the tiles: {times["ratio"]:.3f} (median of {args.rounds})\n'
        f'image / its own calls of the network: {times["inside"]:.3f}; in time of the processor '
        f'{times["processor"]:.3f}, {1e3 * times["added"]:.1f} ms a tile besides the network'
    )
    if args.no_memory:
        return
    del inferencer
    print(f'{"image":>12}{"peak MiB":>11}{"image MiB":>12}{"result MiB":>12}{"rest MiB":>11}')
    half = (args.size[0] // 2, args.size[1] // 2)
    for size in ((args.tile, args.tile), half, tuple(args.size)):
        memory = {key: value / 2**20 for key, value in memory_of(args, size).items()}
        rest = memory['peak'] - memory['result']
        print(
            f'{size[0]:>7}x{size[1]:<4}{memory["peak"]:>11.0f}{memory["image"]:>12.0f}'
            f'{memory["result"]:>12.0f}{rest:>11.0f}'
        )
    print('peak: on top of network and image, the result (maps of segmentation) included')


if __name__ == '__main__':
    with errors_in_one_line():
        main()
