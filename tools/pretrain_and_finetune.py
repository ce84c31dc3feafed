#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""From a folder of unlabelled images to a trained detector: pretrain, hand over, fine-tune.

The same as these three commands, each resumed where a previous call stopped:
  tools/train.py WORK_DIR/pretrain.py --work-dir WORK_DIR/pretrain --resume
  tools/model_converters/export_backbone.py WORK_DIR/pretrain/LAST.pth WORK_DIR/backbone.safetensors
  tools/train.py WORK_DIR/finetune.py --work-dir WORK_DIR/finetune --resume
pretrain.py is the pretraining config with your folder and settings, finetune.py your config with
your settings and backbone.safetensors; backbone.json says what the backbone was made from.
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import copy
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.registry import DefaultScope
from torch import Tensor

from smallobj_mm.datasets.stamped_folder import read_stamp
from smallobj_mm.registry import DATASETS, MODELS
from smallobj_mm.utils.configs import read_config
from smallobj_mm.utils.errors import UserError, errors_in_one_line
from smallobj_mm.utils.io import atomic_write_json, atomic_write_text
from smallobj_mm.utils.processes import run_tool

TOOLS = Path(__file__).resolve().parent
PRETRAIN_CONFIG = TOOLS.parent / 'configs' / 'detsim' / 'detsim_r18_folder.py'
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
_OF_THE_MACHINE = ('num_workers', 'persistent_workers', 'prefetch_factor', 'pin_memory')


