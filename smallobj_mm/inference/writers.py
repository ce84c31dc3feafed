# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Results as files of common formats, written whole or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from smallobj_mm.utils.io import PathLike, atomic_write_bytes, atomic_write_json, atomic_write_text
from smallobj_mm.utils.messages import printable
from smallobj_mm.utils.probability_maps import encode_probabilities

from .targets import Targets

CSV_COLUMNS = (
    'image', 'class', 'score', 'x1', 'y1', 'x2', 'y2', 'centroid_x', 'centroid_y', 'area',
)  # fmt: skip


@dataclass
class Record:
    """What is known about a finished image.

    Attributes:
        name: What its results are called.
        file: Its path as it was given.
        width: Of the image, px.
        height: Of the image, px.
        stamp: Size in bytes and time of change in ns of its file; empty if it is no file.
        targets: What was found in it.
    """

    name: str
    file: str
    width: int
    height: int
    stamp: list[int]
    targets: Targets

    def as_json(self) -> dict:
        """The record as plain lists and numbers."""
        content = asdict(self)
        content['targets'] = {k: v.tolist() for k, v in self.targets._asdict().items()}
        return content

    @classmethod
    def from_json(cls, content: dict) -> Record:
        """The record that :meth:`as_json` wrote.

        Raises:
            UserError: Something is missing.
        """
        found = content['targets']
        targets = Targets(
            np.array(found['bboxes'], dtype=np.float32).reshape(-1, 4),
            np.array(found['centroids'], dtype=np.float32).reshape(-1, 2),
            np.array(found['areas'], dtype=np.float32),
            np.array(found['scores'], dtype=np.float32),
            np.array(found['labels'], dtype=np.int64),
        )
        width, height = content['width'], content['height']
        return cls(content['name'], content['file'], width, height, content['stamp'], targets)


def write_coco(
    path: PathLike, records: Iterable[Record], classes: Sequence[str], background: bool = False
) -> None:
    """Write targets as a COCO file: images, categories, and annotations with a ``score``.

    Args:
        path: The file (.json).
        records: The images; their ids count from 1.
        classes: Names by label; category ids count from 1.
        background: Whether the first class is the background, which is no category.
    """
    first = int(background)
    categories = [
        dict(id=label - first + 1, name=name)
        for label, name in enumerate(classes)
        if label >= first
    ]
    images: list[dict] = []
    annotations: list[dict] = []
    for number, record in enumerate(records, 1):
        images.append(
            dict(
                id=number,
                file_name=printable(record.file),
                width=record.width,
                height=record.height,
            )
        )
        columns = (values.tolist() for values in record.targets)
        for (x1, y1, x2, y2), _, area, score, label in zip(*columns):
            annotations.append(
                dict(
                    id=len(annotations) + 1, image_id=number, category_id=label - first + 1,
                    bbox=[x1, y1, x2 - x1, y2 - y1], area=area, score=score, iscrowd=0,
                )
            )  # fmt: skip
    atomic_write_json(path, dict(images=images, annotations=annotations, categories=categories))


def write_csv(path: PathLike, records: Iterable[Record], classes: Sequence[str]) -> None:
    """Write a table with a line for each target.

    Args:
        path: The file (.csv); columns are :data:`CSV_COLUMNS`, lengths in px.
        records: The images.
        classes: Names by label.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(CSV_COLUMNS)
    for record in records:
        columns = (values.tolist() for values in record.targets)
        for box, centroid, area, score, label in zip(*columns):
            numbers = (f'{value:.2f}' for value in (*box, *centroid, area))
            writer.writerow([printable(record.file), classes[label], f'{score:.4f}', *numbers])
    atomic_write_text(path, text.getvalue())


def write_png(path: PathLike, image: np.ndarray) -> None:
    """Write an image (H, W) or (H, W, 3) of 8 or 16 bits, BGR."""
    atomic_write_bytes(path, cv2.imencode('.png', image)[1].tobytes())


def write_mask(path: PathLike, mask: np.ndarray) -> None:
    """Write a mask (H, W): 255 where it is not 0."""
    write_png(path, (np.asarray(mask) != 0).astype(np.uint8) * 255)


def write_probabilities(path: PathLike, probability: np.ndarray, bits: int = 8) -> None:
    """Write a probability map (H, W), as :func:`encode_probabilities` codes it."""
    write_png(path, encode_probabilities(probability, bits))


def result_path(folder: PathLike, name: str, suffix: str) -> Path:
    """``folder/name`` + suffix; a dot in the name is none of an ending."""
    path = Path(folder) / name
    return path.with_name(path.name + suffix)
