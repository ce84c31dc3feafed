# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Weights of the golden models: the same numbers on every machine, from each parameter's name."""

import json
import zlib
from pathlib import Path
from typing import Sequence

import numpy as np
import torch
from torch import Tensor

#: The published anchors of OBSDM in pixels, (level, anchor, side).
ANCHORS = np.array(
    [
        [12, 16, 19, 36, 40, 28],
        [36, 75, 76, 55, 72, 146],
        [142, 110, 192, 243, 459, 401],
    ],
    np.float32,
).reshape(3, 3, 2)
STRIDES = np.array([8, 16, 32], np.float32).reshape(3, 1, 1)


def reference_tensor(key: str, shape: Sequence[int]) -> np.ndarray:
    """Value of the parameter or buffer ``key`` with ``shape`` in a golden model."""
    if key.endswith('num_batches_tracked'):
        return np.ones(shape, dtype=np.int64)
    random = np.random.default_rng(zlib.crc32(key.encode()))
    values = random.standard_normal(shape).astype(np.float32)
    if key.endswith('running_var'):
        return (0.5 + 0.5 * np.abs(values)).astype(np.float32)
    if key.endswith('running_mean'):
        return 0.1 * values
    if values.ndim <= 1:
        around_one = 1 + 0.1 * values if key.endswith('weight') else 0.1 * values
        return around_one.astype(np.float32)
    fan_in = int(np.prod(shape[1:]))
    return (values * np.sqrt(1.0 / fan_in)).astype(np.float32)


def reference_state_dict(keys_json: Path) -> dict[str, Tensor]:
    """The state dict of a golden model, with the authors' names.

    Implicit vectors are small (added) or near one (multiplied), as in a trained model;
    ``anchors`` (in strides) and ``anchor_grid`` (in pixels) hold the published anchors.

    Args:
        keys_json (Path): One of the ``*_authors_keys.json`` beside this file: name -> shape.
    """
    state_dict = {}
    for key, shape in json.loads(keys_json.read_text(encoding='utf-8')).items():
        if key.endswith('.anchors'):
            value = ANCHORS / STRIDES
        elif key.endswith('.anchor_grid'):
            value = ANCHORS.reshape(shape)
        else:
            value = reference_tensor(key, tuple(shape))
            if '.ia.' in key:
                value = 0.05 * value
            elif '.im.' in key:
                value = 1 + 0.05 * value
        value = np.ascontiguousarray(np.asarray(value))
        state_dict[key] = torch.from_numpy(value).reshape(shape)
    return state_dict
