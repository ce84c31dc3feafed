# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest
import torch

pytest.importorskip('mmcv')

from smallobj_mm.datasets.transforms import FlipTurn
from smallobj_mm.models.tta.probability_tta import undo_view

DIRECTIONS = (None, 'horizontal', 'vertical', 'diagonal')


def sample():
    image = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3)
    return dict(img=image, ori_shape=(6, 10), img_shape=(3, 5), scale_factor=(0.5, 0.25))


def test_views_are_undone_exactly():
    seen = set()
    for direction, turns in itertools.product(DIRECTIONS, range(4)):
        results = FlipTurn(direction, turns)(sample())
        view = torch.from_numpy(results['img']).permute(2, 0, 1)
        back = undo_view(view, results['tta_view']).permute(1, 2, 0)
        assert np.array_equal(back, sample()['img'])
        odd = turns % 2
        assert results['img_shape'] == ((5, 3) if odd else (3, 5)) == results['img'].shape[:2]
        assert results['ori_shape'] == ((10, 6) if odd else (6, 10))
        assert results['scale_factor'] == ((0.25, 0.5) if odd else (0.5, 0.25))
        seen.add(results['img'].tobytes())
    assert len(seen) == 8


def test_arguments_out_of_range():
    for arguments in (dict(direction='both'), dict(turns=4)):
        with pytest.raises(ValueError, match='FlipTurn: direction is'):
            FlipTurn(**arguments)
    assert repr(FlipTurn('vertical', 1)) == "FlipTurn(direction='vertical', turns=1)"
