# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Every shipped config: it loads, its model is built, and everything that it names is there."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

import smallobj_mm  # noqa: F401
from smallobj_mm.models.layers.semantic_decoupling import DECOUPLING_MODES
from smallobj_mm.registry import (
    DATASETS,
    HOOKS,
    METRICS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    VISUALIZERS,
)

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
LEAVES = sorted(
    str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob('*.py')
    if '_base_' not in path.parts
)
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@pytest.fixture(params=LEAVES)
def leaf(request) -> Path:
    """Path of each config that a user may train with."""
    return CONFIGS / request.param


@pytest.fixture
def cfg(leaf):
    """The config, in its own default scope."""
    cfg = Config.fromfile(leaf)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        yield cfg


def bases(path: Path) -> list[Path]:
    """The files that a config names as its bases, those of installed packages left out."""
    found = re.search(r'^_base_ = (\[.*?\]|.*?$)', path.read_text(), re.M | re.S)
    names = re.findall(r'[\'"]([^\'"]+)[\'"]', found.group(1)) if found else []
    return [path.parent / name for name in names if '::' not in name]


def depth(path: Path) -> int:
    """Levels of bases below a config."""
    return max((1 + depth(base) for base in bases(path)), default=0)


def raw_datasets(dataset: dict) -> list[dict]:
    """The data sets inside wrappers."""
    inner = dataset.get('dataset') or dataset.get('datasets')
    if inner is None:
        return [dataset]
    inner = inner if isinstance(inner, (list, tuple)) else [inner]
    return [raw for one in inner for raw in raw_datasets(one)]


def pipelines(dataset: dict) -> list[dict]:
    """All transforms of a data set and of those inside it."""
    inner = dataset.get('dataset') or dataset.get('datasets') or []
    inner = inner if isinstance(inner, (list, tuple)) else [inner]
    return [*dataset.get('pipeline', []), *(t for one in inner for t in pipelines(one))]


def found(root, name: str) -> type:
    """The component of a name in the current scope; None if there is none."""
    with root.switch_scope_and_registry(None) as registry:
        return registry.get(name)


def test_there_are_configs_of_every_kind():
    names = {Path(leaf).stem for leaf in LEAVES}
    assert {
        'obsdm_r18_voc', 'obsdm_r18_voc_authors', 'obsdm_r18_bstld', 'obsdm_r18_railworker',
        'obsdm_r18_hituav', 'obsdm_r18_demo',
    } <= names
    modes = {
        Config.fromfile(CONFIGS / leaf).model.get('neck', {}).get('decoupling') for leaf in LEAVES
    }
    assert modes >= set(DECOUPLING_MODES)
    assert len(names) == len(LEAVES)  # mim finds a config by a name that is unique


def test_readable_alone(leaf):
    """At most two levels of bases, three marked sections in their order, no machine's paths."""
    text = leaf.read_text()
    assert depth(leaf) <= 2
    assert all(base.is_file() for base in bases(leaf))
    marks = ' '.join(re.findall(r'^# -------- (.*) --------$', text, re.M))
    positions = [marks.find(word) for word in ('changed often', 'changed sometimes', 'never')]
    assert -1 not in positions and positions == sorted(positions)
    assert text.startswith('# Copyright (c) smallobj_mm contributors. SPDX')
    assert not re.search(r'[\'"](/|~|[A-Z]:\\)', text)


def test_test_is_what_val_is(cfg):
    """A leaf that changes the one must not leave the other behind."""
    assert cfg.val_dataloader == cfg.test_dataloader
    assert cfg.val_evaluator == cfg.test_evaluator


def test_model(cfg):
    """Built, and its maps have the shapes that the head's strides promise."""
    with torch.device('meta'):
        model = MODELS.build(cfg.model).eval()
    image = torch.empty(2, 3, 128, 192, device='meta')
    outs = model(image, mode='tensor')
    head = model.bbox_head
    strides = [s if isinstance(s, int) else s[0] for s in head.prior_generator.strides]
    maps = outs[0] if isinstance(outs[0], (list, tuple)) else outs
    assert [tuple(m.shape[-2:]) for m in maps] == [(128 // s, 192 // s) for s in strides]
    if cfg.model.bbox_head.type == 'DecoupledCrossHead':
        assert isinstance(outs, tuple)
        assert {m.shape[1] for m in outs} == {3 * (5 + head.num_classes)}


def test_classes_of_the_head_are_those_of_the_data(cfg):
    for loader in LOADERS:
        for raw in raw_datasets(cfg[loader].dataset):
            built = DATASETS.build(dict(raw, lazy_init=True, pipeline=[]))
            assert len(built.metainfo['classes']) == cfg.model.bbox_head.num_classes


def test_image_size_of_the_head_is_that_of_the_pipeline(cfg):
    """The objectness weight depends on it."""
    if cfg.model.bbox_head.type != 'DecoupledCrossHead':
        return
    transforms = {t.type: t for t in pipelines(cfg.train_dataloader.dataset)}
    if 'MosaicAffine' in transforms and cfg.model.bbox_head.get('obj_gain') == 0.7:
        assert max(transforms['MosaicAffine'].img_scale) == cfg.model.bbox_head.img_size


def test_transforms_evaluators_and_wrappers(cfg):
    for loader in LOADERS:
        dataset = cfg[loader].dataset
        while 'dataset' in dataset:
            assert found(DATASETS, dataset.type)
            dataset = dataset.dataset
        for transform in pipelines(cfg[loader].dataset):
            TRANSFORMS.build(transform)
    METRICS.build(cfg.val_evaluator)


def test_hooks_schedules_and_optimizers(cfg):
    Visualizer.get_instance('test_configs')  # hooks that draw ask for the current one
    for hook in [*cfg.default_hooks.values(), *cfg.get('custom_hooks', [])]:
        HOOKS.build(hook)
    assert found(OPTIM_WRAPPERS, cfg.optim_wrapper.type)
    if 'constructor' in cfg.optim_wrapper:
        assert found(OPTIM_WRAPPER_CONSTRUCTORS, cfg.optim_wrapper.constructor)
    assert found(VISUALIZERS, cfg.visualizer.type)
    for scheduler in cfg.param_scheduler:
        layer = torch.nn.Parameter(torch.zeros(1))
        optimizer = OptimWrapper(torch.optim.SGD([layer], lr=0.1, momentum=0.9))
        options = dict(scheduler, optimizer=optimizer)
        if options.pop('convert_to_iter_based', False):
            options.update(
                epoch_length=50, convert_to_iter_based=True,
                end=options.get('end') or cfg.train_cfg.max_epochs,
            )
        PARAM_SCHEDULERS.build(options)


def test_the_best_checkpoint_is_by_a_metric_that_there_is(cfg):
    best = cfg.default_hooks.checkpoint.save_best
    prefix = found(METRICS, cfg.val_evaluator.type).default_prefix
    assert best.startswith(f'{prefix}/')
