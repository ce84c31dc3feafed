# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What is exported: the deployed network, with what comes before and after it by option."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from .metadata import flatten
from .output_names import name_maps
from .postprocess import DetectionPostprocess, SegmentationPostprocess
from .preprocess import ImagePreprocess, input_format


class ExportedNetwork(nn.Module):
    """Images to raw maps, or to boxes or masks.

    Args:
        model: A deployed model of mmdet or mmseg, in evaluation mode.
        scope: 'mmdet' or 'mmseg'.
        with_preprocess: Take uint8 images (BGR) of any size instead of the network's input.
        with_postprocess: Give detections, or probability and mask, instead of raw maps.

    Attributes:
        structure: How the model nests its raw maps, see
            :class:`~smallobj_mm.deployment.metadata.ExportInfo`; known after :meth:`describe`.

    Raises:
        UserError: The model's parts are of a kind that cannot be put into a file.

    Shape:
        ``(N, 3, h, w)`` -> a tuple of tensors.
    """

    def __init__(
        self,
        model: BaseModel,
        scope: str,
        with_preprocess: bool = False,
        with_postprocess: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self._head = 'bbox_head' if scope == 'mmdet' else 'decode_head'
        self.form = input_format(model.data_preprocessor)
        #: Also there where it is not part of the file: test images are made with it.
        self.preparation = ImagePreprocess(self.form)
        self.with_preprocess = with_preprocess
        self.postprocess: DetectionPostprocess | SegmentationPostprocess | None = None
        if with_postprocess:
            self.postprocess = (
                DetectionPostprocess(self.head)
                if scope == 'mmdet'
                else SegmentationPostprocess(self.head)
            )
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        self.eval()

    @property
    def head(self) -> Any:
        """The model's head; None where it has none of that kind."""
        return getattr(self.model, self._head, None)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        inputs = self.preparation(images) if self.with_preprocess else images
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        maps = flatten(self.model(inputs, mode='tensor'))[0]
        if self.postprocess is not None:
            return self.postprocess(maps, inputs, images)
        return tuple(maps)

    @torch.no_grad()
    def describe(self) -> tuple[tuple[str, ...], Any]:
        """Names of the outputs, and the nesting of the raw maps."""
        side = max(64, 2 * self.form.size_divisor)
        side -= side % self.form.size_divisor
        maps, structure = flatten(self.model(torch.zeros(1, 3, side, side), mode='tensor'))
        if self.postprocess is not None:
            return self.postprocess.outputs, structure
        return name_maps(self.head, structure, maps, side), structure
