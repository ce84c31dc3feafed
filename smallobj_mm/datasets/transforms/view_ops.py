# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Augmentations of 8-bit BGR images as functions, by OpenCV and tables; only the crop is drawn.

Images are ``(H, W, 3)`` uint8 and never changed in place.
"""

import math

import cv2
import numpy as np

_LEVELS = np.arange(256, dtype=np.float32)
INTERPOLATIONS = {
    'nearest': cv2.INTER_NEAREST,
    'bilinear': cv2.INTER_LINEAR,
    'bicubic': cv2.INTER_CUBIC,
    'area': cv2.INTER_AREA,
}


def draw_crop(
    height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[int, int, int, int]:
    """A random part of an image: share of its area and ratio of the sides are drawn.

    Random numbers come from ``numpy.random``. After ten draws that do not fit, the largest part
    in the middle whose ratio is allowed.

    Args:
        height: Height of the image in px.
        width: Width of the image in px.
        scale: Smallest and largest share of the area.
        ratio: Smallest and largest width / height.

    Returns:
        x, y of the upper left corner, width, height, in px.
    """
    logs = math.log(ratio[0]), math.log(ratio[1])
    for _ in range(10):
        area = height * width * np.random.uniform(*scale)
        aspect = math.exp(np.random.uniform(*logs))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            x = np.random.randint(0, width - w + 1)
            y = np.random.randint(0, height - h + 1)
            return x, y, w, h
    aspect = min(max(width / height, ratio[0]), ratio[1])
    w = min(width, max(1, round(height * aspect)))
    h = min(height, max(1, round(width / aspect)))
    return (width - w) // 2, (height - h) // 2, w, h


def table(levels: np.ndarray) -> np.ndarray:
    """Values for the levels 0 to 255 as a table of ``cv2.LUT``."""
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def brightness(img: np.ndarray, factor: float) -> np.ndarray:
    """Multiply all values."""
    return cv2.LUT(img, table(_LEVELS * factor))


def contrast(img: np.ndarray, factor: float) -> np.ndarray:
    """Multiply the distance of all values to the mean brightness of the image."""
    mean = np.asarray(cv2.mean(cv2.cvtColor(img, cv2.COLOR_BGR2GRAY)), dtype=np.float32)[0]
    return cv2.LUT(img, table(mean + (_LEVELS - mean) * factor))


def saturation(img: np.ndarray, factor: float) -> np.ndarray:
    """Multiply the distance of each pixel to its own gray."""
    return cv2.addWeighted(img, factor, gray(img), 1 - factor, 0)


def hue(img: np.ndarray, shift: float) -> np.ndarray:
    """Turn the hue by a share of the circle, in steps of two degrees."""
    steps = round(shift * 180)
    if steps == 0:
        return img
    hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)
    tables = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    tables[:180, 0, 0] = (np.arange(180) + steps) % 180
    return cv2.cvtColor(cv2.LUT(hsv, tables), cv2.COLOR_HSV2BGR)


def gray(img: np.ndarray) -> np.ndarray:
    """The brightness in all channels."""
    return cv2.cvtColor(cv2.cvtColor(img, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


def blur(img: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur; sigma in px."""
    return cv2.GaussianBlur(img, (0, 0), sigma)


def solarize(img: np.ndarray, threshold: float) -> np.ndarray:
    """Invert the values from a threshold on."""
    return cv2.LUT(img, table(np.where(_LEVELS >= threshold, 255 - _LEVELS, _LEVELS)))


def is_gray(img: np.ndarray) -> bool:
    """Whether the three channels are equal, as in infrared images."""
    for part in (img[::16, ::16], img):  # most color images are settled by a few pixels
        if not (
            np.array_equal(part[..., 0], part[..., 1])
            and np.array_equal(part[..., 1], part[..., 2])
        ):
            return False
    return True
