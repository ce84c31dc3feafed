# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the sizes and numbers of objects mean for the settings of a detector."""

from dataclasses import dataclass
from typing import List, Tuple

import numpy as np

from .box_table import BoxTable

#: Side in px that most detectors resize images to.
USUAL_SIDE = 640
STRIDES = (4, 8, 16, 32, 64)
#: An object should span so many cells of the finest level ...
LEAST_CELLS = 2.0
#: ... but for this share of the objects.
TOLERATED = 0.1
#: The coarsest level should have objects of up to so many cells.
MOST_CELLS = 8.0
#: Factors by which images are enlarged at most.
ZOOMS = (1.0, 1.5, 2.0, 3.0)
#: Longest side in px of an image that is given to the network whole.
LARGEST_WHOLE = 1280
#: A model that is fine-tuned should see each image so often ...
PASSES = 60
#: ... in this many steps of eight images at least and at most. Below, even trained weights have
#: no time to change; above, a laptop needs days. Rules of thumb, not measured.
STEPS = (1000, 30_000)


@dataclass
class Advice:
    """Settings for a data set.

    Attributes:
        zoom: Factor by which images are enlarged for the network.
        input_size: Width and height in px of the largest image after that; of tiles, if any.
        strides: Levels of the detector.
        tile: Side in px of tiles of the image, None for whole images.
        overlap: Least overlap of tiles as a part of their side.
        max_per_img: Detections that an image may have.
        rare: Classes in less than a tenth of the images, and the share.
        steps: Iterations of eight images for fine-tuning.
    """

    zoom: float
    input_size: Tuple[int, int]
    strides: Tuple[int, ...]
    tile: int | None
    overlap: float
    max_per_img: int
    rare: List[Tuple[str, float]]
    steps: int


def scale_to(sizes: np.ndarray, side: int = USUAL_SIDE) -> np.ndarray:
    """Factor by which each image of (N, 2) is resized to fit a square of ``side`` px."""
    return side / np.maximum(sizes.max(axis=1), 1)


def below_cells(sides: np.ndarray, stride: int, cells: float = 1.0) -> float:
    """Share of objects whose side in px is below so many cells of a level."""
    return float((sides < cells * stride).mean()) if len(sides) else 0.0


def advise(table: BoxTable) -> Advice:
    """Settings that fit the objects of a training set.

    Rules: images are enlarged until no more than :data:`TOLERATED` of the objects are narrower
    than :data:`LEAST_CELLS` cells of stride 4, by a factor of :data:`ZOOMS` at most; the finest
    level is the coarsest one for which the same holds; the coarsest is the first on which 99 % of
    the objects are within :data:`MOST_CELLS` cells. Images whose longer side is then above
    :data:`LARGEST_WHOLE` px are cut into tiles of 640 px of the network's input.
    """
    sides = table.sides
    if not len(sides):
        sides = np.array([32.0])
    zoom = next(
        (z for z in ZOOMS if below_cells(z * sides, STRIDES[0], LEAST_CELLS) <= TOLERATED),
        ZOOMS[-1],
    )
    finest = max(
        (s for s in STRIDES[:3] if below_cells(zoom * sides, s, LEAST_CELLS) <= TOLERATED),
        default=STRIDES[0],
    )
    large = float(np.percentile(zoom * sides, 99))
    coarsest = next((s for s in STRIDES if large <= MOST_CELLS * s), STRIDES[-1])
    # A head on one level alone would see objects of one size.
    coarsest = max(coarsest, 4 * finest)
    strides = tuple(s for s in STRIDES if finest <= s <= coarsest)
    width, height = (int(v) for v in table.sizes.max(axis=0)) if len(table.sizes) else (640, 640)
    tile, overlap = None, 0.2
    if zoom * max(width, height) > LARGEST_WHOLE:
        tile = int(round(USUAL_SIDE / zoom / 32)) * 32
        overlap = float(np.clip(np.percentile(sides, 95) / tile, 0.1, 0.5))
        width = height = tile
    input_size = tuple(int(np.ceil(zoom * side / 32)) * 32 for side in (width, height))
    most = int(table.crowding.max(initial=0))
    images = [len(np.unique(table.owners[table.labels == n])) for n in range(len(table.classes))]
    shares = [count / max(len(table.paths), 1) for count in images]
    rare = [(name, share) for name, share in zip(table.classes, shares) if 0 < share < 0.1]
    return Advice(
        zoom, (input_size[0], input_size[1]), strides, tile, round(overlap, 2),
        max(100, int(np.ceil(2 * most / 100)) * 100), rare if len(table.classes) > 1 else [],
        int(np.clip(np.ceil(len(table.paths) * PASSES / 8 / 500) * 500, *STEPS)),
    )  # fmt: skip


def config_lines(advice: Advice) -> List[str]:
    """The advice as lines of a config and of a command."""
    lines = [
        '# iterations of eight images, from weights that ship (obsdm_t_custom.py)',
        f'max_iters = {advice.steps}',
        '# test pipeline, in the place of its Resize',
        f"dict(type='Resize', scale_factor={advice.zoom}),  # the largest input is "
        f'{advice.input_size[0]}x{advice.input_size[1]} px',
        '# levels of the detector (obsdm_t_*: 4, 8, 16; obsdm_r18_*: 8, 16, 32, or 4 to 32 with '
        '_p2)',
        f'strides = {list(advice.strides)}',
        '# what an image may hold',
        f'model = dict(test_cfg=dict(max_per_img={advice.max_per_img}))',
    ]
    if advice.max_per_img > 100:
        lines.append(
            f"val_evaluator = dict(type='SmallObjectMetric', max_dets={advice.max_per_img})"
        )
    if advice.rare:
        names = ', '.join(name for name, _ in advice.rare)
        lines += [
            f'# rare: {names}; around the data set of training',
            "dict(type='ClassBalancedDataset', oversample_thr=0.1, dataset=...)",
        ]
    if advice.tile:
        lines += [
            '# train on crops that are no larger, such as ObjectCenteredCrop(crop_size=(320, 320))',
            f'python tools/infer.py ... --tile {advice.tile} --overlap {advice.overlap}',
        ]
    return lines
