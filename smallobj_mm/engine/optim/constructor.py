# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Parameter groups of the detector's recipe: which weights decay, which warm up as biases."""

from typing import Optional

from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

from smallobj_mm.registry import OPTIM_WRAPPER_CONSTRUCTORS
from smallobj_mm.utils.errors import UserError

#: ``param_group['name']`` of the groups, in their order.
DECAYED = 'decayed'
UNDECAYED = 'undecayed'
BIASES = 'biases'


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DecayGroupsOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Three groups: decayed weights; weights without decay; biases.

    - ``decayed``: every parameter of two or more dimensions outside normalization layers and
      implicit vectors, i.e. the kernels of convolutions and linear layers;
    - ``undecayed``: weights of normalization layers, implicit vectors, other one-dimensional
      parameters and scalars;
    - ``biases``: every parameter called ``bias``, of normalization layers too. Not decayed either;
      apart because :class:`WarmupOneCycleLR` warms them up from above.

    Frozen parameters (``requires_grad=False``) are left out, shared ones counted once, empty
    groups dropped. Works with any model. The learning rate is the same in the three groups.
    Scaling the decay by the batch size is :class:`BatchScaledWeightDecayHook`'s task, which knows
    the data loader.

    Args:
        optim_wrapper_cfg: Config of the wrapper, with its ``optimizer``.
        paramwise_cfg: Must be empty: the groups are fixed.

    Raises:
        UserError: ``paramwise_cfg`` is not empty, or the model has nothing to train.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: Optional[dict] = None) -> None:
        if paramwise_cfg:
            raise UserError(
                f'optim_wrapper.paramwise_cfg is {dict(paramwise_cfg)}, but '
                f'{type(self).__name__} makes its own groups: remove paramwise_cfg or use '
                'DefaultOptimWrapperConstructor'
            )
        super().__init__(optim_wrapper_cfg, paramwise_cfg)

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer over the groups of ``model`` and wrap it."""
        groups = decay_groups(getattr(model, 'module', model) if is_model_wrapper(model) else model)
        if not any(groups.values()):
            raise UserError(
                f'{type(model).__name__} has no parameter with requires_grad=True: '
                'nothing to train, unfreeze a part of it'
            )
        decay = {} if self.base_wd is None else {UNDECAYED: 0.0, BIASES: 0.0}
        param_groups: list[dict] = [
            dict(
                params=params, name=name, **({'weight_decay': decay[name]} if name in decay else {})
            )
            for name, params in groups.items()
            if params
        ]
        print_log(
            'Parameter tensors: '
            + ', '.join(f'{len(group["params"])} {group["name"]}' for group in param_groups),
            logger='current',
        )
        optimizer = OPTIMIZERS.build(dict(self.optimizer_cfg, params=param_groups))
        wrapper_cfg = dict(self.optim_wrapper_cfg)
        wrapper_cfg.setdefault('type', 'OptimWrapper')
        return OPTIM_WRAPPERS.build(wrapper_cfg, default_args=dict(optimizer=optimizer))


def decay_groups(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Sort the trainable parameters of a model into the three groups.

    Args:
        model: Any module.

    Returns:
        ``{'decayed': [...], 'undecayed': [...], 'biases': [...]}``.
    """
    groups: dict[str, list[nn.Parameter]] = {DECAYED: [], UNDECAYED: [], BIASES: []}
    seen = set()
    for module in model.modules():
        for name, param in module.named_parameters(recurse=False):
            if not param.requires_grad or id(param) in seen:
                continue
            seen.add(id(param))
            # Implicit vectors are stored with four dimensions, so the name tells, not the shape.
            implicit = name == 'implicit' or name.endswith('_implicit')
            if name == 'bias' or name.endswith('_bias'):
                groups[BIASES].append(param)
            elif param.ndim < 2 or implicit or _is_norm(module):
                groups[UNDECAYED].append(param)
            else:
                groups[DECAYED].append(param)
    return groups


def _is_norm(module: nn.Module) -> bool:
    norms = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm)
    return isinstance(module, norms)
