# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import json

import pytest
import torch
from safetensors.torch import save_file

from smallobj_mm.checkpoints.operating_points import KEY, read_operating_points


def write(path, value):
    metadata = {} if value is None else {KEY: value}
    save_file({'x': torch.zeros(1)}, path, metadata)
    return path


def test_points_of_a_header(tmp_path):
    points = {'find-everything': 0.1, 'balanced': 0.5}
    found = read_operating_points(write(tmp_path / 'a.safetensors', json.dumps(points)))
    assert found == points and list(found) == ['balanced', 'find-everything']
    assert read_operating_points(write(tmp_path / 'b.safetensors', None)) == {}
    torch.save({}, tmp_path / 'c.pth')
    assert read_operating_points(tmp_path / 'c.pth') == {}


@pytest.mark.parametrize('text', ['x', '[1]', '{"balanced": 2}', '{"best": 0.5}',
                                  '{"balanced": "a"}'])  # fmt: skip
def test_damaged_headers_are_one_line(tmp_path, text):
    with pytest.raises(ValueError, match='a.safetensors: operating_points in its header is'):
        read_operating_points(write(tmp_path / 'a.safetensors', text))
