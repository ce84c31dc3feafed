# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Checkpoints are read as data, whatever is in them."""

import builtins
import multiprocessing
import os
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest
import torch
import torch.distributed as dist
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, Runner
from mmengine.runner.checkpoint import load_checkpoint
from safetensors.torch import save_file
from torch import nn

from smallobj_mm.checkpoints import load_plain, reading, use_safe_loader
from smallobj_mm.checkpoints.reading import load_from_http_plain, load_from_local_plain
from smallobj_mm.utils.errors import UserError


@pytest.fixture
def safe_loader() -> Iterator[None]:
    before = dict(CheckpointLoader._schemes)
    use_safe_loader()
    yield
    for prefix, loader in before.items():
        CheckpointLoader.register_scheme(prefix, loader, force=True)


class RunsCommand:
    """Its pickle makes a file when it is loaded."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.made),)


class Builtins:
    """Its pickle is the module ``builtins``, for whoever allows getattr."""

    def __reduce__(self) -> tuple:
        return getattr, (getattr, '__self__')


class WritesBuiltins:
    """Its pickle sets a name in ``builtins``, for whoever allows getattr."""

    def __reduce__(self) -> tuple:
        return getattr, (Builtins(), '__dict__'), None, None, iter([('smallobj_pwned', 1)])


def test_plain(tmp_path: Path) -> None:
    """What a training checkpoint holds is read: tensors, log history, NumPy numbers."""
    history = HistoryBuffer([1.0, 3.0], [1, 1])
    torch.save(
        dict(
            state_dict=dict(w=torch.ones(2)),
            history=history,
            score=np.float64(0.5),
            table=np.arange(3, dtype=np.uint8),
        ),
        tmp_path / 'a.pth',
    )
    loaded = load_plain(tmp_path / 'a.pth')
    assert loaded['state_dict']['w'].tolist() == [1, 1]
    assert loaded['history'].mean() == 2 and loaded['history'].statistics('max') == 3
    assert loaded['score'] == 0.5 and loaded['table'].tolist() == [0, 1, 2]


def test_safetensors(tmp_path: Path) -> None:
    save_file(dict(w=torch.ones(2)), str(tmp_path / 'a.safetensors'))
    assert load_plain(tmp_path / 'a.safetensors')['w'].tolist() == [1, 1]


def test_code_is_refused(tmp_path: Path) -> None:
    """One line that names file and culprit; nothing has run."""
    torch.save(dict(w=RunsCommand(tmp_path / 'made')), tmp_path / 'evil.pth')
    with pytest.raises(ValueError, match=r'evil\.pth: refused.*mkdir') as caught:
        load_plain(tmp_path / 'evil.pth')
    assert '\n' not in str(caught.value)
    assert not (tmp_path / 'made').exists()


def test_getattr_is_refused(tmp_path: Path) -> None:
    """mmengine's own allow-list has getattr, with which a file can rewrite the interpreter."""
    torch.save(dict(w=WritesBuiltins()), tmp_path / 'evil.pth')
    with pytest.raises(ValueError, match=r'evil\.pth: refused.*getattr'):
        load_plain(tmp_path / 'evil.pth')
    assert not hasattr(builtins, 'smallobj_pwned')


def test_others_allowances_are_not_used(tmp_path: Path) -> None:
    """What a library has allowed in this process does not count here, and is kept for it."""
    torch.save(dict(w=RunsCommand(tmp_path / 'made')), tmp_path / 'evil.pth')
    with torch.serialization.safe_globals([os.mkdir]):
        with pytest.raises(ValueError, match='refused'):
            load_plain(tmp_path / 'evil.pth')
        assert os.mkdir in torch.serialization.get_safe_globals()
    assert not (tmp_path / 'made').exists()


def _broken(kind: str, folder: Path) -> Path:
    path = folder / f'{kind}.pth'
    torch.save(dict(w=torch.ones(999)), path, _use_new_zipfile_serialization=kind != 'old')
    if kind in ('truncated', 'old'):
        path.write_bytes(path.read_bytes()[:-900])
    elif kind == 'empty':
        path.write_bytes(b'')
    elif kind == 'text':
        path.write_text('version https://git-lfs.github.com/spec/v1')
    elif kind == 'list':
        torch.save([torch.ones(2)], path)
    elif kind == 'safetensors':
        path = path.with_suffix('.safetensors')
        path.write_bytes(b'12')
    return path


@pytest.mark.parametrize('kind', ['truncated', 'old', 'empty', 'text', 'list', 'safetensors'])
def test_broken_files(kind: str, tmp_path: Path) -> None:
    path = _broken(kind, tmp_path)
    with pytest.raises(ValueError, match=f'{kind}.*not a') as caught:
        load_plain(path)
    assert '\n' not in str(caught.value)


def test_compressed_parts(tmp_path: Path) -> None:
    """A pickle of some hundred bytes could become gigabytes."""
    torch.save(dict(w=torch.zeros(1000)), tmp_path / 'a.pth')
    with zipfile.ZipFile(tmp_path / 'a.pth') as stored:
        with zipfile.ZipFile(tmp_path / 'b.pth', 'w', zipfile.ZIP_DEFLATED) as deflated:
            for name in stored.namelist():
                deflated.writestr(name, stored.read(name))
    with pytest.raises(UserError, match='b.pth: not a checkpoint of torch.save, its part .*pkl'):
        load_plain(tmp_path / 'b.pth')


