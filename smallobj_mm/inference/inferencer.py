# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""From a trained model to answers on anybody's images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Literal, Union

import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement

from smallobj_mm.checkpoints.operating_points import read_operating_points
from smallobj_mm.deployment.backends import cuda_runs
from smallobj_mm.deployment.exported_model import build_exported, is_exported
from smallobj_mm.models.building import (
    TASKS,
    build_network,
    class_names,
    find_weights,
    read_model_config,
)
from smallobj_mm.models.tta.settings import tta_settings
from smallobj_mm.models.utils.half import use_half
from smallobj_mm.utils.errors import UserError

from .assembly import DetectionAssembler, SegmentationAssembler
from .overlap import read_ahead
from .predicting import Predictor, input_shapes
from .preparing import ImagePreparer, find_pipeline
from .result import Result
from .sources import Inputs, Source, list_sources
from .tiling import TileGrid, check_tiling

#: What reading an image may raise.
_UNREADABLE = (ValueError, OSError)

_Assembler = Union[DetectionAssembler, SegmentationAssembler]


def default_device(weights: Path) -> str:
    """``'cuda'`` where there is one that a file of weights runs on, else ``'cpu'``."""
    return 'cuda' if torch.cuda.is_available() and cuda_runs(weights) else 'cpu'


class _Running:
    """An image some of whose tiles are not through the network yet."""

    def __init__(self, result: Result, assembler: _Assembler | None) -> None:
        self.result = result
        self.assembler = assembler
        self.open = len(assembler.grid) if assembler else 0


def check_options(
    batch_size: int, tile: int | None, overlap: float, threshold: float | None
) -> None:
    """Refuse options out of their range; see :class:`SmallObjectInferencer`.

    Raises:
        UserError: One is.
    """
    check_tiling(tile, overlap)
    if batch_size != int(batch_size) or batch_size < 1:
        raise UserError(f'batch_size is {batch_size}, expected 1 or more')
    if threshold is not None and not 0 <= threshold <= 1:
        raise UserError(f'threshold is {threshold}, expected a number in [0, 1]')


