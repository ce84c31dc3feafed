# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Files from the network: once a machine, whole or not at all."""

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, get_rank, get_world_size

from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.io import atomic_file

#: Beginning of the SHA-256 in the name of published weights; digits alone may be a date.
_HASH_IN_NAME = re.compile(r'-(?=\d*[a-f])([\da-f]{8,64})\.')


def fetch(url: str) -> str:
    """Download ``url`` once on each machine, whole or not at all; the file in torch's cache."""
    folder = os.path.join(torch.hub.get_dir(), 'checkpoints')
    path = os.path.join(folder, os.path.basename(urlparse(url).path))
    try:
        if _first_of_machine() and not os.path.isfile(path):
            _download(url, path)
    finally:
        barrier()
    return path


def _first_of_machine() -> bool:
    """Whether this process is the one of its machine that downloads."""
    if get_world_size() == 1:  # whatever the environment says
        return True
    return int(os.environ.get('LOCAL_RANK', get_rank())) == 0


def _download(url: str, path: str) -> None:
    """Write what an address gives to ``path``, if it gives all of it.

    Raises:
        UserError: It cannot be read, ends early, or is not what its name says: names of published
            weights end in the beginning of their SHA-256.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=60) as reply, atomic_file(path) as file:
            expected = reply.headers.get('Content-Length')
            while block := reply.read(1 << 20):
                digest.update(block)
                size += len(block)
                file.write(block)
            if expected is not None and size != int(expected):
                raise UserError(
                    f'{url}: ended after {size} of {expected} bytes, nothing is kept; try again'
                )
            named = _HASH_IN_NAME.search(os.path.basename(path))
            if named and not digest.hexdigest().startswith(named.group(1)):
                raise UserError(
                    f'{url}: its SHA-256 begins with {digest.hexdigest()[:8]}, expected '
                    f'{named.group(1)} as in its name, nothing is kept; try again'
                )
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        reason = getattr(error, 'reason', None) or error
        raise UserError(
            f'{url}: cannot be downloaded ({reason}); check the address and the network, or '
            f'download it yourself as {path}'
        ) from None
