# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Copy-paste of real small targets."""

import json
from typing import Dict, List, Mapping, Optional, Sequence

import numpy as np
from mmengine.logging import print_log

from smallobj_mm.registry import DATASETS, TRANSFORMS
from smallobj_mm.utils.errors import UserError

from ..masks import read_mask
from ..target_patches import TargetPatch, cut_targets, warp_patch
from .loading import LoadImageStrict
from .target_pasting import BasePasting

#: Configuration of a source and how it is cut -> its patches; one copy in each process.
_POOLS: Dict[str, List[TargetPatch]] = {}

_LARGEST_SCALE = 3.0


def load_patches(source: Mapping, max_side: int = 40, min_snr: float = 2.0) -> List[TargetPatch]:
    """Targets of a data set with masks, cut once for each process.

    Args:
        source (Mapping): Config of a data set whose samples have ``img_path`` and
            ``seg_map_path``, as IRSTDDataset and mmseg's do; its pipeline is not run.
        max_side (int): Longest side of a target in px.
        min_snr (float): See :func:`smallobj_mm.datasets.target_patches.cut_targets`.

    Returns:
        list[TargetPatch]: The patches, in the order of the data set.

    Raises:
        UserError: If no target is left.
    """
    key = json.dumps([dict(source), max_side, min_snr], sort_keys=True, default=repr)
    if key not in _POOLS:
        dataset = DATASETS.build(dict(source))
        load = LoadImageStrict(color_type='grayscale', high_bit_depth='scale')
        patches = []
        for index in range(len(dataset)):
            info = dataset.get_data_info(index)
            if info.get('seg_map_path') is None:
                continue
            img = load(dict(img_path=info['img_path']))['img']
            mask = read_mask(info['seg_map_path'])
            if img.shape != mask.shape:
                raise UserError(
                    f'{info["seg_map_path"]}: the mask is {mask.shape[1]}x{mask.shape[0]}, but its '
                    f'image is {img.shape[1]}x{img.shape[0]}; expected equal sizes: replace one of '
                    'them or take the pair off the list'
                )
            patches.extend(cut_targets(img, mask, max_side, min_snr))
        if not patches:
            raise UserError(
                f'TargetCopyPaste: no target to paste in the {len(dataset)} images of '
                f'{dict(source)}; expected some that are at most {max_side} px long and have '
                f'{min_snr} times the contrast of their background: raise max_side or lower '
                'min_snr'
            )
        print_log(
            f'TargetCopyPaste: {len(patches)} targets cut from {len(dataset)} images',
            logger='current',
        )
        _POOLS[key] = patches
    return _POOLS[key]


