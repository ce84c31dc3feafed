# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Names alone; the numbers are compared in tests/reference_parity."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from smallobj_mm.checkpoints.converters.obsdm import convert_obsdm, rename_obsdm, unwrap
from smallobj_mm.registry import MODELS


@pytest.fixture(scope='module')
def authors(golden_dir):
    """Empty tensors under the authors' names, of their shapes."""
    keys = json.loads((golden_dir / 'obsdm_authors_keys.json').read_text())
    pairs = keys.items() if isinstance(keys, dict) else keys
    return {k: torch.empty(tuple(s['shape'] if isinstance(s, dict) else s)) for k, s in pairs}


@pytest.fixture(scope='module')
def ours(repo_root):
    """Names and shapes of the published model as we build it, for 3 classes."""
    init_default_scope('mmdet')
    cfg = Config.fromfile(repo_root / 'configs/obsdm/obsdm_r18_voc_authors.py').model
    cfg.bbox_head.num_classes = 3
    with torch.device('meta'):
        model = MODELS.build(cfg)
    return {k: v.shape for k, v in model.state_dict().items()}


def test_one_to_one(authors, ours):
    """Each tensor of ours has exactly one of theirs, in its shape; the rest is named."""
    renamed, dropped = rename_obsdm(authors)
    assert len(renamed) + len(dropped) == len(authors)
    assert {k: v.shape for k, v in renamed.items()} == ours
    assert set(dropped) <= {
        'model.50.bgfg.fc1.weight',
        'model.50.bgfg.fc2.weight',
        'model.67.anchors',
        'model.67.anchor_grid',
    }


def test_prefix_of_parallel_training(authors):
    renamed, _ = rename_obsdm({f'module.{k}': v for k, v in authors.items()})
    assert renamed.keys() == rename_obsdm(authors)[0].keys()


@pytest.mark.parametrize('nested', [None, 'state_dict', 'model'])
def test_convert(authors, nested):
    checkpoint = {nested: authors, 'epoch': 5} if nested else authors
    renamed, meta, lines = convert_obsdm(checkpoint, 'best.pt')
    assert meta['num_classes'] == 3 and 'best.pt: 3 classes' in lines[0]
    assert renamed.keys() == rename_obsdm(authors)[0].keys()


def test_anchors_are_told(authors):
    state = dict(authors)
    state['model.67.anchor_grid'] = torch.arange(1.0, 19).view(3, 1, 3, 1, 1, 2)
    renamed, meta, lines = convert_obsdm(state, 'x.pt')
    assert any('[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]' in line for line in lines)
    assert any('dropped' in line and 'model.67.anchor_grid' in line for line in lines)


def test_other_classes_and_no_counters(authors):
    """The number of classes is that of the weights; older files have no counters."""
    state = {
        key: torch.empty(36, *tensor.shape[1:])
        if key.startswith('model.67.m.')
        else torch.empty(1, 36, 1, 1)
        if key.startswith('model.67.im.')
        else tensor
        for key, tensor in authors.items()
        if not key.endswith('num_batches_tracked')
    }
    assert convert_obsdm(state, 'x.pt')[1]['num_classes'] == 7


def without(*starts):
    return lambda state: {k: v for k, v in state.items() if not k.startswith(starts)}


def with_shape(key, *shape):
    return lambda state: {**state, key: torch.empty(shape)}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            without('model.43.', 'model.56.'),
            r'497 of the 509 tensors of OBSDM fit; not found: neck.bottom_up_\d+.first.conv.weight',
        ),
        (
            with_shape('model.39.conv.weight', 1, 2, 3),
            r'508 of the 509 .* fit; of another shape: neck.down_8.conv.conv.weight \(1, 2, 3\)',
        ),
        (
            with_shape('model.39.conv.bias', 3),
            'fit; not in the model: neck.down_8.conv.conv.bias',
        ),
        (with_shape('model.67.m.0.weight', 1, 2, 3), r'x.pt: model.67.m.0.weight has the shape'),
        (with_shape('model.67.m.0.weight', 25, 256, 1, 1), r'expected \(3 \* \(5 \+ classes\), '),
        (with_shape('model.67.m.1.weight', 27, 512, 1, 1), r'branch.1.1.conv.weight \(27, 512, 1'),
    ],
)
def test_not_whole(authors, change, message):
    with pytest.raises(ValueError, match=message) as error:
        convert_obsdm(change(authors), 'x.pt')
    assert '\n' not in str(error.value) and str(error.value).startswith('x.pt: ')


def test_errors():
    cases = [
        ({'model.99.conv.weight': torch.zeros(1)}, 'model.99.conv.weight: unknown name'),
        ({'model.0.model.2.weight': torch.zeros(1)}, 'model.0.model.2.weight: unknown name'),
        ({'model.5.conv.weight': torch.zeros(1)}, 'x.pt: found 1 tensors without the first'),
        ({'epoch': 3}, 'x.pt: found no tensors, expected a state dict'),
        ({'model': object()}, 'x.pt: found no tensors'),
    ]
    for checkpoint, message in cases:
        with pytest.raises(ValueError, match=message) as error:
            convert_obsdm(checkpoint, 'x.pt')
        assert '\n' not in str(error.value)


def test_unwrap_leaves_numbers_out():
    state = {'a': torch.zeros(1), 'epoch': 3}
    assert list(unwrap({'state_dict': state}, 'x')) == ['a']
