# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""All boxes of a data set in arrays, and what is counted in them."""

from dataclasses import dataclass
from typing import Dict, List, Tuple

import cv2
import numpy as np
from mmengine.dataset import BaseDataset

from smallobj_mm.utils.errors import UserError

from ..masks import read_mask

#: Overlap above which two boxes of a class are one object annotated twice.
SAME_OBJECT = 0.9
#: Overlap above which suppression (NMS) takes one of two objects for the other.
SUPPRESSED = 0.6


@dataclass
class BoxTable:
    """The objects of a split.

    Attributes:
        classes: Names of the classes.
        paths: Of the N images.
        sizes: Width and height in px, (N, 2).
        boxes: x1, y1, x2, y2 in px of the M objects, regions to ignore left out, (M, 4).
        labels: Class of each, (M,).
        owners: Image of each, (M,).
        ignored: Number of regions to ignore.
        problems: What was clipped or dropped while reading, '' for nothing.
    """

    classes: Tuple[str, ...]
    paths: List[str]
    sizes: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    owners: np.ndarray
    ignored: int
    problems: str

    @property
    def sides(self) -> np.ndarray:
        """Square root of the area of each box in px, (M,)."""
        return np.sqrt((self.boxes[:, 2:] - self.boxes[:, :2]).prod(axis=1))

    @property
    def crowding(self) -> np.ndarray:
        """Objects of each image, (N,)."""
        return np.bincount(self.owners, minlength=len(self.paths))


def tabulate(dataset: BaseDataset) -> BoxTable:
    """Collect the objects of a data set of detection, or the targets in the masks of one of mmseg.

    Raises:
        UserError: If the data set has neither boxes nor masks, or a mask cannot be read.
    """
    if len(dataset) and 'seg_map_path' in dataset.get_data_info(0):
        return _tabulate_masks(dataset)
    paths, sizes, boxes, labels, owners, ignored = [], [], [], [], [], 0
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        if 'instances' not in info:
            raise UserError(f'{type(dataset).__name__}: has no boxes, expected a set of detection')
        paths.append(info['img_path'])
        sizes.append((info['width'], info['height']))
        for instance in info['instances']:
            if instance.get('ignore_flag'):
                ignored += 1
                continue
            boxes.append(instance['bbox'])
            labels.append(instance['bbox_label'])
            owners.append(index)
    report = getattr(dataset, 'box_report', None)
    return BoxTable(
        tuple(dataset.metainfo['classes']),
        paths,
        np.array(sizes, dtype=np.int64).reshape(-1, 2),
        np.array(boxes, dtype=np.float64).reshape(-1, 4),
        np.array(labels, dtype=np.int64),
        np.array(owners, dtype=np.int64),
        ignored,
        '' if report is None else report.summary(),
    )


def _tabulate_masks(dataset: BaseDataset) -> BoxTable:
    paths, sizes = [], []
    boxes: List[np.ndarray] = [np.zeros((0, 4))]
    owners: List[np.ndarray] = [np.zeros(0, np.int64)]
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        mask = read_mask(info['seg_map_path'])
        paths.append(info['img_path'])
        sizes.append(mask.shape[::-1])
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        corners = stats[1:, :4].astype(np.float64)
        corners[:, 2:] += corners[:, :2]
        boxes.append(corners)
        owners.append(np.full(len(corners), index))
    together = np.concatenate(boxes)
    return BoxTable(
        ('target',),
        paths,
        np.array(sizes, dtype=np.int64).reshape(-1, 2),
        together,
        np.zeros(len(together), np.int64),
        np.concatenate(owners),
        0,
        '',
    )


def count_overlaps(table: BoxTable) -> Dict[str, int]:
    """Pairs of boxes of one class in one image that are nearly the same, or overlap much.

    Returns:
        dict[str, int]: 'same' pairs with IoU >= :data:`SAME_OBJECT`, and 'suppressed' ones with
        IoU from :data:`SUPPRESSED` to that.
    """
    counts = dict(same=0, suppressed=0)
    order = np.lexsort((table.labels, table.owners))
    keys = np.stack([table.owners[order], table.labels[order]], axis=1)
    starts = np.flatnonzero(np.r_[True, (np.diff(keys, axis=0) != 0).any(axis=1)])
    for group in np.split(order, starts[1:]) if len(order) else []:
        if len(group) < 2:
            continue
        overlap = _iou(table.boxes[group])[np.triu_indices(len(group), 1)]
        counts['same'] += int((overlap >= SAME_OBJECT).sum())
        counts['suppressed'] += int(((overlap >= SUPPRESSED) & (overlap < SAME_OBJECT)).sum())
    return counts


def _iou(boxes: np.ndarray) -> np.ndarray:
    """Overlap of every two boxes, (n, n)."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return shared / np.maximum(areas[:, None] + areas[None] - shared, 1e-9)
