# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The findings about a data set as lines of text."""

import os.path as osp
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from .advice import (
    LEAST_CELLS,
    STRIDES,
    USUAL_SIDE,
    Advice,
    below_cells,
    config_lines,
    scale_to,
)
from .box_table import BoxTable, count_overlaps
from .near_duplicates import ALARM, NEAR, NearDuplicates

#: Heading and lines of a part of the report.
Section = Tuple[str, List[str]]

_LIMITS = (8, 16, 32, 96)


def describe(
    tables: Dict[str, BoxTable], advice: Advice, duplicates: Optional[NearDuplicates] = None
) -> List[Section]:
    """The parts of the report, without what is measured with a detector.

    Args:
        tables: Splits, the training set first.
        advice: Settings for the training set.
        duplicates: Comparison of validation with training images, if there was one.
    """
    train = next(iter(tables.values()))
    sections = [
        ('Data', _overview(tables)),
        ('Sizes of objects, sqrt(area) in px', _sizes(tables)),
        (f'What resizing to {USUAL_SIDE} px loses', _resizing(train)),
        ('Crowding', _crowding(tables, advice)),
        ('Classes', _classes(tables)),
        ('Annotations', _annotations(tables)),
    ]
    if duplicates is not None:
        sections.append(('Validation against training images', _duplicates(duplicates)))
    sections.append(('Config', config_lines(advice)))
    return sections


def _overview(tables: Dict[str, BoxTable]) -> List[str]:
    lines = []
    for name, table in tables.items():
        sizes, counts = np.unique(table.sizes, axis=0, return_counts=True)
        width, height = sizes[counts.argmax()]
        more = f', {len(sizes)} sizes, up to {table.sizes.max(axis=0)}' if len(sizes) > 1 else ''
        lines.append(
            f'{name}: {len(table.paths)} images, mostly {width}x{height} px{more}; '
            f'{len(table.boxes)} objects, {table.ignored} regions to ignore'
        )
    return lines


def _sizes(tables: Dict[str, BoxTable]) -> List[str]:
    head = ''.join(f'{f"below {limit}":>10}' for limit in _LIMITS)
    lines = [f'{"":12}{"p5":>8}{"median":>8}{"p95":>8}{head}']
    for name, table in tables.items():
        if not len(table.sides):
            lines.append(f'{name:12} no objects')
            continue
        low, middle, high = np.percentile(table.sides, [5, 50, 95])
        shares = ''.join(f'{(table.sides < limit).mean():>10.1%}' for limit in _LIMITS)
        lines.append(f'{name[:12]:12}{low:>8.1f}{middle:>8.1f}{high:>8.1f}{shares}')
    return lines


def _resizing(table: BoxTable) -> List[str]:
    scale = scale_to(table.sizes)[table.owners]
    lines = [f'{"objects smaller than":28}' + ''.join(f'{f"stride {s}":>11}' for s in STRIDES[:4])]
    for name, sides in (('as they are', table.sides), ('resized', table.sides * scale)):
        for cells, what in ((1.0, 'one cell'), (LEAST_CELLS, f'{LEAST_CELLS:g} cells')):
            shares = ''.join(f'{below_cells(sides, s, cells):>11.1%}' for s in STRIDES[:4])
            lines.append(f'{f"{what}, {name}":28}{shares}')
    if len(scale):
        lines.append(f'The median object changes its sides by a factor of {np.median(scale):.2f}.')
    return lines


def _crowding(tables: Dict[str, BoxTable], advice: Advice) -> List[str]:
    lines = []
    for name, table in tables.items():
        middle, high, most = np.percentile(table.crowding, [50, 95, 100])
        empty = (table.crowding == 0).mean()
        lines.append(
            f'{name}: {middle:.0f} objects in the median image, {high:.0f} in one of 20, '
            f'{most:.0f} at most; {empty:.1%} of the images have none'
        )
        pairs = count_overlaps(table)['suppressed']
        if pairs:
            lines.append(
                f'{name}: {pairs} pairs of one class overlap by an IoU of 0.6 or more; suppression '
                '(NMS) finds one of each'
            )
    if advice.max_per_img > 100:
        lines.append(
            f'max_per_img and max_dets of 100 cut off detections: take {advice.max_per_img}'
        )
    return lines


def _classes(tables: Dict[str, BoxTable]) -> List[str]:
    lines = []
    for label, name in enumerate(next(iter(tables.values())).classes):
        parts = []
        for split, table in tables.items():
            chosen = table.labels == label
            images = len(np.unique(table.owners[chosen]))
            share = images / max(len(table.paths), 1)
            parts.append(f'{split}: {chosen.sum()} in {images} images ({share:.1%})')
        lines.append(f'{name}: ' + '; '.join(parts))
    counts = [(t.labels == n).sum() for t in tables.values() for n in range(len(t.classes))]
    if counts and min(counts) < 50:
        lines.append('An AP of a class with fewer than 50 objects says little.')
    return lines


def _annotations(tables: Dict[str, BoxTable]) -> List[str]:
    lines = []
    for name, table in tables.items():
        if table.problems:
            lines.append(f'{name}: {table.problems.partition(": ")[2]}')
        same = count_overlaps(table)['same']
        if same:
            lines.append(f'{name}: {same} pairs of one class are nearly the same box (IoU >= 0.9)')
    return lines or ['No box is inverted, empty, outside of its image, or there twice.']


def _duplicates(duplicates: NearDuplicates) -> List[str]:
    lines = [
        f'{duplicates.near} of {duplicates.total} validation images ({duplicates.share:.1%}) are '
        f'nearly the same as a training image (perceptual hash, {NEAR} of 63 bits differ or fewer)'
    ]
    if duplicates.alarm:
        lines[0] = 'ALARM: ' + lines[0]
        lines.append(
            f'More than {ALARM:.0%}: this split rewards memory, and says little about new scenes. '
            'Split by video, flight or place, with a gap in between.'
        )
        for val, train, bits in duplicates.pairs[:3]:
            lines.append(f'  {osp.basename(val)} and {osp.basename(train)}: {bits} bits differ')
    if duplicates.unreadable:
        lines.append(f'{duplicates.unreadable} images could not be read and were left out')
    return lines


def as_text(sections: Sequence[Section]) -> str:
    """The report as plain text."""
    return '\n\n'.join('\n'.join([title, '-' * len(title), *lines]) for title, lines in sections)
