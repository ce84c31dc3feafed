# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The figure of an infrared image: input, truth, prediction, interior, boundary, with an inset."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, ConnectionPatch, Rectangle

from .irstd_marks import FALSE_ALARM, HIT, MISS, MOST_MARKS, Verdict, judge

#: Width of a panel, heights of the titles and of the legend, in inches.
PANEL, _HEAD, _FOOT = 2.6, 0.25, 0.36
DPI = 200
#: Side of the inset as a part of the panel's side.
INSET = 0.42
#: Least side of the part that the inset enlarges, in pixels.
LEAST_SIDE = 20
_FOCUS = '#4fc3f7'
#: Interior and boundary maps that stay below this are shown brighter.
_FAINT = 0.5


def _rgb(bgr: tuple[int, int, int]) -> tuple[float, float, float]:
    blue, green, red = bgr
    return red / 255, green / 255, blue / 255


def draw_figure(
    image: np.ndarray,
    probability: np.ndarray,
    truth: np.ndarray,
    interior: np.ndarray | None = None,
    boundary: np.ndarray | None = None,
    threshold: float = 0.5,
    name: str = '',
) -> Figure:
    """Panels side by side, the marks of the prediction, and one target enlarged in every panel.

    The enlarged one is the first missed target, else the smallest target, else the largest false
    alarm; in the input its contrast is stretched. Targets that are detected have a green circle,
    missed ones a dashed yellow one, false alarms a red square.

    Args:
        image: Array (H, W) or (H, W, 3) uint8, BGR.
        probability: Array (H, W) with values in [0, 1].
        truth: Array (H, W), 0 background, 1 target, 255 ignored.
        interior: Array (H, W) with values in [0, 1]; no panel if None.
        boundary: As ``interior``.
        threshold: Predicted is what is above.
        name: What the image is called.

    Returns:
        The figure, to be written with :func:`figure_png`.
    """
    predicted = probability > np.float32(threshold)
    verdict = judge(predicted, truth)
    panels = [
        ('Input', gray(image), None),
        ('Ground truth', (truth == 1).astype(np.float32), verdict._replace(
            false_alarms=np.zeros((0, 3)))),
        ('Prediction', probability, verdict),
    ]  # fmt: skip
    for title, values in (('Interior', interior), ('Boundary', boundary)):
        if values is not None:
            panels.append((*_brightened(title, values), None))
    height, width = truth.shape
    total = PANEL * height / width + _HEAD + _FOOT
    figure = Figure(figsize=(len(panels) * PANEL, total))
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        1, len(panels), left=0.004, right=0.996, wspace=0.025,
        bottom=_FOOT / total, top=1 - _HEAD / total,
    )  # fmt: skip
    window = focus_window(verdict, truth.shape)
    for column, (title, values, marks) in enumerate(panels):
        axes = figure.add_subplot(grid[column])
        axes.set_title(title, fontsize=9, pad=3)
        _show(axes, values)
        if marks is not None:
            _mark(axes, marks)
        if window is not None:
            inset = _inset(axes, values, window, verdict)
            if title == 'Input':
                _stretch(inset, values, window)
            if title == 'Prediction':
                _contour(inset, truth == 1, _rgb(HIT), window)
            elif title == 'Input':
                _contour(inset, predicted, _rgb(FALSE_ALARM), window)
    _legend(figure, verdict, name, threshold)
    return figure


def figure_png(figure: Figure) -> bytes:
    """The figure as PNG."""
    data = io.BytesIO()
    figure.savefig(data, format='png', dpi=DPI)
    return data.getvalue()


def gray(image: np.ndarray) -> np.ndarray:
    """The intensity (H, W) float32 in [0, 1] of an image of 8 bits, gray or BGR."""
    image = image.astype(np.float32) / 255
    return image if image.ndim == 2 else image.mean(axis=2)


def focus_window(verdict: Verdict, shape: tuple[int, int]) -> tuple[int, int, int] | None:
    """The square that an inset enlarges: left, top and side in pixels; None without anything."""
    if len(verdict.misses):
        x, y, radius = verdict.misses[0]
    elif len(verdict.hits):
        x, y, radius = verdict.hits[verdict.hits[:, 2].argmin()]
    elif len(verdict.false_alarms):
        x, y, radius = verdict.false_alarms[0]
    else:
        return None
    side = int(min(max(2.6 * radius, LEAST_SIDE), *shape))
    left = int(np.clip(round(x - side / 2 + 0.5), 0, shape[1] - side))
    top = int(np.clip(round(y - side / 2 + 0.5), 0, shape[0] - side))
    return left, top, side


def _brightened(title: str, values: np.ndarray) -> tuple[str, np.ndarray]:
    """A faint map so that its largest value is white, and a title that says so."""
    largest = float(values.max())
    if not 1e-3 < largest < _FAINT:
        return title, values
    return f'{title} (white = {largest:.2g})', values / largest


def _show(axes: Axes, values: np.ndarray) -> None:
    axes.imshow(values, cmap='gray', vmin=0, vmax=1, interpolation='nearest')
    axes.set_xticks([])
    axes.set_yticks([])


