# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Parts for tiny objects in the installed configs of mmdet, changed as a user would change them."""

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS, MODELS, TASK_UTILS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

NWD = "dict(type='NWDOverlaps', constant=6.0)"
MIXED = "dict(type='NWDOverlaps', constant=6.0, share=0.5)"
SIMD = "dict(type='SimDOverlaps', m=1.5, n=1.2)"
PREFIXED = "dict(type='smallobj_mm.NWDOverlaps', constant=6.0)"
LOSS = """dict(_delete_=True, type='BoxLossSum', losses=[
    dict(type='GIoULoss', loss_weight=1.6), dict(type='NWDLoss', constant=6.0, loss_weight=0.4)])"""
THIN = 'backbone=dict(depth=18, init_cfg=None), neck=dict(in_channels=[64, 128, 256, 512])'
NO_WEIGHTS = 'backbone=dict(deepen_factor=0.17, widen_factor=0.125, init_cfg=None)'
CHANNELS = 'in_channels=32, feat_channels=32'
PYRAMID = 'neck=dict(in_channels=[32, 64, 128], out_channels=32, num_csp_blocks=1)'

#: Stock config -> what a user writes below it: the assigner's measure, the loss, a thin network.
DETECTORS = {
    'retinanet/retinanet_r18_fpn_1x_coco.py': f"""
model = dict(backbone=dict(init_cfg=None),
    bbox_head=dict(num_classes=3, stacked_convs=1, reg_decoded_bbox=True, loss_bbox={LOSS}),
    train_cfg=dict(assigner=dict(type='MaxIoUAssigner', iou_calculator={NWD})))""",
    'atss/atss_r50_fpn_1x_coco.py': f"""
model = dict({THIN}, bbox_head=dict(num_classes=3, stacked_convs=1, loss_bbox={LOSS}),
    train_cfg=dict(assigner=dict(iou_calculator={SIMD})))""",
    'tood/tood_r50_fpn_1x_coco.py': f"""
model = dict({THIN}, bbox_head=dict(num_classes=3, stacked_convs=2, loss_bbox={LOSS}),
    train_cfg=dict(initial_epoch=0, assigner=dict(iou_calculator={MIXED})))""",
    'rtmdet/rtmdet_tiny_8xb32-300e_coco.py': f"""
norm = dict(type='BN')
model = dict({NO_WEIGHTS[:-1]}, norm_cfg=norm), {PYRAMID[:-1]}, norm_cfg=norm),
    bbox_head=dict(num_classes=3, {CHANNELS}, norm_cfg=norm, loss_bbox={LOSS}),
    train_cfg=dict(assigner=dict(iou_calculator={PREFIXED})))""",
    'yolox/yolox_tiny_8xb8-300e_coco.py': f"""
model = dict({NO_WEIGHTS}, {PYRAMID}, data_preprocessor=dict(batch_augments=None),
    bbox_head=dict(num_classes=3, {CHANNELS},
        loss_bbox=dict(_delete_=True, type='NWDLoss', constant=6.0, reduction='sum')),
    train_cfg=dict(assigner=dict(iou_calculator={MIXED})))""",
}
PIPELINES = """
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='ObjectCenteredCrop', crop_size=(96, 96), size_weights=[(8, 2.0)]),
]
train_dataloader = dict(dataset=dict(_delete_=True, type='MultiImageMixDataset',
    dataset=dict(type='CocoDataset', ann_file={ann_file!r}, data_prefix=dict(img={folder!r}),
        metainfo=dict(classes=('a', 'b', 'c')), pipeline=train_pipeline),
    pipeline=[
        dict(type='{prefix}BoxCopyPaste', prob=1.0, num_images=2, max_copies=4, classes=[1, 2]),
        dict(type='RandomFlip', prob=0.5), dict(type='PackDetInputs')]))
"""


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """COCO data of 6 images with small bright boxes of three classes."""
    folder = tmp_path_factory.mktemp('stock')
    rng = np.random.default_rng(0)
    content = dict(images=[], annotations=[])
    content['categories'] = [dict(id=i + 1, name=name) for i, name in enumerate('abc')]
    for image in range(6):
        img = rng.integers(60, 90, size=(120, 150, 3), dtype=np.uint8)
        for _ in range(6):
            (x, y), (w, h), label = rng.integers(0, 100, 2), rng.integers(4, 14, 2), rng.integers(3)
            img[y : y + h, x : x + w] = 120 + 50 * label
            content['annotations'].append(
                dict(
                    id=len(content['annotations']) + 1,
                    image_id=image,
                    category_id=int(label) + 1,
                    bbox=[int(v) for v in (x, y, w, h)],
                    area=int(w * h),
                    iscrowd=0,
                )
            )
        cv2.imwrite(str(folder / f'{image}.png'), img)
        content['images'].append(dict(id=image, file_name=f'{image}.png', height=120, width=150))
    (folder / 'labels.json').write_text(json.dumps(content))
    return folder


def stock(name, lines, folder):
    """The installed config ``name`` with ``lines`` in a leaf below it."""
    path = Path(importlib.util.find_spec('mmdet').origin).parent / '.mim' / 'configs' / name
    if not path.is_file():
        pytest.skip(f'the installed mmdet has no config {name}')
    leaf = folder / 'leaf.py'
    leaf.write_text(
        f"_base_ = {str(path)!r}\ncustom_imports = dict(imports=['smallobj_mm'])\n{lines}"
    )
    return Config.fromfile(leaf)


