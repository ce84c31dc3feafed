#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""From a folder of unlabeled images to a trained detector: pretrain, hand over, fine-tune.

The same as these three commands, each resumed where a previous call stopped:
  tools/train.py WORK_DIR/pretrain.py --work-dir WORK_DIR/pretrain --resume
  tools/model_converters/export_backbone.py WORK_DIR/pretrain/LAST.pth WORK_DIR/backbone.safetensors
  tools/train.py WORK_DIR/finetune.py --work-dir WORK_DIR/finetune --resume
pretrain.py is the pretraining config with your folder and settings, finetune.py your config with
your settings and backbone.safetensors; backbone.json says what the backbone was made from. Before,
a few steps of each stage tell how long it will take; after, comparison.png has the learning curves
and what the detector finds. With --compare, a detector from random weights is trained as well, in
WORK_DIR/random, and stands beside the other in the picture.
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import copy
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config, DictAction
from mmengine.registry import DefaultScope

from smallobj_mm.benchmark.training_time import measure_training_time
from smallobj_mm.engine.optim.amp import enable_amp
from smallobj_mm.engine.pretraining_chain import (
    ARMS,
    check_fit,
    check_made_before,
    choose_pretrain_config,
    last_checkpoint,
    read_finetune_config,
    read_pretrain_config,
    settings_of_weights,
)
from smallobj_mm.evaluation.run_summary import main_metric, read_curve
from smallobj_mm.inference import SmallObjectInferencer
from smallobj_mm.registry import DATASETS
from smallobj_mm.utils.errors import UserError, errors_in_one_line
from smallobj_mm.utils.io import atomic_write_bytes, atomic_write_json, atomic_write_text
from smallobj_mm.utils.processes import run_tool
from smallobj_mm.visualization import draw_sample
from smallobj_mm.visualization.pretraining_figure import draw_pretraining

TOOLS = Path(__file__).resolve().parent
#: Validation images in the comparison, those with most objects of an evenly spread choice.
PICTURES = 3


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


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('images', help='folder of images, subfolders included; no labels needed')
    parser.add_argument('config', help='config of the labeled data, whose backbone is a ResNet-18')
    parser.add_argument('--work-dir', required=True, help='folder of all that is made')
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        '--arm', choices=ARMS, default='detsim',
        help='way of pretraining, by name; its config is the one that fits the backbone '
        '(default: %(default)s)',
    )  # fmt: skip
    way.add_argument('--pretrain-config', help='a config of one ImageTreeDataset instead')
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
        help='settings that override those of the config of the labeled data',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision in both stages')
    parser.add_argument(
        '--compare', action='store_true', help='train the detector from random weights as well'
    )
    return parser.parse_args(argv)


class Stage:
    """A training of the chain: its config, written beside its work-dir.

    Args:
        name: Of its folder and its config in ``work_dir``.
        cfg: Its config.
        work_dir: Folder of the chain.
        amp: Mixed precision.
    """

    def __init__(self, name: str, cfg: Config, work_dir: Path, amp: bool) -> None:
        self.name = name
        self.cfg = cfg
        self.folder = work_dir / name
        self.config = work_dir / f'{name}.py'
        self.amp = amp

    @property
    def begun(self) -> bool:
        """Whether an earlier call has left a checkpoint."""
        return (self.folder / 'last_checkpoint').is_file()

    def write(self) -> None:
        """Write the config. Paths go into files: on a command line, a comma makes lists of them."""
        atomic_write_text(self.config, self.cfg.pretty_text)

    def estimate(self) -> float:
        """Say how long it will take, and return the seconds."""
        cfg = copy.deepcopy(self.cfg)
        cfg.model.backbone.pop('init_cfg', None)  # the weights are not there yet
        if self.amp:
            enable_amp(cfg)
        time = measure_training_time(cfg)
        whole = timedelta(seconds=round(time.seconds))
        print(
            f'== {self.name}: {time.steps} steps of {time.step:.2g} s, {whole} besides evaluations',
            flush=True,
        )
        return time.seconds

    def run(self) -> None:
        """Train, or go on."""
        amp = ['--amp'] if self.amp else []
        train = (TOOLS / 'train.py', self.config, '--work-dir', self.folder, '--resume')
        run_tool(*train, *amp, announce=True)


