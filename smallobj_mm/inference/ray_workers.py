# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Workers of Ray Data: a network for batches of images; whole parts into files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from PIL import Image

from smallobj_mm.utils.configs import read_config
from smallobj_mm.utils.errors import UserError, one_line
from smallobj_mm.utils.io import atomic_file, atomic_write_json
from smallobj_mm.utils.messages import printable

from .arrays import pil_array
from .inferencer import SmallObjectInferencer
from .ray_parts import part_path, read_part
from .sources import Source
from .targets import Targets
from .writers import coco_categories, coco_results


@dataclass(frozen=True)
class Settings:
    """How images are inferred; see :class:`SmallObjectInferencer`.

    Attributes:
        config: Path or name of the config.
        weights: The file of weights, None for those of the package.
        cfg_options: Settings that override those of the config.
        device: Where a worker's network runs; None takes CUDA where Ray gives the worker a GPU.
        tile: Side of the tiles, px.
        overlap: Of the tiles.
        threshold: Least score, or probability; None takes the model's.
        batch_size: Images or tiles at once.
        tta: Test-time augmentation.
        half: Half precision.
    """

    config: str
    weights: str | None = None
    cfg_options: dict | None = field(default=None)
    device: str | None = None
    tile: int | None = 640
    overlap: float = 0.2
    threshold: float | None = None
    batch_size: int = 1
    tta: bool = False
    half: bool = False

    def model_config(self) -> str | Config:
        """The config, with the settings that override its own."""
        return read_config(self.config, self.cfg_options) if self.cfg_options else self.config

    def build(self) -> SmallObjectInferencer:
        """The inferencer."""
        return SmallObjectInferencer(
            self.model_config(), self.weights, self.device, tta=self.tta, half=self.half
        )


class RayInferencer:
    """What ``ray.data.Dataset.map_batches`` takes: a network for batches of paths or bytes.

    A batch has the column ``path``, and ``bytes`` where the images are not files. The result has a
    row for each image: path, width, height, error (empty where there is none), and lists bboxes,
    centroids, areas, scores, labels.

    Args:
        settings: How images are inferred.

    Example:
        >>> images = ray.data.from_items([dict(path='a.png')])  # doctest: +SKIP
        >>> images.map_batches(  # doctest: +SKIP
        ...     RayInferencer, fn_constructor_args=(Settings('ismallnet_s_nuaa'),), concurrency=2
        ... ).write_parquet('out')
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.inferencer = settings.build()

    def __call__(self, batch: dict[str, np.ndarray]) -> Any:
        """Infer a batch.

        Returns:
            A ``pyarrow.Table``.
        """
        import pyarrow

        rows = list(self.rows(list(batch['path']), batch.get('bytes')))
        return pyarrow.Table.from_pylist(rows, schema=parquet_schema())

    def rows(
        self, paths: Sequence[str], data: Sequence[bytes | None] | np.ndarray | None
    ) -> Iterator[dict]:
        """A row for each image, in their order."""
        settings = self.settings
        contents = [None] * len(paths) if data is None else data
        reads = [
            None if content is None else partial(_decode, str(path), content)
            for path, content in zip(paths, contents)
        ]
        sources = [
            Source(str(number), str(path), read=read)
            for number, (path, read) in enumerate(zip(paths, reads))
        ]
        stream = self.inferencer.stream(
            sources, settings.batch_size, settings.tile, settings.overlap, settings.threshold
        )
        for result in stream:
            row: dict[str, Any] = dict(path=printable(result.source.path))
            if result.sample is None:
                yield dict(row, width=0, height=0, error=one_line(_error(result.error)),
                           **dict.fromkeys(Targets._fields, []))  # fmt: skip
                continue
            height, width = result.sample.ori_shape
            columns = {k: v.tolist() for k, v in result.targets._asdict().items()}
            yield dict(row, width=width, height=height, error='', **columns)


def _error(error: Exception | None) -> Exception:
    return ValueError('not readable') if error is None else error


def _decode(name: str, data: bytes) -> np.ndarray:
    """An encoded image as array.

    Raises:
        UserError: It is none.
    """
    try:
        return pil_array(Image.open(io.BytesIO(data)))
    except Exception as error:  # decoders raise SyntaxError and others; all mean a damaged image
        reason = ' '.join(str(error).split())[:200]
        raise UserError(f'{name}: not readable as an image ({len(data)} bytes; {reason})') from None


def parquet_schema() -> Any:
    """The columns of a part, as ``pyarrow.Schema``."""
    import pyarrow as pa

    number, pair = pa.list_(pa.float32()), pa.list_(pa.list_(pa.float32()))
    return pa.schema(
        dict(
            path=pa.string(), width=pa.int32(), height=pa.int32(), error=pa.string(), bboxes=pair,
            centroids=pair, areas=number, scores=number, labels=pa.list_(pa.int64()),
        )
    )  # fmt: skip


class PartWriter:
    """A worker: infers the images of a part and writes ``part-NUMBER.parquet`` and ``.json``.

    Args:
        settings: How images are inferred.
        folder: Folder of the results.
    """

    def __init__(self, settings: Settings, folder: str) -> None:
        self.infer = RayInferencer(settings)
        self.folder = Path(folder)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Write the parts of a batch; a row with the number of images and errors for each."""
        import pyarrow
        import pyarrow.parquet

        counts = []
        for text in batch['part']:
            part = json.loads(text)
            paths, data = read_part(part)
            rows = list(self.infer.rows(paths, data))
            inferencer = self.infer.inferencer
            background = inferencer.task == 'segmentation'
            categories = coco_categories(inferencer.classes, background, None)
            results: list[dict] = []
            for row in rows:
                targets = _targets(row)
                results += coco_results(targets, row['path'], categories, background)
            file = part_path(self.folder, part['number'])
            atomic_write_json(file.with_suffix('.json'), results)
            table = pyarrow.Table.from_pylist(rows, schema=parquet_schema())
            with atomic_file(file) as stream:  # last: it says that the part is finished
                pyarrow.parquet.write_table(table, stream)
            counts.append((len(rows), sum(bool(row['error']) for row in rows)))
        images, errors = zip(*counts)
        return dict(images=np.array(images), errors=np.array(errors))


def _targets(row: dict) -> Targets:
    shapes = dict(bboxes=(-1, 4), centroids=(-1, 2))
    return Targets(*(
        np.array(row[name], dtype=np.int64 if name == 'labels' else np.float32).reshape(
            shapes.get(name, (-1,))
        )
        for name in Targets._fields
    ))  # fmt: skip
