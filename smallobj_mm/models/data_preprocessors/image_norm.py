# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Normalization of each image by its own level and spread."""

import torch
from torch import Tensor, nn

from smallobj_mm.utils.errors import UserError


class ImageNorm(nn.Module):
    """Images less their own level, in units of their own spread, bright peaks compressed.

    Cameras differ in gain and offset, so fixed numbers fit those of the training set alone. Level
    and spread are mean and standard deviation of the pixels after they were clipped to the level
    +- ``clip`` spreads, ``rounds`` times over: a few bright pixels, as targets are, do not move
    them. One level and one spread hold for all channels of an image, so that gray stays gray. An
    image ``gain * x + offset`` comes out as ``x`` does where its spread is above ``min_spread``.

    With z for the result so far, ``compress * asinh(z / compress)`` is z for the background and
    grows with the logarithm of z for the brightest targets, which keep their profile.

    Plain arithmetic in a fixed number of steps: it does not depend on the other images of a batch,
    and exports to ONNX and OpenVINO.

    Args:
        clip: Where pixels are clipped, in spreads.
        rounds: Number of clippings.
        min_spread: Least spread in gray levels: rounding and compression blocks of an even
            image are not blown up to targets.
        compress: Where the logarithm begins, in spreads; None for none.

    Shape:
        ``(N, C, H, W)`` -> ``(N, C, H, W)`` float32.

    Raises:
        UserError: If an argument is out of its range.
    """

    def __init__(
        self,
        clip: float = 2.5,
        rounds: int = 3,
        min_spread: float = 4.0,
        compress: float | None = 3.0,
    ) -> None:
        super().__init__()
        if clip < 1 or rounds < 0 or min_spread <= 0 or (compress is not None and compress <= 0):
            raise UserError(
                f'ImageNorm: clip is {clip}, rounds {rounds}, min_spread {min_spread} and compress '
                f'{compress}, expected clip >= 1, rounds >= 0 and the others above 0'
            )
        self.clip = clip
        self.rounds = rounds
        self.min_spread = min_spread
        self.compress = compress

    @property
    def options(self) -> dict[str, float | int | None]:
        """The arguments."""
        return {name: getattr(self, name) for name in ('clip', 'rounds', 'min_spread', 'compress')}

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        images = images.to(torch.float32)
        level, spread = self.level_and_spread(images)
        scaled = (images - level) / spread.clamp(min=self.min_spread)
        if self.compress is None:
            return scaled
        size = scaled.abs() / self.compress
        # asinh, written out: not every exporter knows it.
        return scaled.sign() * self.compress * (size + (size.square() + 1).sqrt()).log()

    def level_and_spread(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Level and spread of each image, ``(N, 1, 1, 1)``, in gray levels."""
        level, spread = _mean_and_deviation(images)
        for _ in range(self.rounds):
            reach = self.clip * spread
            clipped = torch.minimum(torch.maximum(images, level - reach), level + reach)
            level, spread = _mean_and_deviation(clipped)
        return level, spread


def _mean_and_deviation(images: Tensor) -> tuple[Tensor, Tensor]:
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean, (images - mean).square().mean((1, 2, 3), keepdim=True).sqrt()
