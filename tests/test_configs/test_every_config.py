# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Every shipped config: it loads, and everything that it names is there."""

import ast
import re
from pathlib import Path

import torch
from mmengine.optim import OptimWrapper
from mmengine.visualization import Visualizer
from shipped import LEAVES, bases, depth, found, loaders, pipelines

from smallobj_mm.registry import (
    DATASETS,
    FUNCTIONS,
    HOOKS,
    METRICS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    VISUALIZERS,
)
from smallobj_mm.utils.configs import read_config

#: What mmengine's runner reads itself, without a dict.
RUNNER_SETTINGS = ('param_scheduler', 'custom_hooks', 'load_from', 'resume', 'work_dir', 'sync_bn')


def test_names_are_unique():
    """mim finds a config by its name."""
    assert len({Path(leaf).stem for leaf in LEAVES}) == len(LEAVES) > 0


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


def test_short_runs(leaf):
    """A shorter run from the command line: schedules that begin late still begin before its end."""
    before = read_config(leaf)
    length = next((name for name in ('max_epochs', 'max_iters') if before.get(name)), None)
    if length is None or f'flat_{length[4:]}' not in before:
        return
    cfg = read_config(leaf, {length: 2})
    (cosine,) = (s for s in cfg.param_scheduler if s.type == 'CosineAnnealingLR')
    assert cosine.begin < cosine.end == cfg.train_cfg[length] == 2


def test_evaluations_are_logged_at_their_step(cfg):
    """In runs that count iterations, mmengine's log says "epoch 0" unless it is told otherwise."""
    if cfg.train_cfg.type == 'IterBasedTrainLoop':
        assert cfg.default_hooks.logger.log_metric_by_epoch is False
        assert cfg.default_hooks.checkpoint.by_epoch is False and not cfg.log_processor.by_epoch


def other(value):
    """A value of the same kind that is not the given one."""
    if value is None or isinstance(value, str):
        return f'{value}x'
    if isinstance(value, (list, tuple)):
        return [*map(other, value[:1]), *value[1:]] or ['crop']
    return not value if isinstance(value, bool) else 2 * value + 1


def has_dict(value):
    """Whether a value is a dict or a list of such, which no command line gives."""
    inner = value if isinstance(value, (list, tuple)) else ()
    return isinstance(value, dict) or any(map(has_dict, inner))


def test_names_at_the_top_can_be_set_from_the_command_line(leaf, cfg):
    """And each does something: what is made of it changes with it."""
    before = cfg.to_dict()
    for node in ast.parse(leaf.read_text()).body:
        name = getattr(node.targets[0], 'id', None) if isinstance(node, ast.Assign) else None
        if name in (None, '_base_', *RUNNER_SETTINGS) or has_dict(before[name]):
            continue
        after = read_config(str(leaf), {name: other(before[name])}).to_dict()
        assert {k: v for k, v in after.items() if k != name} != {
            k: v for k, v in before.items() if k != name
        }, name


def test_test_is_what_val_is(cfg):
    """A leaf that changes the one must not leave the other behind."""
    assert cfg.get('val_dataloader') == cfg.get('test_dataloader')
    assert cfg.get('val_evaluator') == cfg.get('test_evaluator')


def test_transforms_evaluators_and_wrappers(cfg):
    for loader in loaders(cfg):
        dataset = loader.dataset
        while 'dataset' in dataset:
            assert found(DATASETS, dataset.type)
            dataset = dataset.dataset
        for transform in pipelines(loader.dataset):
            TRANSFORMS.build(transform)
        if 'collate_fn' in loader:
            assert found(FUNCTIONS, loader.collate_fn.type)
            for transform in loader.collate_fn.get('transforms', []):
                TRANSFORMS.build(transform)
    if cfg.get('val_evaluator'):
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
                epoch_length=50,
                convert_to_iter_based=True,
                end=options.get('end') or cfg.train_cfg.max_epochs,
            )
        PARAM_SCHEDULERS.build(options)


def test_the_best_checkpoint_is_by_a_metric_that_there_is(cfg):
    best = cfg.default_hooks.checkpoint.get('save_best')
    if best is None:
        return
    prefix = found(METRICS, cfg.val_evaluator.type).default_prefix
    assert best.startswith(f'{prefix}/')
