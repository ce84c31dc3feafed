# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Patches of single targets: cut from images with masks, turned and scaled, added to others."""

from typing import Iterable, List, NamedTuple, Tuple

import cv2
import numpy as np

#: Width in px over which a cut patch fades out beyond the border of its mask.
_FADE = 1.3
#: Reach of a cut patch beyond its mask in px; the weight has fallen below 0.03 there.
_REACH = 4
#: Ring around a target, in px from its mask, from which its background is estimated.
_RING = (3, 9)
#: Smallest area of a mask that a scaled one keeps, in px.
_POINT_AREA = 4
#: Strongest dark ring around a bright target (and the reverse) as a share of its peak.
_HALO = 0.3


class TargetPatch(NamedTuple):
    """One target without its background.

    Attributes:
        residual (np.ndarray): Contribution of the target to the image, as a share of its peak:
            the largest value inside the mask is 1. float32, shape (h, w).
        weight (np.ndarray): Weight of the patch from 0 to 1, 1 inside the mask, falling to 0
            outside. float32, shape (h, w).
        mask (np.ndarray): 1 on the target, 0 elsewhere. uint8, shape (h, w).
        contrast (float): Peak above the background in gray levels where the patch was cut;
            0 where it was drawn.
    """

    residual: np.ndarray
    weight: np.ndarray
    mask: np.ndarray
    contrast: float


def ring_background(
    img: np.ndarray, target: np.ndarray, occupied: np.ndarray
) -> Tuple[np.ndarray, float]:
    """Background beneath a target: the plane through a ring around it, and its spread.

    Args:
        img (np.ndarray): (h, w) gray levels, float32.
        target (np.ndarray): (h, w) uint8, 1 on the target.
        occupied (np.ndarray): (h, w) bool, pixels of any target, which stay out of the ring.

    Returns:
        tuple[np.ndarray, float]: The plane (h, w) float32, and the standard deviation of the
        ring about it in gray levels (inf where there are fewer than 12 pixels).
    """
    distance = cv2.distanceTransform(1 - target, cv2.DIST_L2, 5)
    near = cv2.dilate(occupied.view(np.uint8), np.ones((5, 5), np.uint8)) > 0
    ring = (distance >= _RING[0]) & (distance <= _RING[1]) & ~near
    if ring.sum() < 12:
        return np.full(img.shape, np.median(img), np.float32), float('inf')
    rows, columns = np.mgrid[: img.shape[0], : img.shape[1]].astype(np.float32)
    design = np.stack([np.ones_like(rows), rows, columns], axis=-1)
    values = img[ring]
    # A second fit without the outliers of the first: clutter in the ring does not tilt it.
    coefficients = np.linalg.lstsq(design[ring], values, rcond=None)[0]
    error = np.abs(values - design[ring] @ coefficients)
    kept = error <= 2 * np.median(error) + 1
    if kept.sum() >= 12:
        coefficients = np.linalg.lstsq(design[ring][kept], values[kept], rcond=None)[0]
    plane = design @ coefficients
    return plane.astype(np.float32), float((values - plane[ring]).std())


