# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
#!/usr/bin/env python
"""From a folder of unlabelled images to a trained detector: pretrain, hand over, fine-tune.

The same as these three commands, each resumed where a previous call stopped:
  tools/train.py PRETRAIN_CONFIG --work-dir WORK_DIR/pretrain --resume
  tools/model_converters/export_backbone.py WORK_DIR/pretrain/LAST.pth WORK_DIR/backbone.safetensors
  tools/train.py CONFIG --work-dir WORK_DIR/finetune --resume --cfg-options
      model.backbone.init_cfg.type=SSLPretrained model.backbone.init_cfg.checkpoint=...
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from smallobj_mm.datasets.files import list_images
from smallobj_mm.utils.cli import errors_in_one_line

TOOLS = Path(__file__).resolve().parent
PRETRAIN_CONFIG = TOOLS.parent / 'configs' / 'detsim' / 'detsim_r18_folder.py'


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
        default=[],
        metavar='KEY=VALUE',
        help='settings that override those of the pretraining config',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='settings that override those of the config of the labelled data',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision in both stages')
    return parser.parse_args()


def run(tool: str, *arguments: object) -> None:
    """Run one of our tools in a process of its own; its messages are the user's.

    Raises:
        SystemExit: With its status if it fails.
    """
    command = [sys.executable, str(TOOLS / tool), *map(str, arguments)]
    print('==', ' '.join(command[1:]), flush=True)
    # The package beside the tools, whatever the working folder.
    path = os.pathsep.join(filter(None, [str(TOOLS.parent), os.environ.get('PYTHONPATH')]))
    done = subprocess.run(command, env={**os.environ, 'PYTHONPATH': path})
    if done.returncode:
        sys.exit(done.returncode)


def check_inputs(args: argparse.Namespace) -> None:
    """Say what is missing before hours of pretraining, not after.

    Raises:
        FileNotFoundError: There is no such config or folder.
        ValueError: There is no image in the folder.
    """
    for config in (args.config, args.pretrain_config):
        if not os.path.isfile(config):
            raise FileNotFoundError(f'config {config}: no such file; give the path of a config')
    if not os.path.isdir(args.images):
        raise FileNotFoundError(f'{args.images}: no such folder; give a folder of images')
    if not list_images(args.images):
        raise ValueError(
            f'{args.images}: no images found, expected files of the common endings (.jpg, .png, '
            '...) in it or below; check the path'
        )


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
    args = parse_args()
    with errors_in_one_line():
        check_inputs(args)
        work_dir = Path(args.work_dir)
        backbone = work_dir / 'backbone.safetensors'
        amp = ['--amp'] if args.amp else []
        if backbone.is_file():  # written whole, and only when pretraining was over
            print(f'== {backbone} is there: pretraining is over', flush=True)
        else:
            pretrain = work_dir / 'pretrain'
            images = f'train_dataloader.dataset.data_root={os.path.abspath(args.images)}'
            run(
                'train.py',
                args.pretrain_config,
                '--work-dir',
                pretrain,
                '--resume',
                *amp,
                '--cfg-options',
                images,
                *args.pretrain_options,
            )
            run('model_converters/export_backbone.py', last_checkpoint(pretrain), backbone)
        run(
            'train.py',
            args.config,
            '--work-dir',
            work_dir / 'finetune',
            '--resume',
            *amp,
            '--cfg-options',
            'model.backbone.init_cfg.type=SSLPretrained',
            f'model.backbone.init_cfg.checkpoint={backbone}',
            *args.cfg_options,
        )
        print(f'== done: {last_checkpoint(work_dir / "finetune")}')


if __name__ == '__main__':
    main()
