# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The weights that come with the package, by their name alone, on real images."""

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import bbox_overlaps

from smallobj_mm.datasets.masks import read_mask
from smallobj_mm.datasets.parsers.voc_xml import parse_voc_xml
from smallobj_mm.evaluation.irstd_counts import count_image
from smallobj_mm.inference import SmallObjectInferencer
from smallobj_mm.weights import shipped_weights

NAME = 'ismallnet_s_nuaa'


@pytest.fixture(scope='module')
def inferencer():
    try:
        shipped_weights(NAME)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return SmallObjectInferencer(NAME)


@pytest.mark.parametrize('tile', [None, 128])
def test_finds_targets_in_tiles_too(shared_dir, inferencer, tile):
    """The name leads to weights that see targets; how many, six images cannot measure."""
    root = shared_dir / 'data' / 'NUAA-SIRST'
    names = (root / 'test.txt').read_text().split()[:6]
    paths = [root / 'image' / f'{name}.png' for name in names]
    counts = []
    for name, sample in zip(names, inferencer(paths, tile=tile)):
        (mask,) = (root / 'mask').glob(f'{name}[_.]*')
        probability = sample.seg_logits.data[0].numpy()
        counts.append(count_image(probability, read_mask(str(mask)), [0.5]))
    detected = np.concatenate([one.detected[0] for one in counts])
    false = sum(int(one.false_components[0]) for one in counts)
    assert detected.mean() >= 0.5 and false <= len(names)


def test_finds_small_objects_in_thermal_images(shared_dir):
    """Most persons and cars of eight images of the validation list, and not much else."""
    name = 'obsdm_t_hituav'
    try:
        shipped_weights(name)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    root = shared_dir / 'data' / 'HIT-UAV'
    names = (root / 'ImageSets' / 'Main' / 'val.txt').read_text().split()[::36]
    results = SmallObjectInferencer(name)([root / 'JPEGImages' / f'{n}.jpg' for n in names])
    objects = found = detections = right = 0
    for n, sample in zip(names, results):
        labeled = parse_voc_xml(str(root / 'Annotations' / f'{n}.xml')).objects
        everything = torch.tensor([obj.box for obj in labeled], dtype=torch.float32)
        common = torch.tensor([obj.label in ('Person', 'Car') for obj in labeled])
        confident = sample.pred_instances[sample.pred_instances.scores > 0.3]
        boxes = confident.bboxes.float()
        objects, detections = objects + int(common.sum()), detections + len(boxes)
        if len(labeled) and len(boxes):
            overlaps = bbox_overlaps(everything, boxes)
            found += int((overlaps.amax(dim=1)[common] > 0.5).sum())
            right += int((overlaps.amax(dim=0) > 0.4).sum())
    assert len(names) >= 8 and objects > 20
    assert found >= 0.5 * objects and right >= 0.5 * detections
