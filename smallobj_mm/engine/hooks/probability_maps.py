# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Write the probability maps of tested images."""

from pathlib import Path
from typing import Optional, Sequence

import cv2
import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner

from smallobj_mm.registry import HOOKS
from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.io import atomic_write_bytes
from smallobj_mm.utils.probability_maps import BITS, encode_probabilities, foreground_probability


@HOOKS.register_module()
class ProbabilityMapHook(Hook):
    """Write a PNG with the probability of the foreground for each tested image.

    The map has the size of the original image and its name; see
    :func:`~smallobj_mm.utils.probability_maps.encode_probabilities` for the coding, which keeps
    what is above 1/4, 1/2 and 3/4. Files are written whole or not at all, maps of an earlier test
    are replaced.

    Args:
        out_dir: Folder of the maps, made if missing.
        bits: 8 or 16 bits a pixel.

    Raises:
        UserError: ``bits`` is neither; when used: a prediction is no probability map, or two
            images have the same name.
    """

    priority = 'LOW'

    def __init__(self, out_dir: str, bits: int = 8) -> None:
        if bits not in BITS:
            raise UserError(f'ProbabilityMapHook: bits is {bits}, expected 8 or 16')
        self.out_dir = Path(out_dir)
        self.bits = bits
        self._written: dict[str, str] = {}

    def before_test_epoch(self, runner: Runner) -> None:
        """Forget the names of an earlier test."""
        self._written = {}

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[Sequence] = None,
    ) -> None:
        """Write the maps of a batch."""
        for sample in outputs or ():
            path = sample.get('img_path')
            if path is None:
                raise UserError(
                    'ProbabilityMapHook: a sample has no img_path: add it to the '
                    'meta_keys of the last step of the test pipeline'
                )
            name = Path(path).stem
            written = self._written.setdefault(name, path)
            if written != path:
                raise UserError(
                    f'ProbabilityMapHook: {path} has the name of {written}: both maps '
                    f'would be {name}.png; rename one of the images'
                )
            probability = foreground_probability(sample, f'ProbabilityMapHook: {path}')
            if not (np.min(probability) >= 0 and np.max(probability) <= 1):
                raise UserError(
                    f'ProbabilityMapHook: {path}: values from {np.min(probability):g} to '
                    f'{np.max(probability):g}, expected probabilities in [0, 1]'
                )
            encoded = cv2.imencode('.png', encode_probabilities(probability, self.bits))[1]
            atomic_write_bytes(self.out_dir / f'{name}.png', encoded.tobytes())

    def after_test(self, runner: Runner) -> None:
        """Say where the maps are."""
        runner.logger.info(f'probability maps ({self.bits} bits) are in {self.out_dir}')
