# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Tracks and marked videos."""

import cv2
import numpy as np
import pytest

from smallobj_mm.inference import SmallObjectInferencer, list_sources
from smallobj_mm.inference.result_folder import ResultFolder
from smallobj_mm.inference.targets import box_targets
from smallobj_mm.inference.video_results import VideoResults, mp4_writer

FRAMES = 8


@pytest.fixture
def clip(toys, tmp_path):
    """Two targets of 6 px that move by more than their length each frame."""
    path = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 12, (160, 120))
    if not writer.isOpened():
        pytest.skip('OpenCV cannot write a video here')
    for index in range(FRAMES):
        left, top = 10 + 7 * index, 100 - 7 * index
        writer.write(toys.scene(120, 160, [(left, 20, left + 6, 26), (120, top, 126, top + 6)]))
    writer.release()
    return path


@pytest.fixture(scope='module')
def segmentor(models):
    return SmallObjectInferencer(models / 'seg.py', models / 'seg.pth')


def run(segmentor, folder, clip, track=False, mark=True, stop=None):
    results = ResultFolder(folder, segmentor, dict(track=track))
    videos = VideoResults(results, track, mark)
    left = videos.left(list_sources(clip))
    for number, result in enumerate(segmentor.stream(left)):
        if number == stop:
            videos.abandon()
            return left
        videos.add(result)
    videos.finish()
    results.summarize()
    return left


def frames(path):
    capture, found = cv2.VideoCapture(str(path)), []
    while True:
        complete, frame = capture.read()
        if not complete:
            return found, capture.get(cv2.CAP_PROP_FPS)
        found.append(frame)


def test_a_marked_video(segmentor, clip, tmp_path):
    assert len(run(segmentor, tmp_path / 'out', clip)) == FRAMES
    marked, rate = frames(tmp_path / 'out/videos/clip.mp4')
    assert len(marked) == FRAMES and rate == pytest.approx(12, abs=0.1)
    assert marked[0].shape == (480, 640, 3), 'enlarged'
    colored = [np.ptp(frame.astype(int), axis=2).max() for frame in marked]
    assert min(colored) > 60, 'gray frames have colored marks'
    assert run(segmentor, tmp_path / 'out', clip) == []
    assert not list((tmp_path / 'out/videos').glob('.*'))


def test_a_stopped_video_begins_anew(segmentor, clip, tmp_path):
    run(segmentor, tmp_path / 'out', clip, stop=4)
    assert not (tmp_path / 'out/videos/clip.mp4').exists()
    assert not list((tmp_path / 'out/videos').iterdir()), 'nothing half is left'
    assert len(run(segmentor, tmp_path / 'out', clip)) == FRAMES
    assert len(frames(tmp_path / 'out/videos/clip.mp4')[0]) == FRAMES


def test_tracks_of_small_fast_targets(segmentor, clip, tmp_path):
    pytest.importorskip('supervision')
    import pandas

    run(segmentor, tmp_path / 'out', clip, track=True)
    table = pandas.read_csv(tmp_path / 'out/targets.csv')
    tracked = table.dropna(subset=['track'])
    assert tracked['track'].nunique() == 2 and len(tracked) >= 2 * (FRAMES - 2)
    for _, track in tracked.groupby('track'):
        moving = track['x1'].diff().dropna().abs().max() < 9, track['y1'].diff().max() < 9
        assert all(moving) and track['frame'].is_monotonic_increasing


def test_tracker_package_is_named(monkeypatch):
    import sys

    from smallobj_mm.inference.tracking import TargetTracker

    monkeypatch.setitem(sys.modules, 'supervision', None)
    with pytest.raises(ImportError, match=r'pip install "smallobj_mm\[results\]"'):
        TargetTracker()


def test_frames_without_targets(segmentor, tmp_path, toys):
    pytest.importorskip('supervision')
    from smallobj_mm.inference.tracking import TargetTracker

    tracker = TargetTracker(25)
    assert tracker.update(box_targets(np.zeros((0, 4)), np.zeros(0), np.zeros(0))) == []


@pytest.mark.parametrize('rate', [23.976, 66.667, 119.877, 239.759])
def test_any_rate_can_be_written(rate, tmp_path):
    """MPEG-4 has no uneven rates above 65 frames/s."""
    writer = mp4_writer(tmp_path / 'a.mp4', 25, (64, 48))
    if not writer.isOpened():
        pytest.skip('OpenCV cannot write an MP4 video here')
    writer.release()
    writer = mp4_writer(tmp_path / 'b.mp4', rate, (64, 48))
    for level in (0, 100):
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    found, written = frames(tmp_path / 'b.mp4')
    assert len(found) == 2 and written == pytest.approx(rate, rel=0.01)


def test_tracks_begin_at_the_score_that_is_asked_for(monkeypatch):
    """ByteTrack begins them 0.1 above the threshold that it is given."""
    import sys
    from types import SimpleNamespace

    from smallobj_mm.inference.tracking import TargetTracker

    given = []
    fake = SimpleNamespace(ByteTrack=lambda **options: given.append(options))
    monkeypatch.setitem(sys.modules, 'supervision', fake)
    TargetTracker(25, 0.3)
    assert given[0]['track_activation_threshold'] + 0.1 == pytest.approx(0.3)


def test_where_tracks_begin():
    pytest.importorskip('supervision')
    from smallobj_mm.inference.tracking import TargetTracker

    boxes = np.array([[10, 10, 16, 16], [100, 100, 106, 106]], dtype=np.float32)
    tracker = TargetTracker(25, 0.3)
    for _ in range(3):
        tracks = tracker.update(box_targets(boxes, np.array([0.31, 0.29]), np.zeros(2)))
    assert tracks[0] and not tracks[1]
