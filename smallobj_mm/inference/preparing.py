# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Images as the test pipeline of a config gives them to the network, without any truth."""

from __future__ import annotations

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

from smallobj_mm.datasets.transforms.high_bit_depth import with_channels
from smallobj_mm.datasets.transforms.loading import LoadImageStrict
from smallobj_mm.models.building import dataset_config
from smallobj_mm.utils.errors import UserError

from .arrays import plain_array

_LOADERS = ('LoadImageFromFile', 'LoadImageStrict', 'LoadImageFromNDArray')
#: Steps that read or use the truth.
_TRUTH = (
    'FilterAnnotations',
    'LabelDecoupling',
    'LoadAnnotations',
    'LoadBinaryMask',
    'LoadPanopticAnnotations',
    'SmallBoxFilter',
)


class ImagePreparer:
    """The test pipeline of a config in two parts: reading a file, and everything after.

    Between the two an image may be cut into tiles. An image of more than 8 bits is scaled from its
    own smallest..largest value to 0..255 unless the pipeline says otherwise.

    Args:
        cfg: Config with a ``test_dataloader`` or a ``test_pipeline``.
        name: What the config is called, for messages.
        steps: Another pipeline than the config's.

    Raises:
        UserError: The config has no test pipeline, or one that starts otherwise than with
            loading an image.
    """

    def __init__(self, cfg: Config, name: str, steps: list[dict] | None = None) -> None:
        steps = steps or find_pipeline(cfg, name)
        kinds = [_kind(step) for step in steps]
        if kinds[0] not in _LOADERS:
            raise UserError(
                f'{name}: the test pipeline starts with {kinds[0]}, expected one of '
                f'{", ".join(_LOADERS)}'
            )
        names = ('to_float32', 'color_type', 'imdecode_backend', 'backend_args', 'high_bit_depth')
        options = {k: steps[0][k] for k in names if k in steps[0]}
        # Whoever asks for answers wants one for a raw infrared image too.
        self._load = LoadImageStrict(**{'high_bit_depth': 'scale', **options})
        self._scope = cfg.default_scope
        rest = _without_truth(steps[1:])
        with DefaultScope.overwrite_default_scope(self._scope):
            self._steps = Compose(rest)

    def read(self, path: str) -> np.ndarray:
        """An image file as array (H, W, C) or (H, W), BGR.

        Raises:
            FileNotFoundError: There is no such file.
            UserError: It cannot be read as an image.
        """
        return self._load(dict(img_path=path))['img']

    def adopt(self, array: np.ndarray, name: str) -> np.ndarray:
        """An array as :meth:`read` would give it.

        Args:
            array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8 or uint16, BGR or BGRA.
            name: What it is called, for messages.

        Raises:
            UserError: Another shape or type, or no pixels.
        """
        array = plain_array(array, name, scale=self._load.high_bit_depth == 'scale')
        if self._load.color_type.startswith('color'):
            array = array[..., None] if array.ndim == 2 else array
            array = np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array
        elif self._load.color_type.startswith('grayscale') and array.ndim == 3:
            array = with_channels(np.squeeze(array, axis=2) if array.shape[2] == 1 else array, True)
        return array.astype(np.float32) if self._load.to_float32 else array

    def prepare(self, image: np.ndarray, path: str) -> dict:
        """The ``inputs`` and ``data_samples`` of an image or of a tile.

        Each is a list with one for every view if the pipeline ends with ``TestTimeAug``.

        Args:
            image: Array (h, w, C) or (h, w).
            path: Of the image, for the sample's metainfo.
        """
        size = image.shape[:2]
        results = dict(
            img=np.ascontiguousarray(image), img_path=path, img_id=0, img_shape=size,
            ori_shape=size, height=size[0], width=size[1], scale_factor=(1.0, 1.0), flip=False,
            flip_direction=None, seg_fields=[],
        )  # fmt: skip
        with DefaultScope.overwrite_default_scope(self._scope):
            return self._steps(results)


def find_pipeline(cfg: Config, name: str) -> list[dict]:
    """The test pipeline of a config.

    Raises:
        UserError: There is none.
    """
    steps = dataset_config(cfg).get('pipeline') or cfg.get('test_pipeline')
    if not steps:
        raise UserError(
            f'{name}: no test pipeline, expected test_dataloader.dataset.pipeline in the config'
        )
    return steps


def _without_truth(steps: list[dict]) -> list[dict]:
    """Steps of a pipeline, and of the branches of its views, that do not ask for the truth."""
    kept = []
    for step in steps:
        if _kind(step) == 'TestTimeAug':
            branches = map(_without_truth, step['transforms'])
            step = dict(step, transforms=[branch for branch in branches if branch])
        if _kind(step) not in _TRUTH:
            kept.append(step)
    return kept


def _kind(step: dict) -> str:
    """Name of a transform without its scope."""
    kind = step['type']
    return (kind if isinstance(kind, str) else kind.__name__).rpartition('.')[2]
