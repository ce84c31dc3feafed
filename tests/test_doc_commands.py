# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Every command and snippet of the documentation is one that works: parsed by its own tool."""

import os
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from smallobj_mm import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [
        ROOT / 'README.md',
        ROOT / 'CONTRIBUTING.md',
        *(ROOT / 'docs').glob('*.md'),
        *(ROOT / 'configs').glob('*/README.md'),
    ]
)
FENCE = re.compile(r'^```(\w+)\n(.*?)^```', re.M | re.S)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(language: str) -> list[tuple[str, str]]:
    """Page and text of all fenced blocks of a language."""
    return [
        (name_of(page), text)
        for page in PAGES
        for kind, text in FENCE.findall(page.read_text(encoding='utf-8'))
        if kind == language
    ]


def commands() -> list[tuple[str, list[str]]]:
    """Page and words of every command, continued lines joined, comments cut off."""
    found = []
    for page, text in blocks('bash'):
        for line in text.replace('\\\n', ' ').splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r'[A-Z_]+=\S*', words[0]):
                words = words[1:]
            if words[:1] == ['smallobj-mm'] and words[1:2] and words[1] in cli.COMMANDS:
                words = ['python', f'tools/{cli.COMMANDS[words[1]][0]}', *words[2:]]
            if words:
                found.append((page, words))
    return found


COMMANDS = commands()
TOOLS = [(page, words) for page, words in COMMANDS if words[:1] == ['python'] and len(words) > 1]


def test_there_are_commands():
    assert len(TOOLS) > 40 and len({page for page, _ in TOOLS}) > 8


@pytest.mark.parametrize(
    ('page', 'words'), TOOLS, ids=[' '.join(words[1:])[:70] for _, words in TOOLS]
)
def test_a_tool_takes_its_command_line(page, words, monkeypatch, capsys):
    if words[1] == '-m':
        return  # sphinx, pytest: their own business
    tool = ROOT / words[1]
    assert tool.is_file(), f'{page}: {words[1]} is not there'
    # Alternatives are written as a|b: each of them is tried.
    arguments = [word.split('|')[0] for word in words[2:]]
    for word in arguments:
        if word.startswith('configs/') and '*' not in word:
            assert (ROOT / word).exists(), f'{page}: {word} is not there'
    module = runpy.run_path(str(tool), run_name='parsed')
    parse = module.get('parse_args')
    if parse is None:
        return
    monkeypatch.setattr(sys, 'argv', [str(tool), *arguments])
    try:
        parse()
    except SystemExit as stop:
        raise AssertionError(f'{page}: {capsys.readouterr().err}') from stop


def test_scripts_are_there():
    for page, words in COMMANDS:
        if words[0].endswith('.sh'):
            assert os.access(ROOT / words[0], os.X_OK), f'{page}: {words[0]}'


@pytest.mark.parametrize(('page', 'text'), blocks('python'), ids=lambda value: str(value)[:40])
def test_a_snippet_is_python(page, text):
    compile(text, page, 'exec')


def test_the_snippet_for_another_config_builds():
    """On the config of mmdet that the page names."""
    pytest.importorskip('mmdet')
    from mmdet.registry import MODELS
    from mmengine.registry import DefaultScope

    page = (ROOT / 'docs' / 'training.md').read_text(encoding='utf-8')
    snippet = next(t for k, t in FENCE.findall(page) if k == 'python' and 'custom_imports' in t)
    (name,) = re.findall(r'mmdet::([\w/]+\.py)', page)
    import mmdet

    base = Path(mmdet.__file__).parent / '.mim' / 'configs' / name
    if not base.is_file():
        pytest.skip('mmdet was installed without its configs')
    change = Config.fromstring(snippet.replace('backbone.safetensors', ''), '.py')
    change.model.backbone.init_cfg = None
    cfg = Config.fromfile(base)
    cfg.merge_from_dict(change.to_dict())
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    assert type(model.backbone).__name__ == 'SSLResNet18'


LINK = re.compile(r'\]\((?!https?:|#|mailto:)([^)#\s]+)')


@pytest.mark.parametrize('page', PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding='utf-8')
    broken = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert not broken
