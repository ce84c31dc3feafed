# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Frames of a validation set that are nearly the same as frames of the training set."""

from typing import List, NamedTuple, Sequence, Tuple

import cv2
import numpy as np

from smallobj_mm.utils.errors import UserError

from ..transforms.loading import LoadImageStrict

#: Bits of 63 in which the hashes of nearly the same pictures differ at most. On HIT-UAV, 40 % of
#: the published validation images are that near to a training image, and 1.3 % of those of other
#: flights.
NEAR = 8
#: Share of near images above which a split does not tell how a model does on new scenes.
ALARM = 0.05


class NearDuplicates(NamedTuple):
    """What a comparison found.

    Attributes:
        total: Images of the validation set.
        near: How many of them are near to a training image.
        pairs: The nearest: validation image, training image, bits that differ.
        unreadable: Images that could not be read and were left out.
    """

    total: int
    near: int
    pairs: List[Tuple[str, str, int]]
    unreadable: int

    @property
    def share(self) -> float:
        """Part of the validation images that are near."""
        return self.near / max(self.total, 1)

    @property
    def alarm(self) -> bool:
        """Whether the validation set measures memory rather than generalization."""
        return self.share >= ALARM


def perceptual_hash(image: np.ndarray) -> np.ndarray:
    """Signs of the 63 lowest frequencies of a picture around their median.

    Source: the DCT hash of Zauner, "Implementation and Benchmarking of Perceptual Image Hash
    Functions", 2010, section 3.2.1.

    Args:
        image: (H, W) or (H, W, 3) uint8.

    Returns:
        np.ndarray: (63,) bool.
    """
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(gray, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    waves: np.ndarray = np.asarray(cv2.dct(small))[:8, :8].ravel()[1:]
    return waves > np.median(waves)


def find_near_duplicates(
    train: Sequence[str], val: Sequence[str], keep: int = 10
) -> NearDuplicates:
    """Compare every image of a validation set with every one of the training set.

    Args:
        train: Paths of the training images.
        val: Paths of the validation images.
        keep: How many of the nearest pairs are named.
    """
    first, first_paths = _hashes(train)
    second, second_paths = _hashes(val)
    unreadable = len(train) + len(val) - len(first) - len(second)
    if not len(first) or not len(second):
        return NearDuplicates(len(second), 0, [], unreadable)
    nearest = np.empty(len(second), np.int64)
    bits = np.empty(len(second), np.int64)
    for start in range(0, len(second), 256):
        # Bits that differ: a product of signs is cheaper than comparing all of them.
        products = second[start : start + 256] @ first.T
        nearest[start : start + 256] = products.argmax(axis=1)
        bits[start : start + 256] = (first.shape[1] - products.max(axis=1)) / 2
    order = np.argsort(bits, kind='stable')[:keep]
    pairs = [(second_paths[i], first_paths[nearest[i]], int(bits[i])) for i in order]
    return NearDuplicates(len(second), int((bits <= NEAR).sum()), pairs, unreadable)


def _hashes(paths: Sequence[str]) -> Tuple[np.ndarray, List[str]]:
    """Hashes as signs -1 and 1, (n, 63) float32, and the paths of images that could be read."""
    load = LoadImageStrict(color_type='grayscale', high_bit_depth='scale')
    signs: List[np.ndarray] = [np.zeros((0, 63), np.float32)]
    read: List[str] = []
    for path in paths:
        try:
            image = load(dict(img_path=path))['img']
        except (UserError, FileNotFoundError):
            continue
        signs.append(2 * perceptual_hash(image).astype(np.float32)[None] - 1)
        read.append(path)
    return np.concatenate(signs), read
