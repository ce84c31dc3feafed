# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""How two views of an image differ: the targets of augmentation-aware heads.

Source: Lee et al., "Improving Transferability of Representations via Augmentation-Aware
Self-Supervision" (AugSelf), 2021; the crop and the color as in TL-OBSDM.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class Target(NamedTuple):
    """What a head predicts about a pair of views.

    Attributes:
        outputs: Numbers that the head puts out.
        classes: Whether they are scores of classes (the difference is one integer, modulo their
            number) instead of the difference itself.
    """

    outputs: int
    classes: bool = False


#: Name -> what is predicted.
#:
#: - crop: x and y of the center, width, height, in fractions of the source image;
#: - color: brightness, contrast, saturation, hue, in fractions of their ranges;
#: - flip: whether mirrored; blur: sigma; solarize: strength, the latter two in fractions of the
#:   largest;
#: - rotation: quarter turns, as classes.
TARGETS: Mapping[str, Target] = {
    'crop': Target(4),
    'color': Target(4),
    'flip': Target(1),
    'blur': Target(1),
    'rotation': Target(4, classes=True),
    'solarize': Target(1),
}


def new_record() -> dict:
    """The record of a view that is the whole image, unchanged.

    Returns:
        crop: (center x, center y, width, height) in fractions of the source image, along its own
        axes; axes: the 2x2 matrix that takes directions (x, y) of the source to those of the view;
        color, flip, blur, solarize, rotation as in :data:`TARGETS`. In whatever order a view was
        flipped and turned, flip and rotation mean: first mirrored, then turned.
    """
    return dict(
        crop=np.array([0.5, 0.5, 1.0, 1.0]),
        axes=np.eye(2),
        color=np.zeros(4),
        flip=0.0,
        blur=0.0,
        solarize=0.0,
        rotation=0,
    )


def part_of_source(record: Mapping, part: np.ndarray) -> np.ndarray:
    """Where a part of a view lies in the source image.

    Args:
        record: Record of the view, see :func:`new_record`.
        part: (center x, center y, width, height) in fractions of the view.

    Returns:
        The same in fractions of the source, along the source's axes.
    """
    # Corners instead of offsets from the center: for a view that is the whole source the numbers
    # then come out as they are, without rounding.
    view = record['crop']
    back = record['axes'].T
    mirrored = back.sum(axis=1) < 0
    center = back @ part[:2] + mirrored
    start = view[:2] - view[2:] / 2
    return np.concatenate([start + center * view[2:], np.abs(back) @ part[2:] * view[2:]])


def difference(name: str, first: Mapping, second: Mapping) -> np.ndarray:
    """How the first view differs from the second.

    The other way round is the negative, for the rotation modulo 4. The crops are compared in the
    frame of the first view: where it is mirrored, the centers of both are.

    Args:
        name: One of :data:`TARGETS`.
        first: Record of the first view, see :func:`new_record`.
        second: Record of the second.

    Returns:
        float32 of as many numbers as the target has outputs, or int64 of shape () for classes.
    """
    if name == 'crop':
        change = first['crop'] - second['crop']
        axes = first['axes']
        change = np.concatenate([axes @ change[:2], np.abs(axes) @ change[2:]])
    elif name == 'rotation':
        return np.array((first['rotation'] - second['rotation']) % 4, dtype=np.int64)
    else:
        change = np.atleast_1d(first[name] - second[name])
    return change.astype(np.float32)
