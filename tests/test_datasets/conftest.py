# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Small data sets on disk, written by the tests themselves."""

import logging

import cv2
import numpy as np
import pytest

import smallobj_mm.datasets  # noqa: F401


def write_image(path, width=64, height=48):
    """A textured image, so that its compressed form is long enough to be cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)


def object_xml(name='car', box=(1, 2, 30, 40), difficult=0):
    """An <object> of a VOC file."""
    corners = ''.join(f'<{k}>{v}</{k}>' for k, v in zip(('xmin', 'ymin', 'xmax', 'ymax'), box))
    return (
        f'<object><name>{name}</name><difficult>{difficult}</difficult>'
        f'<bndbox>{corners}</bndbox></object>'
    )


class VOCFolder:
    """Writes Annotations/JPEGImages/ImageSets below a folder."""

    def __init__(self, root):
        self.root = root

    def add(self, name, objects='', size=(64, 48), image=True, suffix='.jpg', xml=None):
        """Add an image with its annotation."""
        text = (
            ''
            if size is None
            else (f'<size><width>{size[0]}</width><height>{size[1]}</height></size>')
        )
        path = self.root / 'Annotations' / f'{name}.xml'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f'<annotation><filename>{name}{suffix}</filename>{text}{objects}</annotation>'
            if xml is None
            else xml
        )
        if image:
            write_image(self.root / 'JPEGImages' / f'{name}{suffix}')
        return self

    def list(self, names, split='train', newline='\n'):
        """Write a list; returns its path relative to the folder."""
        path = self.root / 'ImageSets' / 'Main' / f'{split}.txt'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((newline.join(names) + newline).encode())
        return f'ImageSets/Main/{split}.txt'


@pytest.fixture
def voc_folder(tmp_path):
    """An empty VOC folder to fill."""
    return VOCFolder(tmp_path / 'set')


@pytest.fixture
def xml_object():
    """Function that gives an <object>."""
    return object_xml


@pytest.fixture
def image_writer():
    """Function that writes an image."""
    return write_image


@pytest.fixture
def logged(monkeypatch):
    """What the data sets log, as (level, text)."""
    lines = []

    def record(text, logger=None, level=logging.INFO):
        lines.append((level, text))

    monkeypatch.setattr('smallobj_mm.datasets.boxes.print_log', record)
    monkeypatch.setattr('smallobj_mm.datasets.files.print_log', record)
    return lines


@pytest.fixture
def seeded():
    """Seed the random state that transforms draw from; returns a function that seeds it again."""
    state = np.random.get_state()
    np.random.seed(0)
    yield np.random.seed
    np.random.set_state(state)
