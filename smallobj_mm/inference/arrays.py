# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Arrays and PIL images as an image file of the same content is read."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from smallobj_mm.datasets.transforms.high_bit_depth import to_eight_bits
from smallobj_mm.utils.errors import UserError

#: Modes of PIL images of one channel of more than 8 bits.
_DEEP_MODES = ('I', 'I;16', 'I;16B', 'I;16L')


def pil_array(image: Image.Image) -> np.ndarray:
    """A PIL image as array: turned by its EXIF orientation, without alpha.

    Args:
        image: Of any mode.

    Returns:
        Array (H, W) uint8 or uint16, or (H, W, 3) uint8, BGR.

    Raises:
        UserError: It holds numbers that are no levels of 16 bits.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode in _DEEP_MODES:
        values = np.asarray(image)
        if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
            raise UserError(
                f'PIL image of mode {image.mode}: values {values.min()} to {values.max()}, '
                'expected 0 to 65535'
            )
        return values.astype(np.uint16)
    if image.mode == 'F':
        raise UserError('PIL image of mode F, expected levels; scale it to 0..255 and mode L')
    if image.mode in ('1', 'L'):
        return np.asarray(image.convert('L'))
    return np.ascontiguousarray(np.asarray(image.convert('RGB'))[..., ::-1])


def plain_array(array: np.ndarray, name: str, scale: bool) -> np.ndarray:
    """An array of 8 bits with one or three channels.

    Alpha is left out, and 16 bits are scaled from the array's own smallest..largest value, as it
    is done with files.

    Args:
        array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8 or uint16, BGR or BGRA.
        name: What it is called, for messages.
        scale: Whether 16 bits may be scaled.

    Returns:
        Array (H, W), (H, W, 1) or (H, W, 3) uint8.

    Raises:
        UserError: Another shape or type, no pixels, or 16 bits that are not to be scaled.
    """
    usable = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if not usable or array.dtype not in (np.uint8, np.uint16) or array.size == 0:
        shape = ' x '.join(map(str, array.shape))
        raise UserError(
            f'{name}: array {shape} {array.dtype}, expected uint8 or uint16, H x W, or H x W x 3 '
            '(BGR) or 4 (BGRA); scale other types to 0..255'
        )
    if array.ndim == 3 and array.shape[2] == 4:
        array = array[..., :3]
    if array.dtype == np.uint8:
        return array
    if not scale:
        raise UserError(
            f"{name}: array of uint16, expected uint8: the config's loading step has "
            "high_bit_depth='error'; scale it to 0..255, or set high_bit_depth='scale'"
        )
    return to_eight_bits(array)
