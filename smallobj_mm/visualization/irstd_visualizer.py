# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""mmseg's visualizer for targets of a few pixels."""

from __future__ import annotations

import mmcv
import numpy as np
from mmengine.dist import master_only
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer

from smallobj_mm.registry import VISUALIZERS

from .irstd_marks import draw_verdict

#: Pictures are enlarged by whole numbers to about this height in pixels.
HEIGHT = 512


@VISUALIZERS.register_module()
class IRSTDVisualizer(SegLocalVisualizer):
    """Truth on the left, prediction on the right, as outlines; hits, misses, false alarms marked.

    The stock visualizer lays colors over the whole image, under which a target of ten pixels
    cannot be seen. Arguments are those of :class:`mmseg.visualization.SegLocalVisualizer`; its
    ``alpha``, classes and palette do not matter here.
    """

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: SegDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        step: int = 0,
        with_labels: bool | None = True,
        with_image: bool | None = False,
    ) -> None:
        """Draw a sample and hand it to the backends, a window or a file.

        Args:
            name: Name of the picture.
            image: Array (H, W, 3) uint8, RGB.
            data_sample: Has ``pred_sem_seg``, and ``gt_sem_seg`` if it is known.
            draw_gt: Whether the truth is used.
            draw_pred: Whether the prediction is used.
            show: Show it in a window.
            wait_time: Seconds that the window stays.
            out_file: Write it to this file instead of to the backends.
            step: Number of the picture, for the backends.
            with_labels: mmseg's callers give it; there are no words over the image to leave out.
            with_image: As ``with_labels``; the image is seen beside the outlines anyway.
        """
        size = image.shape[:2]
        predicted = np.zeros(size, np.uint8)
        if draw_pred and data_sample is not None and 'pred_sem_seg' in data_sample:
            predicted = data_sample.pred_sem_seg.data.cpu().numpy().reshape(size)
        truth = None
        if draw_gt and data_sample is not None and 'gt_sem_seg' in data_sample:
            truth = data_sample.gt_sem_seg.data.cpu().numpy().reshape(size)
        bgr = np.ascontiguousarray(image[..., ::-1])
        drawn = draw_verdict(bgr, predicted, truth, zoom=max(round(HEIGHT / size[0]), 1))
        rgb = np.ascontiguousarray(drawn[..., ::-1])
        if show:
            self.show(rgb, win_name=name, wait_time=wait_time)
        if out_file is not None:
            mmcv.imwrite(drawn, out_file)
        else:
            self.add_image(name, rgb, step)
