# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Channel attention, spatial attention, shortcut and ReLU in one step, with its own gradient.

Left to autograd the attention of a residual block costs more time than its two convolutions: some
twenty passes over maps of full resolution, and in bfloat16 maxima that PyTorch does not vectorize.
Here the backward pass takes nine, keeps two maps in memory and not six, and gives the same numbers.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

Method = TypeVar('Method', bound=Callable)


def _rows(x: Tensor) -> Tensor:
    """A map ``(N, C, H, W)`` as ``(N, HW, C)``; a view where it is channels-last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _without_autocast(function: Method) -> Method:
    """A method of an autograd function whose types are what it says they are."""

    @functools.wraps(function)
    def run(ctx: Any, x: Tensor, *tensors: Tensor) -> Any:
        device = x.device.type
        if not torch.amp.is_autocast_available(device):  # 'meta', for one
            return function(ctx, x, *tensors)
        with torch.autocast(device, enabled=False):
            return function(ctx, x, *tensors)

    return cast(Method, run)


class AttendAdd(torch.autograd.Function):
    """relu(x * channel weights * spatial weights + shortcut), see `attend_add`."""

    @staticmethod
    @_without_autocast
    def forward(
        ctx: Any, x: Tensor, shortcut: Tensor, reduce: Tensor, expand: Tensor, kernel: Tensor
    ) -> Tensor:
        """The output, in the type of ``x``; pooled values and weights are at least float32."""
        # Weights and pooled values are small: they stay in single precision.
        exact = torch.promote_types(x.dtype, torch.float32)
        reduce, expand = reduce.flatten(1).to(exact), expand.flatten(1).to(exact)
        peak, position = F.max_pool2d(x, x.shape[2:], return_indices=True)
        pooled = torch.stack([x.mean((2, 3), dtype=exact), peak.flatten(1).to(exact)], dim=1)
        hidden = (pooled @ reduce.T).relu()
        channel = (hidden.sum(1) @ expand.T).sigmoid()
        weighed = x * channel[..., None, None].to(x.dtype)
        # bfloat16 has no fast maximum over channels: that of the same numbers in float32 is exact.
        highest = weighed.to(exact).amax(1, keepdim=True)
        levels = torch.cat([weighed.mean(1, keepdim=True, dtype=exact), highest], dim=1)
        spatial = F.conv2d(levels, kernel.to(exact), padding=kernel.shape[-1] // 2).sigmoid()
        out = torch.addcmul(shortcut.to(x.dtype), weighed, spatial.to(x.dtype)).relu_()
        ctx.save_for_backward(
            x, out, reduce, expand, kernel, pooled, hidden, channel, levels, spatial, position
        )
        ctx.shortcut_dtype = shortcut.dtype
        return out

    @staticmethod
    @_without_autocast
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        """Gradients of the five inputs."""
        (grad,) = grads
        (x, out, reduce, expand, kernel, pooled, hidden, channel, levels, spatial, position) = (
            ctx.saved_tensors
        )
        exact = channel.dtype
        channels, pixels = x.shape[1], x.shape[2] * x.shape[3]
        weights = channel[..., None, None].to(x.dtype)
        grad = torch.ops.aten.threshold_backward(grad, out, 0)

        # Spatial attention: its logit, the kernel, and the mean and maximum that it saw.
        slope = torch.bmm(_rows(grad * x), channel[..., None].to(x.dtype))
        slope = slope.transpose(1, 2).reshape(spatial.shape).to(exact)
        slope *= spatial * (1 - spatial)
        padding = kernel.shape[-1] // 2
        levels_grad, kernel_grad, _ = torch.ops.aten.convolution_backward(
            slope, levels, kernel.to(exact), None, [1, 1], [padding] * 2, [1, 1], False, [0, 0], 1,
            [True, True, False],
        )  # fmt: skip
        mean_grad = (levels_grad[:, :1] / channels).to(x.dtype)
        highest = (x * weights == levels[:, 1:].to(x.dtype)).to(x.dtype)
        # Of equal maxima each takes its share, as in autograd.
        count = torch.bmm(_rows(highest), highest.new_ones(len(x), channels, 1))
        share = levels_grad[:, 1:] / count.transpose(1, 2).reshape(spatial.shape).to(exact)
        inner = torch.addcmul(mean_grad, grad, spatial.to(x.dtype))
        inner.addcmul_(highest, share.to(x.dtype))

        # Channel attention: the same, with the two layers of its bottleneck.
        slope = (x * inner).sum((2, 3), dtype=exact) * channel * (1 - channel)
        expand_grad = slope.T @ hidden.sum(1)
        hidden_grad = (slope @ expand)[:, None] * (hidden > 0)
        reduce_grad = torch.einsum('nkh,nkc->hc', hidden_grad, pooled)
        pooled_grad = hidden_grad @ reduce
        average_grad = (pooled_grad[:, 0] / pixels)[..., None, None].to(x.dtype)
        x_grad = torch.addcmul(average_grad, inner, weights)
        _rows(x_grad).scatter_add_(1, position.flatten(1)[:, None], pooled_grad[:, 1:].to(x.dtype))
        return (
            x_grad,
            grad.to(ctx.shortcut_dtype),
            reduce_grad[..., None, None],
            expand_grad[..., None, None],
            kernel_grad,
        )


def attend_add(
    x: Tensor, shortcut: Tensor, reduce: Tensor, expand: Tensor, kernel: Tensor
) -> Tensor:
    """relu(x * channel weights * spatial weights + shortcut), for training.

    Args:
        x: Features ``(N, C, H, W)``.
        shortcut: What is added, ``(N, C, H, W)``.
        reduce: Weight ``(h, C, 1, 1)`` of the bottleneck's first layer.
        expand: Weight ``(C, h, 1, 1)`` of its second one.
        kernel: Weight ``(1, 2, k, k)`` of the spatial attention, k odd.

    Returns:
        ``(N, C, H, W)`` in the type of ``x``; it can be differentiated once.

    Source: Woo et al., CBAM, ECCV 2018, section 3; the gradient is derived from there.
    """
    return AttendAdd.apply(x, shortcut, reduce, expand, kernel)
