# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Draw what a segmentation network is given: image, mask, interior and boundary map."""

from __future__ import annotations

import cv2
import numpy as np

#: BGR.
CONTOUR_COLOR = (60, 60, 255)
IGNORED_COLOR = (200, 200, 200)
_GAP = 2  # px between two panels
_IGNORED = 255


def draw_label_maps(
    img: np.ndarray,
    mask: np.ndarray,
    interior: np.ndarray | None = None,
    boundary: np.ndarray | None = None,
    zoom: int = 1,
) -> np.ndarray:
    """Draw the image with the targets' contours, and the label maps beside it.

    The contour runs along the outside of the targets, so that their pixels stay visible.

    Args:
        img: Array (H, W, 3) or (H, W, 1), uint8, BGR.
        mask: Array (h, w): 0 background, 1 target, 255 ignored; of another size than the image
            where only the image was resized: it is drawn in the size of the image.
        interior: Array (h, w) in [0, 1]; None leaves its panel out.
        boundary: Array (h, w) in [0, 1]; None leaves its panel out.
        zoom: Everything is enlarged this many times, without interpolation.

    Returns:
        Array (H · zoom, about 1 to 3 · W · zoom, 3), uint8, BGR.
    """
    if img.shape[2] == 1:
        img = np.repeat(img, 3, axis=2)
    size = (img.shape[1] * zoom, img.shape[0] * zoom)
    canvas = cv2.resize(img, size, interpolation=cv2.INTER_NEAREST)
    mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    rows, columns = np.mgrid[: size[1], : size[0]]
    canvas[(mask == _IGNORED) & ((rows + columns) % 8 == 0)] = IGNORED_COLOR
    inside = (mask == 1).view(np.uint8)
    ring = cv2.dilate(inside, np.ones((3, 3), np.uint8)) - inside
    canvas[ring > 0] = CONTOUR_COLOR
    panels = [canvas]
    for label in (interior, boundary):
        if label is not None:
            gray = np.rint(np.clip(label, 0, 1) * 255).astype(np.uint8)
            gray = cv2.resize(gray, size, interpolation=cv2.INTER_NEAREST)
            panels += [np.full((size[1], _GAP, 3), 255, np.uint8), np.stack([gray] * 3, axis=2)]
    return np.concatenate(panels, axis=1)
