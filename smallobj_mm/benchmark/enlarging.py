# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Whether larger images or tiles help a trained detector: AP and time of each, measured."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset

from smallobj_mm.evaluation.coco_ap import coco_ap
from smallobj_mm.inference import SmallObjectInferencer
from smallobj_mm.models.building import find_weights, read_model_config
from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.messages import brief

from .timing import Stopwatch


class Measured(NamedTuple):
    """What a way of inference gives.

    Attributes:
        name: The way.
        ap: COCO AP, mean over the classes that have objects.
        ap50: AP at IoU 0.5.
        ap_tiny: AP of objects below 16² px; nan if there are none.
        seconds: Median time of an image, reading included.
    """

    name: str
    ap: float
    ap50: float
    ap_tiny: float
    seconds: float


def measure_enlarging(
    config: str | Path | Config,
    weights: str | Path | None,
    dataset: BaseDataset,
    images: int = 100,
    zooms: Sequence[float] = (1.0, 1.5, 2.0),
    tile: int = 320,
    overlap: float = 0.2,
    device: str = 'cpu',
) -> list[Measured]:
    """AP and time with whole images, enlarged ones, and tiles.

    Args:
        config: Config of the detector, or its name.
        weights: Its checkpoint; None for the one that comes with the package.
        dataset: Detection data set of the package whose classes are those of the detector.
        images: So many images, evenly over the data set.
        zooms: Factors on the size that the config's test pipeline gives.
        tile: Side in px of the tiles, of the images as they are.
        overlap: Least overlap of tiles as a part of their side.
        device: Where the network runs.

    Raises:
        UserError: The config is no detector, or its classes are others.
    """
    cfg, name, _ = read_model_config(config)
    weights = find_weights(weights, name)  # a changed config has no name by which to find them
    chosen = np.unique(np.linspace(0, len(dataset) - 1, min(images, len(dataset))).astype(int))
    infos = [dataset.get_data_info(int(index)) for index in chosen]
    results = []
    for zoom in zooms:
        label = 'whole image' if zoom == 1 else f'whole image x{zoom:g}'
        inferencer = SmallObjectInferencer(_enlarged(cfg, zoom), weights, device)
        results.append(_measure(label, inferencer, dataset, infos, None, overlap))
    inferencer = SmallObjectInferencer(cfg, weights, device)
    label = f'tiles of {tile} px, overlap {overlap:g}'
    return [*results, _measure(label, inferencer, dataset, infos, tile, overlap)]


def _enlarged(cfg: Config, zoom: float) -> Config:
    """The config with a test pipeline that gives images ``zoom`` times as large."""
    cfg = copy.deepcopy(cfg)
    if zoom == 1:
        return cfg
    dataset = cfg.test_dataloader.dataset
    while dataset.get('dataset'):
        dataset = dataset.dataset
    steps = dataset.pipeline
    resize = next((step for step in steps if step['type'].rpartition('.')[2] == 'Resize'), None)
    if resize is None:
        steps.insert(1, dict(type='Resize', scale_factor=zoom))
    elif resize.get('scale') is not None:
        scale = resize['scale']
        sides = scale if isinstance(scale, (tuple, list)) else (scale, scale)
        resize['scale'] = tuple(round(zoom * side) for side in sides)
    else:
        factor = resize.get('scale_factor') or 1.0
        resize['scale_factor'] = (
            tuple(zoom * f for f in factor) if isinstance(factor, (tuple, list)) else zoom * factor
        )
    return cfg


def _measure(
    label: str,
    inferencer: SmallObjectInferencer,
    dataset: BaseDataset,
    infos: Sequence[dict],
    tile: int | None,
    overlap: float,
) -> Measured:
    if inferencer.task != 'detection':
        raise UserError(f'{inferencer.name}: a segmentor, expected a detector')
    label_of = _match_classes(inferencer, dataset)
    records: list[dict[str, Any]] = []
    seconds = []
    for info in infos:
        with Stopwatch() as watch:
            (sample,) = inferencer(info['img_path'], tile=tile, overlap=overlap)
        seconds.append(watch.seconds)
        predicted = sample.pred_instances
        labels = label_of[predicted.labels.cpu().numpy()]
        usable = labels >= 0
        truth = [i for i in info['instances'] if not i['ignore_flag']]
        ignored = [i for i in info['instances'] if i['ignore_flag']]
        records.append(
            dict(
                boxes=predicted.bboxes.cpu().numpy()[usable],
                scores=predicted.scores.cpu().numpy()[usable],
                labels=labels[usable],
                gt_boxes=np.array([i['bbox'] for i in truth]).reshape(-1, 4),
                gt_labels=np.array([i['bbox_label'] for i in truth], dtype=np.int64),
                ignore_boxes=np.array([i['bbox'] for i in ignored]).reshape(-1, 4),
                ignore_labels=np.array([i['bbox_label'] for i in ignored], dtype=np.int64),
            )
        )
    ap = coco_ap(records, len(dataset.metainfo['classes']))
    mean, mean50, tiny = (_mean(ap[name]) for name in ('AP', 'AP50', 'AP_tiny'))
    return Measured(label, mean, mean50, tiny, float(np.median(seconds)))


def _mean(values: np.ndarray) -> float:
    """Mean over the classes that have objects; nan if none has."""
    usable = values[~np.isnan(values)]
    return float(usable.mean()) if len(usable) else float('nan')


def _match_classes(inferencer: SmallObjectInferencer, dataset: BaseDataset) -> np.ndarray:
    """Label of the data set for each label of the detector, -1 where there is none."""
    key = {_plain(name): label for label, name in enumerate(dataset.metainfo['classes'])}
    labels = np.array([key.get(_plain(name), -1) for name in inferencer.classes])
    if not (labels >= 0).any():
        raise UserError(
            f'{inferencer.name}: its classes {brief(inferencer.classes)} are none of those of the '
            f'data, {brief(tuple(dataset.metainfo["classes"]))}; give a detector of these data'
        )
    return labels


def _plain(name: str) -> str:
    """'OtherVehicle' and 'other vehicle' are the same name."""
    return ''.join(letter for letter in name.lower() if letter.isalnum())
