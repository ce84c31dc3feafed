# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Trained models as files that ONNX Runtime, OpenVINO and TorchScript run.

``smallobj_mm.deployment.exporting`` writes them; it is not imported here, because the inferencer,
which it needs, loads such files.
"""

from .backends import Backend, load_backend
from .metadata import ExportInfo

__all__ = ['Backend', 'ExportInfo', 'load_backend']
