# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Probability maps of any program and masks of any coding, read from folders and paired."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import NamedTuple, Sequence

import cv2
import numpy as np

from smallobj_mm.datasets.files import IMAGE_SUFFIXES, list_images, read_id_list, strip_image_suffix
from smallobj_mm.datasets.masks import read_mask
from smallobj_mm.datasets.transforms.loading import truncation
from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.image_headers import MAX_PIXELS, read_header
from smallobj_mm.utils.probability_maps import decode_probabilities

from .irstd_counts import LEVELS, MATCH_DISTANCE, ImageCounts, count_image
from .irstd_summary import sum_counts

#: What some data sets append to the names of masks.
MASK_SUFFIX = '_pixels0'
_ARRAY = '.npy'


class MapPair(NamedTuple):
    """A map and the mask of the same name.

    Attributes:
        name: Their common name.
        prediction: Path of the probability map.
        truth: Path of the mask.
    """

    name: str
    prediction: str
    truth: str


def read_image(path: str) -> np.ndarray:
    """An image as it is stored, palettes resolved, without its alpha channel.

    Args:
        path: Image file.

    Returns:
        Array (H, W) or, where the three colors differ, (H, W, 3) BGR; uint8, uint16 or float32.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It is truncated or no image.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such file')
    with open(path, 'rb') as file:
        data = file.read()
    detail, image = truncation(data), None
    try:
        if detail is None:
            read_header(io.BytesIO(data), MAX_PIXELS)
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (ValueError, cv2.error) as error:
        detail = ' '.join(str(error).split())[:200]
    if image is None:
        detail = f', {detail}' if detail else ''
        raise UserError(
            f'{path}: not readable as an image ({len(data)} bytes{detail}); replace the file'
        )
    if image.ndim == 2:
        return image
    image = image[..., :3] if image.shape[2] > 2 else image[..., :1]
    gray = image.shape[2] == 1 or (image == image[..., :1]).all()
    return np.ascontiguousarray(image[..., 0] if gray else image)


def read_probability_map(path: str) -> np.ndarray:
    """A probability map: PNG (or another image) of 8 or 16 bits, float image, or .npy.

    Whole numbers are divided by the largest of their type; floats are probabilities already.

    Args:
        path: The file.

    Returns:
        Array (H, W) float32 with values in [0, 1].

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It holds no map, more than one channel, or floats outside [0, 1].
    """
    if path.lower().endswith(_ARRAY):
        values = _read_array(path)
        while values.ndim > 2 and values.shape[0] == 1:
            values = values[0]
        while values.ndim > 2 and values.shape[-1] == 1:
            values = values[..., 0]
    else:
        values = read_image(path)
    if values.ndim != 2:
        raise UserError(
            f'{path}: shape {" x ".join(map(str, values.shape))}, expected one channel: a gray map '
            'of the probability of the foreground'
        )
    if values.dtype in (np.uint8, np.uint16):
        return decode_probabilities(values)
    if values.dtype.kind not in 'fb':
        raise UserError(
            f'{path}: type {values.dtype}, expected uint8, uint16, bool or floats in [0, 1]'
        )
    values = values.astype(np.float32)
    if not (values.min(initial=0) >= 0 and values.max(initial=0) <= 1):
        raise UserError(
            f'{path}: values from {values.min():g} to {values.max():g}, expected probabilities in '
            '[0, 1]; apply the sigmoid to logits'
        )
    return values


def _read_array(path: str) -> np.ndarray:
    """The array of a .npy file."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such file')
    try:
        # Mapped, not read: a header may name a shape that no memory holds, or the file has not.
        values = np.load(path, mmap_mode='r', allow_pickle=False)
    except Exception as error:  # a damaged header may raise anything down to TokenError
        detail = ' '.join(str(error).split())[:200] or type(error).__name__
        raise UserError(f'{path}: not readable as an array ({detail}); replace the file') from None
    if not isinstance(values, np.ndarray):
        raise UserError(f'{path}: an archive of arrays, expected one array (.npy)')
    if values.size > MAX_PIXELS:
        raise UserError(f'{path}: {values.size} values, expected at most {MAX_PIXELS}')
    return values


