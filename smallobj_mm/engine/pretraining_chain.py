# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""From images without labels to a trained detector: the configs of both stages, and their fit."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor

from smallobj_mm.datasets.stamped_folder import read_stamp
from smallobj_mm.registry import DATASETS, MODELS
from smallobj_mm.utils.configs import read_config
from smallobj_mm.utils.errors import UserError

#: Way of pretraining -> names of its configs, for a ResNet-18 of full and of half width. What they
#: say of images gives way to the user's folder.
ARMS: dict[str, tuple[str, ...]] = {
    'random': (),
    'detsim': ('detsim_r18_folder', 'detsim_r18h_hituav'),
    'detsim-no-aux': ('detsim_r18_folder_no-aux', 'detsim_r18h_hituav_no-aux'),
    'detsim-local-views': ('detsim_r18_folder_local-views', 'detsim_r18h_hituav_local-views'),
    'distilled': ('distill_r18_folder', 'distill_r18h_folder'),
}
#: Settings that the pretrained weights follow from; the rest says how they are watched and saved.
_OF_THE_WEIGHTS = (
    'model',
    'train_dataloader',
    'train_cfg',
    'optim_wrapper',
    'param_scheduler',
    'custom_hooks',
    'auto_scale_lr',
    'randomness',
    'load_from',
)
_WHOLE_FOLDER = dict(image_folder='', image_list=None)
_OF_THE_MACHINE = ('num_workers', 'persistent_workers', 'prefetch_factor', 'pin_memory')


def read_pretrain_config(config: str, images: str, options: Mapping) -> Config:
    """The pretraining config of a folder; its images are looked for.

    Args:
        config: Path or name of a config of one ``ImageTreeDataset``. Of those in :data:`ARMS` the
            folder and list of images inside ``data_root`` are left out.
        images: The folder.
        options: Settings that override those of the config.

    Raises:
        FileNotFoundError: There is no such config or folder.
        UserError: The config reads other data than one folder, or there is no image in it.
    """
    if not os.path.isdir(images):
        raise FileNotFoundError(f'{images}: no such folder; give a folder of images')
    cfg = read_config(config, dict(options))
    dataset: Any = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    kind = dataset.get('type', '')
    kind = kind if isinstance(kind, str) else kind.__name__
    if kind.split('.')[-1] != 'ImageTreeDataset' and 'data_root' not in dataset:
        description = f'is a {kind}' if kind else 'not found'
        raise UserError(
            f'config {config}: train_dataloader.dataset {description}, expected one '
            'ImageTreeDataset, whose data_root becomes the folder of images; give such a config '
            'to --pretrain-config, for instance configs/detsim/detsim_r18_folder.py'
        )
    dataset.data_root = os.path.abspath(images)
    if any(config in names for names in ARMS.values()):
        given = {option.rpartition('.')[2] for option in options}
        dataset.update({key: v for key, v in _WHOLE_FOLDER.items() if key not in given})
    build_data(cfg, config, 'train_dataloader')
    return name_run(cfg, config)


def read_finetune_config(config: str, backbone: Path | None, options: Mapping) -> Config:
    """The config of the labeled data with the pretrained backbone; its data are looked for.

    Whatever weights the config names for its backbone, in any of the frameworks' ways, are
    replaced. (``--cfg-options`` alone cannot do that: it merges into what is there, and there may
    be None, a list, or another initializer with other arguments.)

    Args:
        config: Path or name of the config.
        backbone: File that the weights will be in; None: random weights.
        options: Settings that override those of the config.

    Raises:
        FileNotFoundError: There is no such config, or its data are not there.
        UserError: It has no backbone or no data.
    """
    cfg = read_config(config, dict(options))
    model: Any = cfg.get('model') or {}
    if not isinstance(model.get('backbone'), dict):
        raise UserError(
            f'config {config}: model.backbone not found, expected that of a detector or '
            'another network; give the config of the labeled data'
        )
    model.backbone.init_cfg = (
        None if backbone is None
        else dict(type='SSLPretrained', checkpoint=str(backbone.resolve()))
    )  # fmt: skip
    for part in (model, model.backbone):  # the other place where mmdet and mmseg name weights
        if part.get('pretrained') is not None:
            part.pretrained = None
    cfg.load_from = None  # a whole model would replace the backbone
    build_data(cfg, config, 'train_dataloader')
    if cfg.get('val_dataloader') is not None:
        build_data(cfg, config, 'val_dataloader')
    imports = cfg.get('custom_imports') or {}
    names = imports.get('imports') or []
    names = [names] if isinstance(names, str) else list(names)
    if 'smallobj_mm' not in names:  # else other programs than ours would not know SSLPretrained
        cfg.custom_imports = {**imports, 'imports': [*names, 'smallobj_mm']}
    return name_run(cfg, config)


def choose_pretrain_config(arm: str, finetune: Config) -> str:
    """The config of a way of pretraining that gives a detector's backbone, by its name.

    Args:
        arm: One of :data:`ARMS` that has configs.
        finetune: Config of the labeled data.

    Returns:
        The first config if none fits; :func:`check_fit` says why.
    """
    names = ARMS[arm]
    fitting = (name for name in names if not missing_tensors(read_config(name), finetune))
    return next(fitting, names[0])


