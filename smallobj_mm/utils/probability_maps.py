# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Probabilities of one foreground class as maps of 8 or 16 bits, and out of mmseg's samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from smallobj_mm.utils.errors import UserError

#: Bits of a map -> its type.
BITS = {8: np.uint8, 16: np.uint16}


def encode_probabilities(probability: np.ndarray, bits: int = 8) -> np.ndarray:
    """Probabilities as whole numbers that stay on their side of 1/4, 1/2 and 3/4.

    Rounding would carry a probability of exactly 1/2, which is not above the threshold, to
    128/255, which is. So value v stands for the probabilities above v/256 up to (v + 1)/256 (with
    16 bits: 65536), and 0 for 0 as well.

    Args:
        probability: Float array with values in [0, 1].
        bits: 8 or 16.

    Returns:
        Array of the same shape, uint8 or uint16.

    Raises:
        UserError: ``bits`` is neither.
    """
    if bits not in BITS:
        raise UserError(f'bits is {bits}, expected 8 or 16')
    levels = np.ceil(np.asarray(probability, dtype=np.float32) * np.float32(1 << bits))
    return np.maximum(levels - 1, 0).astype(BITS[bits])


def decode_probabilities(levels: np.ndarray) -> np.ndarray:
    """Probabilities (float32) of a map of uint8 or uint16: the value over the largest one."""
    return levels.astype(np.float32) / np.float32(np.iinfo(levels.dtype).max)


def foreground_probability(sample: Any, who: str) -> np.ndarray:
    """The probability of the foreground out of a predicted sample of mmseg.

    With one channel mmseg keeps the sigmoid in ``seg_logits``, with two the raw logits of
    background and foreground.

    Args:
        sample: ``SegDataSample`` or its dict, with ``seg_logits.data`` (1 or 2, H, W).
        who: Name of the caller, for the error.

    Returns:
        Array (H, W) float32.

    Raises:
        UserError: The sample has no such field, or another number of channels.
    """
    field = sample.get('seg_logits')
    if field is None:
        raise UserError(
            f'{who}: the prediction has no seg_logits, expected those of an mmseg segmentor '
            '(test-time augmentation leaves them out)'
        )
    logits = field['data'] if isinstance(field, dict) else field.data
    logits = logits.detach().float().cpu().numpy() if hasattr(logits, 'detach') else logits
    logits = np.asarray(logits, dtype=np.float32)
    if logits.ndim == 3 and len(logits) == 1:
        return logits[0]
    if logits.ndim == 3 and len(logits) == 2:
        return 1 / (1 + np.exp(logits[0] - logits[1]))
    raise UserError(
        f'{who}: seg_logits are {" x ".join(map(str, logits.shape))}, expected 1 x H x W '
        '(decode_head with num_classes=2, out_channels=1) or 2 x H x W'
    )
