# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""From a config and its weights to files that were compared with PyTorch."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmengine.config import Config
from torch import Tensor

from smallobj_mm.models.building import build_network, class_names, find_weights, read_model_config
from smallobj_mm.utils.errors import UserError
from smallobj_mm.version import __version__

from .backends import file_format, load_backend
from .calibration import CalibrationImages
from .checking import (
    AGREEMENT,
    TOLERANCE,
    check_backend,
    check_quantized,
    check_shapes,
    sample_images,
)
from .checksum import seal
from .formats import FORMATS, write_onnx
from .metadata import ExportInfo, head_signature
from .network import ExportedNetwork
from .quantization import INT8_WRITERS, check_formats, quantize

#: Training images that an INT8 file is compared with PyTorch on.
_CHECKED_IMAGES = 8


@dataclass(frozen=True)
class ExportOptions:
    """How a model is exported.

    Attributes:
        formats: Of 'onnx', 'openvino', 'torchscript'.
        with_preprocess: The files take uint8 images (BGR) of any size, and normalize and pad them.
        with_postprocess: The files give boxes, scores and labels, or probability and mask.
        shape: Height and width in px that the network is traced with; others work as well.
        int8: Write each file in 8-bit integers as well; of ``onnx`` and ``openvino``.
        calibration_images: Training images that the ranges of INT8 are measured on.

    Raises:
        UserError: A format is unknown or has no INT8, or a number is not positive.
    """

    formats: Sequence[str] = ('onnx',)
    with_preprocess: bool = False
    with_postprocess: bool = False
    shape: tuple[int, int] = (256, 320)
    int8: bool = False
    calibration_images: int = 200

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown or not self.formats:
            raise UserError(
                f'format: found {", ".join(unknown) or "none"}, expected of {", ".join(FORMATS)}'
            )
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise UserError(f'shape is {self.shape}, expected height and width in px')
        if self.int8:
            check_formats(self.formats)
        if self.calibration_images < 1:
            raise UserError(f'calibration_images is {self.calibration_images}, expected 1 or more')


@dataclass
class Exported:
    """What came of an export.

    Attributes:
        network: What was exported, in PyTorch.
        info: What the files say about themselves.
        files: Format -> the file that is loaded.
        differences: Format -> largest difference from PyTorch.
        int8_files: Format -> the INT8 file that is loaded.
        agreements: Format -> how well the INT8 file agrees with PyTorch, at most 1.
    """

    network: ExportedNetwork
    info: ExportInfo
    files: dict[str, Path] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)
    int8_files: dict[str, Path] = field(default_factory=dict)
    agreements: dict[str, float] = field(default_factory=dict)


