# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Names of weights inside and outside wrappers."""

import pytest
import torch
from torch import nn

from smallobj_mm.checkpoints.state_dict import load_weights


class Wrapper(nn.Module):
    """As DistributedDataParallel and the models of test-time augmentation hold a network."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


@pytest.mark.parametrize('wrappers', [0, 1, 2])
@pytest.mark.parametrize('saved', [0, 1, 2])
def test_wrappers_one_in_the_other(wrappers: int, saved: int) -> None:
    """``--tta`` with several processes has two."""
    source, model = nn.Linear(2, 1), nn.Linear(2, 1)
    inner = model
    for _ in range(wrappers):
        model = Wrapper(model)
    weights = {f'{"module." * saved}{name}': w for name, w in source.state_dict().items()}
    load_weights(model, {'state_dict': weights}, 'a.pth')
    assert torch.equal(inner.weight, source.weight)
