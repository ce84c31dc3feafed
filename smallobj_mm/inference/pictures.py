# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Results drawn such that small targets stay visible."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from mmengine.structures import BaseDataElement

from smallobj_mm.visualization import class_colours
from smallobj_mm.visualization.irstd_marks import draw_verdict
from smallobj_mm.visualization.sample_drawing import legend_strip

from .targets import Targets, find_targets

#: Small images are enlarged by whole numbers until their longer side has about so many pixels.
SIDE = 512


def draw_result(image: np.ndarray, sample: BaseDataElement, classes: Sequence[str]) -> np.ndarray:
    """The picture of a result.

    Detections are frames around the objects; masks are outlined, beside the image itself.

    Args:
        image: Array (H, W), (H, W, 1) or (H, W, 3), BGR.
        sample: What :class:`~smallobj_mm.inference.SmallObjectInferencer` gives for it.
        classes: Names by label.

    Returns:
        Array (h, w, 3) uint8, BGR, with a legend below.
    """
    image = np.clip(image, 0, 255).astype(np.uint8).reshape(*image.shape[:2], -1)
    image = image.repeat(3, axis=2) if image.shape[2] == 1 else image
    zoom = max(round(SIDE / max(image.shape[:2])), 1)
    if 'pred_sem_seg' in sample:
        mask = sample.pred_sem_seg.data[0].cpu().numpy()
        return draw_verdict(image, mask, None, zoom)
    return draw_boxes(image, find_targets(sample), classes, zoom)


def draw_boxes(
    image: np.ndarray, targets: Targets, classes: Sequence[str], zoom: int = 1
) -> np.ndarray:
    """The image with a frame just outside of each box, and a legend that counts the classes.

    Args:
        image: Array (H, W, 3) uint8, BGR.
        targets: The boxes.
        classes: Names by label.
        zoom: The image is enlarged this many times, without interpolation.
    """
    canvas = np.ascontiguousarray(image.repeat(zoom, axis=0).repeat(zoom, axis=1))
    colours = [tuple(map(int, colour)) for colour in class_colours(len(classes))]
    low = np.floor(targets.bboxes[:, :2] * zoom).astype(int) - 1
    high = np.ceil(targets.bboxes[:, 2:] * zoom).astype(int)
    # The best last, so that it lies above the others.
    for one, other, label in zip(low[::-1].tolist(), high[::-1].tolist(), targets.labels[::-1]):
        cv2.rectangle(canvas, one, other, colours[label], 1)
    counts = np.bincount(targets.labels, minlength=len(classes))
    entries = [(f'{n} {c}', colour) for n, c, colour in zip(classes, counts, colours) if c]
    entries = entries or [('nothing found', (255, 255, 255))]
    return np.concatenate([canvas, legend_strip(entries, canvas.shape[1])], axis=0)
