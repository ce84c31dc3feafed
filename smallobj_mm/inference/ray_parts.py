# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Images in parts of a few hundred: from paths, folders, patterns and Parquet files."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from smallobj_mm.datasets.files import list_files, list_images
from smallobj_mm.utils.errors import UserError, one_line
from smallobj_mm.utils.io import PathLike

from .sources import VIDEO_SUFFIXES, list_sources

#: Images of a part.
PART_SIZE = 500
# Columns of a Parquet file of images, the first one that is there and has values of that kind: the
# encoded image; its path.
BYTES_COLUMNS = ('bytes', 'image', 'data')
PATH_COLUMNS = ('path', 'file_name', 'image_path', 'image')


def part_path(folder: Path, number: int) -> Path:
    """The Parquet file of a part."""
    return folder / f'part-{number:06d}.parquet'


def list_parts(
    inputs: Iterable[PathLike], part_size: int, results: PathLike | None = None
) -> list[dict]:
    """The parts of some inputs, in a stable order.

    Args:
        inputs: Images, folders, patterns, and Parquet files (or folders and patterns of them) with
            a column of paths, or of encoded images.
        part_size: Images of a part.
        results: Folder of results; what folders and patterns find in it is left out.

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
        tables = _parquet_files(name, results)
        if not tables or _has_images(name):
            sources = [s.path for s in list_sources(name) if not _lies_in(s.path, results)]
            videos = [path for path in sources if path.lower().endswith(VIDEO_SUFFIXES)]
            if videos:
                raise UserError(f'{videos[0]}: a video; the Ray engine takes images alone')
            paths += sources
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


def _parquet_files(path: str, results: PathLike | None) -> list[str]:
    """The Parquet files that a path, folder or pattern stands for; none if it is of images."""
    pattern = os.path.join(glob.escape(path), '**/*.parquet') if os.path.isdir(path) else path
    if not pattern.endswith('.parquet'):
        return []
    found = sorted(glob.glob(pattern, recursive=True))
    if not found and pattern == path:
        return [path]
    return [file for file in found if not _lies_in(file, results)]


def _has_images(path: str) -> bool:
    """Whether a path is a folder with images or videos in it."""
    if not os.path.isdir(path):
        return False
    return bool(list_images(path) or list_files(path, VIDEO_SUFFIXES))


def _lies_in(path: str, folder: PathLike | None) -> bool:
    if folder is None:
        return False
    return os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep)


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
        _columns(file, _types(table.schema_arrow))
        return table.metadata.num_rows


def _types(schema: Any) -> dict[str, str]:
    """The type of each column of a ``pyarrow.Schema``, as text."""
    return {name: str(schema.field(name).type) for name in schema.names}


def _columns(file: str, types: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The columns of bytes and of paths that a Parquet file has.

    Raises:
        UserError: Neither.
    """
    data = next((name for name in BYTES_COLUMNS if _is_data(types.get(name, ''))), None)
    path = next((name for name in PATH_COLUMNS if _is_of('string', types.get(name, ''))), None)
    if data is None and path is None:
        found = ', '.join(f'{name} ({kind})' for name, kind in types.items())
        raise UserError(
            f'{file}: columns {found}, expected one of {", ".join(PATH_COLUMNS)} '
            f'(paths: string) or {", ".join(BYTES_COLUMNS)} (encoded images: binary)'
        )
    return data, path


def _is_data(kind: str) -> bool:
    """Whether an Arrow type is of bytes, or of records of bytes and path."""
    return _is_of('binary', kind) or (kind.startswith('struct<') and 'bytes: ' in kind)


def _is_of(what: str, kind: str) -> bool:
    """Whether an Arrow type is 'binary' or 'string', or a large or dictionary-encoded one."""
    return kind.removeprefix('dictionary<values=').startswith((what, f'large_{what}'))


def read_part(part: dict) -> tuple[list[str], list[bytes | None] | None]:
    """Paths of the images of a part, and their encoded content where they are no files."""
    if 'paths' in part:
        return part['paths'], None
    import pyarrow.dataset

    file, start = part['file'], part['start']
    table = pyarrow.dataset.dataset(file, format='parquet')
    data, path = _columns(file, _types(table.schema))
    wanted = [name for name in (data, path) if name is not None]
    rows = table.take(range(start, part['stop']), columns=wanted).to_pydict()
    paths = rows[path] if path is not None else [None] * (part['stop'] - start)
    content = None if data is None else rows[data]
    return _unpack([f'{file}#{row}' for row in range(start, part['stop'])], paths, content)


def _unpack(
    names: Sequence[str], paths: Sequence[str | None], content: Sequence[Any] | None
) -> tuple[list[str], list[bytes | None] | None]:
    """Paths and encoded images of rows, whose content may be records of bytes and path.

    Data sets on the Hugging Face hub have such records.

    Args:
        names: What rows without a path are called.
        paths: Of each row, None where it has none.
        content: Of each row bytes, a record, or None; None without such a column.
    """
    records = [one if isinstance(one, dict) else dict(bytes=one) for one in content or ()]
    own = [record.get('path') for record in records] or paths
    named = [path or inner or name for path, inner, name in zip(paths, own, names)]
    return named, None if content is None else [record.get('bytes') for record in records]


def number_of_images(part: dict) -> int:
    """Number of images of a part."""
    return len(part['paths']) if 'paths' in part else part['stop'] - part['start']