def name_run(cfg: Config, path: str) -> Config:
    """Let a run be called like the config it is made of."""
    if cfg.get('experiment_name') is None:
        cfg.experiment_name = Path(path).stem
    return cfg


def scope_of(cfg: Config) -> str:
    """The framework of a config."""
    return cfg.get('default_scope') or 'mmengine'


def build_data(cfg: Config, path: str, loader: str) -> None:
    """Build a data set, which reads its lists and labels and stops where some are missing.

    Raises:
        UserError: The config has no such data set.
    """
    dataset = (cfg.get(loader) or {}).get('dataset')
    if dataset is None:
        raise UserError(
            f'config {path}: {loader}.dataset not found, expected the data to train on; give a '
            'config that has them'
        )
    with DefaultScope.overwrite_default_scope(scope_of(cfg)):
        DATASETS.build(copy.deepcopy(dataset))


def backbone_tensors(cfg: Config) -> dict[str, Tensor]:
    """The tensors of a config's backbone, without counters of batches."""
    with DefaultScope.overwrite_default_scope(scope_of(cfg)):
        backbone = MODELS.build({**copy.deepcopy(cfg.model.backbone), 'init_cfg': None})
    state = backbone.state_dict()
    return {name: t for name, t in state.items() if not name.endswith('num_batches_tracked')}


def missing_tensors(pretrain: Config, finetune: Config) -> list[str]:
    """The tensors of the backbone to fine-tune that the pretrained one does not have, or not so."""
    have, want = backbone_tensors(pretrain), backbone_tensors(finetune)
    return [
        f'{name} {tuple(tensor.shape)}' for name, tensor in want.items()
        if name not in have or have[name].shape != tensor.shape
    ]  # fmt: skip


def check_fit(pretrain: Config, finetune: Config, pretrain_name: str, finetune_name: str) -> None:
    """Check that the backbone to fine-tune takes all its tensors from the pretrained one.

    Args:
        pretrain: Config of the pretraining.
        finetune: Config of the labeled data.
        pretrain_name: What the user calls the first, for the message.
        finetune_name: What the user calls the second.

    Raises:
        UserError: If one is missing there or has another shape.
    """
    missing = missing_tensors(pretrain, finetune)
    if missing:
        raise UserError(
            f'config {finetune_name}: {len(missing)} of the {len(backbone_tensors(finetune))} '
            f'tensors of its backbone are not in the pretrained one, the first is {missing[0]}; '
            f'expected the depth, width and stem of the backbone of {pretrain_name}; give a '
            'config with such a ResNet'
        )


def check_made_before(stamp: Path, settings: dict, existing: list[Path]) -> None:
    """Refuse what an earlier call has made from other images or settings.

    Args:
        stamp: File of the settings of the earlier call.
        settings: Those of this call, as JSON holds them.
        existing: What the earlier call has made and this one would go on from.

    Raises:
        UserError: If there is something and it is not known to be made with these settings.
    """
    stamped = read_stamp(str(stamp.parent), stamp.name)
    if not existing or stamped == settings:
        return
    if not stamped:
        what = f'no {stamp.name} tells what they were made from'
    else:
        before, now = dict(leaves(stamped)), dict(leaves(settings))
        differ = [k for k in dict.fromkeys([*now, *before]) if now.get(k) != before.get(k)]
        shown = [f'{k} was {before.get(k)!r}, is now {now.get(k)!r}' for k in differ[:3]]
        shown += [f'and {len(differ) - 3} more'] * (len(differ) > 3)
        what = 'made before with other settings of the pretraining: ' + '; '.join(shown)
    raise UserError(
        f'{" and ".join(map(str, existing))}: {what}; give another --work-dir, or delete '
        f'{"them" if len(existing) > 1 else "it"} to pretrain anew'
    )


def settings_of_weights(cfg: Config) -> dict:
    """What the weights of a pretraining follow from, as JSON holds it."""
    every = cfg.to_dict()
    settings = {key: every[key] for key in _OF_THE_WEIGHTS if key in every}
    loader = settings['train_dataloader']
    settings['train_dataloader'] = {k: v for k, v in loader.items() if k not in _OF_THE_MACHINE}
    return json.loads(json.dumps(settings, default=str))


def leaves(value: Any, name: str = '') -> Iterator[tuple[str, Any]]:
    """``a.b.0`` -> value, of nested dicts and lists."""
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, f'{name}.{key}' if name else str(key))
    else:
        yield name, value


def last_checkpoint(work_dir: Path) -> str:
    """Where a finished run left its weights.

    Raises:
        FileNotFoundError: It left none.
    """
    pointer = work_dir / 'last_checkpoint'
    if not pointer.is_file():
        raise FileNotFoundError(
            f'{pointer}: no such file, expected a checkpoint of the pretraining; see its log, the '
            'config must save checkpoints'
        )
    return pointer.read_text().strip()
