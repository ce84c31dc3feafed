# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A picture for each tested image of a segmentation config, under its own name."""

from pathlib import Path
from typing import Optional, Sequence

import mmcv
from mmengine.fileio import get
from mmengine.runner import Runner
from mmseg.engine.hooks import SegVisualizationHook
from mmseg.structures import SegDataSample

from smallobj_mm.registry import HOOKS


@HOOKS.register_module()
class SegPicturesHook(SegVisualizationHook):
    """``SegVisualizationHook`` that writes pictures of tested images where one looks for them.

    The stock hook hands them to the visualizer's backends, which write
    ``SAVE_DIR/vis_data/vis_image/test_NAME.png_NUMBER.png``; here it is ``OUT_DIR/NAME.png``.
    Without ``out_dir``, and in validation, it does what the stock one does.

    Args:
        out_dir: Folder of the pictures, below work_dir/TIMESTAMP unless it is absolute.
        draw: Whether anything is drawn at all.
        interval: Validation iterations between pictures.
        show: Whether to show pictures in a window.
        wait_time: Seconds between shown pictures.
        backend_args: File backend of the images; None for local files.
    """

    def __init__(
        self,
        out_dir: Optional[str] = None,
        draw: bool = False,
        interval: int = 50,
        show: bool = False,
        wait_time: float = 0.0,
        backend_args: Optional[dict] = None,
    ) -> None:
        super().__init__(
            draw=draw, interval=interval, show=show, wait_time=wait_time, backend_args=backend_args
        )
        self.out_dir = out_dir

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[SegDataSample]
    ) -> None:
        """Draw the images of a batch."""
        if self.out_dir is None:
            super().after_test_iter(runner, batch_idx, data_batch, outputs)
            return
        if not self.draw:
            return
        folder = Path(runner.work_dir) / runner.timestamp / self.out_dir
        for sample in outputs:
            content = get(sample.img_path, backend_args=self.backend_args)
            name = Path(sample.img_path).stem
            self._visualizer.add_datasample(
                name,
                mmcv.imfrombytes(content, channel_order='rgb'),
                data_sample=sample,
                show=self.show,
                wait_time=self.wait_time,
                out_file=str(folder / f'{name}.png'),
            )
