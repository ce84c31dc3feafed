# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Exported files in 8-bit integers, by static quantization after the training.

Ranges of activations are measured on training images, weights are quantized channel by channel.
What lies behind the last convolutions, these included, stays in floating point (boxes and scores
need more than 256 steps), and so does what lies before the first (colors and normalization).
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

from smallobj_mm.utils.errors import UserError

from .backends import require
from .calibration import CalibrationImages
from .formats import INPUT, save_openvino, set_onnx_info
from .metadata import ExportInfo

#: Writer of a format: quantized .onnx file, description, file.
Writer = Callable[[Path, ExportInfo, Path], None]


def outside_of_convolutions(
    inputs: Mapping[str, Sequence[str]], convolutions: Iterable[str]
) -> set[str]:
    """Nodes of a network that stay in floating point.

    Args:
        inputs: For each node, in an order in which all inputs come before it, the nodes that its
            inputs come from.
        convolutions: Names of the nodes that are convolutions.

    Returns:
        The nodes that do not lie between two convolutions: those without one before them, unless
        they are one, and those without one behind them.
    """
    kinds = set(convolutions)
    before: set[str] = set()  # a convolution is among what the node is computed from
    for name, sources in inputs.items():
        if any(source in kinds or source in before for source in sources):
            before.add(name)
    behind: set[str] = set()  # a convolution is among what is computed from the node
    for name in reversed(list(inputs)):
        if name in kinds or name in behind:
            behind.update(inputs[name])
    return {name for name in inputs if name not in behind or not (name in before or name in kinds)}


def quantize(source: Path, target: Path, images: CalibrationImages) -> None:
    """Quantize an .onnx file by ONNX Runtime's static quantization.

    Args:
        source: The .onnx file in floating point.
        target: The new file.
        images: What the ranges are measured on.

    Raises:
        MissingPackageError: onnx or onnxruntime is not installed.
    """
    onnx = require('onnx', target.name)
    tools = require('onnxruntime.quantization', target.name)
    model = onnx.load(source)
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f'{node.op_type}_{index}'
    maker = {output: node.name for node in model.graph.node for output in node.output}
    inputs = {
        node.name: [maker[name] for name in node.input if name in maker]
        for node in model.graph.node
    }
    kinds = [node.name for node in model.graph.node if node.op_type in ('Conv', 'ConvTranspose')]
    named = target.with_name(f'{target.stem}_named.onnx')
    onnx.save(model, named)

    class Reader(tools.CalibrationDataReader):  # type: ignore[name-defined]
        """What the quantizer asks for the images."""

        def __init__(self) -> None:
            self.images = iter(images)

        def get_next(self) -> dict[str, Any] | None:
            """The next image, None behind the last."""
            image = next(self.images, None)
            return None if image is None else {INPUT: image.contiguous().numpy()}

    try:
        with _only_errors():
            tools.quantize_static(
                str(named),
                str(target),
                Reader(),
                quant_format=tools.QuantFormat.QDQ,
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                per_channel=True,
                nodes_to_exclude=sorted(outside_of_convolutions(inputs, kinds)),
            )
    finally:
        named.unlink(missing_ok=True)


def _write_onnx(quantized: Path, info: ExportInfo, path: Path) -> None:
    shutil.copyfile(quantized, path)
    set_onnx_info(path, info)


def _write_openvino(quantized: Path, info: ExportInfo, path: Path) -> None:
    """OpenVINO fuses the pairs of quantization and back into integer operators by itself."""
    save_openvino(require('openvino', path.name).convert_model(quantized), path, info)


@contextmanager
def _only_errors() -> Iterator[None]:
    """Silence the quantizer, which advises on the root logger."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


#: Format -> what writes it in INT8.
INT8_WRITERS: dict[str, Writer] = {'onnx': _write_onnx, 'openvino': _write_openvino}


def check_formats(formats: Sequence[str]) -> None:
    """Raise UserError if a format cannot be quantized."""
    unknown = [name for name in formats if name not in INT8_WRITERS]
    if unknown:
        raise UserError(
            f'int8: found the format {", ".join(unknown)}, expected of {", ".join(INT8_WRITERS)}'
        )
