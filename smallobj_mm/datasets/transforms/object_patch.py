# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A box of an image with a margin around it that fades out, to be pasted elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


def covered_shares(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much boxes cover of one another.

    Args:
        first: Array (m, 4), x1 y1 x2 y2.
        second: Array (n, 4), likewise.

    Returns:
        The part of each box of ``first`` that each of ``second`` covers, and the part of each of
        ``second`` that each of ``first`` covers: two arrays (m, n) in [0, 1].
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.maximum((b[:, 2:] - b[:, :2]).prod(axis=1), 1e-9) for b in (first, second)]
    return common / areas[0][:, None], common / areas[1]


@dataclass
class ObjectPatch:
    """Pixels around an object.

    Attributes:
        img: Array (h, w[, C]).
        alpha: Array (h, w) float32 in [0, 1]: how much of each pixel is pasted.
        box: Array (4,) float32, the object's box in pixels of the patch.
    """

    img: np.ndarray
    alpha: np.ndarray
    box: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """Width and height (2,)."""
        return np.array(self.alpha.shape[::-1])

    def resized(self, scale: float) -> ObjectPatch:
        """The patch in another size; the box follows the whole pixels that it gets."""
        size = np.maximum(np.rint(self.size * scale), 1).astype(int)
        if (size == self.size).all():
            return self
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        to = (int(size[0]), int(size[1]))
        img = cv2.resize(self.img, to, interpolation=way).reshape(to[1], to[0], *self.img.shape[2:])
        alpha = cv2.resize(self.alpha, to, interpolation=way)
        return ObjectPatch(img, alpha, self.box * np.tile(size / self.size, 2).astype(np.float32))

    def flipped(self, horizontal: bool, vertical: bool) -> ObjectPatch:
        """The patch mirrored left to right, top to bottom, or both."""
        steps = (
            slice(None, None, -1 if vertical else 1),
            slice(None, None, -1 if horizontal else 1),
        )
        (width, height), (x1, y1, x2, y2) = self.size, self.box
        if horizontal:
            x1, x2 = width - x2, width - x1
        if vertical:
            y1, y2 = height - y2, height - y1
        return ObjectPatch(
            self.img[steps], self.alpha[steps], np.array([x1, y1, x2, y2], dtype=np.float32)
        )

    def paste(self, img: np.ndarray, corner: np.ndarray, match_background: bool) -> None:
        """Blend the patch into an image, in place.

        Args:
            img: Array (H, W[, C]) of the type of the patch.
            corner: x and y of the patch's top left corner; the patch lies inside the image.
            match_background: Shift the patch's level by the difference of the medians of the two
                margins, channel by channel.
        """
        (x, y), (width, height) = corner, self.size
        window = img[y : y + height, x : x + width]
        old, new = window.astype(np.float32), self.img.astype(np.float32)
        if match_background:
            x1, y1 = np.floor(self.box[:2]).astype(int)
            x2, y2 = np.ceil(self.box[2:]).astype(int)
            around = self.alpha > 0
            around[max(y1, 0) : y2, max(x1, 0) : x2] = False
            if around.any():
                new = new + (np.median(old[around], axis=0) - np.median(new[around], axis=0))
        alpha = self.alpha.reshape(self.alpha.shape + (1,) * (img.ndim - 2))
        mixed = old + alpha * (new - old)
        if np.issubdtype(img.dtype, np.integer):
            info = np.iinfo(img.dtype)
            mixed = np.clip(np.rint(mixed), info.min, info.max)
        window[...] = mixed.astype(img.dtype)


def cut_patch(img: np.ndarray, boxes: np.ndarray, index: int, margin: float) -> ObjectPatch:
    """Cut an object out of its image.

    The margin is ``margin`` of each side of the box, at least one pixel if it is not 0, less at
    the image's border. In it the weight falls from 1 to 0 as a cosine does; where it would show
    parts of other objects the weight is 0.

    Args:
        img: Array (H, W[, C]).
        boxes: Array (n, 4), all boxes of the image, x1 y1 x2 y2 in pixels.
        index: The row of the object, inside the image.
        margin: Width of the margin in parts of the box's sides.

    Returns:
        The patch; its pixels are a view of the image.
    """
    box = boxes[index]
    limit = np.array([img.shape[1], img.shape[0]])
    wide = np.maximum(margin * (box[2:] - box[:2]), 1 if margin else 0)
    low = np.maximum(np.floor(box[:2] - wide), 0).astype(int)
    high = np.minimum(np.ceil(box[2:] + wide), limit).astype(int)
    ramps = []
    for axis in (0, 1):
        centers = np.arange(low[axis], high[axis]) + 0.5
        # Pixels that the box covers in part count as inside.
        out = np.maximum(np.floor(box[axis]) - centers, centers - np.ceil(box[2 + axis]))
        share = np.clip(out / max(wide[axis], 1e-6), 0, 1)
        ramps.append(0.5 + 0.5 * np.cos(np.pi * share))
    alpha = np.outer(ramps[1], ramps[0]).astype(np.float32)
    shifted = boxes - np.tile(low, 2)
    own = np.concatenate([np.floor(shifted[index, :2]), np.ceil(shifted[index, 2:])]).astype(int)
    inside = alpha[own[1] : own[3], own[0] : own[2]].copy()
    for x1, y1, x2, y2 in np.delete(shifted, index, axis=0):
        rows = slice(max(int(np.floor(y1)), 0), max(int(np.ceil(y2)), 0))
        alpha[rows, max(int(np.floor(x1)), 0) : max(int(np.ceil(x2)), 0)] = 0
    alpha[own[1] : own[3], own[0] : own[2]] = inside
    part = img[low[1] : high[1], low[0] : high[0]]
    return ObjectPatch(part, alpha, shifted[index].astype(np.float32))
