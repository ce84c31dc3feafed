# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Test-time augmentation of segmentors: the mean of the probabilities."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import BaseDataElement, PixelData
from torch import Tensor

from smallobj_mm.registry import MODELS
from smallobj_mm.utils.errors import UserError

#: Direction of a flip -> axes of a map (C, H, W) that it reverses.
_AXES = {'horizontal': (-1,), 'vertical': (-2,), 'diagonal': (-2, -1)}


@MODELS.register_module()
class ProbabilityTTAModel(BaseTTAModel):
    """Mean of the class probabilities over views of an image, pixel by pixel.

    mmseg's ``SegTTAModel`` takes the sigmoid of what is a probability already where a segmentor
    has one output channel, so that every pixel comes out above 1/2; and it leaves ``seg_logits``
    as the last view had them. Here ``seg_logits`` are the merged ones in the form that mmseg
    gives without augmentation: with one channel the probability of the foreground, with more
    channels logits, whose softmax is the mean.

    Views come from ``TestTimeAug``: resizes and mmseg's ``RandomFlip`` are undone by the
    segmentor, ``FlipTurn`` is undone here.

    Args:
        module: The segmentor or its config.
        data_preprocessor: Replaces that of the config, as in mmengine.

    Raises:
        UserError: When used: the views of an image come out in different sizes.
    """

    @torch.no_grad()
    def merge_preds(self, data_samples_list: Sequence[Sequence]) -> list:
        """Merge the views of each image.

        Args:
            data_samples_list: For each image the ``SegDataSample`` of each view, with
                ``seg_logits`` at the size of the original image (turned as the view is).

        Returns:
            A sample for each image, the first view's with ``seg_logits`` (C, H, W) and
            ``pred_sem_seg`` (1, H, W) merged.
        """
        return [self._merge(views) for views in data_samples_list]

    def _merge(self, views: Sequence[BaseDataElement]) -> BaseDataElement:
        each = [
            undo_view(_probabilities(view.seg_logits.data), view.metainfo.get('tta_view'))
            for view in views
        ]
        # float64: the mean of equal views is what each of them is.
        total = torch.zeros_like(each[0], dtype=torch.float64)
        for values in each:
            if values.shape != total.shape:
                raise UserError(
                    f'ProbabilityTTAModel: {views[0].metainfo.get("img_path")}: views come out as '
                    f"{tuple(total.shape)} and {tuple(values.shape)}; add 'tta_view' to meta_keys "
                    'of the last step of tta_pipeline'
                )
            total += values
        mean = (total / len(views)).float()
        if len(mean) == 1:
            logits, mask = mean, (mean > self.threshold).to(mean)
        else:
            logits = mean.clamp(min=torch.finfo(mean.dtype).tiny).log()
            mask = mean.argmax(dim=0, keepdim=True)
        sample = views[0]
        if (sample.metainfo.get('tta_view') or (None, 0))[1] % 2:
            swapped = {key: sample.metainfo[key][1::-1] for key in ('ori_shape', 'img_shape')}
            sample.set_metainfo(swapped)
        sample.set_data(dict(seg_logits=PixelData(data=logits), pred_sem_seg=PixelData(data=mask)))
        return sample

    @property
    def threshold(self) -> float:
        """The probability above which a segmentor of one channel sees a target."""
        threshold = getattr(self.module.decode_head, 'threshold', None)
        return 0.5 if threshold is None else threshold


def _probabilities(logits: Tensor) -> Tensor:
    """Of what mmseg calls logits (C, H, W): with one channel they are probabilities already."""
    return logits.float() if len(logits) == 1 else logits.float().softmax(dim=0)


def undo_view(maps: Tensor, view: tuple[str | None, int] | None) -> Tensor:
    """Maps (..., H, W) of a view that ``FlipTurn`` made, as the image lay before.

    Args:
        maps: The maps.
        view: Direction of the flip and number of quarter turns; None for no view.
    """
    direction, turns = view or (None, 0)
    maps = torch.rot90(maps, -turns, dims=(-2, -1))
    return maps.flip(_AXES[direction]) if direction else maps
