# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Targets of the frames of a video as tracks, by the tracker of ``supervision``."""

from __future__ import annotations

import contextlib
import importlib
import warnings
from typing import Any

import numpy as np

from smallobj_mm.utils.errors import MissingPackageError

from .targets import Targets

#: Boxes are grown by this (px) on each side before they are compared: a target of six pixels that
#: moves by its own length has no overlap with itself.
MARGIN = 12.0
#: Above its track_activation_threshold, where supervision's ByteTrack begins tracks.
_ABOVE = 0.1


class TargetTracker:
    """ByteTrack (Zhang et al., 2022, arXiv 2110.06864) on grown boxes.

    Args:
        rate: Frames per second, from which the tracker reckons how long a target may be lost.
        least: Score from which a target begins a track, 0.1 or more.

    Raises:
        MissingPackageError: supervision is not installed.
    """

    def __init__(self, rate: float = 25.0, least: float = 0.25) -> None:
        supervision: Any = None
        with contextlib.suppress(ImportError):
            supervision = importlib.import_module('supervision')
        if not hasattr(supervision, 'ByteTrack'):
            raise MissingPackageError(
                '--track: needs supervision below 0.28, which has ByteTrack and is not installed; '
                'pip install "smallobj_mm[results]"'
            )
        self._supervision = supervision
        with warnings.catch_warnings():  # that it moves to a package of its own some day
            warnings.simplefilter('ignore')
            self._tracker = supervision.ByteTrack(
                track_activation_threshold=max(least - _ABOVE, 0.0), frame_rate=max(round(rate), 1)
            )

    def update(self, targets: Targets) -> list[int]:
        """The number of each target's track, 0 of those that have none yet.

        Args:
            targets: Of the next frame.
        """
        tracks = np.zeros(len(targets.scores), dtype=int)
        grown = targets.bboxes + np.array([-1, -1, 1, 1], dtype=np.float32) * MARGIN
        tracked = self._tracker.update_with_detections(
            self._supervision.Detections(
                xyxy=grown,
                confidence=targets.scores,
                class_id=targets.labels,
                data={'index': np.arange(len(tracks))},
            )
        )
        if len(tracked) and tracked.tracker_id is not None:
            tracks[tracked.data['index']] = tracked.tracker_id
        return tracks.tolist()