@pytest.mark.parametrize('shape', [(2**20, 2**20), (2**40,), (2**62, 1)])
def test_tensors_larger_than_memory(shape: tuple, tmp_path: Path) -> None:
    """One number, repeated by strides of zero."""
    torch.save(dict(net=dict(w=torch.zeros(1).expand(shape))), tmp_path / 'a.pth')
    with pytest.raises(UserError, match='a.pth: .*net.w.* has the shape .*more than the|damaged'):
        load_plain(tmp_path / 'a.pth')
    torch.save(dict(w=torch.zeros(1).expand(100, 100)), tmp_path / 'b.pth')
    assert load_plain(tmp_path / 'b.pth')['w'].shape == (100, 100)


def test_deep_nesting(tmp_path: Path) -> None:
    nested: dict = {}
    for _ in range(3_000):
        nested = {'a': nested}
    sys.setrecursionlimit((limit := sys.getrecursionlimit()) * 100)
    try:
        torch.save(nested, tmp_path / 'a.pth')
    except RecursionError:
        pytest.skip('this Python does not write it')
    finally:
        sys.setrecursionlimit(limit)
    with pytest.raises(UserError, match='a.pth: nested too deeply|a.pth: damaged'):
        load_plain(tmp_path / 'a.pth')


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'none\.pth: no such checkpoint'):
        load_plain(tmp_path / 'none.pth')


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_a_folder(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f'a{suffix}').mkdir()
    with pytest.raises(UserError, match=rf'a{suffix}: a folder; give'):
        load_plain(tmp_path / f'a{suffix}')


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_no_permission(suffix: str, tmp_path: Path) -> None:
    """A file that this user may not read is not called damaged."""
    path = tmp_path / f'a{suffix}'
    torch.save(dict(w=torch.ones(2)), path)
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # who reads everything
        os.seteuid(65534)
    try:
        with pytest.raises(UserError, match=rf'a{suffix}: not readable .*permission') as caught:
            load_plain(path)
    finally:
        os.seteuid(user)
    assert 'damaged' not in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.skipif(
    not Path('/proc/self/mem').exists(), reason='no file here that fails to be read'
)
def test_the_disk_fails(tmp_path: Path) -> None:
    (tmp_path / 'a.pth').symlink_to('/proc/self/mem')
    with pytest.raises(UserError, match=r'a\.pth.*: cannot be read \(.*\); check'):
        load_plain(tmp_path / 'a.pth')


@pytest.mark.parametrize('name', ['circle.pth', 'n' * 300 + '.pth', 'a\0b.pth'])
def test_names_that_cannot_be_read(name: str, tmp_path: Path) -> None:
    (tmp_path / 'circle.pth').symlink_to(tmp_path / 'circle.pth')
    with pytest.raises(UserError, match=r'\.pth.*: cannot be read \(.+\)'):
        load_plain(tmp_path / name)


def test_an_error_of_our_own_is_no_damage(tmp_path: Path, monkeypatch: Any) -> None:
    """Such as a PyTorch that does not know the form of our list."""
    torch.save(dict(w=torch.ones(2)), tmp_path / 'a.pth')

    def unknown(_: list) -> None:
        raise AttributeError("'tuple' object has no attribute '__module__'")

    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, 'add_safe_globals', unknown)
        with pytest.raises(AttributeError, match='__module__'):
            load_plain(tmp_path / 'a.pth')


@pytest.mark.parametrize('resume', [False, True])
def test_runner_refuses(resume: bool, tmp_path: Path, safe_loader: None) -> None:
    """Neither --resume nor load_from run code; stock mmengine would, on its second attempt."""
    torch.save(
        dict(meta=dict(epoch=1, iter=1), x=RunsCommand(tmp_path / 'made')), tmp_path / 'evil.pth'
    )
    runner = Runner(
        model=nn.Linear(1, 1),
        work_dir=str(tmp_path / 'work'),
        load_from=str(tmp_path / 'evil.pth'),
        resume=resume,
        log_level='ERROR',
        experiment_name=f'refuses_{resume}',
    )
    with pytest.raises(ValueError, match='refused'):
        runner.load_or_resume()
    assert not (tmp_path / 'made').exists()


def test_mmengine_loads_through_ours(tmp_path: Path, safe_loader: None) -> None:
    torch.save(dict(state_dict=nn.Linear(2, 1).state_dict()), tmp_path / 'good.pth')
    assert 'state_dict' in load_checkpoint(nn.Linear(2, 1), str(tmp_path / 'good.pth'))


