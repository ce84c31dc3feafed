# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Object/background semantic decoupling."""

import torch
from mmcv.cnn import ConvModule, build_activation_layer, build_norm_layer
from torch import Tensor, nn

from smallobj_mm.utils.errors import UserError

from .types import ConfigType

DECOUPLING_MODES = ('spatial', 'authors', 'duplicate', 'none')
DECOUPLING_STATS = ('image', 'batch')


def decouple(x: Tensor, mode: str = 'spatial', stats: str = 'image') -> Tensor:
    """Split a map into object-like and background-like responses.

    With the spatial mean of a channel as threshold and ``m = sigmoid(x - mean)``:

    - ``spatial``: ``[x * m * (x > mean), x * m * (x <= mean)]``. An image's result depends on
      that image alone.
    - ``authors``: ``[o * x, g * x]``, where ``o`` and ``g`` are the means of ``m * (x > mean)``
      and ``m * (x <= mean)``, without gradient: what the authors' program computes. A layer
      normalizing each channel behind it absorbs both factors.
    - ``duplicate``: ``[x, x]``.

    Args:
        x: Map of shape ``(N, C, H, W)``.
        mode: One of the above.
        stats: For ``authors``: the means run over an ``image`` or over the whole ``batch``, as
            in the authors' program.

    Returns:
        Map of shape ``(N, 2 * C, H, W)``, the object half first.

    Raises:
        UserError: If ``mode`` or ``stats`` is unknown.
    """
    if stats not in DECOUPLING_STATS:
        raise UserError(f'stats: found {stats!r}, expected one of {DECOUPLING_STATS}')
    if mode == 'duplicate':
        return torch.cat([x, x], dim=1)
    if mode not in ('spatial', 'authors'):
        raise UserError(f'mode: found {mode!r}, expected spatial, authors or duplicate')
    source = x.detach() if mode == 'authors' else x
    mean = source.mean(dim=(2, 3), keepdim=True)
    weight = torch.sigmoid(source - mean)
    is_object = (source > mean).to(x.dtype)
    weight_object = weight * is_object
    weight_background = weight - weight_object
    if mode == 'authors':
        dims = (2, 3) if stats == 'image' else (0, 2, 3)
        weight_object = weight_object.mean(dim=dims, keepdim=True)
        weight_background = weight_background.mean(dim=dims, keepdim=True)
    return torch.cat([x * weight_object, x * weight_background], dim=1)


class SemanticDecoupling(nn.Module):
    """Decoupled map and a 1x1 convolution of it, normalized together and fused.

    ``x1 = Conv1x1(x)``, ``y = decouple(x1)``, ``z = Conv1x1(x1)``,
    ``out = Conv1x1(act(norm(cat[y, z])))``. With ``mode='none'`` a plain 1x1 convolution.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output and of the hidden map.
        norm_cfg: Normalization layer.
        act_cfg: Activation layer.
        mode: ``'spatial'``, ``'authors'``, ``'duplicate'`` (see :func:`decouple`) or ``'none'``.
        stats: See :func:`decouple`.

    Raises:
        UserError: If ``mode`` or ``stats`` is unknown.

    Shape:
        ``(N, in_channels, H, W)`` -> ``(N, out_channels, H, W)``.

    Source: Liu et al., "Semantic Decoupling and Transfer Learning for Enhanced Small Object
    Detection", The Visual Computer, 2025.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm_cfg: ConfigType,
        act_cfg: ConfigType,
        mode: str = 'spatial',
        stats: str = 'image',
    ) -> None:
        super().__init__()
        if mode not in DECOUPLING_MODES:
            raise UserError(f'mode: found {mode!r}, expected one of {DECOUPLING_MODES}')
        if stats not in DECOUPLING_STATS:
            raise UserError(f'stats: found {stats!r}, expected one of {DECOUPLING_STATS}')
        self.mode, self.stats = mode, stats
        layer = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        if mode == 'none':
            self.reduce = ConvModule(in_channels, out_channels, 1, **layer)
            return
        hidden = out_channels
        self.reduce = ConvModule(in_channels, hidden, 1, **layer)
        self.plain = ConvModule(hidden, hidden, 1, **layer)
        self.norm = build_norm_layer(norm_cfg, 3 * hidden)[1]
        self.act = build_activation_layer(act_cfg)
        self.fuse = ConvModule(3 * hidden, out_channels, 1, **layer)

    def forward(self, x: Tensor) -> Tensor:
        """Decouple ``x`` (N, in_channels, H, W) and fuse it into (N, out_channels, H, W)."""
        x = self.reduce(x)
        if self.mode == 'none':
            return x
        y = decouple(x, self.mode, self.stats)
        return self.fuse(self.act(self.norm(torch.cat([y, self.plain(x)], dim=1))))
