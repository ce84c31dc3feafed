# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""From a file to what the network says about it, and from that to targets at any threshold."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

from smallobj_mm.datasets.files import read_image_size
from smallobj_mm.inference import (
    Result,
    SmallObjectInferencer,
    Targets,
    list_sources,
    mask_targets,
)
from smallobj_mm.utils.errors import UserError
from smallobj_mm.visualization.target_drawing import as_bgr

#: Side in px of the tiles of larger images, and the part of it that neighbors share.
TILE, OVERLAP = 640, 0.2
#: Ends of the threshold; boxes of detectors below the first are not kept.
LEAST, MOST = 0.05, 0.95
#: Threshold of detectors to begin with; segmentors have one of their own.
SCORE = 0.3
#: Least side of an image in px: a smaller one has no room for a target and what surrounds it.
LEAST_SIDE = 8
#: Most pixels of an image; the command line has no such limit.
MOST_PIXELS = 50_000_000


class Options(TypedDict):
    """Options of :meth:`SmallObjectInferencer.stream`."""

    tile: int
    overlap: float
    threshold: float | None


@dataclass(frozen=True)
class Analysis:
    """What a network said about an image; everything the page shows follows from it.

    Attributes:
        name: What the image is called.
        model: What the model is called.
        image: Array (H, W, 3) uint8, BGR.
        classes: Names by label.
        probability: Array (H, W) float32 of segmentation, else None.
        boxes: All boxes of a detector from :data:`LEAST` on, best first; None of segmentation.
        seconds: How long the network took, with reading the file.
        file: Path of the image.
    """

    name: str
    model: str
    image: np.ndarray
    classes: tuple[str, ...]
    probability: np.ndarray | None = None
    boxes: Targets | None = None
    seconds: float = 0.0
    file: str = ''

    @property
    def segmentation(self) -> bool:
        """Whether there is a mask rather than boxes alone."""
        return self.probability is not None


@dataclass(frozen=True)
class Detections:
    """What an analysis finds at a threshold.

    Attributes:
        threshold: The least score of boxes, or the probability that a target's pixels exceed.
        targets: Best first.
        mask: Array (H, W) bool of segmentation, else None.
    """

    threshold: float
    targets: Targets
    mask: np.ndarray | None = None


def starting_threshold(inferencer: SmallObjectInferencer) -> float:
    """The threshold that a model starts with: the balanced one of its weights, if they tell."""
    balanced = inferencer.operating_points.get('balanced')
    if balanced is not None:
        return min(max(balanced, LEAST), MOST)
    if inferencer.task == 'detection':
        return SCORE
    return min(max(inferencer.default_threshold, LEAST), MOST)


def check_size(path: str, name: str) -> None:
    """Refuse images that are too small, or too large, from their header alone.

    What has no header that is understood is left to the loader, which says what is wrong with it.

    Raises:
        UserError: The image is too small or too large.
    """
    try:
        width, height = read_image_size(path, max_pixels=sys.maxsize)
    except (FileNotFoundError, ValueError):
        return
    if min(width, height) < LEAST_SIDE:
        raise UserError(
            f'{name}: {width} × {height} px, too small to find anything in it; choose an image of '
            f'{LEAST_SIDE} × {LEAST_SIDE} px or more'
        )
    if width * height > MOST_PIXELS:
        raise UserError(f'{name}: {width} × {height} px, {_too_large()}')


def _too_large() -> str:
    return (
        f'more than the {MOST_PIXELS // 1_000_000} million pixels that this page takes; use '
        'smallobj-mm infer, which takes any size'
    )


def analyze(
    inferencer: SmallObjectInferencer,
    path: str,
    model: str,
    on_progress: Callable[[float], None] | None = None,
) -> Analysis:
    """Run the network over an image, in tiles if it is large.

    Args:
        inferencer: The model.
        path: File of the image.
        model: What the model is called.
        on_progress: Called now and then with the part that is done, 0 to 1.

    Raises:
        UserError: The file is no image, or too small or too large; one sentence that calls it by
            its name alone.
    """
    name, start = Path(path).name, time.monotonic()
    check_size(path, name)
    sources = list_sources(path)
    if len(sources) > 1 or sources[0].read is not None:
        raise UserError(f'{name}: a video; choose an image, or use smallobj-mm infer')
    (result,) = inferencer.stream(sources, on_progress=on_progress, **options_of(inferencer))
    if result.error is not None:
        # What is wrong with it stays, what to do about it is another thing here.
        wrong = str(result.error).replace(str(path), name).rpartition('; ')[0]
        raise UserError(
            f'{wrong}; choose a PNG, JPEG, TIFF, BMP or WebP image, or a video'
        ) from None
    return adopt(inferencer, result, name, model, time.monotonic() - start)


def options_of(inferencer: SmallObjectInferencer) -> Options:
    """How the page runs a model: in tiles, with every box that a threshold may show."""
    threshold = None if inferencer.task == 'segmentation' else LEAST
    return Options(tile=TILE, overlap=OVERLAP, threshold=threshold)


def adopt(
    inferencer: SmallObjectInferencer, result: Result, name: str, model: str, seconds: float
) -> Analysis:
    """What a model said, as the page keeps it.

    Args:
        inferencer: The model.
        result: Of an image that was read.
        name: What the image is called.
        model: What the model is called.
        seconds: How long it took.
    """
    image = result.image
    assert image is not None  # it was read
    segmentation = inferencer.task == 'segmentation'
    return Analysis(
        name,
        model,
        as_bgr(image),
        tuple(inferencer.classes),
        probability=result.probability,
        boxes=None if segmentation else result.targets,
        seconds=seconds,
        file=result.source.path,
    )


def find(analysis: Analysis, threshold: float) -> Detections:
    """The targets at a threshold; the network is not asked again.

    Args:
        analysis: What :func:`analyze` gave.
        threshold: The least score of boxes; of segmentation a target is where the probability is
            higher.
    """
    if analysis.probability is not None:
        mask = analysis.probability > np.float32(threshold)
        return Detections(threshold, mask_targets(mask, analysis.probability), mask)
    assert analysis.boxes is not None  # an analysis has the one or the other
    keep = analysis.boxes.scores >= np.float32(threshold)
    return Detections(threshold, analysis.boxes.take(keep))
