# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Masks of targets, whatever their coding."""

import io
from typing import Optional

import cv2
import mmengine.fileio as fileio
import numpy as np
from PIL.PngImagePlugin import PngImageFile

from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.image_headers import MAX_PIXELS, read_header

from .transforms.loading import truncation

_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_PNG_COLOR_TYPE = 25  # position of the byte in the file
_PNG_PALETTE = 3


def binarize_mask(mask: np.ndarray, ignore_index: Optional[int] = None) -> np.ndarray:
    """Make a mask of any coding 0 and 1.

    A pixel belongs to a target if it is above half of the mask's largest value. So a mask coded
    0/1, 0/255 or 0/128 and a gray one, whose edges were smoothed, give the same targets, and a
    faint but complete mask is not lost, as it is with a fixed threshold of 128.

    Args:
        mask (np.ndarray): (H, W), or (H, W, C) with 1 to 4 channels, of any number type or bool.
            Of several channels the brightest color counts; the last of 2 or 4 is transparency
            and left out.
        ignore_index (int, optional): Pixels of this value are ignored: they stay out of the
            largest value and are 0 in the result. Only for masks of shape (H, W).

    Returns:
        np.ndarray: (H, W) uint8, 1 on targets, 0 elsewhere.

    Raises:
        UserError: If the shape is none of these, or a value is not finite.
    """
    mask = np.asarray(mask)
    if mask.ndim == 3 and 1 <= mask.shape[2] <= 4:
        colors = mask.shape[2] - (mask.shape[2] in (2, 4))
        mask = mask[..., :colors].max(axis=2)
    if mask.ndim != 2:
        raise UserError(f'mask has the shape {mask.shape}, expected (H, W) or (H, W, 1 to 4)')
    if mask.dtype == np.bool_:
        return mask.astype(np.uint8)
    if ignore_index is not None and (mask == ignore_index).any():
        mask = np.where(mask == ignore_index, mask.dtype.type(0), mask)
    largest = mask.max(initial=0)
    if not np.isfinite(largest):
        raise UserError(f'mask has the value {largest}, expected finite ones')
    if largest <= 0:
        return np.zeros(mask.shape, dtype=np.uint8)
    # Integers above half of an integer are those above the half rounded down.
    half = largest / 2 if mask.dtype.kind == 'f' else mask.dtype.type(int(largest) // 2)
    return (mask > half).view(np.uint8)


def read_mask(
    path: str, backend_args: Optional[dict] = None, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Read a mask file as 0 and 1.

    Palette images count by their colors, black being background; where no black is used, index
    0 is the background. See :func:`binarize_mask` for all others.

    Args:
        path (str): Image file.
        backend_args (dict, optional): File backend; None for local files.
        max_pixels (int): Pixels of the largest mask, by its header, that is decoded.

    Returns:
        np.ndarray: (H, W) uint8, 1 on targets, 0 elsewhere.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If it is truncated, not an image, or too large.
    """
    advice = 'replace the file or take it off the list'
    try:
        data = fileio.get(path, backend_args=backend_args)
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: no such mask; {advice}') from None
    except IsADirectoryError:
        raise UserError(f'{path}: a folder, expected a mask image; {advice}') from None
    missing = truncation(data)
    if missing:
        raise UserError(f'{path}: truncated mask ({len(data)} bytes, {missing}); {advice}')
    decoded, detail = None, ''
    try:
        read_header(io.BytesIO(data), max_pixels)
        if data[:8] == _PNG_SIGNATURE and data[_PNG_COLOR_TYPE] == _PNG_PALETTE:
            decoded = _decode_palette(data)
        else:
            decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except Exception as error:  # each reader has its own; all mean an unreadable file
        detail = f', {" ".join(str(error).split())[:200]}'
    if decoded is None:
        raise UserError(f'{path}: not readable as a mask ({len(data)} bytes{detail}); {advice}')
    try:
        return binarize_mask(decoded)
    except ValueError as error:
        raise UserError(f'{path}: {error}; {advice}') from None


def _decode_palette(data: bytes) -> np.ndarray:
    """Colors (H, W, 3) of a palette image, or its indices (H, W) where none of them is black."""
    # The reader itself: the size is checked, and Image.open would check it against another limit.
    with PngImageFile(io.BytesIO(data)) as image:
        indices = np.asarray(image)
        palette = np.zeros((256, 3), dtype=np.uint8)
        given = np.array(image.getpalette('RGB'), dtype=np.uint8).reshape(-1, 3)
    palette[: len(given)] = given
    used = np.unique(indices)
    if (palette[used].max(axis=1) == 0).any():
        return palette[indices]
    return (indices > 0).astype(np.uint8)
