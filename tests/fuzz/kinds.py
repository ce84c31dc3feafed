# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Kinds of files that the package reads: a few sound ones of each, and what reads them."""

import io
import json
from pathlib import Path
from typing import Callable, NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image

import smallobj_mm  # noqa: F401
from smallobj_mm.checkpoints.reading import load_plain
from smallobj_mm.datasets.files import read_id_list, read_image_size
from smallobj_mm.datasets.masks import read_mask
from smallobj_mm.datasets.parsers import (
    parse_bosch_yaml,
    parse_coco_json,
    parse_data_yaml,
    parse_voc_xml,
    parse_yolo_txt,
)
from smallobj_mm.datasets.transforms.loading import LoadImageStrict
from smallobj_mm.evaluation.irstd_maps import read_probability_map

_RNG = np.random.default_rng(0)
_COLOR = _RNG.integers(0, 255, (24, 40, 3), dtype=np.uint8)
_MASK = np.zeros((24, 40), np.uint8)
_MASK[5:9, 7:12] = 255


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        name: What it is called in the table.
        suffix: Ending of its files.
        is_text: Whether it is made of words.
        samples: Sound files.
        read: Reads one by its path.
    """

    name: str
    suffix: str
    is_text: bool
    samples: list[bytes]
    read: Callable[[str], object]


def _pillow(pixels: np.ndarray, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, name, **options)
    return file.getvalue()


def _palette() -> bytes:
    image = Image.fromarray((_MASK > 0).astype(np.uint8)).convert('P')
    image.putpalette([0, 0, 0, 255, 60, 0])
    file = io.BytesIO()
    image.save(file, 'PNG')
    return file.getvalue()


def _opencv(suffix: str, pixels: np.ndarray) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _checkpoint(value: object, old: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not old)
    return file.getvalue()


def _read_picture(path: str) -> object:
    try:
        read_image_size(path)
    finally:
        image = LoadImageStrict(high_bit_depth='scale')(dict(img_path=path))
    return image


_EXIF = Image.Exif()
_EXIF[0x0112] = 6
_DEEP = _COLOR.astype(np.uint16) * 257
_PICTURES = {
    'JPEG': ('.jpg', [
        _pillow(_COLOR, 'JPEG', exif=_EXIF), _pillow(_COLOR, 'JPEG', progressive=True),
    ]),
    'PNG': ('.png', [_pillow(_COLOR, 'PNG', exif=_EXIF), _opencv('.png', _DEEP), _palette()]),
    'BMP': ('.bmp', [_pillow(_COLOR, 'BMP'), _pillow(_MASK, 'BMP')]),
    'TIFF': ('.tif', [
        _pillow(_COLOR, 'TIFF'), _opencv('.tiff', _DEEP), _pillow(_COLOR, 'TIFF', big_tiff=True),
    ]),
    'WebP': ('.webp', [
        _pillow(_COLOR, 'WEBP'), _pillow(_COLOR, 'WEBP', lossless=True, exif=_EXIF),
    ]),
    'GIF': ('.gif', [_pillow(_MASK, 'GIF')]),
    'PNM': ('.ppm', [_pillow(_COLOR, 'PPM'), _pillow(_MASK, 'PPM')]),
    'JPEG 2000': ('.jp2', [_pillow(_COLOR, 'JPEG2000')]),
    'Radiance': ('.hdr', [_opencv('.hdr', _COLOR.astype(np.float32))]),
}  # fmt: skip

_XML = (
    b'<annotation><filename>a.jpg</filename><size><width>40</width><height>24</height></size>'
    + b'<object><name>car</name><difficult>0</difficult><bndbox><xmin>1.5</xmin><ymin>2</ymin>'
    b'<xmax>9</xmax><ymax>12</ymax></bndbox></object>' * 3 + b'</annotation>'
)
_BOSCH = b"""- boxes: []
  path: ./rgb/train/x/1.png
- boxes:
  - {label: RedLeft, occluded: false, x_max: 618.375, x_min: 612.5, y_max: 361.125, y_min: 351.6}
  - {label: 'off', occluded: true, x_max: 1290.5, x_min: 1270, y_max: 10, y_min: -2.5}
  path: ./rgb/train/x/2.png
"""
_DATA_YAML = [
    b'names: [x, y, z]\nnc: 3\npath: .\ntrain: [images/train]\nval: images/val\n',
    b'names:\n  0: x\n  1: y\ntrain: ../train/images\nval: ../valid/images\n',
]
_COCO = json.dumps(
    dict(
        images=[dict(id=n, file_name=f'{n}.jpg', width=40, height=24) for n in range(3)],
        annotations=[
            dict(id=n, image_id=n % 3, category_id=1 + n % 2, bbox=[1.5, 2, 3, 4], iscrowd=n % 2)
            for n in range(5)
        ]
        + [dict(id=9, image_id=0, category_id=1, segmentation=[[1, 2, 3, 4, 5, 6.5]])],
        categories=[dict(id=1, name='a', supercategory='x'), dict(id=2, name='b')],
    )
).encode()
_STATE = dict(
    state_dict={'a.weight': torch.arange(6.0).reshape(2, 3), 'a.bias': torch.zeros(2)},
    meta=dict(epoch=3, dataset_meta=dict(classes=('a', 'b'))),
)

KINDS = [
    *(Kind(name, end, False, samples, _read_picture) for name, (end, samples) in _PICTURES.items()),
    Kind('mask', '.png', False, [
        _pillow(_MASK, 'PNG'), _palette(), _opencv('.tiff', _MASK),
    ], read_mask),
    Kind('map (image)', '.png', False, [_opencv('.png', _DEEP[..., 0])], read_probability_map),
    Kind('map (NumPy)', '.npy', False, [
        _npy(_MASK / 255), _npy(_MASK), _npy(np.zeros((1, 5, 4), np.float32)),
    ], read_probability_map),
    Kind('VOC XML', '.xml', True, [_XML], parse_voc_xml),
    Kind('Bosch YAML', '.yaml', True, [_BOSCH], parse_bosch_yaml),
    Kind('data.yaml', '.yaml', True, _DATA_YAML, parse_data_yaml),
    Kind('YOLO labels', '.txt', True, [
        b'0 0.5 0.5 0.25 0.5\r\n1 0.1 0.1 0.2 0.2\n', b'1 0.1 0.1 0.2 0.2 0.3 0.1\n',
    ], lambda path: parse_yolo_txt(path, ('x', 'y'), (40, 24))),
    Kind('COCO JSON', '.json', True, [_COCO], parse_coco_json),
    Kind('list', '.txt', True, [b'a\nb c\r\nd.png\n'], read_id_list),
    Kind('checkpoint', '.pth', False, [
        _checkpoint(_STATE), _checkpoint(_STATE, old=True),
    ], load_plain),
]  # fmt: skip


def write(folder: Path, kind: Kind, data: bytes) -> str:
    """Write a file of a kind; its path."""
    path = folder / f'subject{kind.suffix}'
    path.write_bytes(data)
    return str(path)
