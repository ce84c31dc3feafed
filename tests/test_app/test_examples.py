# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The examples of the page."""

import cv2
import numpy as np
import pytest

from smallobj_mm.app import examples
from smallobj_mm.utils.configs import find_config


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    return examples.write_examples(tmp_path_factory.mktemp('examples') / 'new')


def test_real_ones_come_first_each_with_its_model(written):
    assert [e.name for e in written] == [*examples.REAL, *examples.SEEDS]
    for example in written:
        assert find_config(example.model).stem == example.model
        assert ('CC' in example.credit) == (example.name in examples.REAL)
        assert cv2.imread(str(example.picture)) is not None


def test_of_a_clip_the_first_frame_is_shown(written):
    clip = next(e for e in written if e.name == 'drone')
    capture = cv2.VideoCapture(str(clip.file))
    complete, frame = capture.read()
    capture.release()
    assert complete
    np.testing.assert_array_equal(cv2.imread(str(clip.picture)), frame)


def test_synthetic_ones_are_the_same_each_time(written):
    for example in written[len(examples.REAL) :]:
        image = cv2.imread(str(example.file), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(image, examples.make_sample(example.name))


def test_without_the_images_of_the_demo(tmp_path, monkeypatch):
    monkeypatch.setattr(examples, 'DEMO_FOLDERS', (tmp_path / 'nowhere',))
    assert [e.name for e in examples.write_examples(tmp_path)] == list(examples.SEEDS)