class Settings(DictAction):
    """``KEY=VALUE ...`` as a dict."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Read the words after the option.

        Raises:
            UserError: If one is no setting.
        """
        for word in values or ():
            if '=' not in word:
                raise UserError(
                    f"{option_string}: found {word!r} without '=', expected KEY=VALUE such as "
                    'train_cfg.max_epochs=50'
                )
        super().__call__(parser, namespace, values, option_string)


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('images', help='folder of images, subfolders included; no labels needed')
    parser.add_argument('config', help='config of the labelled data, whose backbone is a ResNet-18')
    parser.add_argument('--work-dir', required=True, help='folder of all that is made')
    parser.add_argument(
        '--pretrain-config',
        default=str(PRETRAIN_CONFIG),
        help='config of one ImageTreeDataset (default: configs/detsim/detsim_r18_folder.py)',
    )
    parser.add_argument(
        '--pretrain-options',
        nargs='+',
        action=Settings,
        default={},
        metavar='KEY=VALUE',
        help='settings that override those of the pretraining config',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Settings,
        default={},
        metavar='KEY=VALUE',
        help='settings that override those of the config of the labelled data',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision in both stages')
    return parser.parse_args()


def read_pretrain_config(args: argparse.Namespace) -> Config:
    """The pretraining config of the given folder; its images are looked for.

    Raises:
        FileNotFoundError: There is no such config or folder.
        UserError: The config reads other data than one folder, or there is no image in it.
    """
    if not os.path.isdir(args.images):
        raise FileNotFoundError(f'{args.images}: no such folder; give a folder of images')
    cfg = read_config(args.pretrain_config, args.pretrain_options)
    dataset: Any = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    kind = dataset.get('type', '')
    kind = kind if isinstance(kind, str) else kind.__name__
    if kind.split('.')[-1] != 'ImageTreeDataset' and 'data_root' not in dataset:
        found = f'is a {kind}' if kind else 'not found'
        raise UserError(
            f'config {args.pretrain_config}: train_dataloader.dataset {found}, expected one '
            'ImageTreeDataset, whose data_root becomes the folder of images; give such a config '
            'to --pretrain-config, for instance configs/detsim/detsim_r18_folder.py'
        )
    dataset.data_root = os.path.abspath(args.images)
    build_data(cfg, args.pretrain_config, 'train_dataloader')
    return name_run(cfg, args.pretrain_config)


def read_finetune_config(args: argparse.Namespace, backbone: Path) -> Config:
    """The config of the labelled data with the pretrained backbone; its data are looked for.

    Whatever weights the config names for its backbone, in any of the frameworks' ways, are
    replaced. (``--cfg-options`` alone cannot do that: it merges into what is there, and there may
    be None, a list, or another initializer with other arguments.)

    Raises:
        FileNotFoundError: There is no such config, or its data are not there.
        UserError: It has no backbone or no data.
    """
    cfg = read_config(args.config, args.cfg_options)
    model: Any = cfg.get('model') or {}
    if not isinstance(model.get('backbone'), dict):
        raise UserError(
            f'config {args.config}: model.backbone not found, expected that of a detector or '
            'another network; give the config of the labelled data'
        )
    model.backbone.init_cfg = dict(type='SSLPretrained', checkpoint=str(backbone.resolve()))
    for part in (model, model.backbone):  # the other place where mmdet and mmseg name weights
        if part.get('pretrained') is not None:
            part.pretrained = None
    build_data(cfg, args.config, 'train_dataloader')
    if cfg.get('val_dataloader') is not None:
        build_data(cfg, args.config, 'val_dataloader')
    imports = cfg.get('custom_imports') or {}
    names = imports.get('imports') or []
    names = [names] if isinstance(names, str) else list(names)
    if 'smallobj_mm' not in names:  # else other programs than ours would not know SSLPretrained
        cfg.custom_imports = {**imports, 'imports': [*names, 'smallobj_mm']}
    return name_run(cfg, args.config)


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


def check_fit(pretrain: Config, finetune: Config, args: argparse.Namespace) -> None:
    """Check that the backbone to fine-tune takes all its tensors from the pretrained one.

    Raises:
        UserError: If one is missing there or has another shape.
    """
    made, wanted = backbone_tensors(pretrain), backbone_tensors(finetune)
    others = [n for n, t in wanted.items() if n not in made or made[n].shape != t.shape]
    if others:
        raise UserError(
            f'config {args.config}: {len(others)} of the {len(wanted)} tensors of its backbone '
            f'are not in the pretrained one, the first is {others[0]} '
            f'{tuple(wanted[others[0]].shape)}; expected the depth, width and stem of the backbone '
            f'of {args.pretrain_config}; give a config with such a ResNet'
        )


def check_made_before(stamp: Path, settings: dict, made: list[Path]) -> None:
    """Refuse what an earlier call has made from other images or settings.

    Args:
        stamp: File of the settings of the earlier call.
        settings: Those of this call, as JSON holds them.
        made: What the earlier call has made and this one would go on from.

    Raises:
        UserError: If there is something and it is not known to be made with these settings.
    """
    found = read_stamp(str(stamp.parent), stamp.name)
    if not made or found == settings:
        return
    if not found:
        what = f'no {stamp.name} tells what they were made from'
    else:
        before, now = dict(leaves(found)), dict(leaves(settings))
        differ = [k for k in dict.fromkeys([*now, *before]) if now.get(k) != before.get(k)]
        shown = [f'{k} was {before.get(k)!r}, is now {now.get(k)!r}' for k in differ[:3]]
        shown += [f'and {len(differ) - 3} more'] * (len(differ) > 3)
        what = 'made before with other settings of the pretraining: ' + '; '.join(shown)
    raise UserError(
        f'{" and ".join(map(str, made))}: {what}; give another --work-dir, or delete '
        f'{"them" if len(made) > 1 else "it"} to pretrain anew'
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


def main() -> None:
    """Both stages."""
    with errors_in_one_line():
        args = parse_args()
        work_dir = Path(args.work_dir)
        backbone = work_dir / 'backbone.safetensors'
        pretrain, finetune = work_dir / 'pretrain', work_dir / 'finetune'
        amp = ['--amp'] if args.amp else []
        configs = read_pretrain_config(args), read_finetune_config(args, backbone)
        check_fit(*configs, args)
        stamp, settings = work_dir / 'backbone.json', settings_of_weights(configs[0])
        folders = [f for f in (pretrain, finetune) if (f / 'last_checkpoint').is_file()]
        check_made_before(stamp, settings, [backbone] * backbone.is_file() + folders)
        # Paths go into files: on a command line, a comma would make a list of them.
        for stage, cfg in zip(('pretrain', 'finetune'), configs):
            atomic_write_text(work_dir / f'{stage}.py', cfg.pretty_text)
        atomic_write_json(stamp, settings, indent=2)
        if backbone.is_file():  # written whole, and only when pretraining was over
            print(f'== {backbone} is there: pretraining is over', flush=True)
        else:
            train = (TOOLS / 'train.py', work_dir / 'pretrain.py', '--work-dir', pretrain)
            run_tool(*train, '--resume', *amp, announce=True)
            export = TOOLS / 'model_converters' / 'export_backbone.py'
            run_tool(export, last_checkpoint(pretrain), backbone, announce=True)
        train = (TOOLS / 'train.py', work_dir / 'finetune.py', '--work-dir', finetune)
        run_tool(*train, '--resume', *amp, announce=True)
        print(f'== done: {last_checkpoint(finetune)}')


if __name__ == '__main__':
    main()
