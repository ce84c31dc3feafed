# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The metrics of infrared small targets as a table that says what its numbers mean."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any, Sequence

from smallobj_mm.utils.io import atomic_write_text

from .irstd_counts import ImageCounts
from .irstd_summary import SIZES, image_iou, threshold_name

_EMPTY = {
    'one': 'counts as 1',
    'zero': 'counts as 0 (as in ACM and others)',
    'skip': 'is left out',
}
_MATCHING = {
    'first': 'targets take, in the order of the scan, the first component that is still free (as '
    'the usual programs of the field)',
    'optimal': 'the pairing that detects most targets',
}


def definitions(setting: dict[str, Any]) -> list[str]:
    """What the columns mean, a line each.

    Args:
        setting: ``matching``, ``empty`` and ``match_distance``.
    """
    return [
        'Predicted: probability > threshold, at the original image size; ignored pixels count '
        'nowhere.',
        "IoU: of targets, sum of intersections / sum of unions over the whole set (others' mIoU).",
        'nIoU: mean over images of the IoU of an image; one without target and prediction '
        f'{_EMPTY[setting["empty"]]}.',
        'Pd: detected targets / targets; 8-connected components, centroids less than '
        f'{setting["match_distance"]:g} px apart, a prediction serves one target; '
        f'{_MATCHING[setting["matching"]]}.',
        'Fa: pixels of predicted components that serve no target / all pixels, x1e-6.',
        'precision, recall, F1: of pixels, over the whole set.',
    ]


_AUTHORS = (
    "Authors' script: predicted where the 8-bit map is above 0; iou, precision and recall are "
    'means over images (0 where there is nothing to divide by), f1 is of these two means, md and '
    'fa are missed and falsely predicted pixels / all pixels, means over images.'
)
_CURVES = (
    'AUC: area under the ROC curve of pixels; AP: under their precision-recall curve; over '
    'thresholds from 0 to 1. Maps of 8 bits hold nothing below 1/255, which lowers both: compare '
    'models by maps of the same kind.'
)


def format_table(result: dict[str, Any]) -> str:
    """The printed table.

    Args:
        result: What :func:`~smallobj_mm.evaluation.irstd_summary.evaluate_images` returns.
    """
    setting = result['settings']
    metrics = {
        name: values
        for name, values in result.items()
        if isinstance(values, dict) and 'IoU' in values
    }
    rows = [['threshold', 'IoU', 'nIoU', 'Pd', 'Fa x1e-6', 'precision', 'recall', 'F1',
             'detected', 'false']]  # fmt: skip
    sizes = [['threshold', *(f'Pd of {name} px' for name in SIZES)]]
    for threshold, values in metrics.items():
        rows.append([
            threshold, _cell(values['IoU']), _cell(values['nIoU']), _cell(values['Pd']),
            _cell(values['Fa'] * 1e6, 2), _cell(values['precision']), _cell(values['recall']),
            _cell(values['F1']), f'{values["detected"]}/{values["targets"]}',
            f'{values["false_components"]}/{values["components"]}',
        ])  # fmt: skip
        sizes.append([threshold, *(_size_cell(row) for row in values['Pd_by_size'].values())])
    first = next(iter(metrics.values()))
    lines = [_grid(rows), _grid(sizes)]
    notes = [
        f'{first["images"]} images, {first["targets"]} targets, {first["all_pixels"]} pixels. '
        'detected: targets; false: predicted components that serve no target.',
        *definitions(setting),
    ]
    if 'curves' in result:
        drawn = result['curves']
        lines.append(f'AUC {_cell(drawn["AUC"], 6)}, AP {_cell(drawn["AP"])}')
        notes.append(_CURVES)
    if 'authors' in result:
        figures = ', '.join(f'{name} {value:.6f}' for name, value in result['authors'].items())
        lines.append(f"authors' script: {figures}")
        notes.append(_AUTHORS)
    return '\n'.join([*lines, *notes])


def _cell(value: float, digits: int = 4) -> str:
    return '-' if math.isnan(value) else f'{value:.{digits}f}'


def _size_cell(row: dict[str, float]) -> str:
    return f'{_cell(row["Pd"])} ({row["detected"]}/{row["targets"]})'


def _grid(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text in a frame, the first one as the head."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    rule = '+' + '+'.join('-' * (width + 2) for width in widths) + '+'
    lines = [
        '| ' + ' | '.join(cell.rjust(width) for cell, width in zip(row, widths)) + ' |'
        for row in rows
    ]
    return '\n'.join([rule, lines[0], rule, *lines[1:], rule])


def write_per_image(
    path: str | Path,
    names: Sequence[str],
    images: Sequence[ImageCounts],
    thresholds: Sequence[float],
) -> None:
    """Write a CSV table with a line for each image and threshold, whole or not at all.

    Args:
        path: Where to.
        names: What the images are called.
        images: Their counts.
        thresholds: Those of the counts.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator='\n')
    table.writerow(
        ['image', 'threshold', 'IoU', 'targets', 'detected', 'false_components', 'false_pixels']
    )
    for index, threshold in enumerate(thresholds):
        overlaps = image_iou(images, index, 'one')
        for name, image, overlap in zip(names, images, overlaps):
            table.writerow([
                name, threshold_name(threshold), f'{overlap:.6f}', len(image.target_areas),
                int(image.detected[index].sum()), int(image.false_components[index]),
                int(image.false_pixels[index]),
            ])  # fmt: skip
    atomic_write_text(path, text.getvalue())
