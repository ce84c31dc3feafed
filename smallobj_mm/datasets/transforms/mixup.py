# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Mixup of two images of one size."""

from __future__ import annotations

from typing import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

from .annotations import Annotations


@TRANSFORMS.register_module()
class BetaMixUp(BaseTransform):
    """Blend the sample with another one of the same size and keep the boxes of both.

    The image becomes λ · sample + (1 - λ) · other, λ from Beta(alpha, beta). For use in an outer
    mmdet ``MultiImageMixDataset`` around the one that makes mosaics, so that the other sample is a
    mosaic, too. When no mixing is drawn, no other sample is made. mmdet's own ``MixUp`` always
    blends one half of a single resized image. Random numbers come from ``numpy.random``.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018; the numbers are
    those of Liu et al., TL-OBSDM, The Visual Computer 2025.

    Required keys: ``img``, ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_ignore_flags`` (optional),
    ``mix_results`` (list of none or one such sample). Modified keys: these (but ``mix_results``).

    Args:
        prob: Probability of mixing.
        alpha: First parameter of the beta distribution of λ.
        beta: Second parameter.

    Raises:
        UserError: If a parameter is outside what is possible, if the images differ in shape, or
            if there is more than one sample to mix in.
    """

    def __init__(self, prob: float = 0.15, alpha: float = 8.0, beta: float = 8.0) -> None:
        if not 0 <= prob <= 1:
            raise UserError(f'BetaMixUp: prob is {prob}, expected a value in [0, 1]')
        if alpha <= 0 or beta <= 0:
            raise UserError(
                f'BetaMixUp: alpha and beta are {alpha} and {beta}, expected values above 0'
            )
        self.prob = prob
        self.alpha = alpha
        self.beta = beta

    def get_indexes(self, dataset: Sequence) -> list[int]:
        """Draw the other sample.

        Args:
            dataset: The wrapped data set; only its length is used.

        Returns:
            One index, or none if there is to be no mixing this time.
        """
        if np.random.random() >= self.prob:
            return []
        return [int(np.random.randint(0, len(dataset)))]

    def _draw(self) -> float:
        return float(np.random.beta(self.alpha, self.beta))

    def transform(self, results: dict) -> dict:
        """Blend the images and join the boxes.

        Args:
            results: The sample, with ``mix_results``.

        Returns:
            The sample, unchanged where there is nothing to mix in.
        """
        if 'mix_results' not in results:
            raise UserError(
                "BetaMixUp: the sample has no 'mix_results': use it in the pipeline of an mmdet "
                'MultiImageMixDataset'
            )
        mixed = results['mix_results']
        if not mixed:
            return results
        if len(mixed) > 1:
            raise UserError(
                f'BetaMixUp: found {len(mixed)} samples to mix in, expected 0 or 1 as get_indexes '
                'draws them'
            )
        first, second = results['img'], mixed[0]['img']
        if first.shape != second.shape or first.dtype != second.dtype:
            raise UserError(
                f'BetaMixUp: {results.get("img_path", "an image")} is {first.dtype} '
                f'{first.shape} and {mixed[0].get("img_path", "another")} is {second.dtype} '
                f'{second.shape}: bring them to one size first, for example with MosaicAffine'
            )
        ratio = self._draw()
        blend = cv2.addWeighted(first, ratio, second, 1 - ratio, 0)
        results['img'] = blend.reshape(first.shape)
        parts = [Annotations.read(sample, 'BetaMixUp') for sample in (results, mixed[0])]
        Annotations.concatenate(parts).write(results)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob}, alpha={self.alpha}, beta={self.beta})'
