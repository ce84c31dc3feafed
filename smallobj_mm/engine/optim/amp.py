# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What ``--amp`` does to a config, on CUDA and on the CPU."""

import logging

import torch
from mmengine.config import Config
from mmengine.logging import print_log

from smallobj_mm.compat.mmengine_internals import cpu_computes_bfloat16
from smallobj_mm.utils.errors import UserError

from . import wrappers  # noqa: F401  registers what the table below names

#: Wrapper of the config -> (its float16 form on CUDA, its bfloat16 form on the CPU).
_MIXED = {
    'OptimWrapper': ('AmpOptimWrapper', 'BFloat16OptimWrapper'),
    'AmpOptimWrapper': ('AmpOptimWrapper', 'BFloat16OptimWrapper'),
    'BFloat16OptimWrapper': ('BFloat16OptimWrapper', 'BFloat16OptimWrapper'),
    'SumOptimWrapper': ('SumAmpOptimWrapper', 'SumBFloat16OptimWrapper'),
    'SumAmpOptimWrapper': ('SumAmpOptimWrapper', 'SumBFloat16OptimWrapper'),
    'SumBFloat16OptimWrapper': ('SumBFloat16OptimWrapper', 'SumBFloat16OptimWrapper'),
}
#: Arguments that only the float16 wrappers understand.
_SCALER_KEYS = ('loss_scale', 'dtype', 'use_fsdp')


def enable_amp(cfg: Config) -> Config:
    """Turn the optimizer wrapper of a config into its mixed-precision form.

    On CUDA: float16 with a dynamic loss scale (a ``loss_scale`` or ``dtype`` that the config sets
    is kept). On the CPU: bfloat16 without a scaler, about twice as fast where the processor has
    AVX512-BF16 or AMX; one that does not compute in bfloat16 is many times slower at it, and there
    the config stays as it is, with a message. Validation and testing stay in float32.

    Args:
        cfg: The whole config; changed in place.

    Returns:
        The same config.

    Raises:
        UserError: ``cfg.optim_wrapper`` is missing, or of a type without a mixed-precision form.
    """
    wrapper = cfg.get('optim_wrapper')
    if wrapper is None:
        raise UserError(
            'optim_wrapper is missing from the config: --amp has nothing to change, '
            "add optim_wrapper=dict(type='OptimWrapper', optimizer=...)"
        )
    kind = wrapper.get('type', 'OptimWrapper')
    name = getattr(kind, '__name__', kind).rpartition('.')[2]
    if name not in _MIXED:
        raise UserError(
            f'optim_wrapper.type is {name!r}, which has no mixed-precision form: '
            f'expected one of {sorted(_MIXED)}, or run without --amp'
        )
    on_cuda = torch.cuda.is_available()
    if not on_cuda and not cpu_computes_bfloat16():
        print_log(
            '--amp: this CPU does not compute in bfloat16 and would be many times slower with it; '
            'training stays in float32',
            logger='current',
            level=logging.WARNING,
        )
        return cfg
    wrapper['type'] = _MIXED[name][0 if on_cuda else 1]
    if wrapper['type'].endswith('AmpOptimWrapper'):
        wrapper.setdefault('loss_scale', 'dynamic')
    else:
        for key in _SCALER_KEYS:
            wrapper.pop(key, None)
    print_log(
        f'Mixed precision: {wrapper["type"]} on {"CUDA" if on_cuda else "the CPU"}',
        logger='current',
    )
    return cfg
