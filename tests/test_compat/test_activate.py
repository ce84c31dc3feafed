# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What ``activate`` replaces, and that it leaves alone whatever is really there.

Each case runs in a process of its own: imports cannot be undone. ``compat`` is imported as a
top-level package there, without the rest of smallobj_mm.
"""

import os
import subprocess
import sys
import textwrap
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


def test_stand_ins_are_one_line_for_those_who_ask(repo_root):
    """Importing says nothing; at level DEBUG and in the logs of runs it is one line."""
    code = """
        import logging, sys
        if sys.argv[1:] == ['debug']:
            logging.basicConfig(level=logging.DEBUG, format='%(name)s %(message)s')
        import compat
        active = compat.activate()
        assert compat.activate() == active
        print(len(active), compat.description())
    """
    done = run(repo_root, code)
    assert 'operators' not in done.stderr
    count, _, line = done.stdout.strip().partition(' ')
    assert (line == '') == (count == '0') and '\n' not in line
    assert not line or line.startswith('compat: no compiled operators of ')
    debug = "import sys; sys.argv.append('debug')\n" + textwrap.dedent(code)
    lines = [one for one in run(repo_root, debug).stderr.splitlines() if 'operators' in one]
    assert lines == ([f'smallobj_mm.compat {line}'] if line else [])
    assert 'operators' not in run(repo_root, debug, RANK='1').stderr


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
    run(repo_root, code, tmp_path)


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


def put_torchvision(folder: Path, operators: str, package: str = '') -> None:
    """A torchvision that loads its operators as ``operators`` says, then needs them.

    The file that holds them is called neither ``_C`` nor anything else that one could look for.
    """
    (folder / 'torchvision').mkdir()
    (folder / 'torchvision/anything.py').write_text(textwrap.dedent(operators))
    needs = """
        import torch
        from . import anything
        torch.library.register_fake('torchvision::nms')(lambda dets, scores, threshold: dets)
    """
    (folder / 'torchvision/__init__.py').write_text(textwrap.dedent(needs) + package)


DEFINES = """
    import torch
    library = torch.library.Library('torchvision', 'DEF')  # dies where anyone else defines one
    library.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
    library.impl('nms', lambda dets, scores, iou_threshold: dets + 1, 'CPU')
"""


def test_torchvision_operators_that_load_stay(repo_root, tmp_path):
    put_torchvision(tmp_path, DEFINES)
    code = """
        import torch, compat
        assert 'torchvision' not in compat.activate()
        import torchvision
        zero = torch.zeros(1)
        assert torch.ops.torchvision.nms(zero, zero, 0.5).item() == 1
    """
    run(repo_root, code, tmp_path)


def test_torchvision_without_operators_is_helped(repo_root, tmp_path):
    put_torchvision(tmp_path, '')
    code = """
        import torch, compat
        assert 'torchvision' in compat.activate()
        import torchvision, torchvision.anything
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


def test_torchvision_that_fails_otherwise_says_so_itself(repo_root, tmp_path):
    put_torchvision(tmp_path, DEFINES, "raise ImportError('no image library')")
    code = """
        import torch, compat
        assert 'torchvision' not in compat.activate()
        try:
            import torchvision
        except Exception as error:
            print(type(error).__name__)
        else:
            raise AssertionError('imported')
    """
    assert run(repo_root, code, tmp_path).stdout.split()


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
        ({'torch': '2.13.0+cpu', 'onedl-mmcv': '2.3.6'}, []),
        ({'torch': '2.9.1'}, ['PyTorch 2.9.1: a crafted checkpoint']),
        ({'mmdet': '3.3.0'}, ['mmdet comes from mmdet 3.3.0']),
        ({}, []),
    ],
)
def test_versions_are_checked_from_below_only(monkeypatch, installed, said):
    monkeypatch.setattr(versions, 'installed_versions', lambda: installed)
    lines = versions.version_warnings()
    assert len(lines) == len(said)
    assert all(line.startswith(start) for line, start in zip(lines, said))
