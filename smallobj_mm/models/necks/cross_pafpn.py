# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Path aggregation neck with links across scales."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from smallobj_mm.models.layers import ELAN, SPPCSPC, SPPF, SemanticDecoupling
from smallobj_mm.models.layers.types import ConfigType
from smallobj_mm.registry import MODELS
from smallobj_mm.utils.errors import UserError


def _round_up(channels: float) -> int:
    """The next multiple of 8."""
    return int(-(-channels // 8) * 8)


def _upsample(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode='nearest')


class _Downsample(nn.Module):
    """Halves a map twice over: by max-pool and 1x1 convolution, and by a strided 3x3 one."""

    def __init__(
        self, in_channels: int, channels: int, norm_cfg: ConfigType, act_cfg: ConfigType
    ) -> None:
        super().__init__()
        layer = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        self.pool = nn.MaxPool2d(2)
        self.pool_conv = ConvModule(in_channels, channels, 1, **layer)
        self.reduce = ConvModule(in_channels, channels, 1, **layer)
        self.conv = ConvModule(channels, channels, 3, stride=2, padding=1, **layer)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.pool_conv(self.pool(x)), self.conv(self.reduce(x))


#: Channels of the published levels of stride 4, 8, 16, 32 (4 is ours).
PUBLISHED_WIDTHS = (64, 128, 256, 512)


class _Widths(NamedTuple):
    """Channels of the levels; all other widths in the neck are one of them or a share of one."""

    p2: int
    p3: int
    p4: int
    p5: int
    link: int  # each of the four maps that cross over to the coarsest node


@MODELS.register_module()
class CrossPAFPN(BaseModule):
    """PAFPN of ELAN blocks in which each scale also hears from scales that are not its neighbor.

    Spatial pyramid pooling (SPPF, SPPCSPC) on C5, a top-down and a bottom-up path. With
    ``cross_links`` the /16 and /8 nodes of the top-down path also take the finer and the coarser
    backbone map, and the /32 node of the bottom-up path takes four maps from all over the neck.
    The /16 node of the bottom-up path ends in the object/background decoupling.

    The names are those of the published strides 8, 16, 32. Nothing depends on them: given C2 to
    C4, the same neck works at strides 4, 8, 16::

        neck=dict(type='CrossPAFPN', in_channels=[24, 40, 112], widths=[32, 64, 96],
                  num_convs=2, link_ratio=0.5, out_channels=48)

    Args:
        in_channels: Channels of C3, C4, C5 (strides 8, 16, 32), or of C2 (stride 4) to C5: with
            four inputs the neck gets a stride-4 output as well.
        out_channels: Channels of every output. ``None`` keeps the widths of the levels,
            (64,) 128, 256, 512 times ``widen_factor``; a number puts a 1x1 convolution behind
            each level, as heads with weights shared between levels want it.
        num_outs: Number of outputs; those beyond the inputs come from strided 3x3 convolutions
            of the last one. ``None`` gives one per input.
        widen_factor: Multiplies the published widths (rounded up to a multiple of 8).
        widths: Channels of each level, finest first, in place of the published ones times
            ``widen_factor``.
        num_convs: Number of chained 3x3 convolutions in each ELAN block.
        link_ratio: Channels of each of the four maps that cross over to the coarsest node, as a
            share of that node's (rounded up to a multiple of 8).
        cross_links: ``False`` gives the plain PAFPN, for comparison.
        decoupling: Mode of :class:`SemanticDecoupling`: ``'spatial'``, ``'authors'``,
            ``'duplicate'`` or ``'none'``.
        decoupling_stats: ``'image'`` or ``'batch'``, for the mode ``'authors'``.
        norm_cfg: Normalization layer of every convolution.
        act_cfg: Activation layer of every convolution.
        init_cfg: Initialization, as everywhere in mmengine.

    Raises:
        UserError: If there are not three or four inputs, ``num_outs`` is less than that, or
            ``widths`` are not as many positive even numbers.

    Shape:
        Tuple of ``(N, in_channels[i], H / s, W / s)`` for the strides s, sides being multiples of
        32 pixels, -> tuple of ``num_outs`` maps of the same strides and then the doubled ones.

    Source: Liu et al., "Semantic Decoupling and Transfer Learning for Enhanced Small Object
    Detection", The Visual Computer, 2025.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (128, 256, 512),
        out_channels: int | None = None,
        num_outs: int | None = None,
        widen_factor: float = 1.0,
        widths: Sequence[int] | None = None,
        num_convs: int = 4,
        link_ratio: float = 1.0,
        cross_links: bool = True,
        decoupling: str = 'spatial',
        decoupling_stats: str = 'image',
        norm_cfg: ConfigType = dict(type='BN', momentum=0.03, eps=1e-3),
        act_cfg: ConfigType = dict(type='SiLU'),
        init_cfg: ConfigType | list[ConfigType] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        num_ins = len(in_channels)
        if num_ins not in (3, 4):
            raise UserError(
                f'in_channels: found {num_ins} levels, expected 3 (C3 to C5) or 4 (C2 to C5); '
                "set the backbone's out_indices accordingly"
            )
        num_outs = num_ins if num_outs is None else num_outs
        if num_outs < num_ins:
            raise UserError(
                f'num_outs: found {num_outs}, expected at least the {num_ins} levels of in_channels'
            )
        self.in_channels = tuple(in_channels)
        self.num_ins = num_ins
        self.cross_links = cross_links
        self._layer = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        self.num_convs = num_convs
        if widths is None:
            widths = [_round_up(x * widen_factor) for x in PUBLISHED_WIDTHS[-num_ins:]]
        if len(widths) != num_ins or any(w < 2 or w % 2 for w in widths):
            raise UserError(
                f'widths: found {list(widths)}, expected {num_ins} even numbers, one for each of '
                'in_channels'
            )
        p2, p3, p4, p5 = [0] * (4 - num_ins) + list(widths)
        plan = _Widths(p2, p3, p4, p5, link=_round_up(p5 * link_ratio))

        self._build_top_down(plan)
        if num_ins == 4:
            self._build_stride4(plan)
        self._build_bottom_up(plan, decoupling, decoupling_stats)
        self._build_outputs(widths, out_channels, num_outs)

    def _conv(
        self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1
    ) -> ConvModule:
        return ConvModule(
            in_channels, out_channels, kernel, stride, padding=kernel // 2, **self._layer
        )

    def _elan(self, in_channels: int, width: int, fuse: nn.Module | None = None) -> ELAN:
        return ELAN(
            in_channels,
            width,
            width // 2,
            width,
            **self._layer,
            fuse=fuse,
            num_convs=self.num_convs,
        )

    def _build_top_down(self, w: _Widths) -> None:
        c3, c4, c5 = self.in_channels[-3:]
        self.sppf = SPPF(c5, 2 * w.p5, **self._layer)
        self.sppcspc = SPPCSPC(2 * w.p5, w.p5, **self._layer)
        self.reduce_t5 = self._conv(w.p5, w.p4)
        self.lateral_c4 = self._conv(c4, w.p4)
        self.reduce_m4 = self._conv(w.p4, w.p3)
        self.lateral_c3 = self._conv(c3, w.p3)
        if self.cross_links:
            self.c3_to_16 = self._conv(c3, w.p4, 3, 2)
            self.c3_to_32 = self._conv(w.p4, w.link, 3, 2)
            self.c4_to_32 = self._conv(c4, w.link, 3, 2)
            self.t5_to_8 = self._conv(w.p4, w.p3)
            self.c4_to_8 = self._conv(c4, w.p3)
        self.top_down_16 = self._elan((3 if self.cross_links else 2) * w.p4, w.p4)
        self.top_down_8 = self._elan((4 if self.cross_links else 2) * w.p3, w.p3)

    def _build_stride4(self, w: _Widths) -> None:
        c2, c3 = self.in_channels[:2]
        self.reduce_n3 = self._conv(w.p3, w.p2)
        self.lateral_c2 = self._conv(c2, w.p2)
        if self.cross_links:
            self.c3_to_4 = self._conv(c3, w.p2)
            self.m4_to_4 = self._conv(w.p3, w.p2)
        self.top_down_4 = self._elan((4 if self.cross_links else 2) * w.p2, w.p2)
        self.down_4 = _Downsample(w.p2, w.p2, **self._layer)
        self.bottom_up_8 = self._elan(2 * w.p2 + w.p3, w.p3)

    def _build_bottom_up(self, w: _Widths, decoupling: str, stats: str) -> None:
        self.down_8 = _Downsample(w.p3, w.p3, **self._layer)
        decouple = SemanticDecoupling(
            ELAN.concat_channels(w.p4, w.p4 // 2, self.num_convs),
            w.p4,
            mode=decoupling,
            stats=stats,
            **self._layer,
        )
        self.bottom_up_16 = self._elan(2 * w.p3 + w.p4, w.p4, decouple)
        self.down_16 = _Downsample(w.p4, w.p4, **self._layer)
        in_channels = 2 * w.p4 + w.p5
        if self.cross_links:
            self.n3_to_32 = self._conv(w.p3, w.link, 3, 2)
            self.m4_to_32 = self._conv(w.p4, w.link, 3, 2)
            in_channels += 4 * w.link
        self.bottom_up_32 = self._elan(in_channels, w.p5)

    def _build_outputs(
        self, widths: Sequence[int], out_channels: int | None, num_outs: int
    ) -> None:
        self.project = nn.ModuleList(
            nn.Identity() if out_channels is None else self._conv(width, out_channels)
            for width in widths
        )
        extra = out_channels or widths[-1]
        self.extra = nn.ModuleList(
            self._conv(extra, extra, 3, 2) for _ in range(num_outs - len(widths))
        )
        self.out_channels = (*(out_channels or width for width in widths),) + (extra,) * len(
            self.extra
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Aggregate the backbone's maps.

        Args:
            inputs: One map per entry of ``in_channels``, finest first, each half the size of the
                one before.

        Returns:
            The output maps, finest first.

        Raises:
            UserError: If the number of maps is wrong or a map is not half the one before.
        """
        self._check(inputs)
        c3, c4, c5 = inputs[-3:]
        t5 = self.sppcspc(self.sppf(c5))

        u = _upsample(self.reduce_t5(t5))
        d3 = [self.c3_to_16(c3)] if self.cross_links else []
        m4 = self.top_down_16(torch.cat([*d3, self.lateral_c4(c4), u], dim=1))

        v = _upsample(self.reduce_m4(m4))
        across = (
            [_upsample(self.c4_to_8(c4)), _upsample(self.t5_to_8(u))] if self.cross_links else []
        )
        n3 = self.top_down_8(torch.cat([self.lateral_c3(c3), *across, v], dim=1))

        outs = []
        if self.num_ins == 4:
            n2, n3 = self._stride4(inputs[0], c3, v, n3)
            outs.append(n2)

        pooled, strided = self.down_8(n3)
        n4 = self.bottom_up_16(torch.cat([strided, pooled, m4], dim=1))

        pooled_4, strided_4 = self.down_16(n4)
        across = (
            [self.n3_to_32(strided), self.m4_to_32(m4), self.c3_to_32(d3[0]), self.c4_to_32(c4)]
            if self.cross_links
            else []
        )
        n5 = self.bottom_up_32(torch.cat([strided_4, pooled_4, t5, *across], dim=1))

        outs = [project(out) for project, out in zip(self.project, [*outs, n3, n4, n5])]
        for conv in self.extra:
            outs.append(conv(outs[-1]))
        return tuple(outs)

    def _stride4(self, c2: Tensor, c3: Tensor, v: Tensor, n3: Tensor) -> tuple[Tensor, Tensor]:
        """The stride-4 output, and the stride-8 one after the way down from it."""
        across = (
            [_upsample(self.c3_to_4(c3)), _upsample(self.m4_to_4(v))] if self.cross_links else []
        )
        up = _upsample(self.reduce_n3(n3))
        n2 = self.top_down_4(torch.cat([self.lateral_c2(c2), *across, up], dim=1))
        pooled, strided = self.down_4(n2)
        return n2, self.bottom_up_8(torch.cat([strided, pooled, n3], dim=1))

    def _check(self, inputs: Sequence[Tensor]) -> None:
        if len(inputs) != self.num_ins:
            raise UserError(
                f'inputs: found {len(inputs)} maps, expected {self.num_ins}; '
                "set the backbone's out_indices accordingly"
            )
        if torch.jit.is_tracing():
            return
        sizes = [tuple(x.shape[-2:]) for x in inputs]
        if any(a != (2 * b[0], 2 * b[1]) for a, b in zip(sizes, sizes[1:])):
            raise UserError(
                f'inputs: found maps of {sizes}, expected each half the size of the one before; '
                'pad the images to a multiple of 32 (pad_size_divisor of the data preprocessor)'
            )