def make_stages(args: argparse.Namespace, backbone: Path) -> tuple[Stage | None, list[Stage]]:
    """The pretraining, if any, and the trainings of the detector; their data are looked for.

    Raises:
        FileNotFoundError: A config or data are missing.
        UserError: A config does not fit.
    """
    work_dir = Path(args.work_dir)
    is_random = args.arm == 'random' and args.pretrain_config is None
    if is_random and args.compare:
        raise UserError('--arm random --compare: both are the same; leave one of them out')
    if is_random:
        finetune = read_finetune_config(args.config, None, args.cfg_options)
        return None, [Stage('random', finetune, work_dir, args.amp)]
    name = args.pretrain_config or ARMS[args.arm][0]  # first what is wrong with the images
    pretrain = read_pretrain_config(name, args.images, args.pretrain_options)
    finetune = read_finetune_config(args.config, backbone, args.cfg_options)
    if args.pretrain_config is None:
        name = choose_pretrain_config(args.arm, finetune)
        pretrain = read_pretrain_config(name, args.images, args.pretrain_options)
    check_fit(pretrain, finetune, name, args.config)
    detectors = [Stage('finetune', finetune, work_dir, args.amp)]
    if args.compare:
        cfg = read_finetune_config(args.config, None, args.cfg_options)
        detectors.append(Stage('random', cfg, work_dir, args.amp))
    return Stage('pretrain', pretrain, work_dir, args.amp), detectors


def pretrain_backbone(stage: Stage, backbone: Path) -> None:
    """Pretrain and hand over, unless an earlier call has."""
    if backbone.is_file():  # written whole, and only when pretraining was over
        print(f'== {backbone} is there: pretraining is over', flush=True)
        return
    stage.run()
    export = TOOLS / 'model_converters' / 'export_backbone.py'
    run_tool(export, last_checkpoint(stage.folder), backbone, announce=True)


def compare(pretrain: Stage | None, detectors: Sequence[Stage], file: Path) -> None:
    """Draw the learning curves and what the detectors find in validation images."""
    metric = main_metric(detectors[0].folder)
    names = {'finetune': 'pretrained', 'random': 'random weights'}
    curves = {
        names[stage.name]: read_curve(stage.folder, metric) if metric else [] for stage in detectors
    }
    loss = [] if pretrain is None else read_curve(pretrain.folder, 'loss')
    rows = draw_rows({names[stage.name]: stage for stage in detectors})
    atomic_write_bytes(file, draw_pretraining(loss, curves, metric or 'no evaluation', rows))
    print(f'== {file}: learning curves, and what is found')


def draw_rows(detectors: dict[str, Stage]) -> list[dict[str, np.ndarray]]:
    """Truth and findings in some validation images of a detector; no rows for other models."""
    cfg = next(iter(detectors.values())).cfg
    loader: Any = cfg.get('val_dataloader')
    if cfg.get('default_scope') != 'mmdet' or loader is None:
        return []
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(copy.deepcopy(loader.dataset))
    infos = [dataset.get_data_info(n) for n in range(0, len(dataset), -(-len(dataset) // 50))]
    infos.sort(key=lambda info: -len(info['instances']))
    classes = dataset.metainfo['classes']
    rows: list[dict[str, np.ndarray]] = [{} for _ in infos[:PICTURES]]
    for title, stage in detectors.items():
        inferencer = SmallObjectInferencer(str(stage.config), last_checkpoint(stage.folder))
        for row, info in zip(rows, infos):
            (result,) = inferencer(info['img_path'])
            if result.image is None:  # unreadable: the training has warned of it
                continue
            if not row:
                row['truth'] = draw_truth(result.image, info['instances'], classes)
            row[title] = result.draw()
    return [row for row in rows if row]


def draw_truth(image: np.ndarray, objects: list[dict], classes: Sequence[str]) -> np.ndarray:
    """The labeled boxes of an image."""
    kept = [instance for instance in objects if not instance.get('ignore_flag')]
    boxes = np.array([instance['bbox'] for instance in kept], dtype=np.float64).reshape(-1, 4)
    labels = np.array([instance['bbox_label'] for instance in kept], dtype=np.int64)
    return draw_sample(image, boxes, labels, np.zeros((0, 4)), classes)


def main(argv: list[str] | None = None) -> None:
    """Both stages, and the picture."""
    args = parse_args(argv)
    work_dir = Path(args.work_dir)
    backbone = work_dir / 'backbone.safetensors'
    pretrain, detectors = make_stages(args, backbone)
    stages = [*([] if pretrain is None else [pretrain]), *detectors]
    if pretrain is not None:
        stamp, settings = work_dir / 'backbone.json', settings_of_weights(pretrain.cfg)
        existing = [s.folder for s in stages if s.begun and s.name != 'random']
        check_made_before(stamp, settings, [backbone] * backbone.is_file() + existing)
        atomic_write_json(stamp, settings, indent=2)
    for stage in stages:
        stage.write()
    total = sum([stage.estimate() for stage in stages if not stage.begun])
    if total:
        print(f'== in all about {timedelta(seconds=round(total))} on this machine', flush=True)
    if pretrain is not None:
        pretrain_backbone(pretrain, backbone)
    for stage in detectors:
        stage.run()
    compare(pretrain, detectors, work_dir / 'comparison.png')
    print(f'== done: {last_checkpoint(detectors[0].folder)}')


if __name__ == '__main__':
    with errors_in_one_line():
        main()