@pytest.fixture
def sampling_without_operators(monkeypatch):
    """TOOD's sampling at offset places, for an mmcv without compiled operators."""

    def sample(feat, offset, *_):
        b, c, h, w = feat.shape
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing='ij')
        place = offset.view(b * c, 2, h, w) + torch.stack([y, x])
        grid = place.flip(1).movedim(1, -1) * 2 / torch.tensor([w - 1, h - 1]).clamp(min=1) - 1
        flat = feat.reshape(b * c, 1, h, w)
        return torch.nn.functional.grid_sample(flat, grid, align_corners=True).view(feat.shape)

    monkeypatch.setattr('mmdet.models.dense_heads.tood_head.deform_conv2d', sample)


@pytest.mark.parametrize('name', DETECTORS)
def test_detector_learns_with_our_measure_loss_and_data(
    name, images, tmp_path, sampling_without_operators
):
    prefix = 'smallobj_mm.' if 'rtmdet' in name else ''
    data = PIPELINES.format(ann_file=str(images / 'labels.json'), folder=str(images), prefix=prefix)
    cfg = stock(name, DETECTORS[name] + data, tmp_path)
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        model = MODELS.build(cfg.model)
        model.init_weights()
        model.train()
        MessageHub.get_current_instance().update_info('epoch', 1)  # TOOD asks; a runner does this
        wrapper = build_optim_wrapper(
            model, dict(optimizer=dict(type='SGD', lr=1e-3, momentum=0.9))
        )
        losses = []
        for step in range(5):
            batch = pseudo_collate([dataset[(2 * step + i) % 6] for i in range(2)])
            log = model.train_step(batch, wrapper)
            assert all(value.isfinite().all() for value in log.values()), log
            losses.append(float(log['loss_bbox']))
    assert max(losses) > 0
    assert all(parameter.isfinite().all() for parameter in model.parameters())


ASSIGNERS = {
    'MaxIoUAssigner': dict(pos_iou_thr=0.5, neg_iou_thr=0.3, min_pos_iou=0.5),
    'ATSSAssigner': dict(topk=4),
    'DynamicSoftLabelAssigner': dict(topk=13),
    'TaskAlignedAssigner': dict(topk=13),
    'SimOTAAssigner': dict(center_radius=2.5),
}


@pytest.mark.parametrize('measure', [NWD, MIXED, SIMD], ids=['NWD', 'mixed', 'SimD'])
@pytest.mark.parametrize('kind', ASSIGNERS)
def test_every_stock_assigner_takes_the_measure(kind, measure):
    """A 5 px object between priors of 8 px: its overlaps in the result are those of the measure."""
    y, x = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing='ij')
    centers = torch.stack([x, y], dim=-1).reshape(-1, 2) * 8 + 4
    boxes = torch.cat([centers - 4, centers + 4], dim=1)
    points = kind in ('DynamicSoftLabelAssigner', 'SimOTAAssigner')
    priors = torch.cat([centers, torch.full_like(centers, 8)], dim=1) if points else boxes
    pred = InstanceData(priors=priors, bboxes=boxes, scores=torch.full((16, 3), 0.5))
    if kind == 'ATSSAssigner':
        pred = InstanceData(priors=priors)
    truth = InstanceData(bboxes=torch.tensor([[10.0, 10, 15, 15]]), labels=torch.tensor([2]))
    with DefaultScope.overwrite_default_scope('mmdet'):
        overlaps = TASK_UTILS.build(eval(measure))
        config = dict(type=kind, iou_calculator=eval(measure), **ASSIGNERS[kind])
        assigner = TASK_UTILS.build(config)
        plain = TASK_UTILS.build(dict(type=kind, **ASSIGNERS[kind]))

    def assign(assigner):
        if kind == 'ATSSAssigner':
            return assigner.assign(pred, [16], truth, None)
        return assigner.assign(pred, truth, None)

    result = assign(assigner)
    assert type(assigner.iou_calculator) is type(overlaps)
    own = 5  # the cell of the second row and column
    assert result.gt_inds[own] == 1 and result.labels[own] == 2
    expected = overlaps(boxes[[own]], truth.bboxes)[0, 0]
    assert result.max_overlaps[own].item() == pytest.approx(expected.item())
    assert assign(plain).max_overlaps[own].item() != pytest.approx(expected.item())
    if kind == 'MaxIoUAssigner':  # an IoU of 25 / 64 is below the threshold
        assert not (assign(plain).gt_inds > 0).any()


def test_ignore_regions_are_found_by_their_iof():
    """Assigners ask the measure for mode='iof'; a distance in its place would ignore nothing."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        assigner = TASK_UTILS.build(
            dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.3,
                ignore_iof_thr=0.5,
                iou_calculator=eval(NWD),
            )
        )
    priors = torch.tensor([[0.0, 0, 8, 8], [100, 100, 108, 108], [200, 0, 208, 8]])
    truth = InstanceData(bboxes=torch.tensor([[0.0, 0, 8, 8]]), labels=torch.tensor([0]))
    ignored = InstanceData(bboxes=torch.tensor([[50.0, 50, 150, 150]]))
    result = assigner.assign(InstanceData(priors=priors), truth, ignored)
    assert result.gt_inds.tolist() == [1, -1, 0]