def export_model(
    config: str | Path | Config,
    weights: str | Path | None,
    out: str | Path | None = None,
    options: ExportOptions = ExportOptions(),
    report: Callable[[str], None] | None = None,
) -> Exported:
    """Export a deployed model; each file appears when it was found equal to PyTorch.

    Those in INT8 appear when they agree with PyTorch, see :func:`check_quantized`.

    Args:
        config: Path of a config, name of one of the package, or an mmengine ``Config``, with
            ``default_scope`` 'mmdet' or 'mmseg'.
        weights: Checkpoint, read as plain tensors; None for those that come with the package.
        out: Where the files go, with or without the ending, which each format replaces by its own;
            None for the config's name in the current folder.
        options: See there.
        report: Called with a line on each file that was written.

    Returns:
        The network and the files.

    Raises:
        FileNotFoundError: There is no such config or checkpoint.
        MissingPackageError: A package that a format needs is not installed.
        UserError: A file does not give what PyTorch gives; it was not written.
        UserError: A setting is unknown, or a part of the model cannot be put into a file.
    """
    cfg, name, _ = read_model_config(config)
    base = _base(out, name, options.formats)
    head = head_signature(cfg.model)
    model, meta = build_network(cfg, find_weights(weights, name), 'cpu')
    network = ExportedNetwork(
        model, cfg.default_scope, options.with_preprocess, options.with_postprocess
    )
    outputs, structure = network.describe()
    info = ExportInfo(
        config=name,
        scope=cfg.default_scope,
        classes=class_names(cfg, model, meta),
        head=head,
        **network.form._asdict(),
        preprocess=options.with_preprocess,
        postprocess=options.with_postprocess,
        outputs=outputs,
        structure=structure,
        settings=network.postprocess.settings if network.postprocess is not None else {},
        software={'smallobj_mm': __version__, 'torch': torch.__version__},
    )
    result = Exported(network, info)
    divisor = network.form.size_divisor
    height, width = (-(-side // divisor) * divisor for side in options.shape)
    images = CalibrationImages(cfg, network, options.calibration_images) if options.int8 else None
    example = sample_images((2, height, width))
    if not options.with_preprocess:
        example = network.preparation(example)
    shapes = check_shapes((2, height, width), divisor, options.with_preprocess)
    for kind in dict.fromkeys(options.formats):
        endings, write = FORMATS[kind]
        with _staged(base, endings) as staged:
            write(network, example, info, staged)
            seal(staged)
            result.differences[kind] = check_backend(load_backend(staged), network, shapes)
        result.files[kind] = base.with_name(base.name + endings[0])
        if report is not None:
            report(
                f'{result.files[kind]}: equal to PyTorch, largest difference '
                f'{result.differences[kind]:.1e} (at most {TOLERANCE:.0e})'
            )
    if images is not None:
        _write_int8(result, example, images, shapes, report)
    return result


def _write_int8(
    result: Exported,
    example: Tensor,
    images: CalibrationImages,
    shapes: Sequence[tuple[int, int, int]],
    report: Callable[[str], None] | None,
) -> None:
    """Quantize the network once and write the INT8 file of each format beside the other."""
    info = dataclasses.replace(
        result.info, quantization={'tool': 'onnxruntime', 'images': str(images)}
    )
    with tempfile.TemporaryDirectory() as folder:
        plain, quantized = Path(folder) / 'plain.onnx', Path(folder) / 'int8.onnx'
        write_onnx(result.network, example, result.info, plain)
        quantize(plain, quantized, images)
        check_images = images.between(_CHECKED_IMAGES)
        for kind, source in result.files.items():
            endings = FORMATS[kind][0]
            base = source.with_name(f'{source.name.removesuffix(endings[0])}_int8')
            with _staged(base, endings) as staged:
                INT8_WRITERS[kind](quantized, info, staged)
                seal(staged)
                backend = load_backend(staged)
                agreement = check_quantized(backend, result.network, shapes, check_images)
            result.agreements[kind] = agreement
            result.int8_files[kind] = base.with_name(base.name + endings[0])
            if report is not None:
                report(
                    f'{result.int8_files[kind]}: agrees with PyTorch by {agreement:.3f} (at least '
                    f'{AGREEMENT}); {images}'
                )


def _base(out: str | Path | None, name: str, formats: Sequence[str]) -> Path:
    """Where the files go, without ending."""
    path = Path(name if out is None else out).expanduser()
    kind = file_format(path)
    if kind is None:
        return path
    if set(formats) != {kind}:
        raise UserError(
            f'--out {path}: its ending is that of {kind}, expected {", ".join(formats)}; leave the '
            'ending away'
        )
    return path.with_suffix('')


@contextmanager
def _staged(base: Path, endings: Sequence[str]) -> Iterator[Path]:
    """A place for files that take their own only if the body succeeds: all of them, or none.

    Args:
        base: Where they go, without ending.
        endings: Of the files; the first is the one that is loaded, and the last to appear.

    Yields:
        Path: Where the body writes the first; the others go beside it.
    """
    base.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{base.name}.', dir=base.parent) as folder:
        staged = Path(folder) / base.name
        yield staged.with_name(base.name + endings[0])
        first, *rest = (base.with_name(base.name + ending) for ending in endings)
        for path in (first, *rest):
            with open(Path(folder) / path.name, 'rb+') as file:
                os.fsync(file.fileno())
        if rest:  # an old description must never meet new weights
            first.unlink(missing_ok=True)
        for path in (*rest, first):
            shutil.move(Path(folder) / path.name, path)