class Server:
    """Serves bytes at any path; ``missing`` are announced and never sent."""

    def __init__(self, data: bytes, missing: int = 0) -> None:
        requests = self.requests = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append(self.path)
                self.send_response(200)
                self.send_header('Content-Length', str(len(data) + missing))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.address = f'http://127.0.0.1:{self.server.server_port}'

    def __enter__(self) -> 'Server':
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_http(tmp_path: Path, safe_loader: None, monkeypatch: Any) -> None:
    """An address is downloaded once, then read as a local file."""
    torch.save(dict(w=RunsCommand(tmp_path / 'made')), tmp_path / 'evil.pth')
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    with Server((tmp_path / 'evil.pth').read_bytes()) as server:
        for _ in range(2):
            with pytest.raises(UserError, match='refused'):
                CheckpointLoader.load_checkpoint(f'{server.address}/a/evil.pth?x=1')
    assert server.requests == ['/a/evil.pth?x=1']
    assert not (tmp_path / 'made').exists()


@pytest.mark.parametrize(
    ('name', 'missing', 'said'),
    [
        ('a.pth', 5, 'ended after 3 of 8 bytes'),
        ('a-20240101.pth', 5, 'ended after 3 of 8 bytes'),
        ('a-0badc0de.pth', 0, 'SHA-256 begins with ba7816bf, expected 0badc0de'),
    ],
)
def test_a_broken_download_leaves_nothing(
    name: str, missing: int, said: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    with Server(b'abc', missing) as server:
        with pytest.raises(UserError, match=f'{name}: .*{said}.*try again'):
            load_from_http_plain(f'{server.address}/{name}')
    assert list((tmp_path / 'checkpoints').iterdir()) == []


def test_no_server(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    with pytest.raises(UserError, match='127.0.0.1:9/a.pth: cannot be downloaded'):
        load_from_http_plain('http://127.0.0.1:9/a.pth')


def test_a_download_on_each_machine(tmp_path: Path) -> None:
    """Four processes on two machines, each with its own disk: two downloads, four reads."""
    torch.save(dict(w=torch.ones(2)), tmp_path / 'w.pth')

    def process(rank: int, address: str) -> None:
        os.environ['LOCAL_RANK'] = str(rank % 2)
        torch.hub.set_dir(str(tmp_path / f'machine{rank // 2}'))
        dist.init_process_group(
            'gloo', init_method=f'file://{tmp_path}/store', rank=rank, world_size=4
        )
        loaded = load_from_http_plain(f'{address}/w.pth')
        assert loaded['state_dict']['w'].tolist() == [1, 1]
        dist.destroy_process_group()

    with Server((tmp_path / 'w.pth').read_bytes()) as server:
        context = multiprocessing.get_context('fork')
        children = [context.Process(target=process, args=(r, server.address)) for r in range(4)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
            child.kill()
    assert [child.exitcode for child in children] == [0] * 4
    assert server.requests == ['/w.pth'] * 2


@pytest.mark.parametrize('address', ['s3://a/b.pth', 'a:petrel://b.pth', 'pavi://b', 'mmcls://b'])
def test_other_schemes(address: str, safe_loader: None) -> None:
    with pytest.raises(ValueError, match='download the file'):
        CheckpointLoader.load_checkpoint(address)


def test_bare_weights_come_as_a_checkpoint(tmp_path):
    """The runner's hooks (EMA) look for ``state_dict``."""
    save_file({'w': torch.ones(2)}, tmp_path / 'a.safetensors')
    torch.save({'meta': {}, 'state_dict': {'w': torch.ones(2)}}, tmp_path / 'a.pth')
    for name in ('a.safetensors', 'a.pth'):
        loaded = load_from_local_plain(str(tmp_path / name))
        assert loaded['state_dict']['w'].tolist() == [1, 1]


def test_so_do_those_from_the_network(tmp_path: Path, safe_loader: None, monkeypatch: Any) -> None:
    save_file({'w': torch.ones(2)}, tmp_path / 'a.safetensors', dict(classes='["x"]'))
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    with Server((tmp_path / 'a.safetensors').read_bytes()) as server:
        address = f'{server.address}/a.safetensors'
        monkeypatch.setattr(reading, 'get_torchvision_models', lambda: {'a': address})
        for name in (address, 'torchvision://a'):
            loaded = CheckpointLoader.load_checkpoint(name)
            assert loaded['state_dict']['w'].tolist() == [1, 1]
            assert loaded['meta'] == {'dataset_meta': {'classes': ('x',)}}


def test_importing_the_package_is_enough(tmp_path: Path) -> None:
    """For those who train with our components through tools of their own."""
    torch.save(dict(w=RunsCommand(tmp_path / 'made')), tmp_path / 'evil.pth')
    program = (
        'import sys, smallobj_mm; from torch import nn\n'
        'from mmengine.runner import CheckpointLoader\n'
        'from mmengine.runner.checkpoint import load_checkpoint, load_from_ceph\n'
        "assert CheckpointLoader._schemes[r'(\\S+\\:)?s3://'] is load_from_ceph\n"
        'load_checkpoint(nn.Linear(1, 1), sys.argv[1])\n'
    )
    command = [sys.executable, '-c', program, str(tmp_path / 'evil.pth')]
    done = subprocess.run(command, capture_output=True, text=True)
    assert 'evil.pth: refused' in done.stderr and not (tmp_path / 'made').exists()