class SmallObjectInferencer:
    """A trained detector or segmentor for images of any size.

    Args:
        config: Path of a config, or the name of one that comes with the package, whose
            ``default_scope`` is 'mmdet' or 'mmseg'; or an mmengine ``Config``.
        weights: Checkpoint (.pth) or .safetensors, read as plain tensors; or what
            tools/deployment/export.py wrote: .onnx, .xml (OpenVINO), or .torchscript, which is a
            program, so that you must trust where it is from. None takes the weights that come
            with the package for the config.
        device: Where the network runs; None takes 'cuda' where it is, else 'cpu'. Exported files
            run on 'cpu' then where what runs them has no CUDA: OpenVINO, mostly ONNX Runtime.
        tta: Test-time augmentation: ``tta_model`` and ``tta_pipeline`` of the config; where it
            has none, images are also seen flipped, see :func:`tta_settings`.
        half: Half precision: float16 on CUDA, bfloat16 on the CPU, see
            :func:`~smallobj_mm.models.utils.half.use_half`.

    Attributes:
        task: 'detection' or 'segmentation'.
        classes: Names of the classes by label; of segmentation the background's is the first.
        name: What the config is called.
        model: The network, folded for inference.
        preparer: What makes its input from images.

    Raises:
        FileNotFoundError: There is no such config or no weights.
        UserError: The config is none of detection or segmentation, or the weights are not its.

    Example:
        >>> inferencer = SmallObjectInferencer('ismallnet_s_nuaa')  # doctest: +SKIP
        >>> (result,) = inferencer('frame.png', tile=640)  # doctest: +SKIP
        >>> result.to_pandas()  # doctest: +SKIP
    """

    def __init__(
        self,
        config: str | Path | Config,
        weights: str | Path | None = None,
        device: str | torch.device | None = None,
        tta: bool = False,
        half: bool = False,
    ) -> None:
        cfg, self.name, self.config_path = read_model_config(config)
        self.weights_path = find_weights(weights, self.name)
        self.cfg = cfg
        self.task = TASKS[cfg.default_scope]
        tta_model, steps = None, find_pipeline(cfg, self.name)
        if tta:
            tta_model, steps = tta_settings(cfg, steps)
        self.preparer = ImagePreparer(cfg, self.name, steps)
        exported = is_exported(self.weights_path)
        if half and exported:
            raise UserError(
                f'{self.weights_path}: half precision is for checkpoints, expected half=False with '
                'an exported file'
            )
        build = build_exported if exported else build_network
        try:
            self.model, meta = build(
                cfg, self.weights_path, device or default_device(self.weights_path)
            )
        except UserError as error:
            raise UserError(f'{error}{self._own_config()}') from None
        if half:
            use_half(self.model)
        self._predictor = Predictor(self.model, cfg, tta_model)
        self.classes = class_names(cfg, self.model, meta)

    def _own_config(self) -> str:
        """A hint at the config that lies beside a checkpoint in its work-dir, if there is one."""
        folder = self.weights_path.resolve().parent
        mine = None if self.config_path is None else self.config_path.resolve()
        configs = [path for path in sorted(folder.glob('*.py')) if path.resolve() != mine]
        if self.weights_path.suffix != '.pth' or not configs:
            return ''
        return (
            f'; the config that it was trained with, options included, lies beside it: {configs[0]}'
        )

    @cached_property
    def operating_points(self) -> dict[str, float]:
        """Thresholds that the weights recommend, by what they are for; empty if they do not.

        See :data:`smallobj_mm.checkpoints.operating_points.NAMES`.
        """
        return read_operating_points(self.weights_path)

    @property
    def default_threshold(self) -> float:
        """The probability above which a segmentor sees a target; 0 for detectors."""
        if self.task == 'detection':
            return 0.0
        threshold = getattr(self.model.decode_head, 'threshold', None)
        return 0.5 if threshold is None else float(threshold)

    def __call__(
        self,
        images: Inputs,
        batch_size: int = 1,
        tile: int | None = 640,
        overlap: float = 0.2,
        threshold: float | None = None,
        errors: Literal['raise', 'keep'] = 'raise',
    ) -> list[Result]:
        """Predict.

        Args:
            images: A path, folder, glob pattern, video, PIL image or array (H, W[, 1, 3 or 4]) in
                uint8 or uint16 (BGR), or several of them.
            batch_size: Images, or tiles of images, that go through the network at once.
            tile: Side in px of the tiles that larger images are cut into; each goes through the
                config's test pipeline like an image. None gives the network whole images.
            overlap: Least overlap of neighboring tiles as a part of ``tile``; objects up to this
                size are seen whole by one tile at least.
            threshold: Least score of boxes; probability above which a pixel is a target. None
                takes what the config says.
            errors: 'raise' stops at an image that cannot be read; 'keep' goes on, and the result
                in its place has the ``error`` and no ``sample``.

        Returns:
            A :class:`~smallobj_mm.inference.Result` for each image, in pixels of the image: the
            ``DetDataSample`` or ``SegDataSample`` with what people do with it. Both
            have ``pred_instances`` (bboxes, scores, labels; of segmentation also centroids and
            areas), see :func:`~smallobj_mm.inference.find_targets`. Segmentation also gives
            ``seg_logits`` (1, H, W), the probability, and ``pred_sem_seg`` (1, H, W), the mask.

        Raises:
            FileNotFoundError: An image is not there.
            UserError: An image cannot be read, or an option is out of its range.
        """
        if errors not in ('raise', 'keep'):
            raise UserError(f'errors is {errors!r}, expected raise or keep')
        results = []
        sources = list_sources(images, keep_missing=errors == 'keep', same_names=True)
        for result in self.stream(sources, batch_size, tile, overlap, threshold):
            if result.error is not None and errors == 'raise':
                raise result.error
            results.append(result.release())
        return results

    def stream(
        self,
        sources: Iterable[Source],
        batch_size: int = 1,
        tile: int | None = 640,
        overlap: float = 0.2,
        threshold: float | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> Iterator[Result]:
        """Predict images one after the other; those that cannot be read do not stop it.

        Images are read by a thread while the network runs: as many as a batch has, of large ones
        one at a time. Only those and the current batch are in memory.

        Args:
            sources: What :func:`~smallobj_mm.inference.list_sources` gives.
            batch_size: See :meth:`__call__`.
            tile: See there.
            overlap: See there.
            threshold: See there.
            on_progress: Called after each batch with the number of images that are done; of an
                image in tiles it is a fraction.

        Yields:
            What came of each image, in their order.

        Raises:
            UserError: An option is out of its range.
        """
        check_options(batch_size, tile, overlap, threshold)
        batch_size = int(batch_size)  # 2.0 is a whole number as well
        waiting: list[_Running] = []
        batch: list[tuple[_Running, int, dict]] = []
        done = 0
        for source, reading in read_ahead(sources, self.read, batch_size):
            running = self._start(source, reading, tile, overlap, threshold)
            del reading
            waiting.append(running)
            for index in range(running.open):
                item = self._prepare(running, index)
                other_size = batch and input_shapes(item) != input_shapes(batch[0][2])
                if other_size or len(batch) == batch_size:
                    self._predict(batch)
                    batch = []
                    self._report(on_progress, done, waiting)
                batch.append((running, index, item))
            # Whatever is complete goes out before the next image is read.
            if len(batch) == batch_size:
                self._predict(batch)
                batch = []
                self._report(on_progress, done, waiting)
            while waiting and waiting[0].open == 0:
                yield self._finish(waiting.pop(0))
                done += 1
        if batch:
            self._predict(batch)
            self._report(on_progress, done, waiting)
        for running in waiting:
            yield self._finish(running)

    def _start(
        self,
        source: Source,
        reading: Future,
        tile: int | None,
        overlap: float,
        threshold: float | None,
    ) -> _Running:
        """Lay tiles over an image that is read."""
        try:
            image = reading.result()
        except _UNREADABLE as error:
            return _Running(Result(source, self.classes, error=error), None)
        height, width = image.shape[:2]
        grid = TileGrid(height, width, tile, overlap)
        assembler: _Assembler
        if self.task == 'detection':
            assembler = DetectionAssembler(grid, threshold)
        else:
            least = self.default_threshold if threshold is None else threshold
            assembler = SegmentationAssembler(grid, least)
        result = Result(source, self.classes, image=image, reader=self.read)
        return _Running(result, assembler)

    def read(self, source: Source) -> np.ndarray:
        """The image of a source, (H, W, 3) or (H, W), BGR, as the pipeline's loading step has it.

        Raises:
            FileNotFoundError: There is no such file.
            UserError: It cannot be read as an image.
        """
        if source.array is not None:
            return self.preparer.adopt(source.array, source.path)
        if source.read is not None:
            return self.preparer.adopt(source.read(), source.path)
        return self.preparer.read(source.file or source.path)

    def _prepare(self, running: _Running, index: int) -> dict:
        """A tile as the network is given it."""
        result, assembler = running.result, running.assembler
        image = result.image
        assert assembler is not None and image is not None  # or it would have no tiles
        part = assembler.grid.tiles[index].cut(image)
        return self.preparer.prepare(part, result.source.path)

    def predict_prepared(self, items: list[dict]) -> list[BaseDataElement]:
        """The network alone, on images of one size that :attr:`preparer` has prepared."""
        return self._predictor(items)

    def _predict(self, batch: list[tuple[_Running, int, dict]]) -> None:
        """Give tiles of one size to the network, and the results to their images."""
        samples = self._predictor([item for *_, item in batch])
        for (running, index, _), sample in zip(batch, samples):
            assert running.assembler is not None
            running.assembler.add(index, sample)
            running.open -= 1

    @staticmethod
    def _finish(running: _Running) -> Result:
        """Put the tiles of an image together."""
        result = running.result
        if running.assembler is not None:
            sample = running.assembler.finish()
            size = (running.assembler.grid.height, running.assembler.grid.width)
            sample.set_metainfo(dict(img_path=result.source.path, ori_shape=size, img_shape=size))
            result.sample = sample
        return result

    @staticmethod
    def _report(
        on_progress: Callable[[float], None] | None, done: int, waiting: list[_Running]
    ) -> None:
        if on_progress is not None:
            parts = (1 - w.open / len(w.assembler.grid) if w.assembler else 1 for w in waiting)
            on_progress(done + sum(parts))
