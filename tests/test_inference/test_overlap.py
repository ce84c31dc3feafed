# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from smallobj_mm.inference import overlap
from smallobj_mm.inference.sources import Source

SOURCES = [Source(str(index), str(index)) for index in range(6)]


def test_images_are_read_ahead_in_order():
    read = []

    def reader(source):
        read.append(source.name)
        return np.zeros((2, 3), np.uint8)

    for number, (source, future) in enumerate(overlap.read_ahead(SOURCES, reader, 2)):
        future.result()
        deadline = time.monotonic() + 20
        while len(read) < min(number + 3, 6) and time.monotonic() < deadline:
            time.sleep(0.005)
        assert source.name == str(number) and len(read) == min(number + 3, 6)
    assert read == [source.name for source in SOURCES]


def test_errors_belong_to_their_image_and_stopping_stops():
    def reader(source):
        if source.name == '1':
            raise ValueError('bad')
        return np.zeros((2, 3), np.uint8)

    stream = overlap.read_ahead(SOURCES, reader, 1)
    assert next(stream)[1].exception() is None
    assert str(next(stream)[1].exception()) == 'bad'
    stream.close()
    assert not [t for t in threading.enumerate() if t.name.startswith('read_ahead')]


def test_large_images_come_one_at_a_time(monkeypatch):
    monkeypatch.setattr(overlap, 'MOST_PIXELS', 5)
    read = []

    def reader(source):
        read.append(source.name)
        return np.zeros((2, 3), np.uint8)

    for number, _ in enumerate(overlap.read_ahead(SOURCES, reader, 4)):
        time.sleep(0.02)
        assert len(read) == number + 1


def test_writing_behind_keeps_the_order_and_passes_errors_on():
    written = []
    with overlap.WriteBehind(written.append, depth=2) as add:
        for number in range(9):
            add(number)
    assert written == list(range(9))

    def fail(number):
        raise OSError(f'disk full at {number}')

    with pytest.raises(OSError, match='disk full at 0'), overlap.WriteBehind(fail) as add:
        add(0)
    with pytest.raises(KeyError), overlap.WriteBehind(fail) as add:
        add(0)
        raise KeyError('of the caller')
    assert not [t for t in threading.enumerate() if t.name.startswith('write_behind')]


def test_results_of_large_images_do_not_wait(monkeypatch):
    monkeypatch.setattr(overlap, 'MOST_PIXELS', 5)
    written = []

    def write(result):
        time.sleep(0.02)
        written.append(result.source.name)

    def result(name, size):
        sample = None if size is None else SimpleNamespace(ori_shape=size)
        return overlap.Result(Source(name, name), (), sample=sample)

    with overlap.WriteBehind(write) as add:
        add(result('small', (1, 5)))
        assert written == []
        add(result('large', (2, 3)))
        assert written == ['small', 'large']
        add(result('unread', None))
    assert written == ['small', 'large', 'unread']