def cut_targets(
    img: np.ndarray, mask: np.ndarray, max_side: int = 40, min_snr: float = 2.0
) -> List[TargetPatch]:
    """Cut the targets out of an image.

    Left out are targets that touch the border of the image, are longer than ``max_side``, or
    whose mean contrast is below ``min_snr`` times the spread of what surrounds them: pasted
    elsewhere, those would carry more of their old surroundings than of themselves.

    Args:
        img (np.ndarray): (H, W) gray, uint8.
        mask (np.ndarray): (H, W) uint8, 1 on targets, 0 elsewhere (other values are neither).
        max_side (int): Longest side of a target in px.
        min_snr (float): Least mean contrast over the spread of the surrounding.

    Returns:
        list[TargetPatch]: Bright and dark targets alike; the residual of a dark one is positive
        and its contrast negative.

    Example:
        >>> import numpy as np
        >>> img, mask = np.full((40, 40), 80, np.uint8), np.zeros((40, 40), np.uint8)
        >>> img[20:23, 20:24], mask[20:23, 20:24] = 180, 1
        >>> (patch,) = cut_targets(img, mask)
        >>> patch.contrast, int(patch.mask.sum())
        (100.0, 12)
    """
    truth = (mask == 1).view(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(truth, connectivity=8)
    occupied = mask != 0
    patches = []
    margin = _RING[1] + 1
    height, width = img.shape
    for label in range(1, count):
        x, y, w, h, _ = stats[label].tolist()
        if max(w, h) > max_side or min(x, y) < 1 or x + w >= width or y + h >= height:
            continue
        window = (
            slice(max(y - margin, 0), min(y + h + margin, height)),
            slice(max(x - margin, 0), min(x + w + margin, width)),
        )
        target = (labels[window] == label).view(np.uint8)
        pixels = img[window].astype(np.float32)
        plane, spread = ring_background(pixels, target, occupied[window])
        residual = pixels - plane
        inside = residual[target > 0]
        sign = 1.0 if inside.mean() >= 0 else -1.0
        residual, inside = sign * residual, sign * inside
        peak = float(inside.max())
        if peak <= 0 or inside.mean() < min_snr * max(spread, 0.5):
            continue
        distance = cv2.distanceTransform(1 - target, cv2.DIST_L2, 5)
        weight = np.exp(-0.5 * (distance / _FADE) ** 2)
        neighbors = occupied[window] & (target == 0)
        weight[(distance > _REACH) | neighbors] = 0
        crop = _bounding_window(weight > 0)
        # Beyond the mask edges of the old background remain: they are kept to a halo's strength.
        outside = target[crop] == 0
        share = residual[crop] / peak
        share[outside] = np.clip(share[outside], -_HALO, 1)
        patches.append(
            TargetPatch(
                np.ascontiguousarray(share, np.float32),
                np.ascontiguousarray(weight[crop], np.float32),
                np.ascontiguousarray(target[crop]),
                sign * peak,
            )
        )
    return patches


def _bounding_window(support: np.ndarray) -> Tuple[slice, slice]:
    """Slices of the smallest window around the True pixels."""
    rows, columns = np.flatnonzero(support.any(axis=1)), np.flatnonzero(support.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def cut_all(
    pairs: Iterable[Tuple[np.ndarray, np.ndarray]], max_side: int = 40, min_snr: float = 2.0
) -> List[TargetPatch]:
    """Targets of several images with masks, see :func:`cut_targets`."""
    return [patch for img, mask in pairs for patch in cut_targets(img, mask, max_side, min_snr)]


def warp_patch(patch: TargetPatch, angle: float, scale: float, flip: bool) -> TargetPatch:
    """Turn, scale and flip a patch about its center.

    Before the patch is made smaller it is blurred, so that no line of pixels is skipped. The area
    of the mask changes with the square of the scale: it has the pixels of the largest shares of
    the warped mask, so that it neither vanishes nor falls apart.

    Args:
        patch (TargetPatch): The patch.
        angle (float): Counterclockwise in degrees.
        scale (float): Factor of its size.
        flip (bool): Whether to mirror it first.

    Returns:
        TargetPatch: The patch, its peak 1 again.
    """
    height, width = patch.mask.shape
    layers: np.ndarray = np.dstack(
        [patch.residual * patch.weight, patch.weight, patch.mask.astype(np.float32)]
    )
    if flip:
        layers = np.ascontiguousarray(layers[:, ::-1])
    if scale < 0.95:
        sigma = 0.5 * np.sqrt(scale**-2 - 1)
        layers = cv2.GaussianBlur(layers, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    radians = np.deg2rad(angle)
    cosine, sine = abs(np.cos(radians)), abs(np.sin(radians))
    size = (
        int(np.ceil(scale * (width * cosine + height * sine))) + 2,
        int(np.ceil(scale * (width * sine + height * cosine))) + 2,
    )
    center = ((width - 1) / 2, (height - 1) / 2)
    matrix: np.ndarray = np.asarray(cv2.getRotationMatrix2D(center, angle, scale), np.float64)
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    warped = cv2.warpAffine(
        layers, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    contribution, weight, share = warped[..., 0], warped[..., 1], warped[..., 2]
    mask = _one_component(share, int(patch.mask.sum()), scale)
    peak = float(contribution[mask > 0].max())
    weight = np.clip(weight, 0, 1)
    residual = contribution / np.maximum(weight, 1e-3)
    if peak > 1e-3:
        residual = residual / peak
    return TargetPatch(residual, weight, mask, patch.contrast)


def _one_component(share: np.ndarray, area: int, scale: float) -> np.ndarray:
    """Mask of the pixels with the largest shares, as many as the scaled area has.

    A few more are taken where the mask would be in pieces; of those left the largest stays. The
    masks of points in NUAA and NUDT have 4 to 5 px however small the point: no mask gets smaller
    than that by scaling.
    """
    wanted = max(round(area * scale**2), min(area, _POINT_AREA))
    order = np.sort(share, axis=None)[::-1]
    for factor in (1.0, 1.2, 1.45):
        number = min(round(wanted * factor), order.size)
        mask = (share >= max(order[number - 1], 1e-3)).view(np.uint8)
        smaller = (share > max(order[number - 1], 1e-3)).view(np.uint8)
        if 0 < smaller.sum() and 2 * number < int(mask.sum()) + int(smaller.sum()):
            mask = smaller  # of equal shares all or none are taken
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        if count <= 2:
            break
    if count > 2:
        mask = (labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()).view(np.uint8)
    if not mask.any():
        mask.flat[share.argmax()] = 1
    return mask


def add_patch(
    img: np.ndarray,
    seg_map: np.ndarray,
    patch: TargetPatch,
    top: int,
    left: int,
    contrast: float,
    opacity: float = 0.0,
) -> None:
    """Add a patch to an image and its mask to the truth, in place.

    Args:
        img (np.ndarray): (H, W) or (H, W, C), uint8 or float32, gray levels of 0 to 255; all
            channels change alike. The result is clipped to that range.
        seg_map (np.ndarray): (H, W), set to 1 where the patch's mask is.
        patch (TargetPatch): The patch; what lies outside the image is left out.
        top (int): Row of the image of the patch's first row in px, may be negative.
        left (int): Its column.
        contrast (float): Peak contribution in gray levels, negative for a dark target.
        opacity (float): Share of the background's texture that the target hides, 0 to 1.
    """
    height, width = patch.mask.shape
    rows = slice(max(top, 0), min(top + height, img.shape[0]))
    columns = slice(max(left, 0), min(left + width, img.shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    inner = (
        slice(rows.start - top, rows.stop - top),
        slice(columns.start - left, columns.stop - left),
    )
    window = img[rows, columns].astype(np.float32)
    weight, residual = patch.weight[inner], patch.residual[inner]
    change = contrast * weight * residual
    hidden = opacity * weight
    if window.ndim == 3:
        change, hidden = change[..., None], hidden[..., None]
    if opacity > 0:
        side = max(3, min(window.shape[:2]) | 1)
        smooth = cv2.blur(window, (side, side), borderType=cv2.BORDER_REFLECT)
        window += hidden * (smooth.reshape(window.shape) - window)
    window += change
    np.clip(window, 0, 255, out=window)
    img[rows, columns] = np.rint(window) if img.dtype == np.uint8 else window
    seg_map[rows, columns][patch.mask[inner] > 0] = 1
