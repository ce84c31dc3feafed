# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Whether an exported file gives what PyTorch gives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from smallobj_mm.utils.errors import UserError

from .backends import Backend
from .network import ExportedNetwork

#: Largest difference of a number from PyTorch's; of numbers above ten, a ten thousandth of it.
TOLERANCE = 1e-3
_RELATIVE = 1e-4
#: Largest difference of a box's side, px.
BOX_TOLERANCE = 1e-2
#: Least agreement of an INT8 file with PyTorch.
AGREEMENT = 0.8
#: Score from which detections of an INT8 file have to agree, and the overlap at which they do.
_CERTAIN, _OVERLAP = 0.3, 0.5
#: Part of the detections that rounding may turn over: a score at the threshold, an overlap at the
#: limit of the suppression, two candidates of equal score.
_TURNED = 0.01


def sample_images(shape: Sequence[int], seed: int = 0) -> Tensor:
    """Images with objects of all sizes: noise of several wavelengths and bright spots.

    Args:
        shape: (N, H, W).
        seed: Other images for another seed.

    Returns:
        ``(N, 3, H, W)`` uint8.
    """
    generator = torch.Generator().manual_seed(seed)
    number, height, width = shape
    images = torch.full((number, 3, height, width), 90.0)
    for step, weight in ((1, 6.0), (8, 25.0), (32, 40.0)):
        small = (number, 3, -(-height // step) + 1, -(-width // step) + 1)
        noise = torch.randn(small, generator=generator)
        noise = functional.interpolate(noise, scale_factor=step, mode='bilinear')
        images += weight * noise[:, :, :height, :width]
    spots = torch.rand((number, 1, height, width), generator=generator) > 0.999
    return (images + 140 * functional.max_pool2d(spots.float(), 5, 1, 2)).clamp(0, 255).byte()


def check_shapes(traced: Sequence[int], divisor: int, any_size: bool) -> list[tuple[int, int, int]]:
    """Batches and sizes to check with: the traced size and others, also oblong ones.

    Args:
        traced: (N, H, W) of the example.
        divisor: What sides are multiples of.
        any_size: Whether the file takes other sides as well.
    """
    # Networks whose preprocessor pads to nothing still halve their maps five times.
    unit = math.lcm(divisor, 32)
    shapes = [(1, *traced[1:]), (3, 2 * unit, 5 * unit), (2, 4 * unit, 3 * unit)]
    if any_size:
        shapes += [(2, 3 * unit + 5, 4 * unit - 7)]
    return [(int(n), int(height), int(width)) for n, height, width in shapes]


@torch.no_grad()
def check_backend(
    backend: Backend, network: ExportedNetwork, shapes: Sequence[tuple[int, int, int]]
) -> float:
    """Compare a file with PyTorch.

    Args:
        backend: The file, loaded.
        network: What was exported.
        shapes: (N, H, W) of each comparison.

    Returns:
        The largest difference of raw maps, probabilities or scores.

    Raises:
        UserError: It differs more than :data:`TOLERANCE`.
    """
    worst = 0.0
    for index, shape in enumerate(shapes):
        images = sample_images(shape, index)
        inputs = images if network.with_preprocess else network.preparation(images)
        expected, computed = network(inputs), backend(inputs)
        where = f'{backend.path.name}, images {tuple(inputs.shape)}'
        if [tuple(o.shape) for o in computed] != [tuple(o.shape) for o in expected]:
            raise UserError(
                f'{where}: outputs of the shapes {[tuple(o.shape) for o in computed]}, expected '
                f'{[tuple(o.shape) for o in expected]} as of PyTorch; the file was not written'
            )
        outputs = dict(zip(backend.info.outputs, zip(computed, expected)))
        if 'labels' in outputs:
            worst = max(worst, _compare_detections(outputs, where))
        else:
            worst = max(worst, _compare_maps(outputs, where))
    return worst


@torch.no_grad()
def check_quantized(
    backend: Backend,
    network: ExportedNetwork,
    shapes: Sequence[tuple[int, int, int]],
    images: Sequence[Tensor],
) -> float:
    """Compare a file in INT8 with PyTorch: it cannot be equal, but it must not be another model.

    Args:
        backend: The file, loaded.
        network: What was exported, in floating point.
        shapes: (N, H, W) that the file has to take.
        images: Real images as the network takes them, on which both are compared.

    Returns:
        How well they agree, at most 1. Of a segmentor: one minus the mean squared difference of the
        probabilities over their variance in PyTorch. Of a detector's raw maps: the same of the
        worst map. Of detections: the part of those with a score of 0.3 or more, of both, that the
        other has as well (the same class, an IoU of 0.5); 1 if there are none.

    Raises:
        UserError: It gives other shapes or numbers that are not finite, or agrees less than
            :data:`AGREEMENT`.
    """
    name = backend.path.name
    for index, shape in enumerate(shapes):
        sample = sample_images(shape, index)
        inputs = sample if network.with_preprocess else network.preparation(sample)
        expected, computed = network(inputs), backend(inputs)
        same = [tuple(o.shape) for o in computed] == [tuple(o.shape) for o in expected]
        if not same or not all(bool(o.isfinite().all()) for o in computed):
            raise UserError(
                f'{name}, images {tuple(inputs.shape)}: outputs that are not finite or not of the '
                'shapes of PyTorch, expected those; the file was not written'
            )
    pairs = [(network(image), backend(image)) for image in images]
    info = backend.info
    if 'labels' in info.outputs:
        agreement = _agreement_of_detections(pairs, info.outputs)
    elif info.scope == 'mmseg':
        # Logits of the background vary far below zero, where nothing depends on them.
        index = 0 if info.postprocess else -1
        change = torch.Tensor.float if info.postprocess else torch.Tensor.sigmoid
        agreement = _explained(*([change(side[index]) for side in sides] for sides in zip(*pairs)))
    else:
        agreement = min(
            _explained(*([side[index] for side in sides] for sides in zip(*pairs)))
            for index in range(len(info.outputs))
        )
    if not agreement >= AGREEMENT:
        raise UserError(
            f'{name}: agrees with PyTorch by {agreement:.3f} on {len(images)} training images, '
            f'expected {AGREEMENT} at least; the file was not written: give more images to measure '
            'ranges on, or keep to floating point'
        )
    return agreement


def _explained(expected: Sequence[Tensor], computed: Sequence[Tensor]) -> float:
    """Part of the variance of a map over all images that another explains."""
    first, second = (
        torch.cat([m.flatten() for m in maps]).double() for maps in (expected, computed)
    )
    return float(1 - (first - second).square().mean() / first.var().clamp(min=1e-12))


def _agreement_of_detections(
    pairs: Sequence[tuple[Sequence[Tensor], Sequence[Tensor]]], names: Sequence[str]
) -> float:
    """Part of the certain detections of either side that the other has."""
    agreed = total = 0
    for outputs in pairs:
        (boxes, scores, labels), (other_boxes, other_scores, other_labels) = (
            [side[names.index(name)][0] for name in ('boxes', 'scores', 'labels')]
            for side in outputs
        )
        low = torch.maximum(boxes[:, None, :2], other_boxes[None, :, :2])
        high = torch.minimum(boxes[:, None, 2:], other_boxes[None, :, 2:])
        common = (high - low).clamp(min=0).prod(dim=2)
        areas = [(b[:, 2:] - b[:, :2]).prod(dim=1) for b in (boxes, other_boxes)]
        union = areas[0][:, None] + areas[1][None] - common
        same = (common >= _OVERLAP * union) & (labels[:, None] == other_labels[None])
        same &= (labels >= 0)[:, None]
        for certain, has in (
            (scores >= _CERTAIN, same.any(dim=1)),
            (other_scores >= _CERTAIN, same.any(dim=0)),
        ):
            agreed += int((certain & has).sum())
            total += int(certain.sum())
    return agreed / total if total else 1.0


def _compare_maps(outputs: dict[str, tuple[Tensor, Tensor]], where: str) -> float:
    """Largest difference of the float maps; the mask follows from the probability."""
    worst = 0.0
    for name, (computed, expected) in outputs.items():
        if not expected.is_floating_point():
            continue
        difference = (computed - expected).abs()
        allowed = torch.clamp(_RELATIVE * expected.abs(), min=TOLERANCE)
        if not bool((difference <= allowed).all()):
            raise UserError(
                f'{where}: {name} differs from PyTorch by {float(difference.max()):.2e}, expected '
                f'at most {TOLERANCE:.0e}; the file was not written'
            )
        worst = max(worst, float(difference.max()))
    return worst


def _compare_detections(outputs: dict[str, tuple[Tensor, Tensor]], where: str) -> float:
    """Largest difference of the scores of detections that both have."""
    worst, turned, number = 0.0, 0, 0
    rows = zip(*(tensor for name in ('boxes', 'scores', 'labels') for tensor in outputs[name]))
    for boxes, other_boxes, scores, other_scores, labels, other_labels in rows:
        # The order of equal scores is open: a detection is compared with the one that fits.
        apart = (boxes[:, None] - other_boxes[None]).abs().amax(dim=2)
        scale = 1 + other_boxes.abs().amax(dim=1) * _RELATIVE / BOX_TOLERANCE
        difference = (scores[:, None] - other_scores[None]).abs()
        same = (apart <= BOX_TOLERANCE * scale) & (difference <= TOLERANCE)
        same &= labels[:, None] == other_labels[None]
        real, other_real = labels >= 0, other_labels >= 0
        same &= real[:, None] & other_real[None]
        turned += int((real & ~same.any(dim=1)).sum() + (other_real & ~same.any(dim=0)).sum())
        number += int(real.sum() + other_real.sum())
        closest = torch.where(same, difference, torch.inf).amin(dim=1)
        closest = closest[closest.isfinite()]
        worst = max(worst, float(closest.max()) if len(closest) else 0.0)
    if turned > max(_TURNED * number, 2):
        raise UserError(
            f'{where}: {turned} of {number} detections are not those of PyTorch, expected '
            f'{_TURNED:.0%} at most; the file was not written'
        )
    return worst
