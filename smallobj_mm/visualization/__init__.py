# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Pictures of samples, drawn so that small objects stay visible."""

from smallobj_mm.compat.frameworks import has_framework

from .contact_sheet import contact_sheet
from .label_drawing import draw_label_maps
from .sample_drawing import class_colors, draw_sample

__all__ = ['class_colors', 'contact_sheet', 'draw_label_maps', 'draw_sample']

if has_framework('mmseg'):
    from .irstd_visualizer import IRSTDVisualizer

    __all__ += ['IRSTDVisualizer']
