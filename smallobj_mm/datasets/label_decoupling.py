# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Label decoupling: a mask of small targets becomes an interior and a boundary map."""

from typing import Optional, Tuple

import cv2
import numpy as np

from smallobj_mm.utils.errors import UserError

from .masks import binarize_mask

#: Mode -> its options blur and per_target.
DECOUPLING_PRESETS = {'authors': (True, False), 'exact': (False, True), 'none': (False, False)}

_BLUR = 5  # px, side of the box filter
# Around the targets' box: 2 px that the blur adds, and 3 px of zeros, so that both filters see
# what they would see in the whole image.
_MARGIN = 5


def decouple_label(
    mask: np.ndarray,
    mode: str = 'authors',
    blur: Optional[bool] = None,
    per_target: Optional[bool] = None,
    ignore_index: Optional[int] = None,
) -> Tuple[np.ndarray, np.ndarray]:
    """Split a mask into the targets' interior and boundary.

    The interior map is the square root of the distance to the background, scaled to 1 at its
    peak; the boundary map is the mask less the interior, at least 0. See `iSmallNet`_.

    - ``mode='authors'``: the mask is first blurred by a 5x5 box filter, the peak is that of the
      image, and the maps are those of 8-bit images: multiples of 1/255, rounded down. Because of
      the blur the interior map reaches 2 px beyond the targets, and of several targets only the
      one with the highest peak reaches 1.
    - ``mode='exact'``: no blur, each target has its own peak: interior + boundary is the mask,
      exactly, in float32.
    - ``mode='none'``: not decoupled, both maps are the mask: what decoupling is compared with.

    Args:
        mask (np.ndarray): (H, W) of any coding, see :func:`binarize_mask`.
        mode (str): 'authors' or 'exact', the presets of the two options below, or 'none'.
        blur (bool, optional): Whether the mask is blurred first (and the interior rounded down
            to 8 bits). Defaults to the mode's.
        per_target (bool, optional): Whether the peak is each target's own instead of the
            image's. Targets are 8-connected regions, of the blurred mask where there is a blur.
            Defaults to the mode's.
        ignore_index (int, optional): Value of pixels that are ignored: no target, and 0 in both
            maps.

    Returns:
        tuple[np.ndarray, np.ndarray]: Interior and boundary, (H, W) float32 in [0, 1].

    Raises:
        UserError: If the mode is unknown or the mask has another shape.

    Example:
        >>> import numpy as np
        >>> mask = np.zeros((7, 7), np.uint8)
        >>> mask[2:5, 2:5] = 255
        >>> interior, boundary = decouple_label(mask, mode='exact')
        >>> float(interior[3, 3]), float(boundary[3, 3])
        (1.0, 0.0)
        >>> bool((interior + boundary == (mask > 0)).all())
        True

    .. _iSmallNet: https://arxiv.org/abs/2210.16561
    """
    blur, per_target = resolve_options(mode, blur, per_target)
    binary = binarize_mask(mask, ignore_index)
    interior = np.zeros(binary.shape, dtype=np.float32)
    boundary = np.zeros(binary.shape, dtype=np.float32)
    if mode == 'none':
        return binary.astype(np.float32), binary.astype(np.float32)
    x, y, width, height = cv2.boundingRect(binary)
    if not width:
        return interior, boundary
    window = (
        slice(max(y - _MARGIN, 0), y + height + _MARGIN),
        slice(max(x - _MARGIN, 0), x + width + _MARGIN),
    )
    crop = binary[window]
    inside = _interior(crop, blur, per_target)
    if ignore_index is not None and blur:
        inside[np.asarray(mask)[window] == ignore_index] = 0
    interior[window] = inside
    np.maximum(crop - inside, 0, out=boundary[window])
    return interior, boundary


def resolve_options(
    mode: str, blur: Optional[bool], per_target: Optional[bool]
) -> Tuple[bool, bool]:
    """The options of a mode, unless they are given themselves.

    Args:
        mode (str): 'authors', 'exact' or 'none'.
        blur (bool, optional): See :func:`decouple_label`.
        per_target (bool, optional): See :func:`decouple_label`.

    Returns:
        tuple[bool, bool]: blur and per_target.

    Raises:
        UserError: If the mode is unknown.
    """
    if mode not in DECOUPLING_PRESETS:
        raise UserError(f'mode is {mode!r}, expected one of {tuple(DECOUPLING_PRESETS)}')
    presets = DECOUPLING_PRESETS[mode]
    return (
        bool(presets[0] if blur is None else blur),
        bool(presets[1] if per_target is None else per_target),
    )


def maps_to_uint8(mask: np.ndarray, interior: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """The maps as 8-bit images; where the float maps add up to the mask, these do as well.

    Args:
        mask (np.ndarray): (H, W), 0 and 1.
        interior (np.ndarray): (H, W) float32 in [0, 1].

    Returns:
        tuple[np.ndarray, np.ndarray]: Interior and boundary, (H, W) uint8.
    """
    interior = np.rint(interior * np.float32(255)).astype(np.uint8)
    return interior, cv2.subtract(mask.astype(np.uint8) * np.uint8(255), interior)


def _interior(binary: np.ndarray, blur: bool, per_target: bool) -> np.ndarray:
    """Interior map (h, w) float32 of a mask (h, w) of 0 and 1 with at least one target."""
    support = binary
    if blur:
        # 8 bit, as the authors' program has it: what counts is where the result is not 0.
        support = cv2.blur(binary * np.uint8(255), (_BLUR, _BLUR))
    if support.all():
        # A target without any background: no pixel has a distance, all are equally inside.
        return np.ones(binary.shape, dtype=np.float32)
    root = np.sqrt(cv2.distanceTransform(support, cv2.DIST_L2, cv2.DIST_MASK_5))
    if per_target:
        _, labels = cv2.connectedComponents((support > 0).view(np.uint8), connectivity=8)
        positions = np.flatnonzero(support)
        target = labels.ravel()[positions].astype(np.int64)
        peaks = np.zeros(target.max() + 1, dtype=np.float32)
        np.maximum.at(peaks, target, root.ravel()[positions])
        interior = np.zeros(binary.shape, dtype=np.float32)
        interior.ravel()[positions] = root.ravel()[positions] / peaks[target]
    else:
        interior = root / root.max()
    if blur:
        interior = np.floor(interior * np.float32(255)) / np.float32(255)
    return interior
