# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The metric behind a real test pipeline, and in two processes."""

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.dist import get_rank
from mmengine.registry import init_default_scope

from smallobj_mm.evaluation import SmallObjectMetric
from smallobj_mm.registry import DATASETS


@pytest.mark.parametrize('late', [True, False])
def test_order_of_resize_and_annotations(evaluation, tmp_path, late):
    init_default_scope('mmdet')
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((100, 200, 3), np.uint8))
    steps = [
        dict(type='Resize', scale=(400, 400), keep_ratio=True),
        dict(type='LoadAnnotations', with_bbox=True),
    ]
    keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
    pipeline = Compose(
        [
            dict(type='LoadImageFromFile'),
            *(steps if late else steps[::-1]),
            dict(type='PackDetInputs', meta_keys=keys),
        ]
    )
    boxes = [[150.0, 60.0, 160.0, 70.0], [190.0, 90.0, 200.0, 99.0]]
    packed = pipeline(
        dict(
            img_id=0,
            img_path=str(tmp_path / 'a.png'),
            instances=[dict(bbox=box, bbox_label=0, ignore_flag=0) for box in boxes],
        )
    )
    sample = packed['data_samples'].to_dict()
    found = evaluation.image(0, boxes, [0, 0], boxes, [0, 0])['pred_instances']
    sample['pred_instances'] = found
    if late:
        assert evaluation.run([sample])['AP'] == pytest.approx(1.0)
    else:
        with pytest.raises(ValueError, match='pixels of the resized'):
            evaluation.run([sample])


def test_real_ground_truth_finds_itself(evaluation, repo_root, shared_dir):
    """The shipped pipeline keeps annotations in pixels of the original image."""
    config = Config.fromfile(repo_root / 'configs' / 'obsdm' / 'obsdm_r18_hituav.py')
    init_default_scope(config.default_scope)
    root = f'{shared_dir}/data/HIT-UAV/'
    dataset = DATASETS.build(dict(config.val_dataloader.dataset, data_root=root, indices=40))
    samples, regions = [], 0
    for index in range(len(dataset)):
        sample = dataset[index]['data_samples'].to_dict()
        found = {key: value.numpy() for key, value in sample['gt_instances'].items()}
        regions += len(sample['ignored_instances']['labels'])
        # Every region gets a detection of each class, none of which may count.
        extra = sample['ignored_instances']['bboxes'].numpy().reshape(-1, 4)
        sample['pred_instances'] = dict(
            bboxes=np.concatenate([found['bboxes'].reshape(-1, 4), *[extra] * 4]),
            labels=np.concatenate([found['labels'], np.repeat(np.arange(4), len(extra))]),
            scores=np.linspace(0.1, 0.9, len(found['labels']) + 4 * len(extra)),
        )
        samples.append(sample)
    assert regions > 0
    result = evaluation.run(samples, classes=dataset.metainfo['classes'])
    for name in ('AP50_voc', 'AP', 'AP_tiny', 'AP_small', 'AP_medium'):
        assert result[name] == pytest.approx(1.0), name


def _worker(rank, meeting, samples, queue):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{meeting}', rank=rank, world_size=2
    )
    metric = SmallObjectMetric()
    metric.dataset_meta = dict(classes=('a', 'b', 'c'))
    indices = list(DefaultSampler(samples, shuffle=False))
    for start in range(0, len(indices), 2):
        metric.process({}, [samples[index] for index in indices[start : start + 2]])
    values = metric.evaluate(len(samples))
    queue.put((get_rank(), len(indices), values))
    torch.distributed.destroy_process_group()


def test_two_processes_count_every_image_once(evaluation, tmp_path):
    rng = np.random.default_rng(0)
    samples = [evaluation.random_image(rng, index) for index in range(5)]
    expected = evaluation.run(samples)
    context = torch.multiprocessing.get_context('fork')
    queue = context.Queue()
    workers = [
        context.Process(target=_worker, args=(rank, tmp_path / 'meeting', samples, queue))
        for rank in range(2)
    ]
    for worker in workers:
        worker.start()
    answers = [queue.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(timeout=30)
        assert worker.exitcode == 0
    for _, share, values in answers:
        assert share == 3  # six places for five images: one is there twice
        assert {name.removeprefix('smallobj/'): value for name, value in values.items()} == expected
