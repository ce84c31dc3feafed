# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Where a page writes: in its own folder, whatever a client sends; nothing stays behind."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallobj_mm.app.folder import (
    PREFIX,
    clear_abandoned,
    download_name,
    page_folder,
    session_folder,
)

NASTY = ['../../x', '/tmp/elsewhere', '..', '', None, 'a\0b', 'x' * 5000, 'C:\\x', '\ud800']


@given(st.one_of(st.sampled_from(NASTY), st.text(), st.none()))
def test_no_client_string_becomes_a_path(text):
    from pathlib import Path

    folder = session_folder(Path('page'), text)
    assert folder.parent == Path('page/downloads') and folder.name.isalnum()
    assert len(folder.name) == 32
    if text is not None:
        name = download_name(text.replace('\0', ''))
        assert name.endswith('_results.zip') and len(name) < 100
        assert '/' not in name and '\\' not in name and not name.startswith('.')


def test_names_of_downloads_stay_readable():
    assert download_name('sea.png') == 'sea_results.zip'
    assert download_name('my frame (2).JPG') == 'my_frame_2_results.zip'
    assert download_name('…') == 'image_results.zip'


def test_sessions_do_not_share(tmp_path):
    assert session_folder(tmp_path, 'a') != session_folder(tmp_path, 'b')
    assert session_folder(tmp_path, 'a') == session_folder(tmp_path, 'a')


HOLD = """
import sys, time
from smallobj_mm.app.folder import page_folder
with page_folder(sys.argv[1]) as folder:
    (folder / 'uploads').mkdir()
    (folder / 'uploads' / 'secret.png').write_text('x')
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(os.name == 'nt', reason='SIGKILL')
def test_what_a_killed_page_left_goes_at_the_next_start(tmp_path):
    process = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        left = process.stdout.readline().strip()  # the compat lines go to stderr
        assert clear_abandoned(tmp_path) == [], 'the page still runs'
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert os.path.exists(left)
        with page_folder(tmp_path) as folder:
            assert not os.path.exists(left)
            assert clear_abandoned(tmp_path) == []
        assert not folder.exists()
    finally:
        process.kill()
        process.wait()


def test_only_folders_of_pages_are_removed(tmp_path):
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'elsewhere' / 'in_use').write_text('')
    link = tmp_path / f'{PREFIX}link'
    link.symlink_to(tmp_path / 'elsewhere')
    (tmp_path / f'{PREFIX}file').write_text('x')
    young = tmp_path / f'{PREFIX}young'
    young.mkdir()
    old = tmp_path / f'{PREFIX}old'
    old.mkdir()
    os.utime(old, (time.time() - 3600,) * 2)
    assert clear_abandoned(tmp_path) == [old]
    assert link.exists() and young.exists() and (tmp_path / 'elsewhere' / 'in_use').exists()


@pytest.fixture(scope='module')
def page(toys_path, tmp_path_factory):
    """A page of toy models, whose folder lies alone in another."""
    pytest.importorskip('gradio', reason='gradio is not installed (extra demo)')
    import infer_toys

    from smallobj_mm.app.page import Page
    from smallobj_mm.inference import SmallObjectInferencer

    folder = tmp_path_factory.mktemp('models')
    infer_toys.write_models(folder)
    models = {'seg': SmallObjectInferencer(folder / 'seg.py', folder / 'seg.pth')}
    outer = tmp_path_factory.mktemp('outer')
    (outer / 'a' / 'page').mkdir(parents=True)
    return Page(models, outer / 'a' / 'page')


@pytest.fixture(scope='module')
def analysis(page):
    from smallobj_mm.app.analysis import Analysis

    image = np.zeros((32, 32, 3), np.uint8)
    probability = np.zeros((32, 32), np.float32)
    probability[3:6, 3:6] = 0.9
    return Analysis('../../frame.png', 'seg', image, ('background', 'target'), probability)


def test_archives_stay_in_the_folder_of_the_page(page, analysis, tmp_path):
    outer = page.folder.parent.parent
    before = {path for path in outer.rglob('*') if page.folder not in path.parents}
    for session in [*NASTY, '../../escaped', str(tmp_path / 'absolute')]:
        button = page.pack(analysis, 0.5, SimpleNamespace(session_hash=session))
        path = str(button.value['path'] if isinstance(button.value, dict) else button.value)
        assert path
    after = {path for path in outer.rglob('*') if page.folder not in path.parents}
    assert after == before and not list(tmp_path.iterdir())
    archives = list(page.folder.rglob('*.zip'))
    assert len(archives) == len(set(NASTY)) + 2


def test_requests_without_a_model_or_threshold(page, analysis):
    for model in (None, 'none of these'):
        message = page.look(str(page.examples[0].file), model)[2]
        assert 'no model is chosen; choose one of seg' in message and 'failed' not in message
        assert len(page.settings(model)) == 3
    for threshold in (None, float('nan'), 7, 'x'):
        message = page.show(analysis, None, threshold, None, None, None)[0]
        assert '<strong id="count">1</strong>' in message and '0.50' in message


def test_old_downloads_of_others_are_removed(page, analysis):
    def pack(session):
        page.pack(analysis, 0.5, SimpleNamespace(session_hash=session))
        return session_folder(page.folder, session)

    old, young = pack('long ago'), pack('now')
    os.utime(old, (time.time() - 4000,) * 2)
    own = pack('own')
    assert not old.exists() and young.is_dir() and own.is_dir()
