# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""YAML files made to exhaust the machine, and scalars that no type of YAML can hold."""

import time

import pytest

from smallobj_mm.datasets.parsers import bounded_yaml, parse_bosch_yaml, parse_data_yaml
from smallobj_mm.datasets.parsers.bounded_yaml import read_yaml

LAUGHS = '\n'.join(
    ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
    + [f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 10)}]' for n in range(1, 9)]
)
BOX = '{label: Red, x_min: 1, x_max: 2, y_min: 1, y_max: 3}'


@pytest.fixture
def write(tmp_path):
    """Function that writes a file and gives its path."""

    def _write(text):
        path = tmp_path / 'data.yaml'
        path.write_text(text)
        return str(path)

    return _write


def test_content_is_lists_mappings_and_texts(write):
    text = "a: [1, off, 0.5, ~, null, 'null', !!bool abc, 2001-99-99]\nb: {c: &x [y], d: *x}\ne:"
    assert read_yaml(write(text)) == {
        'a': ['1', 'off', '0.5', None, None, 'null', 'abc', '2001-99-99'],
        'b': {'c': ['y'], 'd': ['y']},
        'e': None,
    }
    assert read_yaml(write('')) is None and read_yaml(write('# nothing')) is None


@pytest.mark.parametrize('parse', [parse_bosch_yaml, parse_data_yaml])
@pytest.mark.parametrize(
    'text, message',
    [
        (LAUGHS, 'values, those behind aliases counted each time'),
        (f'{LAUGHS}\nnames: *a8\ntrain: *a8', 'values, those behind aliases'),
        ('[' * 50_000, 'nested more than 32 levels deep'),
        ('- ' * 50_000, 'nested more than 32 levels deep'),
        ('{a: ' * 50_000, 'nested more than 32 levels deep'),
        ('- &a [*a]', r'line 1: the alias \*a stands inside of what it means'),
        ('- *b', r'line 1: the alias \*b is unknown'),
        ('a: 1\nb: 2\na: 3', "line 3: the key 'a' is there twice"),
        ('? [a]\n: 1', 'a list as key'),
        ('a: 1\n--- \nb: 2', 'a second document'),
        (f'a: {"9" * 20_000}', 'a value of 20000 characters'),
        ('a: [1\nb', 'not readable as YAML'),
        ('a: \x00', 'not readable as YAML'),
    ],
)
def test_bombs_are_one_line_at_once(write, parse, text, message):
    start = time.process_time()
    with pytest.raises(ValueError, match=rf'data\.yaml.*{message}') as error:
        parse(write(text))
    assert time.process_time() - start < 5
    assert '\n' not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.parametrize(
    'value', ['!!bool "abc"', '9' * 400, '2001-99-99', '!!timestamp x', '!!binary "="', '[1]']
)
def test_scalars_that_are_no_number(write, value):
    text = (
        f'- {{path: a.png, boxes: [{{label: Red, x_min: {value}, x_max: 2, y_min: 1, y_max: 3}}]}}'
    )
    with pytest.raises(ValueError, match='record 1, box 1: .*four finite numbers') as error:
        parse_bosch_yaml(write(text))
    assert len(str(error.value)) < 400


def test_aliases_of_a_few_values_are_fine(write):
    text = f'- {{path: a.png, boxes: &b [{BOX}]}}\n- {{path: b.png, boxes: *b}}'
    records = parse_bosch_yaml(write(text))
    assert [len(boxes) for _, boxes in records] == [1, 1]
    assert records[0][1][0].box == (1, 1, 2, 3)


def test_large_objects_in_messages(write):
    many = ', '.join(f'k{n}: {n}' for n in range(20_000))
    for text in (
        f'- {{{many}}}',
        f'- {{path: a, boxes: {{{many}}}}}',
        f'- {{path: a, boxes: [{{{many}}}]}}',
    ):
        with pytest.raises(ValueError, match='record 1') as error:
            parse_bosch_yaml(write(text))
        assert len(str(error.value)) < 400
    with pytest.raises(ValueError, match='names has the keys') as error:
        parse_data_yaml(write(f'train: a\nnames: {{{many}}}'))
    assert len(str(error.value)) < 400


def test_large_file(write, monkeypatch):
    monkeypatch.setattr(bounded_yaml, 'MAX_BYTES', 100)
    with pytest.raises(ValueError, match=r'data\.yaml: 101 bytes, expected at most 100'):
        read_yaml(write('#' * 101))
