# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Test-time augmentation of a config: its own ``tta_model`` and ``tta_pipeline``, or usual ones."""

from __future__ import annotations

import inspect
from copy import deepcopy

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import MODELS, DefaultScope

from smallobj_mm.utils.errors import UserError

_PROBABILITY = 'ProbabilityTTAModel'
#: Merging of views where the config does not say: as the tools of mmdet and mmpretrain.
_MODELS: dict[str, dict] = {
    'mmdet': dict(
        type='DetTTAModel',
        tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100),
    ),
    'mmpretrain': dict(type='mmpretrain.AverageClsScoreTTA'),
}
_FLIPS = [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)]
_VIEWS = [
    dict(type='smallobj_mm.FlipTurn', direction=direction)
    for direction in (None, 'horizontal', 'vertical', 'diagonal')
]
#: What the samples of the frameworks have to know about a view.
_DET_KEYS = (
    'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction',
)  # fmt: skip
_SEG_KEYS = (
    'img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip',
    'flip_direction', 'reduce_zero_label',
)  # fmt: skip


def set_tta(cfg: Config) -> None:
    """Wrap the model and the test pipeline of a config for a test of a runner.

    Args:
        cfg: Config with ``model`` and ``test_dataloader``; changed in place.

    Raises:
        UserError: See :func:`tta_settings`.
    """
    dataset = _test_dataset(cfg)
    cfg.tta_model, cfg.tta_pipeline = tta_settings(cfg, dataset.pipeline)
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    dataset.pipeline = cfg.tta_pipeline


def tta_settings(cfg: Config, pipeline: list[dict]) -> tuple[ConfigDict, list[dict]]:
    """The model that merges views, without its module, and the pipeline that makes them.

    Where the config has no ``tta_model``: detectors get mmdet's with the image and its mirror
    image; segmentors of one kind of target get ``ProbabilityTTAModel`` with the image flipped in
    no, either and both directions; segmentors of more classes get mmseg's with the image and its
    mirror image; classifiers mmpretrain's. ``SegTTAModel`` in the config of a segmentor with one
    output channel is replaced, with a message: it sees targets everywhere.

    Args:
        cfg: The config.
        pipeline: Its test pipeline, which ends with packing.

    Raises:
        UserError: The ``tta_pipeline`` makes views that the ``tta_model`` does not undo.
    """
    scope = cfg.get('default_scope') or 'mmdet'
    model = deepcopy(cfg.get('tta_model')) or ConfigDict(_usual_model(cfg, scope))
    if scope == 'mmseg' and _name(model) == 'SegTTAModel' and _channels(cfg) == 1:
        print_log(
            f'tta_model is SegTTAModel, which fails for one output channel; {_PROBABILITY} is used',
            logger='current',
        )
        model = ConfigDict(type=f'smallobj_mm.{_PROBABILITY}')
    steps = deepcopy(cfg.get('tta_pipeline'))
    if not steps:
        steps = _usual_pipeline(pipeline, scope, _name(model) == _PROBABILITY)
    _check_views(steps, _name(model))
    return model, steps


def _usual_model(cfg: Config, scope: str) -> dict:
    if scope == 'mmdet':
        model = deepcopy(_MODELS[scope])
        limit = (cfg.model.get('test_cfg') or {}).get('max_per_img')
        model['tta_cfg']['max_per_img'] = limit or model['tta_cfg']['max_per_img']
        return model
    if scope != 'mmseg':
        return deepcopy(_MODELS[scope])
    return dict(
        type=f'smallobj_mm.{_PROBABILITY}' if _channels(cfg) in (1, 2) else 'SegTTAModel',
    )


def _usual_pipeline(pipeline: list[dict], scope: str, own_views: bool) -> list[dict]:
    *steps, pack = deepcopy(pipeline)
    if own_views:
        pack['meta_keys'] = (*pack.get('meta_keys', _SEG_KEYS), 'tta_view')
        branches = [deepcopy(_VIEWS), [pack]]
    else:
        if scope == 'mmdet':
            pack['meta_keys'] = _DET_KEYS
        # After the flips: the metric wants the truth as it is in the original image.
        truth = [step for step in steps if _name(step) in ('LoadAnnotations', 'LoadBinaryMask')]
        steps = [step for step in steps if step not in truth]
        branches = [deepcopy(_FLIPS), *([step] for step in truth), [pack]]
    return [*steps, ConfigDict(type='TestTimeAug', transforms=branches)]


def _check_views(pipeline: list[dict], model: str) -> None:
    """Refuse views of FlipTurn that nobody would undo.

    Raises:
        UserError: There are some.
    """
    every = [step for step in pipeline if _name(step) != 'TestTimeAug']
    for step in pipeline:
        every += [view for branch in step.get('transforms') or () for view in branch]
    if not any(_name(step) == 'FlipTurn' for step in every):
        return
    if model != _PROBABILITY:
        raise UserError(
            f'tta_pipeline has FlipTurn and tta_model is {model}, expected {_PROBABILITY}: only '
            'that undoes it'
        )
    keys = [step.get('meta_keys', ()) for step in every if _name(step).startswith('Pack')]
    if any('tta_view' not in view for view in keys):
        raise UserError(
            "tta_pipeline has FlipTurn and packing without 'tta_view', expected it in the "
            'meta_keys of the last step'
        )


def _channels(cfg: Config) -> int | None:
    """Output channels of a segmentor's head; the last of several."""
    head = cfg.model.get('decode_head') or {}
    head = head[-1] if isinstance(head, (list, tuple)) else head
    if not head.get('type'):
        return None
    with DefaultScope.overwrite_default_scope('mmseg'):
        kind = MODELS.get(head['type']) if isinstance(head['type'], str) else head['type']
    parameters = inspect.signature(kind).parameters if kind else {}
    for key in ('out_channels', 'num_classes'):
        default = parameters[key].default if key in parameters else None
        value = head.get(key, default)
        if isinstance(value, int):
            return value
    return None


def _test_dataset(cfg: Config) -> ConfigDict:
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return dataset


def _name(step: dict) -> str:
    """Type of a component without its scope."""
    kind = step['type']
    return (kind if isinstance(kind, str) else kind.__name__).rpartition('.')[2]
