# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The data preprocessor of a model as a network layer: colors, normalization, padding."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor, nn
from torch.nn import functional

from smallobj_mm.compat.mmengine_internals import swaps_channels
from smallobj_mm.models.data_preprocessors.image_norm import ImageNorm
from smallobj_mm.utils.errors import UserError


class InputFormat(NamedTuple):
    """What a data preprocessor does with images.

    Attributes:
        mean: Of each channel after the conversion of colors; None for no normalization.
        std: Likewise.
        bgr_to_rgb: Whether the order of the channels is reversed.
        size_divisor: The sides become multiples of it, px.
        pad_mode: 'reflect' pads before, 'constant' after the normalization.
        pad_value: Of 'constant'.
        image_norm: Arguments of :class:`~smallobj_mm.models.data_preprocessors.ImageNorm`, which
            normalizes each image by its own level and spread, before it is padded; None for none.
    """

    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    bgr_to_rgb: bool
    size_divisor: int
    pad_mode: str
    pad_value: float
    image_norm: dict[str, Any] | None = None


def input_format(preprocessor: BaseDataPreprocessor) -> InputFormat:
    """What the data preprocessor of a model does in testing.

    Args:
        preprocessor: One of mmengine's ``ImgDataPreprocessor`` kind (mmdet's, this package's) or
            mmseg's ``SegDataPreProcessor``.

    Raises:
        UserError: It is of another kind, or resizes.
    """
    kind = type(preprocessor).__name__
    normalizes = getattr(preprocessor, '_enable_normalize', None)
    if normalizes is None:
        raise UserError(
            f'data_preprocessor: found {kind}, expected one that normalizes and pads images, such '
            'as DetDataPreprocessor, IRSTDDataPreProcessor or SegDataPreProcessor'
        )
    mean, std = (
        tuple(getattr(preprocessor, name).flatten().tolist()) if normalizes else None
        for name in ('mean', 'std')
    )
    divisor, mode = preprocessor.pad_size_divisor, getattr(preprocessor, 'pad_mode', 'constant')
    if hasattr(preprocessor, 'test_cfg'):  # mmseg's own pads otherwise in testing
        options = preprocessor.test_cfg or {}
        if options.get('size'):
            raise UserError(
                f'data_preprocessor: test_cfg.size={options["size"]} pads to one size, expected '
                'size_divisor: an exported network takes images of any size'
            )
        divisor = options.get('size_divisor') or 1
    swaps, value = swaps_channels(preprocessor), float(preprocessor.pad_value)
    own = getattr(preprocessor, 'image_norm', None)
    image_norm = None if own is None else own.options
    return InputFormat(mean, std, swaps, int(divisor), mode, value, image_norm)


class ImagePreprocess(nn.Module):
    """Images as the network takes them.

    Args:
        form: What is to be done.

    Shape:
        ``(N, 3, h, w)`` of any type with values 0..255, BGR -> ``(N, 3, H, W)`` float32, the sides
        rounded up to multiples of ``size_divisor``; the padding is right and below.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, form: InputFormat) -> None:
        super().__init__()
        self.form = form
        for name in ('mean', 'std'):
            values = getattr(form, name)
            if values is not None:
                self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1))
        self.image_norm = None if form.image_norm is None else ImageNorm(**form.image_norm)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        images = images.to(torch.float32)
        if self.form.bgr_to_rgb:
            images = torch.cat([images[:, 2:3], images[:, 1:2], images[:, 0:1]], dim=1)
        if self.image_norm is not None:
            images = self.image_norm(images)
        if self.form.pad_mode == 'reflect':
            return self._normalize(self._pad_mirrored(images))
        return self._pad_constant(self._normalize(images))

    def _normalize(self, images: Tensor) -> Tensor:
        return images if self.form.mean is None else (images - self.mean) / self.std

    def _pad_constant(self, images: Tensor) -> Tensor:
        divisor = self.form.size_divisor
        if divisor == 1:
            return images
        height, width = images.shape[2], images.shape[3]
        # Written so that an exporter that traces sees the sizes as variables.
        bottom = (height + divisor - 1) // divisor * divisor - height
        right = (width + divisor - 1) // divisor * divisor - width
        return functional.pad(images, [0, right, 0, bottom], value=self.form.pad_value)

    def _pad_mirrored(self, images: Tensor) -> Tensor:
        if self.form.size_divisor == 1:
            return images
        rows = _mirrored(images.shape[2], self.form.size_divisor, images.device)
        columns = _mirrored(images.shape[3], self.form.size_divisor, images.device)
        return images.index_select(2, rows).index_select(3, columns)


def _mirrored(side: int, divisor: int, device: torch.device) -> Tensor:
    """Indices that run through 0..side-1 to and fro, as many as the next multiple of a divisor."""
    length = (side + divisor - 1) // divisor * divisor
    period = torch.as_tensor(2 * side - 2, device=device).clamp(min=1)
    position = torch.arange(length, device=device) % period
    return torch.minimum(position, period - position)
