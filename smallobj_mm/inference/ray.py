# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Many images on Ray Data: parts that workers finish one by one, whole or not at all.

A part is a few hundred images. A worker writes its results under the part's name when all of them
are done; what Ray runs again after a worker died, and what a second call finds missing, are whole
parts.
"""

from __future__ import annotations

import glob
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from smallobj_mm.utils.configs import read_config
from smallobj_mm.utils.errors import MissingPackageError, UserError, one_line
from smallobj_mm.utils.io import PathLike, atomic_file, atomic_write_json
from smallobj_mm.utils.messages import printable

from .arrays import pil_array
from .inferencer import SmallObjectInferencer
from .sources import VIDEO_SUFFIXES, Source, list_sources
from .targets import Targets
from .writers import coco_categories, coco_results

#: Images of a part.
PART_SIZE = 500
# Columns of a Parquet file of images, the first one that is there: the encoded image; its path.
BYTES_COLUMNS, PATH_COLUMNS = ('bytes', 'image', 'data'), ('path', 'file_name', 'image_path')


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

    def build(self) -> SmallObjectInferencer:
        """The inferencer."""
        config: Any = self.config
        if self.cfg_options:
            config = read_config(self.config, self.cfg_options)
        return SmallObjectInferencer(
            config, self.weights, self.device, tta=self.tta, half=self.half
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
        self, paths: Sequence[str], data: Sequence[bytes] | np.ndarray | None
    ) -> Iterator[dict]:
        """A row for each image, in their order."""
        settings = self.settings
        sources = [
            Source(str(number), str(path)) if data is None or data[number] is None
            else Source(str(number), str(path), read=partial(_decode, str(path), data[number]))
            for number, path in enumerate(paths)
        ]  # fmt: skip
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
    except (OSError, ValueError, Image.DecompressionBombError) as error:
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


def part_path(folder: Path, number: int) -> Path:
    """The Parquet file of a part."""
    return folder / f'part-{number:06d}.parquet'


def list_parts(inputs: Iterable[PathLike], part_size: int) -> list[dict]:
    """The parts of some inputs, in a stable order.

    Args:
        inputs: Images, folders, patterns, and Parquet files (or folders and patterns of them) with
            a column of paths, or of encoded images.
        part_size: Images of a part.

    Returns:
        Each with its ``number``, and ``paths``, or a ``file`` with the ``start`` and ``stop`` of
        its rows.

    Raises:
        FileNotFoundError: A path is not there.
        UserError: There is no image, or a video.
    """
    parts: list[dict] = []
    paths: list[str] = []
    for given in inputs:
        one = os.fspath(given)
        tables = _parquet_files(one)
        if not tables:
            sources = list_sources(one)
            videos = [s.path for s in sources if s.path.lower().endswith(VIDEO_SUFFIXES)]
            if videos:
                raise UserError(f'{videos[0]}: a video; the Ray engine takes images alone')
            paths += [source.path for source in sources]
        for file in tables:
            number = _rows_of(file)
            parts += [
                dict(file=file, start=start, stop=min(start + part_size, number))
                for start in range(0, number, part_size)
            ]
    paths = list(dict.fromkeys(paths))
    parts += [dict(paths=paths[i : i + part_size]) for i in range(0, len(paths), part_size)]
    if not parts:
        raise UserError('no image in the inputs, expected images or Parquet files with rows')
    return [dict(part, number=number) for number, part in enumerate(parts)]


def _parquet_files(path: str) -> list[str]:
    """The Parquet files that a path, folder or pattern stands for; none if it is of images."""
    if os.path.isdir(path):
        return sorted(glob.glob(os.path.join(glob.escape(path), '**/*.parquet'), recursive=True))
    if path.endswith('.parquet'):
        return sorted(glob.glob(path, recursive=True)) or [path]
    return []


def _rows_of(file: str) -> int:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(file)
    except FileNotFoundError:
        raise FileNotFoundError(f'{file}: no such file') from None
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f'{file}: not readable as Parquet ({one_line(error)[:200]})') from None
    with table:
        _columns(file, table.schema_arrow.names)
        return table.metadata.num_rows


def _columns(file: str, names: Sequence[str]) -> tuple[str | None, str | None]:
    """The columns of bytes and of paths that a Parquet file has.

    Raises:
        UserError: Neither.
    """
    data = next((name for name in BYTES_COLUMNS if name in names), None)
    path = next((name for name in PATH_COLUMNS if name in names), None)
    if data is None and path is None:
        raise UserError(
            f'{file}: columns {", ".join(names)}, expected one of {", ".join(PATH_COLUMNS)} '
            f'(paths) or {", ".join(BYTES_COLUMNS)} (encoded images)'
        )
    return data, path


def read_part(part: dict) -> tuple[list[str], list[bytes] | None]:
    """Paths of the images of a part, and their encoded content where they are no files."""
    if 'paths' in part:
        return part['paths'], None
    import pyarrow.dataset

    file, start = part['file'], part['start']
    table = pyarrow.dataset.dataset(file, format='parquet')
    data, path = _columns(file, table.schema.names)
    wanted = [name for name in (data, path) if name is not None]
    rows = table.take(range(start, part['stop']), columns=wanted).to_pydict()
    paths = rows[path] if path is not None else [None] * (part['stop'] - start)
    named = [f'{file}#{start + i}' if one is None else one for i, one in enumerate(paths)]
    # As data sets on the Hugging Face hub have it: a record of bytes and path.
    content = None if data is None else [
        one['bytes'] if isinstance(one, dict) else one for one in rows[data]
    ]  # fmt: skip
    return named, content


def run_on_ray(
    inputs: Iterable[PathLike],
    folder: PathLike,
    settings: Settings,
    workers: int = 2,
    part_size: int = PART_SIZE,
) -> Iterator[tuple[int, int, int]]:
    """Infer images by workers of Ray Data; a second call goes on with the parts that are left.

    Args:
        inputs: See :func:`list_parts`.
        folder: Gets ``part-NUMBER.parquet`` and ``part-NUMBER.json`` (COCO results arrays).
        settings: How images are inferred.
        workers: Number of workers, each with a network of its own.
        part_size: Images of a part.

    Yields:
        After each part: images that are done, those of them that could not be read, all images;
        the first time before any part of this call.

    Raises:
        MissingPackageError: Ray is not installed.
        UserError: The folder holds parts of other inputs or settings.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingPackageError(
            '--engine ray: needs ray, which is not installed; pip install "smallobj_mm[ray]"'
        ) from None
    folder = Path(folder)
    parts = list_parts(inputs, part_size)
    _adopt(folder, parts, settings)
    left = [part for part in parts if not part_path(folder, part['number']).is_file()]
    total = sum(map(_size, parts))
    done, errors = total - sum(map(_size, left)), 0
    yield done, errors, total
    if not left:
        return
    started = not ray.is_initialized()
    if started:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level='ERROR')
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        gpus = 1 if ray.cluster_resources().get('GPU') and settings.device != 'cpu' else 0
        rows = [dict(part=json.dumps(part)) for part in left]
        counts = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            PartWriter,
            fn_constructor_args=(settings, str(folder.resolve())),
            batch_size=1,
            concurrency=min(workers, len(left)),
            num_gpus=gpus or None,
        )
        for row in counts.iter_rows():
            done += int(row['images'])
            errors += int(row['errors'])
            yield done, errors, total
    finally:
        if started:
            ray.shutdown()


