# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""How likely each object is to be chosen, by its class and its size."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from smallobj_mm.utils.errors import UserError

from .annotations import Annotations


class ObjectWeights:
    """Weights of objects: that of the class times that of the size.

    Ignore regions have the weight 0.

    Args:
        user: Name of the transform that asks, for the error messages.
        class_weights: One weight at least 0 for each class, by its index; None for 1 each.
        size_weights: Pairs (limit, weight) with rising limits in pixels: an object takes the
            weight of the first pair whose limit is above the square root of its area, and 1 if
            there is none.

    Raises:
        UserError: If a weight is negative or no number, or the limits do not rise.
    """

    def __init__(
        self,
        user: str,
        class_weights: Sequence[float] | None = None,
        size_weights: Sequence[tuple[float, float]] = (),
    ) -> None:
        self.user = user
        self.classes = None if class_weights is None else np.array(class_weights, dtype=float)
        if self.classes is not None and not (
            self.classes.ndim == 1 and (self.classes >= 0).all() and np.isfinite(self.classes).all()
        ):
            raise UserError(
                f'{user}: class_weights is {class_weights}, expected one finite number of at least '
                '0 for each class'
            )
        pairs = [tuple(pair) for pair in size_weights if isinstance(pair, (tuple, list))]
        sizes = np.array([pair for pair in pairs if len(pair) == 2], dtype=float).reshape(-1, 2)
        if (
            len(sizes) != len(size_weights)
            or (np.diff(sizes[:, 0]) <= 0).any()
            or not ((sizes >= 0) & np.isfinite(sizes)).all()
        ):
            raise UserError(
                f'{user}: size_weights is {size_weights}, expected pairs (limit in pixels, weight) '
                'with rising limits and finite weights of at least 0'
            )
        self.limits = sizes[:, 0]
        self.sizes = np.append(sizes[:, 1], 1.0)

    def __call__(self, annotations: Annotations) -> np.ndarray:
        """Weight of each object.

        Args:
            annotations: The objects of an image.

        Returns:
            Array (n,) float64, not normalized.

        Raises:
            UserError: If a label has no weight.
        """
        sides = annotations.boxes[:, 2:] - annotations.boxes[:, :2]
        root = np.sqrt(np.clip(sides, 0, None).prod(axis=1))
        weights = self.sizes[np.searchsorted(self.limits, root, side='right')]
        weights = np.where(annotations.ignore, 0.0, weights)
        if self.classes is not None and len(weights):
            top = int(annotations.labels.max())
            if top >= len(self.classes):
                raise UserError(
                    f'{self.user}: class_weights has {len(self.classes)} numbers, but there are '
                    f'objects of class {top}: give one number for each class of the data set'
                )
            weights = weights * self.classes[annotations.labels]
        return weights


def draw_index(weights: np.ndarray) -> int | None:
    """Draw a position with probabilities proportional to ``weights``, or None if all are 0."""
    total = weights.sum()
    if not total > 0:
        return None
    return int(np.random.choice(len(weights), p=weights / total))


def check_probabilities(user: str, **values: float) -> None:
    """Raise ValueError, naming the option, unless all values lie in [0, 1]."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise UserError(f'{user}: {name} is {value}, expected a value in [0, 1]')
