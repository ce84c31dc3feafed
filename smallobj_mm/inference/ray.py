# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Many images on Ray Data: parts that workers finish one by one, whole or not at all.

A part is a few hundred images. A worker writes its results under the part's name when all of them
are done; what Ray runs again after a worker died, and what a second call finds missing, are whole
parts.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from smallobj_mm.models.building import find_weights, read_model_config
from smallobj_mm.utils.errors import MissingPackageError, UserError
from smallobj_mm.utils.io import PathLike, atomic_write_json

from .ray_parts import PART_SIZE, list_parts, number_of_images, part_path
from .ray_workers import PartWriter, RayInferencer, Settings, parquet_schema
from .result_folder import digest, file_stamp, fingerprint

__all__ = ['PART_SIZE', 'RayInferencer', 'Settings', 'read_parts', 'run_on_ray']


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
    parts = list_parts(inputs, part_size, folder)
    _adopt(folder, parts, settings)
    left = [part for part in parts if not part_path(folder, part['number']).is_file()]
    total = sum(map(number_of_images, parts))
    done, errors = total - sum(map(number_of_images, left)), 0
    yield done, errors, total
    if not left:
        return
    started = not ray.is_initialized()
    if started:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level='ERROR')
        logging.getLogger('ray.data').setLevel(logging.ERROR)  # progress is the caller's
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        gpus = 1 if ray.cluster_resources().get('GPU') and settings.device != 'cpu' else 0
        rows = [dict(part=json.dumps(part)) for part in left]
        counts = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            PartWriter,
            fn_constructor_args=(settings, str(folder.resolve())),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(left))),
            num_gpus=gpus or None,
        )
        for row in counts.iter_rows():
            done += int(row['images'])
            errors += int(row['errors'])
            yield done, errors, total
    finally:
        if started:
            ray.shutdown()


def _adopt(folder: Path, parts: list[dict], settings: Settings) -> None:
    """Write what the parts depend on, or compare it with that of the earlier call.

    Of weights and config that is their content, of images size and time of change, as in
    :class:`ResultFolder`.

    Raises:
        UserError: They differ.
    """
    files = dict.fromkeys(file for part in parts for file in part.get('paths') or [part['file']])
    known = json.dumps([parts, [file_stamp(file) for file in files]])
    cfg, name, _ = read_model_config(settings.model_config())
    model = fingerprint(cfg, name, find_weights(settings.weights, name))
    inputs = digest(known.encode('utf-8', 'surrogatepass'))
    content = {**asdict(settings), **model, 'inputs': inputs, 'device': None}
    content = json.loads(json.dumps(content))  # as it is read again: a tuple is a list
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
