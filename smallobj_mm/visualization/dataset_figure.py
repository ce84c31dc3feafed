# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Sizes, crowding and classes of a data set as one figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from smallobj_mm.datasets.analysis import BoxTable
from smallobj_mm.datasets.analysis.advice import STRIDES, USUAL_SIDE, scale_to

#: Color-blind safe (Okabe and Ito, 2008).
_COLORS = ('#0072b2', '#e69f00', '#009e73', '#cc79a7')


def draw_dataset(tables: dict[str, BoxTable], strides: Sequence[int]) -> Figure:
    """Four panels: sizes in px against strides, sizes after resizing, crowding, classes.

    Args:
        tables: Splits, the training set first.
        strides: Levels that are recommended, drawn strong.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(11, 7), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    _draw_sizes(axes[0, 0], tables, strides)
    _draw_resized(axes[0, 1], next(iter(tables.values())))
    _draw_crowding(axes[1, 0], tables)
    _draw_classes(axes[1, 1], tables)
    return figure


def _edges(*sides: np.ndarray) -> list[float]:
    """Bins of equal width in the logarithm, that hold all sizes."""
    together = np.concatenate([np.array([2.0, 64.0]), *sides])
    together = together[together > 0]
    low, high = np.log2(max(together.min(), 0.5)), np.log2(together.max() * 1.01)
    return (2 ** np.linspace(np.floor(low), np.ceil(high), 41)).tolist()


def _draw_sizes(axes: Axes, tables: dict[str, BoxTable], strides: Sequence[int]) -> None:
    edges = _edges(*(table.sides for table in tables.values()))
    for (name, table), color in zip(tables.items(), _COLORS):
        weights = np.full(len(table.sides), 1 / max(len(table.sides), 1))
        axes.hist(
            table.sides, edges, weights=weights, histtype='step', color=color, lw=1.6, label=name
        )
    for stride in STRIDES:
        is_level = stride in strides
        axes.axvline(
            stride, color='black', lw=1.2 if is_level else 0.5, ls='-' if is_level else ':'
        )
        axes.text(
            stride, 1.0, f'{stride}', transform=axes.get_xaxis_transform(), ha='center',
            va='bottom', fontsize=8, weight='bold' if is_level else 'normal',
        )  # fmt: skip
    _style(axes, 'sqrt(area) of objects in px; lines: strides, full where recommended', 'share')


def _draw_resized(axes: Axes, table: BoxTable) -> None:
    resized = table.sides * scale_to(table.sizes)[table.owners]
    edges = _edges(table.sides, resized)
    labels = ('as they are', f'resized to {USUAL_SIDE} px')
    for sides, label, color in zip((table.sides, resized), labels, _COLORS):
        share = np.arange(1, len(sides) + 1) / max(len(sides), 1)
        axes.step(np.sort(sides), share, where='post', color=color, lw=1.6, label=label)
    axes.set_xlim(edges[0], edges[-1])
    axes.axvline(8, color='black', lw=0.5, ls=':')
    axes.axvline(16, color='black', lw=0.5, ls=':')
    axes.grid(alpha=0.3)
    _style(axes, 'sqrt(area) of objects in px', 'share of smaller objects')


def _crowding_edges(most: int) -> list[float]:
    """About 40 bins of whole numbers from 0 on, of which the last one holds the largest."""
    step = max(1, (most + 1) // 40)
    return (np.arange(0, most + 1 + step, step) - 0.5).tolist()


def _draw_crowding(axes: Axes, tables: dict[str, BoxTable]) -> None:
    most = max(int(table.crowding.max(initial=0)) for table in tables.values())
    edges = _crowding_edges(most)
    for (name, table), color in zip(tables.items(), _COLORS):
        weights = np.full(len(table.crowding), 1 / max(len(table.crowding), 1))
        axes.hist(
            table.crowding, edges, weights=weights, histtype='step', color=color, lw=1.6,
            label=name,
        )  # fmt: skip
    axes.set_xlabel('objects in an image', fontsize=9)
    axes.set_ylabel('share of images', fontsize=9)
    axes.legend(fontsize=8, frameon=False)


def _draw_classes(axes: Axes, tables: dict[str, BoxTable]) -> None:
    classes = next(iter(tables.values())).classes[:25]
    height = 0.8 / len(tables)
    for number, ((name, table), color) in enumerate(zip(tables.items(), _COLORS)):
        counts = np.bincount(table.labels, minlength=len(table.classes))[: len(classes)]
        rows = np.arange(len(classes)) + number * height
        axes.barh(rows, counts, height, color=color, label=name)
        for row, count in zip(rows, counts):
            axes.annotate(
                f'{count}', (count, row), (3, 0), textcoords='offset points', va='center',
                fontsize=7,
            )  # fmt: skip
    axes.set_yticks(np.arange(len(classes)) + 0.4 - height / 2, classes, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel('objects', fontsize=9)
    axes.margins(x=0.12)
    axes.legend(fontsize=8, frameon=False)


def _style(axes: Axes, xlabel: str, ylabel: str) -> None:
    axes.set_xscale('log', base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f'{value:g}')
    axes.set_xlabel(xlabel, fontsize=9)
    axes.set_ylabel(ylabel, fontsize=9)
    axes.legend(fontsize=8, frameon=False)
