# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What an exported file says about itself, the same in every format."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from smallobj_mm.utils.errors import UserError

#: Under which name the file holds the description.
KEY = 'smallobj_mm'
#: Goes up when a reader of an older version would misunderstand the description.
FORMAT_VERSION = 1


@dataclass(frozen=True)
class ExportInfo:
    """The description of an exported file.

    Attributes:
        config: Name of the config.
        scope: Its ``default_scope``: 'mmdet' (detection) or 'mmseg' (segmentation).
        classes: Names of the classes by label; of segmentation the background's is the first.
        head: What decides how the outputs are read: type, number of classes, anchors.
        mean: Of each channel, after the conversion of colors; None for no normalization.
        std: Likewise.
        bgr_to_rgb: Whether the network takes RGB and the images come as BGR.
        size_divisor: What the sides of the network's input are multiples of, in px.
        pad_mode: 'constant' or 'reflect'.
        pad_value: Of 'constant', after the normalization.
        preprocess: Whether all that is in the file: it takes uint8 images in BGR of any size.
        postprocess: Whether the file gives boxes or masks instead of the network's raw maps.
        outputs: Names of the outputs.
        structure: How ``model(images, mode='tensor')`` nests the raw maps: lists of positions, or
            one position.
        settings: Of the post-processing: thresholds and limits; empty without it.
        software: Versions that made the file.
        format_version: Of this description.
        image_norm: How each image is normalized by its own level and spread; None for not.
        quantization: Of an INT8 file: the tool, and what its ranges were measured on; else None.
    """

    config: str
    scope: str
    classes: tuple[str, ...]
    head: dict[str, Any]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    bgr_to_rgb: bool
    size_divisor: int
    pad_mode: str
    pad_value: float
    preprocess: bool
    postprocess: bool
    outputs: tuple[str, ...]
    structure: Any
    settings: dict[str, Any]
    software: dict[str, str]
    format_version: int = FORMAT_VERSION
    image_norm: dict[str, Any] | None = None
    quantization: dict[str, str] | None = None

    def to_json(self) -> str:
        """The description as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | None, source: str) -> ExportInfo:
        """Read a description.

        Args:
            text: What :meth:`to_json` gave; None if the file has nothing of the kind.
            source: Path of the file, for messages.

        Raises:
            UserError: The file is not one of this package, or of a later version.
        """
        advice = 'expected a file written by tools/deployment/export.py; export the model again'
        if text is None:
            raise UserError(f'{source}: no description {KEY!r} in it, {advice}')
        try:
            values = json.loads(text)
            version = values['format_version']
            if version == FORMAT_VERSION:
                for name in ('classes', 'mean', 'std', 'outputs'):
                    values[name] = None if values[name] is None else tuple(values[name])
                return cls(**values)
        except (ValueError, TypeError, KeyError):
            raise UserError(f'{source}: its description {KEY!r} is damaged, {advice}') from None
        raise UserError(
            f'{source}: its description has version {version}, this smallobj_mm reads '
            f'{FORMAT_VERSION}; export the model again'
        )


def flatten(outputs: Any) -> tuple[list[Tensor], Any]:
    """Tensors of nested sequences, and their structure; see :class:`ExportInfo`."""
    tensors: list[Tensor] = []

    def visit(item: Any) -> Any:
        if isinstance(item, Tensor):
            tensors.append(item)
            return len(tensors) - 1
        return [visit(part) for part in item]

    structure = visit(outputs)
    return tensors, structure


def unflatten(tensors: tuple[Tensor, ...], structure: Any) -> Any:
    """Tensors nested as they were before :func:`flatten`, in tuples."""
    if isinstance(structure, int):
        return tensors[structure]
    return tuple(unflatten(tensors, part) for part in structure)


#: Entries of a head's config that decide how its maps are read.
_HEAD_KEYS = (
    'type',
    'num_classes',
    'out_channels',
    'align_corners',
    'prior_generator',
    'anchor_generator',
    'bbox_coder',
)


def head_signature(model_config: dict) -> dict[str, Any]:
    """What of a model's config decides how the outputs of its network are read.

    Args:
        model_config: ``cfg.model``.
    """
    head = model_config.get('bbox_head') or model_config.get('decode_head') or {}
    chosen = {key: head[key] for key in _HEAD_KEYS if key in head}
    # Through JSON, so that it compares equal to what comes out of a file.
    return json.loads(json.dumps(chosen, default=lambda o: getattr(o, '__name__', str(o))))
