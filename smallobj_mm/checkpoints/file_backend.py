# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A local file backend of mmengine that never leaves half a file behind."""

from pathlib import Path
from typing import Union

from mmengine.fileio import LocalBackend, register_backend

from smallobj_mm.utils.io import atomic_write_bytes

#: The name for ``backend_args=dict(backend=ATOMIC_BACKEND)``.
ATOMIC_BACKEND = 'smallobj_mm_atomic'


class AtomicLocalBackend(LocalBackend):
    """``LocalBackend`` whose files take their place only when completely on the disk."""

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        """Write bytes whole or not at all."""
        atomic_write_bytes(filepath, obj)

    def put_text(self, obj: str, filepath: Union[str, Path], encoding: str = 'utf-8') -> None:
        """Write text whole or not at all."""
        atomic_write_bytes(filepath, obj.encode(encoding))


register_backend(ATOMIC_BACKEND, AtomicLocalBackend, force=True)
