# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The scope ``smallobj_mm`` and the registries that components register in.

Components go into the *root* registries of mmengine, so that their plain names are found from
mmdet, mmseg, mmpretrain and mmengine configs alike. The thin child registries below add nothing
but the scope: mmengine imports ``smallobj_mm.registry`` when it meets a name such as
``smallobj_mm.CrossPAFPN``, finds the child, and the child looks the plain name up in its parent.
"""

from mmengine.registry import (
    DATASETS,
    FUNCTIONS,
    HOOKS,
    METRICS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    PARAM_SCHEDULERS,
    TASK_UTILS,
    TRANSFORMS,
    VISUALIZERS,
    WEIGHT_INITIALIZERS,
    Registry,
)

SCOPE = 'smallobj_mm'

#: Root registry name -> the child that carries the scope.
SCOPED = {
    root.name: Registry(root.name, parent=root, scope=SCOPE)
    for root in (
        DATASETS,
        FUNCTIONS,
        HOOKS,
        METRICS,
        MODELS,
        OPTIM_WRAPPER_CONSTRUCTORS,
        OPTIM_WRAPPERS,
        PARAM_SCHEDULERS,
        TASK_UTILS,
        TRANSFORMS,
        VISUALIZERS,
        WEIGHT_INITIALIZERS,
    )
}

__all__ = [
    'DATASETS',
    'FUNCTIONS',
    'HOOKS',
    'METRICS',
    'MODELS',
    'OPTIM_WRAPPER_CONSTRUCTORS',
    'OPTIM_WRAPPERS',
    'PARAM_SCHEDULERS',
    'SCOPE',
    'SCOPED',
    'TASK_UTILS',
    'TRANSFORMS',
    'VISUALIZERS',
    'WEIGHT_INITIALIZERS',
]
