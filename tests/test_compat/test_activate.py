# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What ``activate`` replaces, and that it leaves alone whatever is really there.

Each case runs in a process of its own: imports cannot be undone. ``compat`` is imported as a
top-level package there, without the rest of smallobj_mm.
"""

import os
import shutil
import subprocess
import sys
import textwrap
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from smallobj_mm.compat import mmcv_ext, versions


def run(repo_root: Path, code: str, *path: Path, **env: str) -> subprocess.CompletedProcess:
    """Run code in a fresh interpreter with compat and the given folders in front."""
    folders = [*map(str, path), str(repo_root / 'smallobj_mm'), str(repo_root)]
    done = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(code)],
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(folders), **env},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize(
    'order',
    [
        ('mmdet.models', 'mmseg.models', 'mmpretrain.models'),
        ('mmpretrain.models', 'mmdet.models', 'mmseg.models'),
        ('mmseg.models',),
        ('torchvision', 'mmcv.ops'),
    ],
)
def test_the_stack_imports(repo_root, order):
    imports = '; '.join(f'import {name}' for name in order)
    done = run(repo_root, f"import compat; print(compat.activate()); {imports}; print('fine')")
    assert done.stdout.splitlines()[-1].endswith('fine')


def test_one_log_line_for_each_part_and_once(repo_root):
    code = 'import compat; active = compat.activate(); assert compat.activate() == active; \
            print(*active)'
    done = run(repo_root, code)
    parts = done.stdout.split()
    lines = [line for line in done.stderr.splitlines() if line.startswith('compat: ')]
    assert len(lines) == len(parts)
    assert all(any(part in line for line in lines) for part in parts)
    assert 'compat: ' not in run(repo_root, code, RANK='1').stderr


def test_a_real_mmcv_extension_stays(repo_root, tmp_path):
    (tmp_path / 'mmcv').mkdir()
    (tmp_path / 'mmcv/__init__.py').write_text('')
    (tmp_path / 'mmcv/_ext.py').write_text("nms = 'real'\n")
    code = """
        import compat
        assert 'mmcv' not in compat.activate()
        import mmcv._ext
        assert mmcv._ext.nms == 'real'
    """
    assert 'mmcv has no' not in run(repo_root, code, tmp_path).stderr


def test_a_missing_mmcv_extension_is_replaced(repo_root, tmp_path):
    (tmp_path / 'mmcv').mkdir()
    (tmp_path / 'mmcv/__init__.py').write_text('')
    code = """
        import importlib, importlib.util
        import compat
        assert 'mmcv' in compat.activate()
        ext = importlib.import_module('mmcv._ext')
        assert callable(ext.nms) and hasattr(ext, 'roi_align_forward')
        assert importlib.util.find_spec('mmcv._ext').origin == 'smallobj_mm.compat'
    """
    run(repo_root, code, tmp_path)


def test_a_torchvision_library_that_loads_stays(repo_root, tmp_path):
    (tmp_path / 'torchvision').mkdir()
    (tmp_path / 'torchvision/__init__.py').write_text('')
    # Any library that can be loaded stands for one that fits the PyTorch at hand.
    import _json

    shutil.copy(_json.__file__, tmp_path / 'torchvision' / f'_C{EXTENSION_SUFFIXES[-1]}')
    code = """
        import torch, compat
        assert 'torchvision' not in compat.activate()
        assert not hasattr(torch.ops.torchvision, 'nms')
    """
    run(repo_root, code, tmp_path)


def test_a_torchvision_library_that_does_not_load_is_helped(repo_root, tmp_path):
    (tmp_path / 'torchvision').mkdir()
    (tmp_path / 'torchvision/__init__.py').write_text('')
    (tmp_path / 'torchvision' / f'_C{EXTENSION_SUFFIXES[-1]}').write_bytes(b'not a library')
    code = """
        import torch, compat
        assert 'torchvision' in compat.activate()
        boxes = torch.tensor([[0., 0, 2, 2], [0, 0, 2, 2], [5, 5, 6, 6]])
        scores = torch.tensor([.1, .2, .3])
        assert torch.ops.torchvision.nms(boxes, scores, 0.5).tolist() == [2, 1]
        try:
            torch.ops.torchvision.qnms(boxes, scores, 0.5)
        except RuntimeError as error:
            assert 'install a torchvision' in str(error)
        else:
            raise AssertionError('qnms did not raise')
    """
    run(repo_root, code, tmp_path)


def test_a_torchvision_operator_that_exists_stays(repo_root):
    code = """
        import torch, compat
        library = torch.library.Library('torchvision', 'DEF')
        library.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        library.impl('nms', lambda dets, scores, iou_threshold: dets + 1, 'CPU')
        assert 'torchvision' not in compat.activate()
        zero = torch.zeros(1)
        assert torch.ops.torchvision.nms(zero, zero, 0.5).item() == 1
    """
    run(repo_root, code)


def test_other_operators_raise_one_clear_error():
    ext = mmcv_ext.OperatorModule()
    with pytest.raises(mmcv_ext.MissingOperatorError) as error:
        ext.modulated_deform_conv_forward(1, out=2)
    message = str(error.value)
    assert 'modulated_deform_conv_forward' in message and 'MMCV_WITH_OPS=1' in message
    assert '\n' not in message
    assert not hasattr(ext, '__path__')
    assert 'n/a' in ext.get_compiler_version() and 'n/a' in ext.get_compiling_cuda_version()


@pytest.mark.parametrize(
    ('installed', 'said'),
    [
        ({'onedl-mmcv': '2.3.6', 'onedl-mmdetection': '99.0.0'}, []),
        ({'onedl-mmcv': '2.3.5'}, ['onedl-mmcv 2.3.5 is older than 2.3.6']),
        ({'mmdet': '3.3.0'}, ['mmdet comes from mmdet 3.3.0']),
        ({}, []),
    ],
)
def test_versions_are_checked_from_below_only(monkeypatch, installed, said):
    monkeypatch.setattr(versions, 'installed_versions', lambda: installed)
    lines = versions.version_warnings()
    assert len(lines) == len(said)
    assert all(line.startswith(start) for line, start in zip(lines, said))
