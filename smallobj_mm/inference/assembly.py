# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The result of an image from the results of its tiles."""

from __future__ import annotations

import numpy as np
import torch
from mmengine.structures import BaseDataElement, InstanceData, PixelData

from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.probability_maps import foreground_probability

from .box_merging import Boxes, merge_boxes
from .targets import as_instances, mask_targets
from .tiling import TileGrid


class DetectionAssembler:
    """Detections of tiles, merged across the seams.

    Args:
        grid: The tiles of the image.
        threshold: Boxes below this score are left out; None leaves it to the config.
    """

    def __init__(self, grid: TileGrid, threshold: float | None) -> None:
        self.grid = grid
        self.threshold = threshold
        self._parts: dict[int, Boxes] = {}

    def add(self, index: int, sample: BaseDataElement) -> None:
        """Take the result of a tile.

        Raises:
            UserError: It holds masks, which cannot be merged.
        """
        predictions = sample.pred_instances
        if 'masks' in predictions and len(self.grid) > 1:
            raise UserError(
                'tile: the model predicts masks of instances, which are not merged across tiles; '
                'use tile=None'
            )
        bboxes = getattr(predictions.bboxes, 'tensor', predictions.bboxes).float().cpu().numpy()
        left, top = self.grid.tiles[index][:2]
        part = Boxes(
            bboxes.reshape(-1, 4) + np.array([left, top, left, top], dtype=np.float32),
            predictions.scores.float().cpu().numpy(),
            predictions.labels.cpu().numpy(),
        )
        # A network that was not trained gives boxes of no size, or of numbers that are none, with
        # scores of 1: nothing that could be drawn, cut out or matched.
        usable = np.isfinite(part.bboxes).all(axis=1) & np.isfinite(part.scores)
        usable &= (part.bboxes[:, 2:] > part.bboxes[:, :2]).all(axis=1)
        if self.threshold is not None:
            usable &= part.scores >= self.threshold
        part = part.take(usable)
        self._parts[index] = part

    def finish(self) -> BaseDataElement:
        """The ``DetDataSample`` of the image: ``pred_instances``, best first."""
        from mmdet.structures import DetDataSample

        boxes = merge_boxes(self.grid, [self._parts[index] for index in range(len(self.grid))])
        instances = InstanceData(**{k: torch.from_numpy(v) for k, v in boxes._asdict().items()})
        return DetDataSample(pred_instances=instances)


class SegmentationAssembler:
    """Probabilities of tiles, blended with weights that fade to the borders.

    Args:
        grid: The tiles of the image.
        threshold: A pixel with a higher probability is a target.
    """

    def __init__(self, grid: TileGrid, threshold: float) -> None:
        self.grid = grid
        self.threshold = threshold
        self._probability: np.ndarray | None = None

    def add(self, index: int, sample: BaseDataElement) -> None:
        """Take the result of a tile.

        Raises:
            UserError: The model has more than one class besides the background.
        """
        part = foreground_probability(sample, 'segmentation')
        if len(self.grid) == 1:
            self._probability = part
            return
        if self._probability is None:
            self._probability = np.zeros((self.grid.height, self.grid.width), np.float32)
        left, top, right, bottom = self.grid.tiles[index]
        self._probability[top:bottom, left:right] += part * self.grid.weight(index)

    def finish(self) -> BaseDataElement:
        """The ``SegDataSample`` of the image.

        ``seg_logits`` (1, H, W) is the probability of the foreground, ``pred_sem_seg`` (1, H, W)
        uint8 the mask, ``pred_instances`` its components.
        """
        from mmseg.structures import SegDataSample

        assert self._probability is not None  # all tiles were added
        # In place and with one byte a pixel: these are as large as the image.
        probability = np.clip(self._probability, 0, 1, out=self._probability)
        mask = (probability > np.float32(self.threshold)).view(np.uint8)
        sample = SegDataSample()
        sample.set_data(
            dict(
                seg_logits=PixelData(data=torch.from_numpy(probability)[None]),
                pred_sem_seg=PixelData(data=torch.from_numpy(mask)[None]),
                pred_instances=as_instances(mask_targets(mask, probability)),
            )
        )
        return sample
