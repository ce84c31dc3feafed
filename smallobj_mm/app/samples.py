# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Synthetic infrared images to try the page with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from smallobj_mm.datasets.irstd_scene import render_ir_scene
from smallobj_mm.inference.writers import write_png

#: What an example is called -> seed of its scene. No example is without targets.
SEEDS = {'sea': 63, 'ground': 7, 'sky': 101}
#: Side in px, least and largest target in px, most targets of an image.
SIDE, TARGETS, MOST_TARGETS = 256, (3.0, 9.0), 6


def make_sample(name: str) -> np.ndarray:
    """An image (256, 256) uint8, gray, the same each time.

    Args:
        name: One of :data:`SEEDS`.
    """
    rng = np.random.default_rng(SEEDS[name])
    return render_ir_scene(rng, SIDE, TARGETS, MOST_TARGETS).image


def write_samples(folder: str | Path) -> list[str]:
    """Write the examples as PNG files and return their paths."""
    paths = [Path(folder) / f'{name}.png' for name in SEEDS]
    for path in paths:
        write_png(path, make_sample(path.stem))
    return [str(path) for path in paths]
