# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Results of the frames of a video: tracks, and the video with its targets marked."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from smallobj_mm.utils.errors import UserError
from smallobj_mm.visualization.target_drawing import (
    as_bgr,
    draw_numbers,
    enlarge,
    picture_scale,
)

from .pictures import MOST_NUMBERS, mark_targets
from .result import Result
from .result_folder import ResultFolder
from .sources import Source, Video
from .tracking import TargetTracker
from .writers import result_path

#: Small frames are enlarged by whole numbers until their longer side has about so many pixels.
SIDE = 640
#: Frames per second up to which a rate is written with three decimal places: MPEG-4 has at most
#: 65535 ticks a second, and OpenCV takes a thousand for each frame.
MOST_EXACT = 65


class MarkedVideo:
    """A video file (.mp4) of marked frames, which takes its place when it is complete.

    Args:
        path: The file.
        rate: Frames per second.
        classes: Names by label.
    """

    def __init__(self, path: Path, rate: float, classes: Sequence[str]) -> None:
        self.path = path
        self.rate = rate
        self.classes = classes
        self._temporary = path.with_name(f'.{secrets.token_hex(8)}.tmp.mp4')
        self._writer: cv2.VideoWriter | None = None

    def add(self, result: Result, tracks: Sequence[int] | None) -> None:
        """Write the next frame; targets have the number of their track, else of the table.

        Raises:
            UserError: OpenCV cannot write a video here.
        """
        frame = draw_frame(result, self.classes, tracks)
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = mp4_writer(self._temporary, self.rate, frame.shape[1::-1])
            if not self._writer.isOpened():
                raise UserError(f'{self.path}: OpenCV cannot write an MP4 video here')
        self._writer.write(frame)

    def finish(self) -> None:
        """Put the file in its place."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
            os.replace(self._temporary, self.path)

    def abandon(self) -> None:
        """Remove what is not complete."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
        self._temporary.unlink(missing_ok=True)


def mp4_writer(path: Path, rate: float, size: Sequence[int]) -> cv2.VideoWriter:
    """A writer of an MP4 video, which is not open where OpenCV cannot write one.

    Args:
        path: The file.
        rate: Frames per second; higher ones than :data:`MOST_EXACT` become whole numbers.
        size: Width and height of the frames, px.
    """
    rate = round(rate) if rate > MOST_EXACT else rate
    return cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), rate, tuple(size))


def draw_frame(
    result: Result, classes: Sequence[str], tracks: Sequence[int] | None = None
) -> np.ndarray:
    """A frame with its targets marked, (h, w, 3) uint8 of even sides, without a legend."""
    image = as_bgr(result.image) if result.image is not None else np.zeros((2, 2, 3), np.uint8)
    zoom = max(round(SIDE / max(image.shape[:2])), 1)
    canvas = enlarge(image, zoom)
    targets = result.targets
    mark_targets(canvas, targets, classes, result.mask, zoom)
    numbers = range(1, len(targets.scores) + 1) if tracks is None else tracks
    shown = [i for i, number in enumerate(numbers) if number][:MOST_NUMBERS]
    texts = [str(numbers[i]) for i in shown]
    draw_numbers(canvas, targets.bboxes[shown] * zoom, texts, picture_scale(canvas.shape))
    height, width = canvas.shape[:2]
    return np.ascontiguousarray(canvas[: height - height % 2, : width - width % 2])


class VideoResults:
    """Adds results to a folder, those of videos with tracks and a marked video.

    Args:
        results: The folder.
        track: Whether to track targets.
        mark: Whether to write ``videos/NAME.mp4``.
    """

    def __init__(self, results: ResultFolder, track: bool, mark: bool) -> None:
        self.results = results
        self.track, self.mark = track, mark
        self._open: str | None = None
        self._tracker: TargetTracker | None = None
        self._video: MarkedVideo | None = None
        if track:
            TargetTracker()  # says that the package is missing before anything is computed

    def left(self, sources: list[Source]) -> list[Source]:
        """Those that are not finished; of a video with tracks or marks all frames, or none.

        Raises:
            UserError: See :meth:`ResultFolder.finished`.
        """
        finished = {id(s): self.results.finished(s) for s in sources}
        if self.track or self.mark:
            again = {s.path for s in sources if s.frame is not None and not finished[id(s)]}
            again |= {
                s.path for s in sources
                if s.frame is not None and self.mark and not self._path(s).is_file()
            }  # fmt: skip
            finished = {id(s): finished[id(s)] and s.path not in again for s in sources}
        return [source for source in sources if not finished[id(source)]]

    def add(self, result: Result) -> None:
        """Write the results of an image or of the next frame.

        Raises:
            UserError: See :meth:`ResultFolder.add`.
        """
        source = result.source
        if source.frame is None or not (self.track or self.mark):
            self.results.add(result)
            return
        if source.path != self._open:
            self.finish()
            self._begin(source)
        tracks = None if self._tracker is None else self._tracker.update(result.targets)
        if self._video is not None:
            self._video.add(result, tracks)
        self.results.add(result, tracks)

    def _begin(self, source: Source) -> None:
        rate = Video.frames_per_second(source.file or source.path)
        self._open = source.path
        self._tracker = TargetTracker(rate) if self.track else None
        if self.mark:
            self._video = MarkedVideo(self._path(source), rate, self.results.classes)

    def finish(self) -> None:
        """Complete the marked video of the frames that were added."""
        if self._video is not None:
            self._video.finish()
        self._open = self._tracker = self._video = None

    def abandon(self) -> None:
        """Remove a marked video that is not complete."""
        if self._video is not None:
            self._video.abandon()
        self._open = self._tracker = self._video = None

    def _path(self, source: Source) -> Path:
        """The marked video of a frame's video."""
        return result_path(self.results.folder / 'videos', source.name.rpartition('/')[0], '.mp4')
