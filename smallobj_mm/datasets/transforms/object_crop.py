# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Crops at native resolution that show an object more often than chance would."""

from __future__ import annotations

from typing import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

from .affine import translation
from .annotations import Annotations, clip_and_drop
from .object_weights import ObjectWeights, check_probabilities, draw_index


@TRANSFORMS.register_module()
class ObjectCenteredCrop(BaseTransform):
    """Cut a window of fixed size out of the image, often one with a chosen object in it.

    With probability ``prob`` an object is drawn, with weights by class and size, and the window
    is laid so that the whole object lies in it, at a random place (an object larger than the
    window fills it). Otherwise, and in images without objects, the window lies anywhere. Nothing
    is resized: small objects keep all of their pixels. An image that is smaller than the window
    lies at a random place in it, and the rest is filled with ``pad_val``.

    mmdet's ``RandomCrop`` knows no objects, so that most crops of a large image are empty, and
    keeps a box however little of its object is left. Random numbers come from ``numpy.random``.

    Source: Akyon et al., "Slicing Aided Hyper Inference and Fine-Tuning for Small Object
    Detection", ICIP 2022 (training on crops at native resolution).

    Required keys: ``img``, ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_ignore_flags`` (optional).
    Modified keys: these, ``img_shape`` and ``homography_matrix``.

    Args:
        crop_size: Height and width of the window in pixels, one number for both.
        prob: Probability that the window contains a chosen object.
        class_weights: Weight of each class, by its index, when an object is drawn; None for
            equal weights.
        size_weights: Pairs (limit, weight): objects whose square root of the area in pixels is
            below the limit have the weight; the first pair that fits counts, without one it is 1.
        min_area_ratio: Objects that keep no more than this part of their area in the window are
            cut too much to be learnt from.
        cut_objects: What becomes of those: 'ignore' makes what is left of them an ignore region,
            'drop' makes it background.
        pad_val: Gray value where there is no image.

    Raises:
        UserError: If an option is outside what is possible.

    Examples:
        >>> ObjectCenteredCrop(256, size_weights=[(16, 3.0), (32, 2.0)])  # doctest: +SKIP
    """

    def __init__(
        self,
        crop_size: int | Sequence[int],
        prob: float = 0.75,
        class_weights: Sequence[float] | None = None,
        size_weights: Sequence[tuple[float, float]] = (),
        min_area_ratio: float = 0.5,
        cut_objects: str = 'ignore',
        pad_val: int = 114,
    ) -> None:
        sides = (crop_size, crop_size) if isinstance(crop_size, int) else crop_size
        sides = tuple(sides) if isinstance(sides, (tuple, list)) else ()
        if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
            raise UserError(
                f'ObjectCenteredCrop: crop_size is {crop_size!r}, expected one whole number of '
                'pixels or (height, width)'
            )
        check_probabilities('ObjectCenteredCrop', prob=prob)
        if not 0 <= min_area_ratio < 1:
            raise UserError(
                f'ObjectCenteredCrop: min_area_ratio is {min_area_ratio}, expected a value in '
                '[0, 1)'
            )
        if cut_objects not in ('ignore', 'drop'):
            raise UserError(
                f"ObjectCenteredCrop: cut_objects is {cut_objects!r}, expected 'ignore' or 'drop'"
            )
        self.crop_size = sides
        self.prob = prob
        self.class_weights = class_weights
        self.size_weights = size_weights
        self.weights = ObjectWeights('ObjectCenteredCrop', class_weights, size_weights)
        self.min_area_ratio = min_area_ratio
        self.cut_objects = cut_objects
        self.pad_val = pad_val

    def _corner(self, annotations: Annotations, size: np.ndarray) -> np.ndarray:
        """Draw the top left corner (x, y) of the window in an image of ``size`` (w, h)."""
        window = np.array(self.crop_size[::-1])
        low, high = np.minimum(size - window, 0), np.maximum(size - window, 0)
        choice, *place = np.random.random(3)
        if choice < self.prob:
            index = draw_index(self.weights(annotations))
            if index is not None:
                box = np.clip(annotations.boxes[index], 0, np.tile(size, 2))
                ends = np.stack([np.ceil(box[2:]) - window, np.floor(box[:2])]).astype(int)
                # The ends are in the wrong order where the object is larger than the window.
                ends.sort(axis=0)
                low, high = ends.clip(low, high)
        return low + np.floor(np.array(place) * (high - low + 1)).astype(int)

    def transform(self, results: dict) -> dict:
        """Crop image and boxes.

        Args:
            results: The sample.

        Returns:
            The sample with an image of ``crop_size``, never None.
        """
        annotations = Annotations.read(results, 'ObjectCenteredCrop')
        img = results['img']
        size = np.array([img.shape[1], img.shape[0]])
        corner = self._corner(annotations, size)
        height, width = self.crop_size
        start, stop = np.maximum(corner, 0), np.minimum(corner + [width, height], size)
        part = img[start[1] : stop[1], start[0] : stop[0]]
        if part.shape[:2] == self.crop_size:
            crop = np.ascontiguousarray(part)
        else:
            crop = np.full((height, width, *img.shape[2:]), self.pad_val, dtype=img.dtype)
            x, y = start - corner
            crop[y : y + part.shape[0], x : x + part.shape[1]] = part
        annotations.boxes = annotations.boxes - np.tile(corner, 2).astype(np.float32)
        results['img'] = crop
        results['img_shape'] = crop.shape[:2]
        move = translation(-corner[0], -corner[1])
        before = results.get('homography_matrix')
        total = move if before is None else move @ before
        results['homography_matrix'] = total.astype(np.float32)
        self._keep(annotations).write(results)
        return results

    def _keep(self, annotations: Annotations) -> Annotations:
        """Clip the boxes to the window and deal with the objects that are cut too much."""
        height, width = self.crop_size
        if self.cut_objects == 'ignore':
            before = annotations.boxes
            after = np.clip(before, 0, [width, height, width, height])
            left = (after[:, 2:] - after[:, :2]).prod(axis=1)
            full = (before[:, 2:] - before[:, :2]).prod(axis=1)
            annotations.ignore |= left <= self.min_area_ratio * full
        return clip_and_drop(annotations, width, height, min_area_ratio=self.min_area_ratio)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(crop_size={self.crop_size}, prob={self.prob}, '
            f'class_weights={self.class_weights}, size_weights={self.size_weights}, '
            f'min_area_ratio={self.min_area_ratio}, cut_objects={self.cut_objects!r}, '
            f'pad_val={self.pad_val})'
        )
