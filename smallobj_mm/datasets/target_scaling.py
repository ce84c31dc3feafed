# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Scaling of images and masks of small targets such that no target is lost."""

from typing import Tuple

import cv2
import numpy as np


def resize_image(img: np.ndarray, size: Tuple[int, int], smooth: bool = True) -> np.ndarray:
    """Scale an image, averaging where it gets smaller.

    Args:
        img (np.ndarray): (H, W) or (H, W, C), uint8 or float32.
        size (tuple[int, int]): New height and width in px.
        smooth (bool): Whether an enlarged image is interpolated by cubic curves rather than
            straight lines. Defaults to True.

    Returns:
        np.ndarray: The image, its number of axes and its type unchanged.
    """
    if img.shape[:2] == tuple(size):
        return img
    larger = size[0] * size[1] >= img.shape[0] * img.shape[1]
    way = (cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR) if larger else cv2.INTER_AREA
    scaled = cv2.resize(img, (size[1], size[0]), interpolation=way)
    return scaled.reshape(*size, *img.shape[2:])


def resize_target_mask(mask: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Scale a mask of targets.

    A pixel belongs to a target if at least half of it did, and every target keeps at least the
    pixel that holds most of it: with nearest-neighbor sampling a target of 2 px is lost in half
    of the cases at half the size. Ignored pixels grow rather than shrink.

    Args:
        mask (np.ndarray): (H, W) uint8: 0 background, 1 target, any other value ignored.
        size (tuple[int, int]): New height and width in px.

    Returns:
        np.ndarray: (h, w) uint8 with the same values.

    Example:
        >>> import numpy as np
        >>> mask = np.zeros((8, 8), np.uint8)
        >>> mask[3, 3] = 1
        >>> int(resize_target_mask(mask, (3, 3)).sum())
        1
    """
    if mask.shape == tuple(size):
        return mask
    height, width = size
    scales = height / mask.shape[0], width / mask.shape[1]
    larger = height * width >= mask.size
    way = cv2.INTER_LINEAR if larger else cv2.INTER_AREA
    result = np.zeros(size, np.uint8)
    targets = (mask == 1).view(np.uint8)
    ignored = mask[mask > 1]
    if ignored.size:
        for value in np.unique(ignored):
            share = cv2.resize((mask == value).astype(np.float32), (width, height), None, 0, 0, way)
            result[share > 1e-4] = value
    if not targets.any():
        return result
    share = cv2.resize(targets.astype(np.float32), (width, height), None, 0, 0, way)
    result[share >= 0.5] = 1
    count, labels, stats, _ = cv2.connectedComponentsWithStats(targets, connectivity=8)
    for label in range(1, count):
        x, y, w, h, _ = stats[label].tolist()
        rows = slice(int(y * scales[0]), min(int(np.ceil((y + h) * scales[0])), height))
        columns = slice(int(x * scales[1]), min(int(np.ceil((x + w) * scales[1])), width))
        if not (result[rows, columns] == 1).any():
            own = share[rows, columns]
            row, column = np.unravel_index(own.argmax(), own.shape)
            result[rows.start + row, columns.start + column] = 1
    return result
