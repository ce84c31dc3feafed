# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Images and a clip to try the page with."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smallobj_mm.datasets.irstd_scene import render_ir_scene
from smallobj_mm.inference.sources import Video
from smallobj_mm.inference.writers import write_png
from smallobj_mm.utils.packaged import packaged_folders

from .clips import is_video

#: Where real images lie: links or copies in an installed package, the repository's own folder.
DEMO_FOLDERS = packaged_folders('demo')
#: What a real example is called -> its file, the model that knows such images, whose it is.
REAL = {
    'street': (
        'hituav/JPEGImages/1_100_50_0_05182.jpg',
        'obsdm_t_hituav',
        'HIT-UAV, Suo et al. 2023 (CC BY 4.0)',
    ),
    'drone': ('drones/clip.mp4', 'obsdm_t_drones', 'Svanström et al. 2021 (CC0)'),
}
#: What a synthetic example is called -> seed of its scene. None is without targets.
SEEDS = {'sea': 63, 'ground': 7, 'sky': 101}
#: The model for the synthetic ones.
_SYNTHETIC_MODEL = 'ismallnet_s_nuaa'
#: Side in px, least and largest target in px, most targets of an image.
SIDE, TARGETS, MOST_TARGETS = 256, (3.0, 9.0), 6


@dataclass(frozen=True)
class Example:
    """A file to try the page with.

    Attributes:
        name: What the page calls it.
        file: The image or the clip.
        picture: An image of it.
        model: The model that knows such images, which the page may not have.
        credit: Whose it is, and the licence.
    """

    name: str
    file: Path
    picture: Path
    model: str
    credit: str


def make_sample(name: str) -> np.ndarray:
    """A synthetic infrared image (256, 256) uint8, gray, the same each time.

    Args:
        name: One of :data:`SEEDS`.
    """
    rng = np.random.default_rng(SEEDS[name])
    return render_ir_scene(rng, SIDE, TARGETS, MOST_TARGETS).image


def write_examples(folder: str | Path) -> list[Example]:
    """Write the examples into a folder; without the real ones where the package has none."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    examples = []
    for name, (file, model, credit) in REAL.items():
        source = next((d / file for d in DEMO_FOLDERS if (d / file).is_file()), None)
        if source is not None:
            path = folder / f'{name}{source.suffix}'
            shutil.copyfile(source, path)
            examples.append(Example(name, path, _picture(path), model, credit))
    for name in SEEDS:
        path = folder / f'{name}.png'
        write_png(path, make_sample(name))
        examples.append(Example(name, path, path, _SYNTHETIC_MODEL, 'synthetic'))
    return examples


def _picture(path: Path) -> Path:
    """The image itself, or the first frame of a clip as a file of its own."""
    if not is_video(str(path)):
        return path
    picture = path.with_name(f'{path.stem}_first_frame.png')
    write_png(picture, Video(str(path)).frame(0))
    return picture
