#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What crowded images cost a detector in training: its loss with many targets against few.

Forward and backward pass of the whole model, and of the loss alone from given maps of the head, on
random images and boxes. For any single-stage detector of mmdet.
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import statistics
from collections.abc import Callable
from functools import partial

import torch
from mmdet.models.detectors import SingleStageDetector
from mmdet.models.utils import unpack_gt_instances
from mmdet.structures import DetDataSample
from mmengine.config import DictAction
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor
from torch.utils._pytree import tree_map

from smallobj_mm.benchmark.timing import in_turns, timed
from smallobj_mm.utils.configs import read_config
from smallobj_mm.utils.errors import UserError, errors_in_one_line
from smallobj_mm.utils.sync_bn import disable_sync_bn_on_cpu


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of a config')
    parser.add_argument(
        '--targets', type=int, nargs=2, default=[5, 150], metavar='N', help='targets an image'
    )
    parser.add_argument(
        '--shape', type=int, nargs=2, default=[320, 320], metavar='PX', help='height and width'
    )
    parser.add_argument('--batch-size', type=int, default=4, help='images a step')
    parser.add_argument('--threads', type=int, default=2, help='threads on the CPU')
    parser.add_argument('--rounds', type=int, default=20, help='times each step is timed')
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='key=value')
    args = parser.parse_args(argv)
    numbers = [*args.targets, *args.shape, args.batch_size, args.threads, args.rounds]
    if min(numbers) < 1:
        parser.error('all numbers are at least 1')
    return args


def build(args: argparse.Namespace) -> SingleStageDetector:
    """The config's detector in training mode.

    Raises:
        UserError: If it is not a single-stage detector.
    """
    cfg = read_config(args.config, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    disable_sync_bn_on_cpu(cfg)
    model = MODELS.build(cfg.model)
    if not isinstance(model, SingleStageDetector):
        raise UserError(
            f'{args.config}: model.type is {type(model).__name__}, expected a single-stage '
            'detector of mmdet'
        )
    return model.train().to(args.device)


def crowd(
    num_targets: int, num_classes: int, batch_size: int, shape: tuple[int, int], device: str
) -> list[DetDataSample]:
    """Data samples with random boxes, sides from 4 px to a fifth of the image's shorter one."""
    generator = torch.Generator().manual_seed(num_targets)
    height, width = shape
    scale = torch.tensor([width, height])
    samples = []
    for _ in range(batch_size):
        center = torch.rand(num_targets, 2, generator=generator) * scale
        size = 4 * (min(shape) / 20) ** torch.rand(num_targets, 2, generator=generator)
        low = (center - size / 2).clamp(min=0)
        high = (center + size / 2).minimum(scale)
        labels = torch.randint(num_classes, (num_targets,), generator=generator)
        sample = DetDataSample(
            metainfo=dict(
                img_shape=shape, pad_shape=shape, ori_shape=shape, batch_input_shape=shape
            )
        )
        sample.gt_instances = InstanceData(bboxes=torch.cat([low, high], dim=1), labels=labels)
        samples.append(sample.to(device))
    return samples


def total(losses: dict) -> Tensor:
    """Sum of all terms, some of which are lists over levels."""
    terms = [t for name, term in losses.items() if 'loss' in name
             for t in (term if isinstance(term, list) else [term])]  # fmt: skip
    return torch.stack([t.sum() for t in terms]).sum()


def whole_step(model: SingleStageDetector, images: Tensor) -> Callable[[list], None]:
    """Forward and backward pass of everything."""

    def step(samples: list[DetDataSample]) -> None:
        total(model.loss(images, samples)).backward()
        model.zero_grad(set_to_none=True)

    return step


def loss_step(model: SingleStageDetector, images: Tensor) -> Callable[[list], None]:
    """Forward and backward pass of the loss alone, down to the head's maps."""
    head = model.bbox_head
    with torch.no_grad():
        maps = head(model.extract_feat(images))
    maps = tree_map(lambda m: m.detach().requires_grad_(), maps)

    def step(samples: list[DetDataSample]) -> None:
        truth, ignored, metas = unpack_gt_instances(samples)
        total(head.loss_by_feat(*maps, truth, metas, ignored)).backward()
        tree_map(lambda m: setattr(m, 'grad', None), maps)

    return step


def compare(
    step: Callable[[list], None], few: list, many: list, rounds: int, device: str
) -> tuple[float, float, float]:
    """Median seconds with few and with many targets, and the median ratio of turns."""
    times = in_turns(
        {
            'few': timed(partial(step, few), device),
            'many': timed(partial(step, many), device),
        },
        rounds,
    )
    ratios = [b / a for a, b in zip(times['few'], times['many'])]
    return (
        statistics.median(times['few']),
        statistics.median(times['many']),
        statistics.median(ratios),
    )


def main(argv: list[str] | None = None) -> None:
    """Measure and print a table."""
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    model = build(args)
    shape = tuple(args.shape)
    few, many = (
        crowd(n, model.bbox_head.num_classes, args.batch_size, shape, args.device)
        for n in args.targets
    )
    images = torch.rand(args.batch_size, 3, *shape, device=args.device)
    print(
        f'{args.config}: {args.batch_size} images of {shape[0]}x{shape[1]} px, {args.device}, '
        f'{args.threads} threads, forward and backward pass'
    )
    first, second = (f'{n} targets' for n in args.targets)
    print(f'{"ms":<14}{first:>14}{second:>14}{"ratio":>8}')
    for name, make in (('whole model', whole_step), ('loss alone', loss_step)):
        step = make(model, images)
        a, b, ratio = compare(step, few, many, args.rounds, args.device)
        print(f'{name:<14}{a * 1e3:>14.1f}{b * 1e3:>14.1f}{ratio:>8.2f}')


if __name__ == '__main__':
    with errors_in_one_line():
        main()