@TRANSFORMS.register_module()
class TargetCopyPaste(BasePasting):
    """Paste real targets, cut from data sets with masks, into images with or without targets.

    A target is cut as a residual: the image less a plane through a ring around it, so that none
    of its old background comes along. It is turned by any angle, mirrored, scaled and brightened,
    and added to its new background with a weight that is 1 inside its mask and falls to 0 within
    4 px. Its contrast is that which it had, times ``gain``, but no less than ``snr`` times the
    spread of its new background. Where the image was enlarged before (scale_factor), so are the
    targets, which would else be sharper than all that surrounds them. Cutting happens at first
    use, once for each process and source.

    Stands after crops, so that what is pasted is not cut off again, and before LabelDecoupling.

    Required keys: img (uint8 or float32 of 0 to 255, (H, W) or (H, W, C)), gt_seg_map (H, W):
    0 background, 1 target, 255 ignored.
    Optional keys: scale_factor (width, height).
    Modified keys: img, gt_seg_map.
    Added keys: num_pasted.

    Args:
        sources (Sequence[Mapping]): Configs of data sets whose samples have img_path and
            seg_map_path; each source is equally likely, whatever its size. Name the training
            part only.
        num_targets (Sequence[int]): Least and largest number for an image. Defaults to (1, 3).
        prob (float): Probability of pasting into an image with targets. Defaults to 0.5.
        empty_prob (float, optional): The same for images without; None for ``prob``.
        scale (Sequence[float]): Range of the factor of the size, drawn log-uniformly. Defaults
            to (0.6, 1.5).
        rotate (float): Largest angle in degrees, to both sides. Defaults to 180.
        gain (Sequence[float]): Range of the factor of the contrast, drawn log-uniformly.
            Defaults to (0.5, 1.5).
        snr (Sequence[float]): Range of the least peak over the spread of the new background,
            drawn uniformly. Defaults to (2.5, 6).
        gap (int): See :class:`BasePasting`, as all that follow. Defaults to 4.
        calm_prob (float): Defaults to 0.4.
        opacity (Sequence[float]): Defaults to (0, 0.8).
        dark_prob (float): Defaults to 0.
        min_contrast (float): Defaults to 12 gray levels.
        max_side (int): Longest side of targets that are cut in px. Defaults to 40.
        min_snr (float): Least mean contrast of targets that are cut over the spread around
            them. Defaults to 2.
        attempts (int): Defaults to 12.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> pipeline = [
        ...     dict(type='LoadImageStrict', color_type='grayscale'),
        ...     dict(type='LoadBinaryMask'),
        ...     dict(type='TargetAwareCrop', size=256),
        ...     dict(
        ...         type='TargetCopyPaste',
        ...         sources=[
        ...             dict(type='IRSTDDataset', data_root='data/NUAA-SIRST', split='train')
        ...         ],
        ...         num_targets=(1, 3),
        ...     ),
        ...     dict(type='LabelDecoupling', mode='exact'),
        ...     dict(type='PackIRSTDInputs'),
        ... ]
    """

    def __init__(
        self,
        sources: Sequence[Mapping],
        num_targets: Sequence[int] = (1, 3),
        prob: float = 0.5,
        empty_prob: Optional[float] = None,
        scale: Sequence[float] = (0.6, 1.5),
        rotate: float = 180.0,
        gain: Sequence[float] = (0.5, 1.5),
        snr: Sequence[float] = (2.5, 6.0),
        gap: int = 4,
        calm_prob: float = 0.4,
        opacity: Sequence[float] = (0.0, 0.8),
        dark_prob: float = 0.0,
        min_contrast: float = 12.0,
        max_side: int = 40,
        min_snr: float = 2.0,
        attempts: int = 12,
    ) -> None:
        super().__init__(
            num_targets=num_targets,
            prob=prob,
            empty_prob=empty_prob,
            gap=gap,
            calm_prob=calm_prob,
            opacity=opacity,
            dark_prob=dark_prob,
            min_contrast=min_contrast,
            attempts=attempts,
        )
        if not sources or isinstance(sources, Mapping):
            raise UserError(
                f'TargetCopyPaste: sources is {sources!r}, expected a list of configs of data sets'
            )
        self.scale = self.positive_range('scale', scale)
        self.gain = self.positive_range('gain', gain)
        self.snr = self.positive_range('snr', snr)
        if rotate < 0 or max_side < 1 or min_snr < 0:
            raise UserError(
                f'TargetCopyPaste: rotate is {rotate}, max_side {max_side} and min_snr {min_snr}, '
                'expected rotate >= 0, max_side >= 1 and min_snr >= 0'
            )
        self.sources = [dict(source) for source in sources]
        self._pools: Optional[List[List[TargetPatch]]] = None  # cut at first use
        self.rotate = rotate
        self.max_side = max_side
        self.min_snr = min_snr

    def prepare(self) -> List[List[TargetPatch]]:
        """Cut the targets, unless they are cut.

        Called in the main process, as WeightedMixtureDataset does, it spares workers that are
        forked from it the work, each time they are started.

        Returns:
            list[list[TargetPatch]]: The targets of each source.
        """
        if self._pools is None:
            self._pools = [
                load_patches(source, self.max_side, self.min_snr) for source in self.sources
            ]
        return self._pools

    def draw_patch(self, rng: np.random.Generator, enlarged: float) -> TargetPatch:
        """A target of one of the sources, turned, mirrored and scaled, threefold at most."""
        patches = self.prepare()[int(rng.integers(len(self.sources)))]
        patch = patches[int(rng.integers(len(patches)))]
        scale = min(float(np.exp(rng.uniform(*np.log(self.scale)))) * enlarged, _LARGEST_SCALE)
        angle = float(rng.uniform(-self.rotate, self.rotate))
        return warp_patch(patch, angle, scale, bool(rng.random() < 0.5))

    def draw_contrast(self, rng: np.random.Generator, patch: TargetPatch, spread: float) -> float:
        """The target's own contrast times the gain, or what the background asks for."""
        gain = float(np.exp(rng.uniform(*np.log(self.gain))))
        return max(abs(patch.contrast) * gain, float(rng.uniform(*self.snr)) * spread)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(sources={self.sources}, num_targets={self.num_targets}, '
            f'prob={self.prob}, empty_prob={self.empty_prob}, scale={self.scale}, '
            f'rotate={self.rotate}, gain={self.gain}, snr={self.snr})'
        )
