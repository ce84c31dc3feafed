# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Video clips on the page: all frames through the network once, then any of them to look at."""

from __future__ import annotations

import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Union

import cv2
import numpy as np

from smallobj_mm.inference import SmallObjectInferencer, list_sources
from smallobj_mm.inference.pictures import MOST_NUMBERS, mark_targets
from smallobj_mm.inference.sources import VIDEO_SUFFIXES, Video, frame_name
from smallobj_mm.inference.video_results import mp4_writer
from smallobj_mm.inference.writers import Record, write_coco, write_csv
from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.io import atomic_file, atomic_write_json
from smallobj_mm.visualization.target_drawing import draw_numbers, enlarge, picture_scale

from .analysis import MOST_PIXELS, Analysis, Detections, adopt, analyze, find, options_of

#: Most frames of a clip; the first ones are taken.
MOST_FRAMES = 300
#: Small frames of the marked video are enlarged to about this longer side, px.
_SIDE = 640


@dataclass(frozen=True)
class Clip:
    """What a network said about the frames of a clip.

    Attributes:
        name: What the clip is called.
        model: What the model is called.
        frames: What it said about each, in their order.
        total: Frames of the file, of which the first ones are there.
        rate: Frames per second.
        file: Path of the clip.
    """

    name: str
    model: str
    frames: tuple[Analysis, ...]
    total: int
    rate: float
    file: str = ''

    @property
    def seconds(self) -> float:
        """How long the network took for all frames."""
        return sum(frame.seconds for frame in self.frames)


#: What the page keeps of a file.
Analyzed = Union[Analysis, Clip]


def is_video(path: str) -> bool:
    """Whether a file is called like a video."""
    return path.lower().endswith(VIDEO_SUFFIXES)


def analyze_file(
    inferencer: SmallObjectInferencer,
    path: str,
    model: str,
    on_progress: Callable[[float], None] | None = None,
) -> Analyzed:
    """Run the network over an image, or over the frames of a clip.

    Args:
        inferencer: The model.
        path: The file.
        model: What the model is called.
        on_progress: Called now and then with the part that is done, 0 to 1.

    Raises:
        UserError: See :func:`analyze`; or the clip cannot be read, in one sentence.
    """
    if not is_video(path):
        return analyze(inferencer, path, model, on_progress)
    name = Path(path).name
    sources = list_sources(path)
    if sources[0].frame is None:
        raise UserError(f'{name}: not readable as a video; choose an MP4, AVI, MOV or WebM')
    first = sources[0].read() if sources[0].read is not None else np.zeros((1, 1, 3), np.uint8)
    most = min(MOST_FRAMES, MOST_PIXELS // max(first.shape[0] * first.shape[1], 1))
    if most < 1:
        raise UserError(f'{name}: frames of more than {MOST_PIXELS // 1_000_000} million pixels')
    chosen = sources[:most]

    def report(done: float) -> None:
        if on_progress is not None:
            on_progress(done / len(chosen))

    frames: list[Analysis] = []
    start = time.monotonic()
    for result in inferencer.stream(chosen, on_progress=report, **options_of(inferencer)):
        if result.error is not None:
            raise UserError(
                f'{name}: frame {len(frames)} cannot be decoded; cut the clip before it'
            )
        label = f'{name}/{frame_name(len(frames))}'
        frames.append(adopt(inferencer, result, label, model, time.monotonic() - start))
        start = time.monotonic()
    rate = Video.frames_per_second(path)
    return Clip(name, model, tuple(frames), len(sources), rate, path)


def at_frame(analyzed: Analyzed, number: float | None) -> Analysis:
    """An image's analysis, or that of a frame of a clip."""
    if isinstance(analyzed, Analysis):
        return analyzed
    index = int(number) if isinstance(number, (int, float)) and number == number else 0
    return analyzed.frames[min(max(index, 0), len(analyzed.frames) - 1)]


def write_clip_archive(path: str | Path, clip: Clip, threshold: float) -> None:
    """Write the results of a clip into a ZIP file, whole or not at all.

    It has targets.csv with a column for the frame, predictions.json (a COCO results array),
    settings.json and marked.mp4; settings.json says so where OpenCV cannot write that.

    Args:
        path: The file.
        clip: What the network said.
        threshold: See :func:`find`.
    """
    records, classes = [], clip.frames[0].classes
    segmentation = clip.frames[0].segmentation
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writer: cv2.VideoWriter | None = None
        for number, frame in enumerate(clip.frames):
            detected = find(frame, threshold)
            height, width = frame.image.shape[:2]
            records.append(
                Record(frame.name, frame.name, width, height, [], detected.targets, number)
            )
            picture = draw_marked(frame, detected)
            if writer is None:
                writer = mp4_writer(folder / 'marked.mp4', clip.rate, picture.shape[1::-1])
            writer.write(picture)
        assert writer is not None  # a clip has a frame
        written = writer.isOpened()
        writer.release()
        write_csv(folder / 'targets.csv', records, classes)
        write_coco(folder / 'predictions.json', records, classes, segmentation)
        settings = dict(
            clip=clip.name, model=clip.model, threshold=threshold, frames=len(clip.frames)
        )
        if not written:
            settings['marked.mp4'] = 'not written: OpenCV cannot write an MP4 video here'
            (folder / 'marked.mp4').unlink(missing_ok=True)
        atomic_write_json(folder / 'settings.json', settings, indent=1)
        with atomic_file(path) as file, zipfile.ZipFile(file, 'w') as archive:
            for content in sorted(folder.iterdir()):
                packed = content.suffix != '.mp4'
                method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
                archive.write(content, content.name, method)


def draw_marked(frame: Analysis, detected: Detections) -> np.ndarray:
    """A frame with its targets marked and numbered, (h, w, 3) uint8 of even sides."""
    zoom = max(round(_SIDE / max(frame.image.shape[:2])), 1)
    canvas = enlarge(frame.image, zoom)
    mark_targets(canvas, detected.targets, frame.classes, detected.mask, zoom)
    bboxes = detected.targets.bboxes[:MOST_NUMBERS] * zoom
    texts = [str(number + 1) for number in range(len(bboxes))]
    draw_numbers(canvas, bboxes, texts, picture_scale(canvas.shape))
    height, width = canvas.shape[:2]
    return np.ascontiguousarray(canvas[: height - height % 2, : width - width % 2])
