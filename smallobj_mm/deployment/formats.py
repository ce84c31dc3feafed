# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Writing a network in each format."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .backends import EXTRA_FILE, require
from .metadata import KEY, ExportInfo
from .network import ExportedNetwork

#: ONNX's version of operators: the first with all that the networks need in one operator each.
OPSET = 17
#: Name of the input.
INPUT = 'images'

#: Writer of a format: network, example of the input, description, file.
Writer = Callable[[ExportedNetwork, Tensor, ExportInfo, Path], None]


def write_onnx(network: ExportedNetwork, example: Tensor, info: ExportInfo, path: Path) -> None:
    """Write an .onnx file; batch and size of the images are free.

    It is written by tracing. PyTorch's other exporter (``dynamo=True``) writes the same graph in
    ten times the time, and not where the number of boxes depends on the image.

    Args:
        network: What is exported.
        example: A batch of its input; traced with it.
        info: Goes into the file.
        path: The file.

    Raises:
        MissingPackageError: onnx is not installed.
    """
    require('onnx', path.name)
    sizes: dict[str, Any] = {'dynamic_axes': {INPUT: {0: 'batch', 2: 'height', 3: 'width'}}}
    for name in info.outputs:
        free = {0: 'batch'}
        if not (info.postprocess and info.scope == 'mmdet'):
            free.update({2: f'{name}_height', 3: f'{name}_width'})
        sizes['dynamic_axes'][name] = free
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            network,
            (example,),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(info.outputs),
            **sizes,
        )
    set_onnx_info(path, info)


def set_onnx_info(path: Path, info: ExportInfo) -> None:
    """Put the description into an .onnx file, and check it."""
    onnx = require('onnx', path.name)
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {KEY: info.to_json()})
    onnx.checker.check_model(model)
    onnx.save(model, path)


def write_openvino(network: ExportedNetwork, example: Tensor, info: ExportInfo, path: Path) -> None:
    """Write an .xml file and the .bin with its weights; the arguments are those of `write_onnx`.

    OpenVINO converts the graph of :func:`write_onnx`, so that both say the same.

    Raises:
        MissingPackageError: openvino or onnx is not installed.
    """
    openvino = require('openvino', path.name)
    graph = path.with_suffix('.onnx')
    try:
        write_onnx(network, example, info, graph)
        model = openvino.convert_model(graph)
    finally:
        graph.unlink(missing_ok=True)
    save_openvino(model, path, info)


def save_openvino(model: Any, path: Path, info: ExportInfo) -> None:
    """Write a model of OpenVINO with its description."""
    model.set_rt_info(info.to_json(), KEY)
    # By default the weights would be rounded to 16 bits.
    require('openvino', path.name).save_model(model, path, compress_to_fp16=False)


def write_torchscript(
    network: ExportedNetwork, example: Tensor, info: ExportInfo, path: Path
) -> None:
    """Write a .torchscript file; the arguments are those of :func:`write_onnx`."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')
        # Freezing changes modules: a copy of the network leaves the check its reference.
        traced = torch.jit.trace(copy.deepcopy(network), (example,), check_trace=False)
        frozen = torch.jit.freeze(traced.eval())
        torch.jit.save(frozen, str(path), _extra_files={EXTRA_FILE: info.to_json()})


#: Format -> (endings of its files, the one that is loaded first; writer).
FORMATS: dict[str, tuple[tuple[str, ...], Writer]] = {
    'onnx': (('.onnx',), write_onnx),
    'openvino': (('.xml', '.bin'), write_openvino),
    'torchscript': (('.torchscript',), write_torchscript),
}
