# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Intensities as surfaces over the image plane, as papers on infrared targets show them."""

from __future__ import annotations

from typing import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

#: Points along the longer side of a surface; more take seconds to draw and show nothing new.
POINTS = 128


def draw_surfaces(surfaces: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Surfaces side by side.

    Images with more than :data:`POINTS` pixels on a side are thinned out by taking the largest
    value of blocks, so that a target of one pixel keeps its peak.

    Args:
        surfaces: Titles and arrays (H, W) with values in [0, 1].

    Returns:
        The figure.
    """
    figure = Figure(figsize=(3.6 * len(surfaces), 3.1))
    FigureCanvasAgg(figure)
    for index, (title, values) in enumerate(surfaces):
        axes = figure.add_subplot(1, len(surfaces), index + 1, projection='3d')
        heights, step = thin_out(values)
        x = np.arange(heights.shape[1]) * step
        y = np.arange(heights.shape[0]) * step
        axes.plot_surface(
            *np.meshgrid(x, y), heights, cmap='turbo', vmin=0, vmax=1,
            rcount=POINTS, ccount=POINTS, linewidth=0, antialiased=False,
        )  # fmt: skip
        axes.set_zlim(0, 1)
        axes.set_ylim(y[-1], y[0])  # rows count downwards, as in the image
        height, width = np.divide(values.shape, max(values.shape))
        axes.set_box_aspect((width, height, 0.6))
        axes.view_init(elev=32, azim=-62)
        axes.set_title(title, fontsize=10, pad=-4)
        axes.tick_params(labelsize=6, pad=-2)
        axes.set_xlabel('x (px)', fontsize=7, labelpad=-6)
        axes.set_ylabel('y (px)', fontsize=7, labelpad=-6)
        for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
            axis.set_pane_color((1, 1, 1, 0))
    figure.subplots_adjust(left=0.0, right=0.97, bottom=0.04, top=0.94, wspace=0.08)
    return figure


def thin_out(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Largest values of blocks.

    Args:
        values: Array (H, W).

    Returns:
        Array with at most :data:`POINTS` values on a side, and the side of a block in pixels.
    """
    step = -(-max(values.shape) // POINTS)
    rows, columns = (range(0, length, step) for length in values.shape)
    return np.maximum.reduceat(np.maximum.reduceat(values, rows, axis=0), columns, axis=1), step
