# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch.distributed as dist

from smallobj_mm.engine.runner import leaving_process_group


def join(tmp_path):
    dist.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)


def test_the_group_is_left(tmp_path):
    with leaving_process_group():
        join(tmp_path)
        assert dist.is_initialized()
    assert not dist.is_initialized()


def test_the_group_is_left_after_an_error(tmp_path):
    with pytest.raises(ValueError, match='bad config'), leaving_process_group():
        join(tmp_path)
        raise ValueError('bad config')
    assert not dist.is_initialized()


def test_without_a_group():
    with leaving_process_group():
        pass
    assert not dist.is_initialized()
