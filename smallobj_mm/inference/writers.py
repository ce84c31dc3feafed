# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Results as files of common formats, written whole or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.io import PathLike, atomic_write_bytes, atomic_write_json, atomic_write_text
from smallobj_mm.utils.messages import printable
from smallobj_mm.utils.probability_maps import encode_probabilities

from .coco_ids import CocoIds
from .targets import Targets

#: One line for each target; ``frame`` of a video and ``track`` of a tracker, else empty.
CSV_COLUMNS = (
    'image', 'frame', 'target', 'track', 'class', 'score', 'x1', 'y1', 'x2', 'y2',
    'centroid_x', 'centroid_y', 'area',
)  # fmt: skip


@dataclass
class Record:
    """What is known about a finished image.

    Attributes:
        name: What its results are called.
        file: Its path as it was given; of a frame of a video followed by the frame's name.
        width: Of the image, px.
        height: Of the image, px.
        stamp: Size in bytes and time of change in ns of its file; empty if it is no file.
        targets: What was found in it.
        frame: Number of a frame of a video, from 0; None of an image.
        tracks: Number of the track of each target, 0 of none; None without a tracker.
    """

    name: str
    file: str
    width: int
    height: int
    stamp: list[int]
    targets: Targets
    frame: int | None = None
    tracks: list[int] | None = None

    def as_json(self) -> dict:
        """The record as plain lists and numbers."""
        content = asdict(self)
        content['targets'] = {k: v.tolist() for k, v in self.targets._asdict().items()}
        return content

    @classmethod
    def from_json(cls, content: dict) -> Record:
        """The record that :meth:`as_json` wrote.

        Raises:
            UserError: Something is missing, or of another kind.
        """
        try:
            records = content['targets']
            targets = Targets(
                np.array(records['bboxes'], dtype=np.float32).reshape(-1, 4),
                np.array(records['centroids'], dtype=np.float32).reshape(-1, 2),
                np.array(records['areas'], dtype=np.float32),
                np.array(records['scores'], dtype=np.float32),
                np.array(records['labels'], dtype=np.int64),
            )
            width, height = content['width'], content['height']
            return cls(
                content['name'], content['file'], width, height, content['stamp'], targets,
                content.get('frame'), content.get('tracks'),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f'record of {content.get("file", "an image")}: {type(error).__name__} ({error}), '
                'expected what an earlier run wrote; delete its records/NAME.json'
            ) from None


def target_rows(record: Record, classes: Sequence[str]) -> Iterator[tuple]:
    """A row of :data:`CSV_COLUMNS` for each target, best first, with numbers as such."""
    columns = (values.tolist() for values in record.targets)
    tracks = record.tracks or [0] * len(record.targets.scores)
    frame = '' if record.frame is None else record.frame
    for number, (box, centroid, area, score, label) in enumerate(zip(*columns), 1):
        track = tracks[number - 1] or ''
        yield (printable(record.file), frame, number, track, classes[label], score, *box,
               *centroid, area)  # fmt: skip


def coco_categories(classes: Sequence[str], background: bool, ids: CocoIds | None) -> list[dict]:
    """The categories of classes: with the ids of a user's file, else counted from 1.

    Args:
        classes: Names by label.
        background: Whether the first class is the background, which is no category.
        ids: Those of the user's COCO file.
    """
    names = classes[int(background) :]
    numbers = range(1, len(names) + 1) if ids is None else ids.categories
    return [dict(id=number, name=name) for number, name in zip(numbers, names)]


def coco_results(
    targets: Targets,
    image_id: int | str,
    categories: Sequence[dict],
    background: bool = False,
) -> list[dict]:
    """Targets as entries of a COCO results array: image_id, category_id, bbox, score, area.

    Args:
        targets: Of one image.
        image_id: Of the image.
        categories: See :func:`coco_categories`.
        background: Whether label 0 is the background.
    """
    columns = (values.tolist() for values in targets)
    return [
        dict(
            image_id=image_id, category_id=categories[label - int(background)]['id'],
            bbox=[x1, y1, x2 - x1, y2 - y1], score=score, area=area,
        )
        for (x1, y1, x2, y2), _, area, score, label in zip(*columns)
    ]  # fmt: skip


def write_coco(
    path: PathLike,
    records: Iterable[Record],
    classes: Sequence[str],
    background: bool = False,
    ids: CocoIds | None = None,
) -> int:
    """Write targets as a COCO results array, which ``loadRes`` of pycocotools takes.

    Args:
        path: The file (.json).
        records: The images. An image's id is that of the user's file, else its file name.
        classes: Names by label.
        background: Whether the first class is the background, which is no category.
        ids: Those of the user's COCO file; images that it does not have are left out.

    Returns:
        The number of images that are left out.
    """
    categories = coco_categories(classes, background, ids)
    results: list[dict] = []
    missing = 0
    for record in records:
        image_id = printable(record.file) if ids is None else ids.image(record.file)
        if image_id is None:
            missing += 1
        else:
            results += coco_results(record.targets, image_id, categories, background)
    atomic_write_json(path, results)
    return missing


def write_coco_images(
    path: PathLike, records: Iterable[Record], classes: Sequence[str], background: bool = False
) -> None:
    """Write a COCO file without annotations: what the ids of :func:`write_coco` stand for.

    Args:
        path: The file (.json).
        records: The images; an image's id is its file name.
        classes: Names by label.
        background: Whether the first class is the background, which is no category.
    """
    images = [
        dict(id=name, file_name=name, width=record.width, height=record.height)
        for record in records
        for name in [printable(record.file)]
    ]
    categories = coco_categories(classes, background, None)
    atomic_write_json(path, dict(images=images, annotations=[], categories=categories))


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
        for *head, score, x1, y1, x2, y2, cx, cy, area in target_rows(record, classes):
            numbers = (f'{value:.2f}' for value in (x1, y1, x2, y2, cx, cy, area))
            writer.writerow([*head, f'{score:.4f}', *numbers])
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
