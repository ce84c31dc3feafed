# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""ROC, Pd-Fa and precision-recall curves of one or several models in one figure."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

KINDS = ('roc', 'pd_fa', 'pr')
#: Color-blind safe (Okabe and Ito, 2008); curves beyond them repeat with other lines.
_COLORS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000')
_LINES = ('-', '--', ':', '-.')
_MARKERS = 'osD^vPX'
#: False positive rates and false alarms below these share the left edge of the logarithmic axes.
_LEAST_FPR, _LEAST_FA = 1e-6, 1e-8


def draw_curves(
    models: Sequence[tuple[str, dict[str, Any]]], kinds: Sequence[str] = KINDS
) -> Figure:
    """A panel for each kind of curve, a line for each model.

    The axes of false positives and false alarms are logarithmic, since nearly all pixels are
    background: on a linear one the curves of all models lie in the same corner.

    Args:
        models: Labels, and the entries ``curves`` of the files that ``evaluate_maps.py`` or
            ``IRSTDMetric(json_file=...)`` write.
        kinds: Which of 'roc', 'pd_fa' and 'pr', in this order.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(3.9 * len(kinds), 3.5), layout='constrained')
    FigureCanvasAgg(figure)
    for index, kind in enumerate(kinds):
        axes = figure.add_subplot(1, len(kinds), index + 1)
        for number, (label, curves) in enumerate(models):
            style = dict(
                color=_COLORS[number % len(_COLORS)],
                linestyle=_LINES[number // len(_COLORS) % len(_LINES)],
                linewidth=1.6,
            )
            _DRAW[kind](axes, label, curves, style, number)
        axes.grid(True, which='major', linewidth=0.4, alpha=0.5)
        axes.set_ylim(0, 1.02)
        axes.tick_params(labelsize=8)
        axes.legend(fontsize=7.5, framealpha=0.9)
    return figure


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    """An array; None, which JSON has for nan, is nan again."""
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _area(value: float | None) -> str:
    return '-' if value is None else f'{value:.4f}'


def _roc(axes: Axes, label: str, curves: dict, style: dict, number: int) -> None:
    curve = curves['ROC']
    fpr, tpr = _numbers(curve['FPR']), _numbers(curve['TPR'])
    # Nothing predicted and everything predicted close the curve.
    fpr, tpr = np.append(fpr, 0), np.append(tpr, 0)
    axes.plot(np.maximum(fpr, _LEAST_FPR), tpr, label=f'{label} (AUC {_area(curves["AUC"])})',
              **style)  # fmt: skip
    axes.set_xscale('log')
    axes.set_xlim(_LEAST_FPR, 1)
    axes.set_xlabel('false positive rate')
    axes.set_ylabel('true positive rate')
    axes.set_title('ROC', fontsize=10)


def _pd_fa(axes: Axes, label: str, curves: dict, style: dict, number: int) -> None:
    curve = curves['Pd_Fa']
    marker = _MARKERS[number % len(_MARKERS)]
    false = np.maximum(_numbers(curve['Fa']), _LEAST_FA) * 1e6
    axes.plot(false, _numbers(curve['Pd']), label=label, marker=marker, markersize=4, **style)
    axes.set_xscale('log')
    axes.set_xlabel('Fa (×1e-6)')
    axes.set_ylabel('Pd')
    axes.set_title('Pd–Fa', fontsize=10)


def _pr(axes: Axes, label: str, curves: dict, style: dict, number: int) -> None:
    curve = curves['PR']
    axes.plot(_numbers(curve['recall']), _numbers(curve['precision']),
              label=f'{label} (AP {_area(curves["AP"])})', **style)  # fmt: skip
    axes.set_xlim(0, 1.02)
    axes.set_xlabel('recall')
    axes.set_ylabel('precision')
    axes.set_title('Precision–recall', fontsize=10)


_DRAW = dict(roc=_roc, pd_fa=_pd_fa, pr=_pr)
