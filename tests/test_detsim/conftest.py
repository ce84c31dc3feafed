# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A DetSim that trains in seconds: a shipped config with a narrow network and 32 px views."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from smallobj_mm.utils.configs import read_config

pytest.importorskip('mmpretrain')

CHANNELS = [8, 16, 32, 64]


def draw(folder, count: int, classes: int = 1) -> None:
    """Images of 48x40 px: a disc on a slope; the class is the color of the disc."""
    colors = [(40, 40, 220), (220, 180, 40), (60, 200, 60)]
    for label in range(classes):
        target = folder / f'class{label}' if classes > 1 else folder
        target.mkdir(parents=True, exist_ok=True)
        for i in range(count):
            random = np.random.default_rng(100 * label + i)
            slope = np.linspace(*random.uniform(0, 160, 2), 48)[None, :, None]
            image = np.broadcast_to(slope + random.uniform(0, 90, 3), (40, 48, 3)).astype(np.uint8)
            image = np.ascontiguousarray(image)
            color = colors[label if classes > 1 else i % 3]
            center = tuple(int(x) for x in random.integers(8, 32, 2))
            cv2.circle(image, center, int(random.integers(4, 9)), color, -1)
            cv2.imwrite(str(target / f'{i}.png'), image)


@pytest.fixture(scope='session')
def images(tmp_path_factory):
    """A flat folder of 24 images."""
    folder = tmp_path_factory.mktemp('images')
    draw(folder, 24)
    return folder


@pytest.fixture(scope='session')
def classes(tmp_path_factory):
    """Three classes of 6 images."""
    folder = tmp_path_factory.mktemp('classes')
    draw(folder, 6, classes=3)
    return folder


@pytest.fixture(scope='session')
def installed_config():
    """Path of a stock config of an installed framework, whose models are registered then."""

    def find(framework, name):
        spec = importlib.util.find_spec(framework)
        if spec is None:
            pytest.skip(f'{framework} is not installed')
        path = Path(spec.origin).parent / '.mim' / 'configs' / name
        if not path.is_file():
            pytest.skip(f'the installed {framework} has no config {name}')
        importlib.import_module(f'{framework}.models')
        return path

    return find


@pytest.fixture
def tiny(repo_root, images, tmp_path):
    """The config; ``local-views`` and so on by name."""

    def make(name='detsim_r18_folder', epochs=2, batch_size=8):
        cfg = read_config(repo_root / f'configs/detsim/{name}.py')
        cfg.launcher = 'none'
        cfg.work_dir = str(tmp_path / 'work')
        # mmengine keeps visualizers by name: another test's would write to its own folder.
        cfg.visualizer.name = str(tmp_path)
        cfg.model.backbone.update(stem_channels=8, base_channels=8)
        cfg.model.neck.update(in_channels=CHANNELS, hid_channels=32, out_channels=32)
        cfg.model.head.update(in_channels=32, hid_channels=8)
        if cfg.model.auxiliary_head is not None:
            cfg.model.auxiliary_head.update(in_channels=CHANNELS, hid_channels=16)
        for view in cfg.train_dataloader.dataset.pipeline[1].views:
            local = view[-1].type == 'LocalCrops'
            view[0].size = 51 if local else 32
            if local:
                view[-1].size = 16
        cfg.train_dataloader.update(batch_size=batch_size, num_workers=0, persistent_workers=False)
        cfg.train_dataloader.dataset.data_root = str(images)
        cfg.train_cfg.max_epochs = epochs
        cfg.default_hooks.logger.interval = 1
        cfg.log_processor.window_size = 1
        for hook in cfg.custom_hooks:
            if hook.type == 'FeatureSpreadHook':
                hook.interval = 1
        return cfg

    return make


@pytest.fixture
def run_tool(repo_root):
    """Runs one of the tools as a user does."""

    def run(*command, **env):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(('SLURM_', 'COV_'))}
        for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'SMALLOBJ_MM_DEBUG'):
            clean.pop(name, None)
        clean.update(PYTHONPATH=str(repo_root), PYTHON=sys.executable, OMP_NUM_THREADS='1', **env)
        return subprocess.run(
            [str(part) for part in command], env=clean, capture_output=True, text=True, timeout=600
        )

    return run


@pytest.fixture
def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return str(listener.getsockname()[1])
