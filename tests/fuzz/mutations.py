# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Damage to files, as disks, transfers, editors and attackers do it, by a seeded generator."""

import re

import numpy as np

#: Numbers at which readers of binary formats go wrong.
_EDGES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
#: Values at which readers of text formats go wrong.
_TEXTS = [
    b'', b'0', b'-1', b'1e999', b'nan', b'-inf', b'9' * 400, b'null', b'true', b'[]', b'{}', b'""',
    b'\xff\xfe', b'\x00', b'2001-99-99', b'!!bool "abc"', b'*a', b'&a [*a, *a]', b'../../x',
    b'\xc3\xa9', b'[' * 2000, b'{"a":' * 2000, b'<a>' * 2000, b'&#0;', b'&lol;', b'a' * 20000,
    b'\r\n', b'1_0', b'0x1F',
]  # fmt: skip
_TOKEN = re.compile(rb'[-+]?[0-9.]+|[A-Za-z_]+|[{}\[\]<>:,"/&*-]')


def mutate(data: bytes, rng: np.random.Generator, is_text: bool) -> bytes:
    """Damage a file in one to three places.

    Args:
        data: The file.
        rng: Decides on all.
        is_text: Whether tokens are replaced, besides bytes.
    """
    for _ in range(int(rng.integers(1, 4))):
        choices = _TEXT_KINDS if is_text and rng.random() < 0.7 else _KINDS
        data = choices[int(rng.integers(len(choices)))](data, rng)
    return data


def _place(data: bytes, rng: np.random.Generator) -> int:
    """A position; half of them in the first 64 bytes, where headers are."""
    end = min(len(data), 64) if rng.random() < 0.5 else len(data)
    return int(rng.integers(0, max(end, 1)))


def _flip(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data or b'\0')
    for _ in range(int(rng.integers(1, 9))):
        changed[_place(changed, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _overwrite(data: bytes, rng: np.random.Generator) -> bytes:
    at, width = _place(data, rng), int(rng.choice([1, 2, 4, 8]))
    value = int(rng.choice(_EDGES)) & ((1 << 8 * width) - 1)
    order = 'little' if rng.random() < 0.5 else 'big'
    return data[:at] + value.to_bytes(width, order) + data[at + width :]


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: _place(data, rng)] if rng.random() < 0.5 else data[: -int(rng.integers(1, 65))]


def _delete(data: bytes, rng: np.random.Generator) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + int(rng.integers(1, 65)) :]


def _repeat(data: bytes, rng: np.random.Generator) -> bytes:
    at, length = _place(data, rng), int(rng.integers(1, 257))
    return data[:at] + data[at : at + length] * int(rng.integers(2, 50)) + data[at:]


def _noise(data: bytes, rng: np.random.Generator) -> bytes:
    at = _place(data, rng)
    return data[:at] + rng.bytes(int(rng.integers(1, 65))) + data[at:]


def _swap_halves(data: bytes, rng: np.random.Generator) -> bytes:
    at = _place(data, rng)
    return data[at:] + data[:at]


def _token(data: bytes, rng: np.random.Generator) -> bytes:
    tokens = list(_TOKEN.finditer(data[:200_000]))
    if not tokens:
        return data + _TEXTS[int(rng.integers(len(_TEXTS)))]
    hit = tokens[int(rng.integers(len(tokens)))]
    return data[: hit.start()] + _TEXTS[int(rng.integers(len(_TEXTS)))] + data[hit.end() :]


def _swap_tokens(data: bytes, rng: np.random.Generator) -> bytes:
    tokens = list(_TOKEN.finditer(data[:200_000]))
    if len(tokens) < 2:
        return data
    first, second = sorted(int(n) for n in rng.choice(len(tokens), 2, replace=False))
    a, b = tokens[first], tokens[second]
    middle = data[a.end() : b.start()]
    return data[: a.start()] + b.group() + middle + a.group() + data[b.end() :]


def _swap_lines(data: bytes, rng: np.random.Generator) -> bytes:
    lines = data.split(b'\n')
    first, second = (int(n) for n in rng.integers(0, len(lines), 2))
    lines[first], lines[second] = lines[second], lines[first]
    return b'\n'.join(lines)


_KINDS = [_flip, _overwrite, _cut, _delete, _repeat, _noise, _swap_halves]
_TEXT_KINDS = [_token, _token, _swap_tokens, _swap_lines]
