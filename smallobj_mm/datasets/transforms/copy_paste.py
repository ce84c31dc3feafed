# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Copy-paste of objects that have boxes only."""

from __future__ import annotations

from typing import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

from .annotations import Annotations
from .object_patch import ObjectPatch, covered_shares, cut_patch
from .object_weights import ObjectWeights, check_probabilities, draw_index


@TRANSFORMS.register_module()
class BoxCopyPaste(BaseTransform):
    """Paste copies of objects at other places, with some of what surrounds them.

    Objects are drawn, with weights by class and size, from the sample itself and from the images
    that are mixed in, scaled and mirrored at random, and pasted at random places where they cover
    no object and no ignore region. A margin around each box comes along and fades out, so that
    the pasted part has no hard edge that a network could learn instead of the object; with
    ``match_background`` the copy is also made lighter or darker until its margin has the level of
    the place it goes to, which keeps the contrast of objects in thermal images.

    Objects that touch the border of their image (they may be cut off) or that others overlap are
    not copied. For use in mmdet's ``MultiImageMixDataset``, where ``num_images`` others come as
    ``mix_results``, or in an ordinary pipeline, where objects are copied within an image. mmdet's
    ``CopyPaste`` needs masks. Random numbers come from ``numpy.random``.

    Source: Kisantal et al., "Augmentation for Small Object Detection", 2019; Dwibedi et al., "Cut,
    Paste and Learn", ICCV 2017 (for the soft edge).

    Required keys: ``img``, ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_ignore_flags`` (optional),
    ``mix_results`` (optional list of such samples). Modified keys: ``img``, ``gt_bboxes``,
    ``gt_bboxes_labels``, ``gt_ignore_flags``.

    Args:
        prob: Probability of pasting at all.
        num_images: Other images to take objects from, in a ``MultiImageMixDataset``.
        max_copies: The number of copies is drawn from 1 to this; less are made where no place is
            found.
        classes: Indices of the classes to copy; None for all.
        max_size: Only objects whose square root of the area is below this many pixels are copied;
            None for all sizes.
        class_weights: Weight of each class, by its index, when an object is drawn; None for
            equal weights.
        size_weights: Pairs (limit, weight): objects whose square root of the area in pixels is
            below the limit have the weight; the first pair that fits counts, without one it is 1.
        balance_classes: Divide each object's weight by the number of objects of its class in the
            images at hand, so that rare classes are as likely as frequent ones.
        scale_range: The factor of a copy's size is drawn log-uniformly from this range.
        flip_prob: Probability of a horizontal flip of a copy.
        vertical_flip_prob: Likewise of a vertical one; for views from above.
        margin: Width of the margin, as a share of the box's sides.
        match_background: Shift the gray level of a copy by the difference of the medians of the
            two margins.
        max_overlap: A place is taken if no object and no ignore region covers more than this part
            of the copy's box, or is covered by more than this part of it: an upper limit of the
            IoU and of the IoF in both directions. Copies count for those after them.
        min_size: Copies with a side that is not above this many pixels are not made.
        attempts: Places tried for each copy.

    Raises:
        UserError: If an option is outside what is possible, or an image to take objects from
            differs from the sample in type or channels.

    Examples:
        >>> BoxCopyPaste(classes=[3], max_size=32, num_images=2)  # doctest: +SKIP
    """

    def __init__(
        self,
        prob: float = 0.5,
        num_images: int = 1,
        max_copies: int = 3,
        classes: Sequence[int] | None = None,
        max_size: float | None = None,
        class_weights: Sequence[float] | None = None,
        size_weights: Sequence[tuple[float, float]] = (),
        balance_classes: bool = False,
        scale_range: tuple[float, float] = (0.8, 1.25),
        flip_prob: float = 0.5,
        vertical_flip_prob: float = 0.0,
        margin: float = 0.25,
        match_background: bool = True,
        max_overlap: float = 0.0,
        min_size: float = 2.0,
        attempts: int = 20,
    ) -> None:
        check_probabilities(
            'BoxCopyPaste',
            prob=prob,
            flip_prob=flip_prob,
            vertical_flip_prob=vertical_flip_prob,
            max_overlap=max_overlap,
        )
        limits = (
            ('num_images', num_images, 0),
            ('max_copies', max_copies, 1),
            ('attempts', attempts, 1),
            ('margin', margin, 0),
            ('min_size', min_size, 0),
        )
        for name, value, least in limits:
            if not value >= least:
                raise UserError(f'BoxCopyPaste: {name} is {value}, expected at least {least}')
        low, high = scale_range
        if not 0 < low <= high:
            raise UserError(f'BoxCopyPaste: scale_range is {scale_range}, expected 0 < low <= high')
        self.prob = prob
        self.num_images = num_images
        self.max_copies = max_copies
        self.classes = None if classes is None else list(classes)
        self.max_size = max_size
        self.class_weights = class_weights
        self.size_weights = size_weights
        self.weights = ObjectWeights('BoxCopyPaste', class_weights, size_weights)
        self.balance_classes = balance_classes
        self.scale_range = (low, high)
        self.flip_prob = flip_prob
        self.vertical_flip_prob = vertical_flip_prob
        self.margin = margin
        self.match_background = match_background
        self.max_overlap = max_overlap
        self.min_size = min_size
        self.attempts = attempts

    def get_indexes(self, dataset: Sequence) -> list[int]:
        """Draw the images to take objects from.

        Args:
            dataset: The wrapped data set; only its length is used.

        Returns:
            ``num_images`` indices, or none if nothing is to be pasted this time.
        """
        if not self.num_images or np.random.random() >= self.prob:
            return []
        return np.random.randint(0, len(dataset), size=self.num_images).tolist()

    def transform(self, results: dict) -> dict:
        """Paste copies.

        Args:
            results: The sample, perhaps with ``mix_results``.

        Returns:
            The sample; its image is a new one if anything was pasted.
        """
        mixed = results.get('mix_results')
        if mixed is None or not self.num_images:
            pastes = np.random.random() < self.prob
        else:
            pastes = bool(mixed)  # drawn in get_indexes
        if not pastes:
            return results
        samples = [results, *(mixed or [])]
        parts = [Annotations.read(sample, 'BoxCopyPaste') for sample in samples]
        weights = self._source_weights(samples, parts)
        sources = np.repeat(np.arange(len(parts)), [len(part.labels) for part in parts])
        first = np.cumsum([0] + [len(part.labels) for part in parts])
        img, target = results['img'].copy(), parts[0]
        target = Annotations(target.boxes, target.labels, target.ignore)
        for _ in range(np.random.randint(1, self.max_copies + 1)):
            index = draw_index(weights)
            if index is None:
                break
            source = int(sources[index])
            row = index - int(first[source])
            patch = cut_patch(samples[source]['img'], parts[source].boxes, row, self.margin)
            box = self._paste(img, patch, target)
            if box is None:
                continue
            new = Annotations(box[None], parts[source].labels[[row]], np.zeros(1, dtype=bool))
            target = Annotations.concatenate([target, new])
        if len(target.labels) > len(parts[0].labels):
            results['img'] = img
            target.write(results)
        return results

    def _source_weights(self, samples: list[dict], parts: list[Annotations]) -> np.ndarray:
        """Weight of each object of all images, 0 for those that are not copied."""
        first = samples[0]['img']
        weights = []
        for sample, part in zip(samples, parts):
            img = sample['img']
            if img.shape[2:] != first.shape[2:] or img.dtype != first.dtype:
                raise UserError(
                    f'BoxCopyPaste: {sample.get("img_path", "an image")} is {img.dtype} of shape '
                    f'{img.shape}, the sample is {first.dtype} of shape {first.shape}: load all '
                    "images alike, for example with LoadImageFromFile(color_type='color')"
                )
            weight = self.weights(part)
            boxes = part.boxes
            sides = boxes[:, 2:] - boxes[:, :2]
            limit = np.array([img.shape[1], img.shape[0]]) - 1
            usable = (boxes[:, :2] >= 1).all(axis=1) & (boxes[:, 2:] <= limit).all(axis=1)
            usable &= (sides >= 1).all(axis=1)
            if self.max_size is not None:
                usable &= np.sqrt(np.clip(sides, 0, None).prod(axis=1)) < self.max_size
            if self.classes is not None:
                usable &= np.isin(part.labels, self.classes)
            mine, _ = covered_shares(boxes, boxes)
            np.fill_diagonal(mine, 0)
            usable &= (mine <= self.max_overlap).all(axis=1)
            weights.append(np.where(usable, weight, 0.0))
        joined = np.concatenate(weights)
        if self.balance_classes:
            labels = np.concatenate([part.labels for part in parts])
            for label in np.unique(labels[joined > 0]):
                joined[labels == label] /= np.count_nonzero((labels == label) & (joined > 0))
        return joined

    def _paste(self, img: np.ndarray, patch: ObjectPatch, target: Annotations) -> np.ndarray | None:
        """Paste a patch into ``img``, in place; its box (4,), or None if there is no place."""
        scale, horizontal, vertical = np.random.random(3)
        low, high = np.log(self.scale_range)
        patch = patch.resized(float(np.exp(low + (high - low) * scale)))
        patch = patch.flipped(horizontal < self.flip_prob, vertical < self.vertical_flip_prob)
        free = np.array([img.shape[1], img.shape[0]]) - patch.size
        places = np.random.random((self.attempts, 2))
        if not (patch.box[2:] - patch.box[:2] > self.min_size).all() or (free < 0).any():
            return None
        for corner in np.floor(places * (free + 1)).astype(int):
            box = patch.box + np.tile(corner, 2).astype(np.float32)
            mine, theirs = covered_shares(box[None], target.boxes)
            if (np.maximum(mine, theirs) > self.max_overlap).any():
                continue
            # The margin fades the pixels of what it lies on, so it keeps off objects as well.
            outline = np.concatenate([corner, corner + patch.size]).astype(np.float32)
            _, theirs = covered_shares(outline[None], target.boxes[~target.ignore])
            if (theirs > self.max_overlap).any():
                continue
            patch.paste(img, corner, self.match_background)
            return box
        return None

    def __repr__(self) -> str:
        names = (
            'prob, num_images, max_copies, classes, max_size, class_weights, size_weights, '
            'balance_classes, scale_range, flip_prob, vertical_flip_prob, margin, '
            'match_background, max_overlap, min_size, attempts'
        ).split(', ')
        options = ', '.join(f'{name}={getattr(self, name)}' for name in names)
        return f'{type(self).__name__}({options})'
