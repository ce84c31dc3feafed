# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Reading checkpoints as plain data: nothing in a file can run code."""

import errno
import json
import os
import pickle
import re
import struct
import zipfile
from collections import OrderedDict
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Union

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import get_external_models, get_torchvision_models

from smallobj_mm.checkpoints.downloads import fetch
from smallobj_mm.checkpoints.state_dict import flatten_tensors
from smallobj_mm.utils.errors import MissingPackageError, UserError
from smallobj_mm.utils.messages import brief

MapLocation = Union[str, torch.device, Callable, None]

#: What a HistoryBuffer (mmengine's log history, part of each training checkpoint) refers to.
_STATISTICS = ('min', 'max', 'current', 'mean')

#: Bytes of a tensor that need not be in the file: an expanded one may be legitimate.
_SMALL = 1 << 20


def _history_statistic(owner: type, name: str) -> Callable:
    """Stand in for ``getattr`` in a pickle: the four methods that a HistoryBuffer refers to.

    mmengine allows the real ``getattr``. With that a file can reach ``builtins`` (through
    ``getattr.__self__``) and overwrite any function of the interpreter with ``exec``.
    """
    if owner is HistoryBuffer and name in _STATISTICS:
        return getattr(owner, name)
    raise pickle.UnpicklingError(f'Unsupported global: GLOBAL getattr of {name!r}')


def _allowed_globals() -> list:
    """Classes and functions that mmengine's training checkpoints hold besides tensors."""
    multiarray = (np._core if hasattr(np, '_core') else np.core).multiarray
    number_types = (np.bool_, np.uint8, np.int32, np.uint32, np.int64, np.float32, np.float64)
    dtypes = [type(np.dtype(kind)) for kind in number_types]
    aliases = [
        (function, f'numpy.{core}.multiarray.{function.__name__}')
        for function in (multiarray._reconstruct, multiarray.scalar)
        for core in ('core', '_core')
    ]
    return [
        *aliases,
        np.ndarray,
        np.dtype,
        *dtypes,
        slice,
        HistoryBuffer,
        (_history_statistic, 'builtins.getattr'),
    ]


@contextmanager
def _only_plain_data() -> Iterator[None]:
    """Let ``torch.load(weights_only=True)`` accept our list, and nothing that others added."""
    previous = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(_allowed_globals())
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(previous)


def load_plain(path: Union[str, os.PathLike], map_location: MapLocation = 'cpu') -> dict:
    """Read a checkpoint that may come from anywhere, without running anything in it.

    Args:
        path: A ``.safetensors`` file, or one that ``torch.save`` wrote (any other suffix).
        map_location: Where the tensors go, as in :func:`torch.load`; for ``.safetensors`` a device.

    Returns:
        The dict in the file: tensors, numbers, strings and containers of them, and mmengine's
        ``HistoryBuffer``.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The file cannot be read (a folder, permissions, the disk), holds objects other
            than data, is damaged, or is no checkpoint.
        MissingPackageError: A ``.safetensors`` file without the package ``safetensors``.
    """
    path = os.path.expanduser(os.fspath(path))
    _check_readable(path)
    if path.endswith('.safetensors'):
        return _load_safetensors(path, map_location)
    _check_archive(path)
    with _only_plain_data():
        data = _load_pickle(path, map_location)
    if not isinstance(data, dict):
        raise UserError(
            f'{path}: holds a {type(data).__name__}, not a checkpoint; expected a '
            'dict of tensors, plain or under a key such as state_dict'
        )
    _check_sizes(data, path)
    return data


def _check_readable(path: str) -> None:
    """Read the first byte, so that what fails later is a matter of what the file holds.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It is there and cannot be read, or is empty.
    """
    try:
        with open(path, 'rb') as file:
            empty = not file.read(1)
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: no such checkpoint file; check the path') from None
    except IsADirectoryError:
        raise UserError(f'{path}: a folder; give the path of a checkpoint file in it') from None
    except PermissionError:
        raise UserError(
            f'{path}: not readable for this user (permission denied); change the permissions of '
            'the file or of a folder above it'
        ) from None
    except (OSError, ValueError) as error:  # the latter: no name of a file
        raise UserError(
            f'{path!r}: cannot be read ({_reason(error)}); check the path and the disk'
        ) from None
    if empty:
        raise UserError(f'{path}: empty, not a checkpoint; copy or download it again')


