# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Every component is found by plain and by prefixed name, wherever it is asked for."""

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

import smallobj_mm

HERE = Path(__file__).resolve().parent


def run(*args: str, cwd: Path) -> str:
    """Output of a fresh Python process."""
    root = str(Path(smallobj_mm.__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, '-c', f'import sys; sys.path.insert(0, {root!r})\n{args[0]}', *args[1:]],
        capture_output=True,
        text=True,
        cwd=cwd,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmpretrain'])
def test_every_component_is_built(scope, tmp_path):
    """By prefixed name without custom_imports and by plain name with, in a fresh process."""
    pytest.importorskip(f'{scope}.registry')
    code = (
        f'import runpy; sys.argv[1:] = [{scope!r}, {str(tmp_path)!r}]\n'
        f"runpy.run_path({str(HERE / 'build_components.py')!r}, run_name='__main__')"
    )
    assert 'built all' in run(code, cwd=tmp_path)


STOCK_NAMES = """
import importlib.util
import smallobj_mm
from mmengine.registry import Registry
stock, ours = {}, set()
for package, parts in {
    'mmengine': ['registry', 'runner', 'hooks', 'optim', 'model', 'visualization', 'evaluator'],
    'mmcv': ['cnn', 'transforms', 'ops'],
    'mmdet': ['models', 'datasets', 'engine', 'evaluation', 'visualization', 'structures'],
    'mmseg': ['models', 'datasets', 'engine', 'evaluation', 'visualization', 'structures'],
    'mmpretrain': ['models', 'datasets', 'engine', 'evaluation', 'visualization', 'structures'],
}.items():
    if importlib.util.find_spec(package) is None:
        continue
    for part in parts:
        importlib.import_module(f'{package}.{part}')
    if importlib.util.find_spec(f'{package}.registry'):
        registries = vars(importlib.import_module(f'{package}.registry')).values()
        for registry in registries:
            if isinstance(registry, Registry):
                for name, component in registry.module_dict.items():
                    module = getattr(component, '__module__', '')
                    if module.split('.')[0] == 'smallobj_mm':
                        ours.add((name, module))
                    else:
                        stock[name] = module
print(len(stock), len(ours))
print([(name, stock[name], module) for name, module in ours if name in stock])
"""


def test_no_stock_name_is_taken(tmp_path):
    """Where two packages register one name, the one that the config gets is a matter of luck."""
    out = run(STOCK_NAMES, cwd=tmp_path).splitlines()
    stock, ours = map(int, out[-2].split())
    assert stock > 700 and ours >= 30
    assert out[-1] == '[]'


HIDE = """
import sys
class Hidden:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in HIDDEN:
            return None
        return self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Hidden(f) for f in sys.meta_path]
import smallobj_mm
assert not [m for m in sys.modules if m.split('.')[0] in HIDDEN]
import mmengine.registry as r
names = {
    name for kind in dir(r) if isinstance(getattr(r, kind), r.Registry)
    for name, c in getattr(r, kind).module_dict.items()
    if getattr(c, '__module__', '').startswith('smallobj_mm')
}
print(*sorted(names))
"""
ENGINE = {'SSLPretrained', 'NaNGuardHook', 'SumOptimWrapper', 'WarmupOneCycleLR'}
PLAIN = {'LoadImageStrict', 'LabelDecoupling', 'CrossPAFPN'}  # need mmcv only
DETECTION = {'SSLResNet18', 'SmallObjectMetric', 'HITUAVDataset', 'SmallObjectMosaic'}
SEGMENTATION = {'IRSTDDataset', 'PackIRSTDInputs', 'sync_resize_collate'}


@pytest.mark.parametrize(
    'hidden, there, absent',
    [
        (('mmseg', 'mmpretrain'), ENGINE | DETECTION | PLAIN, SEGMENTATION),
        (('mmdet',), ENGINE | SEGMENTATION | PLAIN, DETECTION),
        (('mmdet', 'mmseg', 'mmpretrain', 'mmcv'), ENGINE, DETECTION | SEGMENTATION | PLAIN),
    ],
)
def test_frameworks_that_are_not_installed(hidden, there, absent, tmp_path):
    """Who has only one framework gets its half; the import never fails."""
    names = set(run(f'HIDDEN = {hidden!r}\n{HIDE}', cwd=tmp_path).splitlines()[-1].split())
    assert there <= names
    assert not absent & names


def find_stock_config(name: str) -> Path:
    folder = Path(importlib.util.find_spec('mmdet').origin).parent / '.mim' / 'configs'
    if not (folder / name).is_file():
        pytest.skip(f'the installed mmdet has no config {name}')
    return folder / name


@pytest.mark.parametrize('prefix', ['', 'smallobj_mm.'])
def test_stock_retinanet_with_our_backbone_and_neck(prefix, tmp_path):
    """A training step of an installed config, changed as a user would change it."""
    stock = find_stock_config('retinanet/retinanet_r18_fpn_1x_coco.py')
    leaf = tmp_path / 'leaf.py'
    imports = '' if prefix else "custom_imports = dict(imports=['smallobj_mm'])\n"
    leaf.write_text(
        f'_base_ = {str(stock)!r}\n{imports}'
        'model = dict(\n'
        f"    backbone=dict(_delete_=True, type='{prefix}SSLResNet18'),\n"
        f"    neck=dict(_delete_=True, type='{prefix}CrossPAFPN', in_channels=[128, 256, 512],\n"
        '              out_channels=256, num_outs=5, widen_factor=0.125),\n'
        '    bbox_head=dict(num_classes=3, stacked_convs=1))\n'
    )
    cfg = Config.fromfile(leaf)
    from mmdet.registry import MODELS
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    with DefaultScope.overwrite_default_scope('mmdet'):
        cfg.model.data_preprocessor.pad_size_divisor = 32
        cfg.model.bbox_head.anchor_generator.strides = [8, 16, 32, 64, 128]
        model = MODELS.build(cfg.model)
        model.init_weights()
        model.train()
        assert type(model.backbone).__module__.startswith('smallobj_mm.')
        assert type(model.neck).__module__.startswith('smallobj_mm.')
        from mmengine.optim import build_optim_wrapper

        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        sample = DetDataSample(
            metainfo=dict(
                img_shape=(96, 128),
                ori_shape=(96, 128),
                pad_shape=(96, 128),
                batch_input_shape=(96, 128),
                scale_factor=(1.0, 1.0),
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[10.0, 10, 50, 40], [60, 20, 100, 90]]),
            labels=torch.tensor([0, 2]),
        )
        data = dict(
            inputs=[torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8)] * 2,
            data_samples=[sample, sample.clone()],
        )
        before = {k: v.detach().clone() for k, v in model.named_parameters()}
        log = model.train_step(data, wrapper)
    assert {'loss', 'loss_cls', 'loss_bbox'} <= set(log)
    assert all(value.isfinite().all() for value in log.values())
    moved = {k for k, v in model.named_parameters() if not torch.equal(v, before[k])}
    for part in ('backbone.conv1', 'backbone.layer4', 'neck.sppf', 'neck.extra.1', 'bbox_head'):
        assert any(name.startswith(part) for name in moved), part
    assert all(v.isfinite().all() for v in model.parameters())