def pair_maps(
    pred_dir: str, gt_dir: str, list_file: str | None = None, every_mask: bool = True
) -> tuple[list[MapPair], list[str]]:
    """Find the mask of every map.

    Names are compared without ending and without ``_pixels0``; subfolders are looked through, the
    folder of a file does not matter.

    Args:
        pred_dir: Folder of the maps.
        gt_dir: Folder of the masks.
        list_file: Text file with the names to evaluate, one a line; all if None.
        every_mask: Whether a mask without a map is wrong.

    Returns:
        The pairs by name, and what is wrong, a line each.

    Raises:
        FileNotFoundError: A folder or the list is missing.
        UserError: A folder has no such file.
    """
    problems: list[str] = []
    predictions = _by_name(pred_dir, 'probability map', (*IMAGE_SUFFIXES, _ARRAY), problems)
    truths = _by_name(gt_dir, 'mask', IMAGE_SUFFIXES, problems)
    if list_file is None:
        wanted = sorted({*predictions, *truths})
        advice = '; give the names that are to be evaluated with --list FILE'
    else:
        entries = read_id_list(list_file)
        wanted = list(dict.fromkeys(_name(entry) for entry in entries))
        advice = f', but {list_file} names it'
    pairs = []
    for name in wanted:
        if name not in truths:
            problems.append(
                f'{predictions.get(name, name)}: no mask {name} in {gt_dir}'
                + (advice if list_file else '')
            )
        elif name not in predictions:
            if every_mask:
                problems.append(f'{truths[name]}: no map {name} in {pred_dir}{advice}')
        else:
            pairs.append(MapPair(name, predictions[name], truths[name]))
    return pairs, problems


def _name(path: str) -> str:
    stem = strip_image_suffix(os.path.basename(path))
    return stem.removesuffix(_ARRAY).removesuffix(MASK_SUFFIX)


def _by_name(
    folder: str, kind: str, suffixes: Sequence[str], problems: list[str]
) -> dict[str, str]:
    if not os.path.isdir(folder):
        raise FileNotFoundError(f'{folder}: no such folder, expected one with a {kind} per image')
    paths = list_images(folder)
    if _ARRAY in suffixes:
        paths += sorted(map(str, Path(folder).rglob(f'*{_ARRAY}')))
    by_name: dict[str, str] = {}
    for path in paths:
        first = by_name.setdefault(_name(path), path)
        if first != path:
            problems.append(f'{path}: has the name of {first}; expected one {kind} per image')
    if not by_name:
        raise UserError(f'{folder}: no {kind} in it, expected files {", ".join(suffixes)}')
    return by_name


def count_maps(
    pairs: Sequence[MapPair],
    thresholds: Sequence[float],
    matching: str = 'first',
    distance: float = MATCH_DISTANCE,
) -> tuple[list[ImageCounts], list[str]]:
    """Count all pairs, with what the curves need.

    Args:
        pairs: What :func:`pair_maps` found.
        thresholds: See :func:`~smallobj_mm.evaluation.irstd_counts.count_image`.
        matching: See there.
        distance: See there.

    Returns:
        The counts, and what is wrong with files, a line each.
    """
    images, problems = [], []
    for pair in pairs:
        try:
            probability, truth = read_probability_map(pair.prediction), read_mask(pair.truth)
        except (ValueError, OSError) as error:
            problems.append(str(error))
            continue
        if probability.shape != truth.shape:
            problems.append(
                f'{pair.prediction}: {_size(probability)}, but {pair.truth} is {_size(truth)} '
                '(width x height); maps are evaluated at the original size of the image'
            )
            continue
        images.append(count_image(probability, truth, thresholds, matching, distance, True))
    return images, problems


def look_like_labels(images: Sequence[ImageCounts]) -> bool:
    """Whether no probability is above 1/255 and some are not 0: maps coded 0/1, most likely."""
    levels = sum_counts([image.target_levels for image in images])
    levels = levels + sum_counts([image.other_levels for image in images])
    highest = int(np.flatnonzero(levels).max(initial=0))
    return 0 < highest <= int(np.searchsorted(LEVELS, 2 / 256))


def _size(array: np.ndarray) -> str:
    return f'{array.shape[1]}x{array.shape[0]}'