#: How the readers of PyTorch stumble over bytes that no torch.save has written: an unpickler
#: carries out instructions, and those of a damaged file are any.
_OF_DAMAGE = (
    RuntimeError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    struct.error,
)


def _load_pickle(path: str, map_location: MapLocation) -> Any:
    """Read what ``torch.save`` wrote, of plain data.

    Raises:
        UserError: The file holds other objects, or is damaged.
    """
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(_explain(path, str(error))) from None
    except (OSError, *_OF_DAMAGE) as error:
        if isinstance(error, RuntimeError) and 'CUDA' in str(error):
            raise  # a CUDA checkpoint onto a machine without: torch says it well
        # EINVAL: the directory at the end of a truncated file makes torch seek to before its start.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise UserError(
                f'{path}: cannot be read ({_reason(error)}); check the path and the disk'
            ) from None
        raise UserError(
            f'{path}: damaged or not a checkpoint ({_first_line(error)}); expected a file that '
            'torch.save has written completely, copy or download it again'
        ) from None


def _reason(error: Exception) -> str:
    return getattr(error, 'strerror', None) or str(error)


def _check_archive(path: str) -> None:
    """Refuse compressed parts: torch.save writes none, and a few bytes may be gigabytes.

    Raises:
        UserError: There is one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        return  # of an older format, or damaged: torch says it
    for part in parts:
        if part.compress_type != zipfile.ZIP_STORED:
            raise UserError(
                f'{path}: not a checkpoint of torch.save, its part {brief(part.filename)} is '
                'compressed; expected parts as they are, save the checkpoint again'
            )


def _check_sizes(data: dict, path: str) -> None:
    """Refuse tensors that repeat what is in the file until no memory is left for a copy.

    Raises:
        UserError: There is one.
    """
    size = os.path.getsize(path)
    try:
        tensors = list(flatten_tensors(data))
    except RecursionError:
        raise UserError(
            f'{path}: nested too deeply, expected a dict of tensors, plain or under a key such as '
            'state_dict'
        ) from None
    for name, tensor in tensors:
        if tensor.layout == torch.strided and not tensor.is_meta:
            if tensor.numel() * tensor.element_size() > max(size, _SMALL):
                raise UserError(
                    f'{path}: {brief(name)} has the shape {tuple(tensor.shape)}, more than the '
                    f'{size} bytes of the file; expected whole tensors, save the checkpoint again'
                )


def _load_safetensors(path: str, map_location: MapLocation) -> dict:
    """Read a ``.safetensors`` file, which cannot hold anything but tensors."""
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise MissingPackageError(
            f'{path}: reading it needs the package safetensors, install it with '
            'pip install safetensors'
        ) from None
    if map_location is not None and not isinstance(map_location, (str, torch.device)):
        raise UserError(
            f'{path}: map_location of a .safetensors file must be a device, found '
            f'{type(map_location).__name__}'
        )
    try:
        return load_file(path, device=str(map_location or 'cpu'))
    except SafetensorError as error:
        raise UserError(
            f'{path}: damaged or not a safetensors file ({_first_line(error)}); copy '
            'or download it again'
        ) from None


def read_header(path: Union[str, os.PathLike]) -> dict[str, str]:
    """What a ``.safetensors`` file says of itself, beside its tensors.

    Args:
        path: A checkpoint that :func:`load_plain` has read.

    Returns:
        Key -> value; empty where there is none, as in any other kind of file.
    """
    path = os.path.expanduser(os.fspath(path))
    if not path.endswith('.safetensors'):
        return {}
    from safetensors import safe_open

    with safe_open(path, 'pt') as file:
        return dict(file.metadata() or {})


def _explain(path: str, message: str) -> str:
    """One line for what torch's restricted unpickler refused in ``path``."""
    match = re.search(r'GLOBAL (\S+(?: of \S+)?)', message)
    if 'GLOBAL' in message or 'unrecognized function' in message or 'BUILD' in message:
        what = f' ({match.group(1).rstrip(".,")})' if match else ''
        return (
            f'{path}: refused, it holds code or objects other than tensors{what}; expected '
            'tensors, numbers and strings only, save its state dict alone or as .safetensors'
        )
    return (
        f'{path}: damaged or not a checkpoint (not a file of torch.save); expected a '
        'checkpoint, copy or download it again'
    )


