# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The table of targets, and the archive of results."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from smallobj_mm.inference.pictures import draw_contact_sheet, draw_result
from smallobj_mm.inference.writers import (
    Record,
    write_coco,
    write_csv,
    write_mask,
    write_png,
    write_probabilities,
)
from smallobj_mm.utils.io import atomic_file, atomic_write_json

from .analysis import Analysis, Detections

#: Columns of the table; lengths in px, x and y of the upper left corner.
HEADERS = ('no.', 'class', 'x', 'y', 'w', 'h', 'area', 'score')
#: Rows that the page shows, the best first; the archive has all.
MOST_ROWS = 500


def table_rows(analysis: Analysis, detected: Detections) -> list[list]:
    """The targets as rows of :data:`HEADERS`, best first, no more than :data:`MOST_ROWS`."""
    targets = detected.targets
    rows = []
    columns = (targets.bboxes, targets.areas, targets.scores, targets.labels)
    some = (values[:MOST_ROWS].tolist() for values in columns)
    for number, ((x1, y1, x2, y2), area, score, label) in enumerate(zip(*some), 1):
        lengths = (_short(value) for value in (x1, y1, x2 - x1, y2 - y1, area))
        rows.append([number, analysis.classes[label], *lengths, round(score, 3)])
    return rows


def _short(value: float) -> float | int:
    """A length with one decimal place, where it has any."""
    value = round(value, 1)
    return int(value) if value == int(value) else value


def write_archive(path: str | Path, analysis: Analysis, detected: Detections) -> None:
    """Write everything about a result into a ZIP file, whole or not at all.

    It has targets.csv, predictions.json (a COCO results array), picture.png, enlarged.png,
    settings.json and, of segmentation, mask.png and probability.png (16 bits), as
    ``tools/infer.py`` writes them.

    Args:
        path: The file.
        analysis: The image and what the network said about it.
        detected: The targets.
    """
    height, width = analysis.image.shape[:2]
    stem = Path(analysis.name).stem
    record = Record(stem, analysis.name, width, height, [], detected.targets)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_csv(folder / 'targets.csv', [record], analysis.classes)
        write_coco(folder / 'predictions.json', [record], analysis.classes, analysis.segmentation)
        settings = dict(image=analysis.name, model=analysis.model, threshold=detected.threshold)
        atomic_write_json(folder / 'settings.json', settings, indent=1)
        drawn = (analysis.image, detected.targets, analysis.classes, detected.mask)
        write_png(folder / 'picture.png', draw_result(*drawn))
        write_png(folder / 'enlarged.png', draw_contact_sheet(*drawn))
        if detected.mask is not None and analysis.probability is not None:
            write_mask(folder / 'mask.png', detected.mask)
            write_probabilities(folder / 'probability.png', analysis.probability, bits=16)
        with atomic_file(path) as file, zipfile.ZipFile(file, 'w') as archive:
            for content in sorted(folder.iterdir()):
                packed = content.suffix != '.png'
                method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
                archive.write(content, content.name, method)
