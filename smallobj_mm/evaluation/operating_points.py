# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Thresholds that a segmentor is recommended with, fixed on held-out images."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from smallobj_mm.utils.errors import UserError

#: Thresholds that are tried. The tails are finer: there the few false alarms are decided.
CANDIDATES = (
    0.02, 0.05, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75,
    0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995,
)  # fmt: skip
#: F1 that makes no difference: on some hundred images it is below what a few pixels change.
_SAME_F1 = 0.002


class OperatingPoints(NamedTuple):
    """Thresholds, each for another purpose; ``find_everything <= balanced <= few_false_alarms``.

    Attributes:
        balanced: The greatest F1 of pixels; of those that are as good, the one nearest to 0.5.
        few_false_alarms: The lowest with a false alarm rate of ``max_fa`` or less, at least
            ``balanced``; where none has, the one with the lowest rate.
        find_everything: The highest that detects as many targets as any, at most ``balanced``.
    """

    balanced: float
    few_false_alarms: float
    find_everything: float

    def by_name(self) -> dict[str, float]:
        """Threshold by name, as the header of a file of weights has them."""
        return {name.replace('_', '-'): value for name, value in self._asdict().items()}


def choose_operating_points(
    metrics: Mapping[str, Mapping[str, Any]], max_fa: float = 5e-6
) -> OperatingPoints:
    """Choose thresholds by the metrics at each of them.

    Args:
        metrics: By threshold as text, as :func:`smallobj_mm.evaluation.irstd_summary.summarize`
            gives them: ``F1``, ``Pd``, ``Fa`` and ``targets``. Of held-out images of the training
            set, not of those that figures are reported on.
        max_fa: False alarm rate that is few: false pixels over all pixels.

    Returns:
        The thresholds.

    Raises:
        UserError: There is no threshold, or no target in the images.
    """
    points = sorted((float(name), values) for name, values in metrics.items())
    if not points or not points[0][1]['targets']:
        raise UserError(
            f'operating points: {len(points)} thresholds and no target, expected images with '
            'targets; name a hold-out list that has some'
        )
    best = max(values['F1'] for _, values in points)
    good = [threshold for threshold, values in points if values['F1'] >= best - _SAME_F1]
    balanced = min(good, key=lambda threshold: abs(threshold - 0.5))
    above = [(threshold, values) for threshold, values in points if threshold >= balanced]
    few = next((threshold for threshold, values in above if values['Fa'] <= max_fa), None)
    if few is None:
        few = min(above, key=lambda point: point[1]['Fa'])[0]
    below = [(threshold, values) for threshold, values in points if threshold <= balanced]
    most = max(values['Pd'] for _, values in below)
    everything = max(threshold for threshold, values in below if values['Pd'] >= most)
    return OperatingPoints(balanced, few, everything)
