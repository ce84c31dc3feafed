# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Several views of one decoded image, and what the model is given of them."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform, Compose
from mmpretrain.structures import DataSample

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

from . import view_ops
from .view_differences import TARGETS, difference, new_record
from .view_options import is_count

Pipeline = Sequence[dict | Callable[[dict], dict]]


@TRANSFORMS.register_module()
class AugmentedViews(BaseTransform):
    """Run pipelines on one decoded image.

    The image is decoded once and shared: the transforms of a pipeline must not write into it
    (those of :mod:`~.views` do not; mmpretrain's ``MultiView`` copies it for each view).

    Required key: ``img``, (H, W, 3) uint8 BGR. Added keys: ``views``, one image a pipeline,
    ``view_records``, what was done to each, and ``local_grid``, crops a side of the local views,
    if there are. Removed key: ``img``.

    Args:
        views: A pipeline for each view: first two whole views, then any number of local ones,
            whose last transform is ``LocalCrops``, all of the same grid.

    Raises:
        UserError: If there are fewer than two whole views, or a further view is not local.
        UserError: If the image is not 8-bit color.
    """

    def __init__(self, views: Sequence[Pipeline]) -> None:
        _check_views(views)
        self.pipelines = [Compose(pipeline) for pipeline in views]
        self.local_grid = _local_grid([branch.transforms for branch in self.pipelines])

    def transform(self, results: dict) -> dict:
        """Make the views."""
        img = results.pop('img')
        if img.dtype != np.uint8 or img.ndim != 3 or img.shape[2] != 3:
            raise UserError(
                f'AugmentedViews: {results.get("img_path", "the image")} is {img.dtype} of shape '
                f"{img.shape}, expected uint8 (H, W, 3): load it with color_type='color' and "
                'without to_float32'
            )
        gray = view_ops.is_gray(img)
        views, records = [], []
        for pipeline in self.pipelines:
            done = pipeline(dict(results, img=img, source_is_gray=gray, view_record=new_record()))
            views.append(done['img'])
            records.append(done['view_record'])
        results.update(views=views, view_records=records, img_shape=views[0].shape[:2])
        if self.local_grid is not None:
            results['local_grid'] = self.local_grid
        return results


def _check_views(views: Sequence[Pipeline]) -> None:
    """That there are pipelines, enough of them."""
    if not isinstance(views, (list, tuple)):
        raise UserError(f'AugmentedViews: views is {views!r}, expected a list of pipelines')
    for i, pipeline in enumerate(views):
        if not isinstance(pipeline, (list, tuple)):
            raise UserError(
                f'AugmentedViews: views[{i}] is {pipeline!r}, expected a list of transforms'
            )
    if len(views) < 2:
        raise UserError(
            f'AugmentedViews: views has {len(views)} pipelines, expected two whole views and then '
            'any local ones'
        )


def _local_grid(pipelines: Sequence[Sequence[Callable]]) -> int | None:
    """Crops a side of the local views, which are those after the second; None without any.

    The model takes what follows the second view for grids of crops; a whole view there would be
    cut into pieces without a word.
    """
    lasts = [transforms[-1] if transforms else None for transforms in pipelines]
    for i, last in enumerate(lasts):
        if isinstance(last, LocalCrops) != (i >= 2):
            kind = 'nothing' if last is None else type(last).__name__
            expected = 'a whole view' if i < 2 else 'LocalCrops'
            raise UserError(
                f'AugmentedViews: views[{i}] ends in {kind}, expected {expected}: the first two '
                'views are whole, all others local'
            )
    grids = sorted({last.grid for last in lasts if isinstance(last, LocalCrops)})
    if len(grids) > 1:
        raise UserError(
            f'AugmentedViews: the grids of LocalCrops are {grids}, expected one for all local '
            "views: the model's local_grid"
        )
    return grids[0] if grids else None


@TRANSFORMS.register_module()
class LocalCrops(BaseTransform):
    """Cut a view into a grid of cells and take a random crop of each, laid side by side.

    A network that is given the crops one by one sees no more than their patches. Three by three
    crops of 64 px from a view of 225 px is what the authors of TL-OBSDM load (and do not use); the
    gaps keep borders that run from cell to cell from giving the neighbors away.

    Args:
        grid: Cells a side; the model's ``local_grid`` is the same number.
        size: Side of a crop in px.

    Shape:
        ``(H, W, 3)`` -> ``(grid * size, grid * size, 3)``.

    Raises:
        UserError: If an option is below 1 or a cell is smaller than a crop.
    """

    def __init__(self, grid: int = 3, size: int = 64) -> None:
        if not is_count(grid) or not is_count(size):
            raise UserError(
                f'LocalCrops: grid is {grid!r} and size {size!r}, expected integers of 1 or more'
            )
        self.grid = grid
        self.size = size

    def transform(self, results: dict) -> dict:
        """Cut."""
        img = results['img']
        height, width = (side // self.grid for side in img.shape[:2])
        if min(height, width) < self.size:
            raise UserError(
                f'LocalCrops: cells of {width}x{height} px, expected at least the {self.size} px '
                f'of a crop; give RecordedCrop a size of {self.grid * self.size} or more'
            )
        n = self.grid
        out = np.empty((n, self.size, n, self.size, img.shape[2]), img.dtype)
        ys = np.random.randint(0, height - self.size + 1, size=(n, n))
        xs = np.random.randint(0, width - self.size + 1, size=(n, n))
        for row, column in np.ndindex(n, n):
            y, x = row * height + ys[row, column], column * width + xs[row, column]
            out[row, :, column] = img[y : y + self.size, x : x + self.size]
        results['img'] = out.reshape(n * self.size, n * self.size, -1)
        results['img_shape'] = results['img'].shape[:2]
        return results


@TRANSFORMS.register_module()
class PackViews(BaseTransform):
    """Pack the views, and how the first two differ.

    Required keys: ``views``, ``view_records``, of ``AugmentedViews``. Result: ``inputs``, a
    list of uint8 tensors (3, H, W), and ``data_samples``, a ``DataSample`` with a field
    ``NAME_difference`` for each target and ``gt_label`` if there is one.

    Args:
        targets: Names of :data:`~.view_differences.TARGETS`.
        meta_keys: What else the data sample keeps, besides ``local_grid`` of the local views.

    Raises:
        UserError: If a target is unknown.
    """

    def __init__(
        self,
        targets: Sequence[str] = ('crop', 'color'),
        meta_keys: Sequence[str] = ('sample_idx', 'img_path', 'ori_shape', 'img_shape'),
    ) -> None:
        unknown = sorted(set(targets) - set(TARGETS))
        if unknown:
            raise UserError(
                f'PackViews: targets has {unknown}, expected names among {", ".join(TARGETS)}'
            )
        self.targets = tuple(targets)
        # The model compares the grid with its own, so it is kept whatever else is.
        self.meta_keys = (*meta_keys, 'local_grid')

    def transform(self, results: dict) -> dict:
        """Pack."""
        inputs = [
            torch.from_numpy(np.ascontiguousarray(view.transpose(2, 0, 1)))
            for view in results['views']
        ]
        sample = DataSample(metainfo={k: results[k] for k in self.meta_keys if k in results})
        if 'gt_label' in results:
            sample.set_gt_label(results['gt_label'])
        first, second = results['view_records'][:2]
        for name in self.targets:
            value = torch.from_numpy(difference(name, first, second))
            sample.set_field(value, f'{name}_difference')
        return dict(inputs=inputs, data_samples=sample)
