# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Images in parts of a few hundred: from paths, folders, patterns and Parquet files."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from smallobj_mm.utils.errors import UserError, one_line
from smallobj_mm.utils.io import PathLike

from .sources import VIDEO_SUFFIXES, list_sources

#: Images of a part.
PART_SIZE = 500
# Columns of a Parquet file of images, the first one that is there: the encoded image; its path.
BYTES_COLUMNS, PATH_COLUMNS = ('bytes', 'image', 'data'), ('path', 'file_name', 'image_path')


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
        name = os.fspath(given)
        tables = _parquet_files(name)
        if not tables:
            sources = list_sources(name)
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


def number_of_images(part: dict) -> int:
    """Number of images of a part."""
    return len(part['paths']) if 'paths' in part else part['stop'] - part['start']
