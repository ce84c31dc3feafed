# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Painted images: every box has the color of its label, so that pixels tell whose box it is."""

import numpy as np
import pytest
from mmdet.structures.bbox import HorizontalBoxes

import smallobj_mm.datasets.transforms  # noqa: F401


def color(label):
    """BGR color of a label; far from the fill value 114 and from each other."""
    return np.array([40 * (label % 6) + 20, 200 - 30 * (label % 5), 250 if label % 2 else 10])


def make_sample(rng, height=60, width=90, count=4, ignored=0, boxed=True):
    """An image of vertical stripes, one to a box, with whole-pixel boxes and gaps between them."""
    img = np.full((height, width, 3), 114, dtype=np.uint8)
    slot = width // max(count, 1)
    boxes = np.zeros((count, 4), dtype=np.float32)
    labels = rng.integers(0, 30, size=count)
    for index in range(count):
        x1 = index * slot + rng.integers(0, 3)
        x2 = x1 + rng.integers(slot // 2, slot - 2)
        y1 = rng.integers(0, height // 3)
        y2 = rng.integers(height // 2, height)
        boxes[index] = x1, y1, x2, y2
        img[y1:y2, x1:x2] = color(labels[index])
    flags = np.zeros(count, dtype=bool)
    flags[:ignored] = True
    return dict(
        img=img,
        img_path='painted.png',
        img_shape=img.shape[:2],
        ori_shape=img.shape[:2],
        gt_bboxes=HorizontalBoxes(boxes) if boxed else boxes,
        gt_bboxes_labels=labels.astype(np.int64),
        gt_ignore_flags=flags,
    )


def plain_boxes(results):
    boxes = results['gt_bboxes']
    return boxes if isinstance(boxes, np.ndarray) else boxes.tensor.numpy()


class Painted:
    """What the tests share."""

    sample = staticmethod(make_sample)
    color = staticmethod(color)
    boxes = staticmethod(plain_boxes)

    @staticmethod
    def assert_aligned(results, atol=3):
        """Boxes lie inside, rows agree, and each box has its label's color in its middle."""
        img, boxes = results['img'], plain_boxes(results)
        labels, flags = results['gt_bboxes_labels'], results['gt_ignore_flags']
        assert len(boxes) == len(labels) == len(flags)
        assert results['img_shape'] == img.shape[:2]
        height, width = img.shape[:2]
        assert (boxes >= 0).all()
        assert (boxes[:, [0, 2]] <= width).all() and (boxes[:, [1, 3]] <= height).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        for box, label in zip(boxes, labels):
            if (box[2:] - box[:2]).min() < 4:
                continue
            x, y = ((box[:2] + box[2:]) / 2).astype(int)
            np.testing.assert_allclose(img[y, x].astype(int), color(label), atol=atol)

    @staticmethod
    def assert_tight(results, index, outside=114):
        """The pixels around a box change from its color to the background within a pixel."""
        img, (x1, y1, x2, y2) = results['img'].astype(int), plain_boxes(results)[index]
        y = int((y1 + y2) / 2)
        row = (
            np.abs(img[y] - outside).max(axis=1)
            / np.abs(color(results['gt_bboxes_labels'][index]) - outside).max()
        )
        # Coverage of the row by the object, summed, is its width to within rounding.
        near = row[max(int(x1) - 3, 0) : int(np.ceil(x2)) + 3]
        assert abs(near.sum() - (x2 - x1)) < 0.25
        middle = (near * (np.arange(len(near)) + 0.5)).sum() / near.sum() + max(int(x1) - 3, 0)
        assert abs(middle - (x1 + x2) / 2) < 0.15


@pytest.fixture(scope='session')
def painted():
    return Painted
