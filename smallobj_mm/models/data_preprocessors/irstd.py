# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Batches of infrared images whose sizes differ and fit no stride."""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.model import ImgDataPreprocessor
from mmengine.structures import PixelData
from torch import Tensor

from smallobj_mm.registry import MODELS
from smallobj_mm.utils.errors import UserError

from .image_norm import ImageNorm

#: What the maps of a sample are padded with, besides gt_sem_seg.
_MAP_PADDING = {'gt_interior_map': 0.0, 'gt_boundary_map': 0.0}


@MODELS.register_module()
class IRSTDDataPreProcessor(ImgDataPreprocessor):
    """Normalize images and pad them to one size, in training and in testing alike.

    Every image of a batch is padded at its right and bottom to the batch's largest height and
    width, rounded up to ``size_divisor``. The metainfo of each sample gets ``img_padding_size``
    (left, right, top, bottom in px), by which mmseg's ``postprocess_result`` cuts the padding off
    again, and ``pad_shape``. In training the truth is padded with it: gt_sem_seg with
    ``seg_pad_val``, the interior and the boundary map with 0. In testing the truth stays as it is.

    Args:
        mean (Sequence[float], optional): Mean of each channel after the conversion of colors,
            in gray levels. None for no normalization.
        std (Sequence[float], optional): Standard deviation of each channel.
        bgr_to_rgb (bool): Whether to reverse the order of three channels. Defaults to False.
        size_divisor (int): What height and width are multiples of. Defaults to 16.
        pad_mode (str): 'reflect' mirrors the image at its border, again and again if it is
            smaller than the padding; 'constant' pads the normalized image with ``pad_val``.
            Defaults to 'reflect', which makes no edge that looks like a target.
        pad_val (float): For 'constant'. Defaults to 0, the mean.
        seg_pad_val (int): For gt_sem_seg; ignored by the loss and the metric. Defaults to 255.
        non_blocking (bool): Whether to copy to the device without waiting. Defaults to False.
        image_norm (Mapping, optional): Each image by its own level and spread, in place of ``mean``
            and ``std``: the arguments of ``ImageNorm``, ``{}`` for its defaults. The padding does
            not count. Defaults to None: no such normalization.

    Raises:
        UserError: If an option is unknown or out of its range.

    Example:
        >>> import torch
        >>> pre = IRSTDDataPreProcessor(size_divisor=16)
        >>> images = [torch.zeros(3, 250, 333), torch.zeros(3, 256, 100)]
        >>> pre(dict(inputs=images))['inputs'].shape
        torch.Size([2, 3, 256, 336])
    """

    def __init__(
        self,
        mean: Optional[Sequence[float]] = None,
        std: Optional[Sequence[float]] = None,
        bgr_to_rgb: bool = False,
        size_divisor: int = 16,
        pad_mode: str = 'reflect',
        pad_val: float = 0.0,
        seg_pad_val: int = 255,
        non_blocking: bool = False,
        image_norm: Optional[Mapping] = None,
    ) -> None:
        if pad_mode not in ('reflect', 'constant'):
            raise UserError(f"pad_mode is {pad_mode!r}, expected 'reflect' or 'constant'")
        if size_divisor < 1:
            raise UserError(f'size_divisor is {size_divisor}, expected 1 or more')
        if (mean is None) != (std is None):
            raise UserError(f'mean is {mean} and std {std}, expected both or neither')
        if image_norm is not None and mean is not None:
            raise UserError(
                f'mean is {mean} and image_norm {dict(image_norm)}, expected one of them: an image '
                'is normalized by fixed numbers or by its own'
            )
        super().__init__(
            mean=mean,
            std=std,
            pad_size_divisor=size_divisor,
            pad_value=pad_val,
            bgr_to_rgb=bgr_to_rgb,
            non_blocking=non_blocking,
        )
        self.image_norm = None if image_norm is None else ImageNorm(**image_norm)
        self.size_divisor = size_divisor
        self.pad_mode = pad_mode
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val

    def forward(self, data: dict, training: bool = False) -> Dict[str, Any]:
        """Make the batch.

        Args:
            data (dict): ``inputs``, a list of tensors (C, H, W) or a tensor (N, C, H, W), and
                ``data_samples``, a list of SegDataSample, which may be absent in testing.
            training (bool): Whether the truth is padded.

        Returns:
            dict: ``inputs``, (N, C, H, W) float, and ``data_samples``.

        Raises:
            UserError: If an image is not (C, H, W), if their channels differ from each other,
                or there are no samples to train with.
        """
        data = self.cast_data(data)
        images, samples = list(data['inputs']), data.get('data_samples')
        if training and samples is None:
            raise UserError('IRSTDDataPreProcessor: no data_samples, expected them in training')
        self._check(images)
        target = self._target_size(images)
        batch = self._stack(images, target)
        for image, sample in zip(images, samples or ()):
            height, width = image.shape[1:]
            padding = (0, target[1] - width, 0, target[0] - height)
            sample.set_metainfo(dict(img_padding_size=list(padding), pad_shape=target))
            if training:
                self._pad_truth(sample, padding)
        return dict(inputs=batch, data_samples=samples)

    @staticmethod
    def _check(images: List[Tensor]) -> None:
        shapes = [tuple(image.shape) for image in images]
        if any(len(shape) != 3 for shape in shapes) or len({shape[0] for shape in shapes}) != 1:
            raise UserError(
                f'IRSTDDataPreProcessor: images have the shapes {shapes}, expected (C, H, W) with '
                'the same number of channels'
            )

    def _target_size(self, images: List[Tensor]) -> Tuple[int, int]:
        """Height and width of the batch."""
        divisor = self.size_divisor
        height, width = (max(image.shape[axis] for image in images) for axis in (1, 2))
        return -(-height // divisor) * divisor, -(-width // divisor) * divisor

    def _stack(self, images: List[Tensor], target: Tuple[int, int]) -> Tensor:
        """Pad, stack and normalize; in one go where the images have one size."""
        constant = self.pad_mode == 'constant'
        if len({image.shape for image in images}) == 1:
            batch = torch.stack(images)
            batch = (
                self._pad(self._normalize(batch), target)
                if constant or self.image_norm is not None
                else (self._normalize(self._pad(batch, target)))
            )
        elif constant or self.image_norm is not None:
            batch = torch.stack([self._pad(self._normalize(i[None])[0], target) for i in images])
        else:
            batch = self._normalize(torch.stack([self._pad(i, target) for i in images]))
        return batch

    def _normalize(self, batch: Tensor) -> Tensor:
        """Colors and range of a batch (N, C, H, W); returns float."""
        if self._channel_conversion and batch.shape[1] == 3:
            batch = batch[:, [2, 1, 0]]
        batch = batch.float()
        if self.image_norm is not None:
            return self.image_norm(batch)
        return (batch - self.mean) / self.std if self._enable_normalize else batch

    def _pad(self, images: Tensor, target: Tuple[int, int]) -> Tensor:
        """Pad (..., H, W) at the right and the bottom to a size."""
        height, width = images.shape[-2:]
        if (height, width) == target:
            return images
        if self.pad_mode == 'constant':
            padding = (0, target[1] - width, 0, target[0] - height)
            return F.pad(images, padding, value=self.pad_val)
        rows, columns = (
            _mirrored(side, length, images.device) for side, length in zip((height, width), target)
        )
        return images.index_select(-2, rows).index_select(-1, columns)

    def _pad_truth(self, sample: Any, padding: Tuple[int, int, int, int]) -> None:
        """Pad the maps of a sample."""
        if not any(padding):
            return
        for name, value in dict(_MAP_PADDING, gt_sem_seg=self.seg_pad_val).items():
            if name in sample:
                padded = F.pad(sample.get(name).data, padding, value=value)
                sample.set_data({name: PixelData(data=padded)})


def _mirrored(side: int, length: int, device: torch.device) -> Tensor:
    """Indices (length,) that run through 0..side-1 to and fro, the ends not repeated."""
    period = max(2 * side - 2, 1)
    position = torch.arange(length, device=device) % period
    return torch.minimum(position, period - position) if side > 1 else position.zero_()
