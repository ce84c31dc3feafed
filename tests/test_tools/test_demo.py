# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What tools/demo.py removes before it begins; tests/test_training.py runs what it runs."""

import numpy as np
import pytest

from smallobj_mm.benchmark.training_time import TrainingTime


@pytest.fixture
def demo(load_tool):
    return load_tool('demo')


def test_a_folder_of_other_things_is_refused(demo, tmp_path):
    weights = tmp_path / 'training' / 'epoch_12.pth'
    weights.parent.mkdir()
    weights.write_bytes(b'mine')
    for page in (None, '<title>My page</title>'):
        if page:
            (tmp_path / 'index.html').write_text(page)
        with pytest.raises(ValueError, match='has training, which no demo made'):
            demo.clear(tmp_path)
        assert weights.read_bytes() == b'mine'


def test_an_earlier_demo_is_replaced(demo, tmp_path):
    folder = tmp_path / 'demo'
    demo.clear(folder)
    (folder / 'training').mkdir()
    demo.clear(folder)  # the earlier one was stopped
    assert [file.name for file in folder.iterdir()] == ['index.html']
    demo.write_page(folder, [('row', np.zeros((4, 4, 3), np.uint8))])
    (folder / 'after').mkdir()
    demo.clear(folder)
    assert not (folder / 'after').exists()


@pytest.mark.parametrize('step, iterations', [(0.1, 400), (1.0, 140), (9.0, 100)])
def test_a_slow_machine_takes_fewer_steps(demo, monkeypatch, step, iterations):
    monkeypatch.setattr(demo, 'measure_training_time', lambda cfg: TrainingTime(400, step))
    assert demo.fitting_iterations(140.0) == iterations
