# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What setup.py says of the package."""

import re
import runpy

SOURCES = ('*.md', 'docs/*.md', 'configs/**/*.md', 'configs/**/*.py', 'smallobj_mm/**/*.py')


def test_every_extra_that_is_named_can_be_installed(repo_root):
    extras = runpy.run_path(str(repo_root / 'setup.py'))['read_extras']()
    text = '\n'.join(
        path.read_text(encoding='utf-8') for glob in SOURCES for path in repo_root.glob(glob)
    )
    named = {
        name
        for names in re.findall(r'(?:smallobj_mm|"\.)\[([\w,]+)\]', text)
        for name in names.split(',')
    }
    assert {'det', 'demo', 'ray', 'results'} <= named
    assert named <= set(extras)


def test_extras_bring_what_their_files_say(repo_root):
    extras = runpy.run_path(str(repo_root / 'setup.py'))['read_extras']()
    assert any(line.startswith('ray[data]') for line in extras['ray'])
    assert any(line.startswith('gradio') for line in extras['demo'])
    mm = [line for line in extras['mim'] if line.startswith('onedl-mmcv')]
    assert mm and set(mm) <= set(extras['det']) and set(extras['det']) <= set(extras['all'])
    assert not {'constraints', 'runtime'} & set(extras)