def _first_line(error: BaseException) -> str:
    first = (str(error).strip().splitlines() or [''])[0].partition('. ')[0][:160]
    return f'{type(error).__name__}: {first}' if first else type(error).__name__


def load_from_local_plain(filename: str, map_location: MapLocation = None) -> dict:
    """mmengine's loader of local files, by :func:`load_plain`.

    A file that is a state dict and nothing else (``.safetensors``, published weights) comes under
    ``state_dict``, where the runner's hooks look for it, with a ``meta`` beside it, which mmseg
    asks for; its ``dataset_meta`` has the classes that the header of the file names.
    """
    data = _without_program(load_plain(filename, map_location))
    if data and all(isinstance(value, torch.Tensor) for value in data.values()):
        return {'state_dict': data, 'meta': _meta(read_header(filename))}
    return data


def _meta(header: dict[str, str]) -> dict:
    """What mmengine's checkpoints say under ``meta``, from the header of a published file."""
    meta = {}
    for key in ('classes', 'palette'):
        try:
            values = json.loads(header.get(key, ''))
        except (ValueError, RecursionError):
            continue
        if isinstance(values, list):
            meta[key] = tuple(values)
    return {'dataset_meta': meta} if meta else {}


def _without_program(checkpoint: dict) -> dict:
    """A checkpoint without ``meta.config``, which mmengine runs as a config when it resumes.

    mmengine itself writes the text of a config under another name, which nothing runs.
    """
    meta = checkpoint.get('meta')
    if isinstance(meta, dict):
        meta.pop('config', None)
    return checkpoint


def load_from_http_plain(filename: str, map_location: MapLocation = None) -> dict:
    """mmengine's loader of ``http(s)://`` addresses, as :func:`load_from_local_plain`."""
    return load_from_local_plain(fetch(filename), map_location)


def load_from_torchvision_plain(filename: str, map_location: MapLocation = None) -> dict:
    """mmengine's loader of ``torchvision://`` names, as :func:`load_from_local_plain`."""
    return _load_named(filename, get_torchvision_models(), map_location)


def load_from_openmmlab_plain(filename: str, map_location: MapLocation = None) -> dict:
    """mmengine's loader of ``open-mmlab://`` names, as :func:`load_from_local_plain`."""
    return _load_named(filename, get_external_models(), map_location)


def _load_named(filename: str, addresses: dict, map_location: MapLocation) -> dict:
    scheme, _, name = filename.partition('://')
    if name not in addresses:
        raise UserError(
            f'{filename}: unknown model of {scheme}; give the path or the address of a checkpoint'
        )
    return load_from_local_plain(fetch(addresses[name]), map_location)


def load_from_refused(filename: str, map_location: MapLocation = None) -> dict:
    """Stand in for mmengine's other loaders, which fall back to unpickling anything.

    Raises:
        UserError: Always.
    """
    raise UserError(
        f'{filename}: this kind of address is not read, because mmengine would run '
        'code from it; download the file and give its path'
    )


#: Scheme -> loader; together they replace each of mmengine's own.
_LOADERS = OrderedDict(
    [
        ('', load_from_local_plain),
        ('http://', load_from_http_plain),
        ('https://', load_from_http_plain),
        ('torchvision://', load_from_torchvision_plain),
        ('modelzoo://', load_from_torchvision_plain),
        ('open-mmlab://', load_from_openmmlab_plain),
        ('openmmlab://', load_from_openmmlab_plain),
        ('mmcls://', load_from_refused),
        ('pavi://', load_from_refused),
        (r'(\S+\:)?s3://', load_from_refused),
        (r'(\S+\:)?petrel://', load_from_refused),
    ]
)


def use_safe_loader(refuse_others: bool = True) -> None:
    """Make everything in this process that loads checkpoints through mmengine use ours.

    mmengine first tries ``weights_only=True`` and, when that refuses a file, loads it again with
    everything allowed. After this call ``Runner``, ``init_cfg=dict(type='Pretrained')`` and the
    inferencers read plain data only. Calling it again changes nothing.

    Args:
        refuse_others: Also refuse the kinds of address that ours does not read (``s3://``,
            ``petrel://``, ``pavi://``, ``mmcls://``). Importing this package leaves those as they
            are, for programs that have them; its tools refuse them.
    """
    for prefix, loader in _LOADERS.items():
        if refuse_others or loader is not load_from_refused:
            CheckpointLoader.register_scheme(prefix, loader, force=True)
