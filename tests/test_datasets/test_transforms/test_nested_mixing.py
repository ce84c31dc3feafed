# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The whole training pipeline, nested as the configs have it."""

import cv2
import mmengine
import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS as MMDET_DATASETS
from mmengine.registry import init_default_scope

SIZE = (64, 64)
OUTER = [
    dict(type='BetaMixUp', prob=0.5),
    dict(type='MultiplicativeHSV'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='SmallBoxFilter'),
    dict(type='PackDetInputs'),
]
INNER = [
    dict(type='SmallObjectMosaic', img_scale=SIZE, nine_prob=0.5),
    dict(type='MosaicAffine', img_scale=SIZE),
]
RAW = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]


@pytest.fixture
def dataset(tmp_path, painted):
    init_default_scope('mmdet')
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for index in range(6):
        sample = painted.sample(rng, count=3)
        cv2.imwrite(str(tmp_path / f'{index}.png'), sample['img'])
        images.append(dict(id=index, file_name=f'{index}.png', height=60, width=90))
        for number, (x1, y1, x2, y2) in enumerate(painted.boxes(sample).tolist()):
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=index,
                    category_id=1 + number % 2,
                    bbox=[x1, y1, x2 - x1, y2 - y1],
                    area=(x2 - x1) * (y2 - y1),
                    iscrowd=int(number == 2),
                )
            )
    categories = [dict(id=1, name='a'), dict(id=2, name='b')]
    content = dict(images=images, annotations=annotations, categories=categories)
    mmengine.dump(content, tmp_path / 'labels.json')
    raw = dict(
        type='CocoDataset',
        ann_file=str(tmp_path / 'labels.json'),
        data_prefix=dict(img=str(tmp_path)),
        metainfo=dict(classes=('a', 'b')),
        pipeline=RAW,
    )
    inner = dict(type='MultiImageMixDataset', dataset=raw, pipeline=INNER)
    return MMDET_DATASETS.build(dict(type='MultiImageMixDataset', dataset=inner, pipeline=OUTER))


def test_gives_packed_samples_with_ignored_instances(dataset, seeded):
    assert len(dataset) == 6
    boxes = ignored = 0
    for index in range(24):
        item = dataset[index % 6]
        assert item['inputs'].shape == (3, 64, 64) and item['inputs'].dtype == torch.uint8
        sample = item['data_samples']
        truth, regions = sample.gt_instances, sample.ignored_instances
        assert len(truth.bboxes) == len(truth.labels)
        assert len(regions.bboxes) == len(regions.labels)
        assert (regions.labels == 0).all()
        sides = truth.bboxes.tensor[:, 2:] - truth.bboxes.tensor[:, :2]
        assert (sides > 2).all()
        boxes += len(truth.bboxes)
        ignored += len(regions.bboxes)
    assert boxes > 24 and ignored > 10


def test_same_seeds_same_samples(dataset, seeded):
    runs = []
    for _ in range(2):
        seeded(5)
        runs.append([dataset[index] for index in range(4)])
    for one, other in zip(*runs):
        assert torch.equal(one['inputs'], other['inputs'])
        boxes = [item['data_samples'].gt_instances.bboxes.tensor for item in (one, other)]
        assert torch.equal(*boxes)


def test_no_images_are_read_when_nothing_is_mixed(dataset, seeded):
    reads = []
    raw = dataset.dataset.dataset
    original = type(raw).__getitem__

    class Counting(type(raw)):
        def __getitem__(self, index):
            reads.append(index)
            return original(self, index)

    raw.__class__ = Counting
    dataset.pipeline[0].prob = 0.0
    dataset.dataset.pipeline[0].prob = 0.0
    dataset[1]
    assert reads == [1]
    dataset.dataset.pipeline[0].prob = 1.0
    dataset.dataset.pipeline[0].nine_prob = 0.0
    reads.clear()
    dataset[1]
    assert len(reads) == 4
