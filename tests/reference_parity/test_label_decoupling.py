# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Label decoupling against the authors' program, byte for byte."""

import numpy as np
import pytest

from smallobj_mm.datasets.label_decoupling import decouple_label, maps_to_uint8
from smallobj_mm.datasets.masks import binarize_mask


@pytest.fixture(scope='module')
def maps(golden):
    """Name -> mask, interior, boundary, uint8."""
    arrays = golden('label_decoupling')
    names = sorted({key.split('/')[0] for key in arrays})
    assert len(names) == 20
    return {
        name: [arrays[f'{name}/{part}'].numpy() for part in ('mask', 'interior', 'boundary')]
        for name in names
    }


def test_authors_mode(maps):
    for name, (mask, interior, boundary) in maps.items():
        ours = decouple_label(mask, mode='authors')
        found = maps_to_uint8(binarize_mask(mask), ours[0])
        assert np.array_equal(found[0], interior), name
        assert np.array_equal(found[1], boundary), name
        assert np.array_equal(np.rint(ours[0] * 255), interior), name
        assert np.array_equal(np.rint(ours[1] * 255), boundary), name


def test_masks_of_other_coding(maps):
    for name, (mask, interior, _) in maps.items():
        for coded in (mask // 255, mask // 2, np.stack([mask] * 3, axis=2)):
            found = decouple_label(coded, mode='authors')[0]
            assert np.array_equal(np.rint(found * 255), interior), name


def test_most_of_the_authors_interior_is_outside_of_the_targets(maps):
    """What the exact mode is there for."""
    outside = sum(interior[mask == 0].sum(dtype=float) for mask, interior, _ in maps.values())
    whole = sum(interior.sum(dtype=float) for _, interior, _ in maps.values())
    assert 0.4 < outside / whole < 0.75