def _mark(axes: Axes, verdict: Verdict) -> None:
    line: dict[str, Any] = dict(fill=False, linewidth=1.1)
    for x, y, radius in verdict.hits:
        axes.add_patch(Circle((x, y), radius + 2, edgecolor=_rgb(HIT), **line))
    for x, y, radius in verdict.misses:
        circle = Circle((x, y), radius + 2, edgecolor=_rgb(MISS), linestyle=(0, (3, 1.5)), **line)
        axes.add_patch(circle)
    for x, y, radius in verdict.false_alarms[:MOST_MARKS]:
        corner = (x - radius, y - radius)
        axes.add_patch(
            Rectangle(corner, 2 * radius, 2 * radius, edgecolor=_rgb(FALSE_ALARM), **line)
        )


def _inset(axes: Axes, values: np.ndarray, window: tuple[int, int, int], verdict: Verdict) -> Axes:
    """An enlarged part of the panel in the corner that hides least and is farthest from it."""
    left, top, side = window
    height, width = values.shape
    length = INSET * min(height, width)
    x, y = _corner((left + side / 2, top + side / 2), length, (height, width), verdict)
    # Fractions of the panel, counted upwards.
    bounds = (x / width, 1 - (y + length) / height, length / width, length / height)
    inset = axes.inset_axes(bounds)
    _show(inset, values)
    inset.set_xlim(left - 0.5, left + side - 0.5)
    inset.set_ylim(top + side - 0.5, top - 0.5)
    for spine in inset.spines.values():
        spine.set(edgecolor=_FOCUS, linewidth=1.2)
    axes.add_patch(
        Rectangle((left - 0.5, top - 0.5), side, side, fill=False, edgecolor=_FOCUS, linewidth=0.8)
    )
    # Lines between the pair of corners that neither square hides.
    falling = (x + length / 2 > left + side / 2) == (y + length / 2 > top + side / 2)
    for corner in ((0, 0), (1, 1)) if falling else ((0, 1), (1, 0)):
        inner = (left - 0.5 + corner[0] * side, top - 0.5 + (1 - corner[1]) * side)
        axes.add_artist(
            ConnectionPatch(
                corner, inner, 'axes fraction', 'data', axesA=inset, axesB=axes,
                edgecolor=_FOCUS, linewidth=0.6, alpha=0.8,
            )
        )  # fmt: skip
    return inset


def _corner(
    focus: tuple[float, float], length: float, shape: tuple[int, int], verdict: Verdict
) -> tuple[float, float]:
    """Left and top of the square in a corner over the fewest marks; of these, the farthest."""
    height, width = shape
    marks = np.concatenate(verdict)

    def rank(corner: tuple[float, float]) -> tuple[int, float]:
        inside = marks[:, :2] + marks[:, 2:] > corner
        inside &= marks[:, :2] - marks[:, 2:] < np.add(corner, length)
        away = np.hypot(*(np.add(corner, length / 2) - focus))
        return int(inside.all(axis=1).sum()), -away

    return min(((x, y) for x in (0.0, width - length) for y in (0.0, height - length)), key=rank)


def _stretch(axes: Axes, values: np.ndarray, window: tuple[int, int, int]) -> None:
    """Spread the gray values of the window: many targets are hardly brighter than their ground."""
    left, top, side = window
    part = values[top : top + side, left : left + side]
    axes.images[0].set_clim(part.min(), max(part.max(), part.min() + 0.05))


def _contour(
    axes: Axes, mask: np.ndarray, color: tuple[float, float, float], window: tuple[int, int, int]
) -> None:
    """The outline of a mask along the edges of its pixels, inside the window."""
    left, top, side = window
    part = np.pad(mask[top : top + side, left : left + side], 1)
    rows, columns = np.nonzero(part[1:] != part[:-1])
    for row, column in zip(rows, columns):
        x, y = left + column - 1.5, top + row - 0.5
        axes.plot([x, x + 1], [y, y], color=color, linewidth=0.9, solid_capstyle='round')
    rows, columns = np.nonzero(part[:, 1:] != part[:, :-1])
    for row, column in zip(rows, columns):
        x, y = left + column - 0.5, top + row - 1.5
        axes.plot([x, x], [y, y + 1], color=color, linewidth=0.9, solid_capstyle='round')


def _legend(figure: Figure, verdict: Verdict, name: str, threshold: float) -> None:
    """What the marks mean, and how many of each there are."""
    marks = [
        ('o', _rgb(HIT), f'hit ({len(verdict.hits)})'),
        ('o', _rgb(MISS), f'miss ({len(verdict.misses)})'),
        ('s', _rgb(FALSE_ALARM), f'false alarm ({len(verdict.false_alarms)})'),
    ]
    handles = [
        Line2D([], [], linestyle='', marker=marker, markerfacecolor='none', markersize=7,
               markeredgecolor=color, markeredgewidth=1.4, label=label)
        for marker, color, label in marks
    ]  # fmt: skip
    handles += [
        Line2D([], [], color=_rgb(HIT), label='truth (inset)'),
        Line2D([], [], color=_rgb(FALSE_ALARM), label='prediction (inset)'),
    ]
    figure.legend(
        handles=handles, loc='lower center', ncols=len(handles), fontsize=8, frameon=False,
        handletextpad=0.4, columnspacing=1.6, borderaxespad=0.2,
    )  # fmt: skip
    figure.text(0.006, 0.03, name, fontsize=8, va='bottom')
    figure.text(0.994, 0.03, f'threshold {threshold:g}', fontsize=8, va='bottom', ha='right')
