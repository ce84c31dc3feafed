# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Models and files that several tests share; pytest adds no folder with --import-mode=importlib."""

import copy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')
sys.path.insert(0, str(Path(__file__).resolve().parent))

from deployment_toys import FORMATS, NAMES, SMALL, build, randomize, spread_scores  # noqa: E402

from smallobj_mm.utils.configs import read_config


@pytest.fixture(scope='session')
def systems(repo_root, tmp_path_factory):
    """Task -> cfg, weights (path), model (as built)."""
    found = {}
    for task, name in NAMES.items():
        cfg = read_config(repo_root / 'configs' / f'{name}.py')
        cfg.merge_from_dict(SMALL[task])
        torch.manual_seed(1)
        model = randomize(build(cfg))
        if task == 'det':
            spread_scores(model)
        weights = tmp_path_factory.mktemp(task) / f'{task}.pth'
        torch.save(dict(state_dict=model.state_dict()), weights)
        found[task] = SimpleNamespace(cfg=cfg, weights=weights, model=model)
    return found


@pytest.fixture(scope='session')
def exports(systems, tmp_path_factory):
    """(task, complete) -> what ``export_model`` gave, all formats; complete: with pre and post."""
    for package in ('onnx', 'onnxruntime', 'openvino'):
        pytest.importorskip(package, reason='the extra deploy is not installed')
    from smallobj_mm.deployment.exporting import ExportOptions, export_model

    made = {}

    def export(task, complete):
        if (task, complete) not in made:
            system, folder = systems[task], tmp_path_factory.mktemp('exported')
            options = ExportOptions(FORMATS, complete, complete, shape=(64, 96))
            made[task, complete] = export_model(
                copy.deepcopy(system.cfg), system.weights, Path(folder) / task, options
            )
        return made[task, complete]

    return export