def _size(part: dict) -> int:
    return len(part['paths']) if 'paths' in part else part['stop'] - part['start']


def _adopt(folder: Path, parts: list[dict], settings: Settings) -> None:
    """Write what the parts depend on, or compare it with that of the earlier call.

    Raises:
        UserError: They differ.
    """
    digest = hashlib.sha256(json.dumps(parts).encode('utf-8', 'surrogatepass')).hexdigest()
    content = dict(asdict(settings), inputs=digest, device=None)
    path = folder / 'settings.json'
    if not path.is_file():
        atomic_write_json(path, content, indent=1)
        return
    try:
        before = json.loads(path.read_text(encoding='utf-8'))
        differ = [key for key in content if before.get(key) != content[key]]
    except (ValueError, AttributeError):
        differ = ['settings.json']
    if differ:
        raise UserError(
            f'{folder}: holds parts with other {", ".join(differ)}; go on with the same inputs and '
            'settings, or give another folder'
        )


def read_parts(folder: PathLike) -> Any:
    """All finished parts of a folder as one ``pyarrow.Table``."""
    import pyarrow.dataset

    files = [str(path) for path in sorted(Path(folder).glob('part-*.parquet'))]
    return pyarrow.dataset.dataset(files, schema=parquet_schema(), format='parquet').to_table()
