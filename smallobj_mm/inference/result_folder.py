# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The folder of a run's results, from which a run that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

from mmengine.config import Config

from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.io import PathLike, atomic_write_json
from smallobj_mm.utils.probability_maps import foreground_probability

from .coco_ids import CocoIds
from .inferencer import SmallObjectInferencer
from .result import Result
from .sources import Source
from .writers import (
    Record,
    result_path,
    write_coco,
    write_coco_images,
    write_csv,
    write_mask,
    write_png,
    write_probabilities,
)

#: Of the records; those of an earlier format are not continued.
_FORMAT = 2
#: What may be drawn of each image: the folder, and how it is drawn.
PICTURES = ('single', 'beside')


class ResultFolder:
    """Results in one folder, each file whole or not there.

    ``records/NAME.json`` is written last of an image's files and says that it is finished;
    ``masks/``, ``probabilities/``, ``pictures/`` and ``enlarged/`` hold its PNGs;
    ``predictions.json`` (a COCO results array), ``images.json`` (its images and categories) and
    ``targets.csv`` are made of all records by :meth:`summarize`.

    Args:
        folder: The folder, made if missing.
        inferencer: What the results come from.
        options: What else they depend on, such as the tile: plain numbers and strings.
        probability_bits: 8 or 16 to write probability maps of segmentation, None not to.
        pictures: How pictures are drawn: 'single', or 'beside' the image without marks; None for
            no pictures.
        enlarged: Whether to draw contact sheets of enlarged targets.
        coco_json: A COCO file, whose ids of images and categories predictions.json gets.

    Raises:
        UserError: The folder holds results of other weights, another config or other options.
    """

    def __init__(
        self,
        folder: PathLike,
        inferencer: SmallObjectInferencer,
        options: dict,
        probability_bits: int | None = None,
        pictures: str | None = None,
        enlarged: bool = False,
        coco_json: PathLike | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.segmentation = inferencer.task == 'segmentation'
        self.classes = inferencer.classes
        self.bits = probability_bits
        if pictures is not None and pictures not in PICTURES:
            raise UserError(f'pictures is {pictures!r}, expected one of {", ".join(PICTURES)}')
        self.pictures = pictures
        self.enlarged = enlarged
        names = self.classes[int(self.segmentation) :]
        self.ids = None if coco_json is None else CocoIds(coco_json, names)
        settings = dict(
            format=_FORMAT,
            **fingerprint(inferencer.cfg, inferencer.name, inferencer.weights_path),
            probability_bits=probability_bits,
            pictures=pictures,
            enlarged=enlarged,
            **options,
        )
        self._adopt(settings)

    def _adopt(self, settings: dict) -> None:
        """Write the settings, or compare them with those of the earlier run."""
        path = self.folder / 'settings.json'
        if path.is_file():
            before = _read_json(path)
            differ = [key for key in settings if before.get(key, settings) != settings[key]]
            if differ:
                pairs = (f'{key}={before.get(key)!r} (now {settings[key]!r})' for key in differ)
                raise UserError(
                    f'{self.folder}: holds results with {", ".join(pairs)}; go on with the same '
                    'settings or give another folder'
                )
        else:
            atomic_write_json(path, settings, indent=1)

    def finished(self, source: Source) -> bool:
        """Whether all results of an image are there already.

        Raises:
            UserError: Results of another image have the name.
        """
        path = self._record_path(source.name)
        if not path.is_file():
            return False
        record = _read_json(path)
        same_file = os.path.realpath(record.get('file', '')) == os.path.realpath(source.label)
        same_content = record.get('stamp') == file_stamp(source.file or source.path)
        if not same_file and not same_content:
            raise UserError(
                f'{path}: belongs to {record.get("file")}, not to {source.path}; give another '
                'folder for these images'
            )
        return same_content and all(file.is_file() for file in self._files(source.name).values())

    def add(self, result: Result, tracks: list[int] | None = None) -> None:
        """Write the results of an image.

        Args:
            result: What came of it.
            tracks: Number of the track of each target, 0 of none.

        Raises:
            UserError: It could not be read, so that there are none.
        """
        source, sample = result.source, result.sample
        if sample is None:
            raise UserError(f'{source.path}: has no result to write ({result.error})')
        stamp = file_stamp(source.file or source.path)
        files = self._files(source.name)
        if 'masks' in files:
            write_mask(files['masks'], sample.pred_sem_seg.data[0].numpy())
        if 'probabilities' in files and self.bits is not None:
            probability = foreground_probability(sample, source.path)
            write_probabilities(files['probabilities'], probability, self.bits)
        if 'pictures' in files:
            write_png(files['pictures'], result.draw(beside=self.pictures == 'beside'))
        if 'enlarged' in files:
            write_png(files['enlarged'], result.draw_enlarged())
        record = replace(result.record(), stamp=stamp, tracks=tracks)
        atomic_write_json(self._record_path(source.name), record.as_json())

    def summarize(self) -> int:
        """Write ``predictions.json``, ``images.json`` and ``targets.csv`` from all records.

        Returns:
            The number of images.
        """
        paths = sorted((self.folder / 'records').rglob('*.json'))
        # A folder of images may be called x.json.
        records = [Record.from_json(_read_json(path)) for path in paths if path.is_file()]
        predictions = self.folder / 'predictions.json'
        background = self.segmentation
        missing = write_coco(predictions, records, self.classes, background, self.ids)
        if self.ids is None:
            write_coco_images(self.folder / 'images.json', records, self.classes, background)
        elif missing:
            print(
                f'{self.ids.path}: has {len(records) - missing} of {len(records)} images; the '
                f'others are not in {predictions}'
            )
        write_csv(self.folder / 'targets.csv', records, self.classes)
        return len(records)

    def _record_path(self, name: str) -> Path:
        return result_path(self.folder / 'records', name, '.json')

    def _files(self, name: str) -> dict[str, Path]:
        """The images that belong to a result, by the folder they are in."""
        wanted = dict(
            masks=self.segmentation,
            probabilities=self.segmentation and self.bits is not None,
            pictures=self.pictures is not None,
            enlarged=self.enlarged,
        )
        return {
            kind: result_path(self.folder / kind, name, '.png')
            for kind, want in wanted.items()
            if want
        }


def fingerprint(cfg: Config, name: str, weights: Path) -> dict[str, str]:
    """Names and digests of a config and of its weights.

    Args:
        cfg: The config.
        name: What it is called.
        weights: The file of weights.
    """
    return dict(
        config=name,
        config_hash=digest(repr(cfg.to_dict()).encode()),
        weights=weights.name,
        weights_hash=digest(weights.read_bytes()),
    )


def digest(data: bytes) -> str:
    """What tells contents apart: 16 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()[:16]


def file_stamp(path: str) -> list[int]:
    """Size in bytes and time of change in ns of a file; empty where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise UserError(f'{path}: damaged, expected what an earlier run wrote; delete this file')
    return content
