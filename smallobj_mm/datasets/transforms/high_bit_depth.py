# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Images of more than 8 bits a channel, such as raw infrared ones.

OpenCV's 8-bit flags keep the upper bits only: an infrared image with levels 7000 to 9040 of 65535
comes out with nine gray levels.
"""

from typing import Optional

import cv2
import numpy as np

#: What may be done with such images.
CHOICES = ('error', 'scale')

#: Values that are scaled at a time.
_BAND = 1 << 22

_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_PNG_BIT_DEPTH = 24  # byte of the header
#: First bytes of formats that have no more than 8 bits: JPEG, BMP, GIF, WebP.
_EIGHT_BIT_SIGNATURES = (b'\xff\xd8', b'BM', b'GIF8', b'RIFF')


def decode_deep(data: bytes, upright: bool = True) -> Optional[np.ndarray]:
    """Decode an image if it has more than 8 bits a channel.

    A look at the header settles it for the common formats; of others, TIFF for one, the header
    does not tell in the first bytes, and they are decoded to find out.

    Args:
        data (bytes): Content of the file.
        upright (bool): Whether to turn it by its EXIF orientation. Defaults to True.

    Returns:
        np.ndarray | None: The image in its own depth, (H, W) or (H, W, 3) BGR; None if it has 8
        bits or fewer, or cannot be decoded.
    """
    if not data or data.startswith(_EIGHT_BIT_SIGNATURES):
        return None
    if data.startswith(_PNG_SIGNATURE) and data[_PNG_BIT_DEPTH : _PNG_BIT_DEPTH + 1] <= b'\x08':
        return None
    # With its own channels, too: OpenCV does not decode a float TIFF of one channel as color.
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
    if not upright:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    try:
        img = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    return None if img is None or img.dtype.itemsize == 1 else img


def with_channels(img: np.ndarray, gray: bool) -> np.ndarray:
    """An 8-bit image as (H, W) or as (H, W, 3) BGR, whichever of them it is."""
    if gray == (img.ndim == 2):
        return img
    return cv2.cvtColor(img, cv2.COLOR_BGR2GRAY if gray else cv2.COLOR_GRAY2BGR)


def to_eight_bits(img: np.ndarray) -> np.ndarray:
    """Scale an image from its own smallest..largest value to 0..255; to 0 if they are equal.

    Args:
        img (np.ndarray): Finite numbers of any kind.

    Returns:
        np.ndarray: uint8, of the same shape.
    """
    low, high = np.float64(img.min()), np.float64(img.max())
    scaled = np.zeros(img.shape, np.uint8)
    if low == high:
        return scaled
    # By bands: the whole image in double precision would take eight times its result.
    rows = max(_BAND // max(img[:1].size, 1), 1)
    for top in range(0, len(img), rows):
        band = img[top : top + rows].astype(np.float64)
        scaled[top : top + rows] = np.rint((band - low) / (high - low) * 255)
    return scaled
