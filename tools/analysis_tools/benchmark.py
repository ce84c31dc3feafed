#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Speed of a config's model, plain and deployed, against a matrix product of the same run.

With --train: of a training step (forward and backward pass of the network), and its peak memory.
With --report: of one or several configs from the file to the result, by stage and backend, with
parameters, operations and peak memory; writes speed.json, speed.md and speed.png.
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import copy
import sys

import torch
from mmengine.config import DictAction
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import load_checkpoint

from smallobj_mm.benchmark.report import (
    BACKENDS,
    SpeedOptions,
    measure_config,
    speed_table,
    write_report,
)
from smallobj_mm.benchmark.timing import (
    compare,
    count_flops,
    count_parameters,
    peak_memory,
    training_step,
)
from smallobj_mm.checkpoints.reading import use_safe_loader
from smallobj_mm.models.utils import switch_to_deploy
from smallobj_mm.utils.configs import read_config
from smallobj_mm.utils.errors import errors_in_one_line
from smallobj_mm.utils.sync_bn import disable_sync_bn_on_cpu


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', metavar='config', help='path of a config')
    parser.add_argument(
        '--checkpoint', nargs='+',
        help='weights, one file for each config; only post-processing depends on them',
    )  # fmt: skip
    parser.add_argument('--report', metavar='DIR', help='measure all stages and write into DIR')
    parser.add_argument(
        '--backend', nargs='+', choices=list(BACKENDS), default=['pytorch', 'deployed'],
        help='with --report; exported ones are exported first (default: pytorch deployed)',
    )  # fmt: skip
    parser.add_argument(
        '--no-memory', action='store_true', help='with --report: leave the peak memory out'
    )
    parser.add_argument(
        '--shape', type=int, nargs='+', default=[640, 640], metavar='PX',
        help='height and width; with --report of images that are made where a data set is missing',
    )  # fmt: skip
    parser.add_argument('--batch-size', type=int, default=1, help='images a call')
    parser.add_argument('--threads', type=int, default=2, help='threads on the CPU')
    parser.add_argument('--train', action='store_true', help='measure a training step')
    parser.add_argument('--rounds', type=int, default=10, help='times each model is timed')
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument(
        '--memory-format',
        choices=('channels_last', 'contiguous_format'),
        default='channels_last',
        help='layout of weights and images',
    )
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='key=value')
    args = parser.parse_args(argv)
    if len(args.shape) > 2 or min(args.shape + [args.batch_size, args.threads, args.rounds]) < 1:
        parser.error('--shape takes one or two numbers, and all numbers are at least 1')
    if args.checkpoint and len(args.checkpoint) != len(args.configs):
        parser.error(
            f'--checkpoint: {len(args.checkpoint)} files for {len(args.configs)} configs, expected '
            'one for each'
        )
    if args.report is None and len(args.configs) > 1:
        parser.error(f'{len(args.configs)} configs, expected one; several need --report DIR')
    if args.report is not None and (args.train or args.batch_size > 1 or args.cfg_options):
        parser.error('--report goes without --train, --batch-size and --cfg-options')
    if args.report is None and (args.no_memory or args.backend != parser.get_default('backend')):
        parser.error('--backend and --no-memory need --report DIR')
    return args


def build(args: argparse.Namespace) -> torch.nn.Module:
    """The config's model in evaluation mode."""
    cfg = read_config(args.configs[0], args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    disable_sync_bn_on_cpu(cfg)
    model = MODELS.build(cfg.model)
    if args.checkpoint:
        use_safe_loader()
        load_checkpoint(model, args.checkpoint[0], map_location='cpu')
    return model.eval().to(args.device, memory_format=getattr(torch, args.memory_format))


def main(argv: list[str] | None = None) -> None:
    """Measure and print a table."""
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    if args.report is not None:
        report(args)
        return
    plain = build(args)
    height, width = args.shape[0], args.shape[-1]
    images = torch.rand(args.batch_size, 3, height, width, device=args.device)
    images = images.contiguous(memory_format=getattr(torch, args.memory_format))
    print(
        f'{args.configs[0]}: batch {args.batch_size}, {height}x{width} px, {args.device}, '
        f'{args.threads} threads, fp32, {args.memory_format}'
    )
    if args.train:
        measure_training(plain, images, args)
    else:
        measure_inference(plain, images, args)


def report(args: argparse.Namespace) -> None:
    """Measure each config with each backend, and write table and plot."""
    options = SpeedOptions(
        args.backend, (args.shape[0], args.shape[-1]), args.rounds, args.threads, args.device,
        not args.no_memory,
    )  # fmt: skip
    rows = []
    for config, weights in zip(args.configs, args.checkpoint or [None] * len(args.configs)):
        rows += measure_config(config, weights, options, progress)
    write_report(rows, args.report, options)
    print(speed_table(rows))
    print(f'speed.json, speed.md and speed.png are in {args.report}')


def measure_training(
    model: torch.nn.Module, images: torch.Tensor, args: argparse.Namespace
) -> None:
    """A training step: the forward pass's work, and twice that for the backward pass."""
    flops = 3 * count_flops(model, images)
    model.train()

    def call() -> None:
        training_step(model, images)

    memory = peak_memory(call, args.device)
    matmul, timings = compare([(call, flops)], args.device, args.rounds, progress)
    print_table(matmul, [('training', model, flops, timings[0])])
    print(f'peak memory of a step: {memory / 2**20:.0f} MiB on top of weights and images')


@torch.no_grad()
def measure_inference(
    plain: torch.nn.Module, images: torch.Tensor, args: argparse.Namespace
) -> None:
    """Inference, plain and deployed."""
    models = {'plain': plain, 'deployed': switch_to_deploy(copy.deepcopy(plain))}
    flops = {name: count_flops(model, images) for name, model in models.items()}
    calls = [
        (lambda model=model: model(images, mode='tensor'), flops[name])
        for name, model in models.items()
    ]
    matmul, timings = compare(calls, args.device, args.rounds, progress)
    rows = [(name, models[name], flops[name], t) for name, t in zip(models, timings)]
    print_table(matmul, rows)
    print(f'deployed takes {timings[1].seconds / timings[0].seconds:.2f} of the plain time')


def progress(done: int, of: int) -> None:
    """Show how far the rounds are."""
    if sys.stderr.isatty():
        print(f'\rround {done}/{of}', end='\n' if done == of else '', file=sys.stderr)


def print_table(matmul: float, rows: list) -> None:
    """One line a subject: name, model, work, timing."""
    print(f'matrix product 2048^3: {matmul / 1e9:.1f} GFLOP/s (baseline of the same run)')
    print(f'{"model":<10}{"params":>10}{"GFLOPs":>9}{"ms":>9}{"GFLOP/s":>10}{"of matmul":>11}')
    for name, model, flops, timing in rows:
        print(
            f'{name:<10}{count_parameters(model) / 1e6:>9.2f}M{flops / 1e9:>9.1f}'
            f'{timing.seconds * 1e3:>9.1f}{timing.rate / 1e9:>10.1f}{timing.ratio:>11.2f}'
        )


if __name__ == '__main__':
    with errors_in_one_line():
        main()
