# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import time

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel

from smallobj_mm.benchmark.training_time import measure_training_time
from smallobj_mm.registry import DATASETS, MODELS
from smallobj_mm.utils.errors import UserError


class Slow(BaseModel):
    """A step takes 30 ms and more, the first one three times as long."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = 0

    def forward(self, inputs, mode='loss'):
        time.sleep(0.03 if self.seen else 0.09)
        self.seen += 1
        return dict(loss=self.weight.sum())


@pytest.fixture
def cfg(tmp_path):
    MODELS.register_module(module=Slow, name='TimedToy', force=True)
    DATASETS.register_module(module=list, name='TimedImages', force=True)
    return Config(
        dict(
            model=dict(type='TimedToy'),
            work_dir=str(tmp_path / 'work'),
            train_dataloader=dict(
                batch_size=1,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=dict(type='TimedImages'),
                collate_fn=dict(type='pseudo_collate'),
            ),
            train_cfg=dict(by_epoch=True, max_epochs=7),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            default_scope='mmengine',
            experiment_name=tmp_path.name,
        )
    )


@pytest.mark.parametrize(('images', 'steps'), [(20, 140), (1, 7)])
def test_a_few_steps_tell(images, steps, cfg, tmp_path):
    before = cfg.to_dict()
    DATASETS.register_module(
        module=lambda: [torch.zeros(1)] * images, name='TimedImages', force=True
    )
    measured = measure_training_time(cfg)
    assert measured.steps == steps and 0.03 <= measured.step
    assert measured.seconds == pytest.approx(steps * measured.step)
    assert cfg.to_dict() == before and not (tmp_path / 'work').exists()


def test_no_step(cfg):
    with pytest.raises(UserError, match='steps is 0'):
        measure_training_time(cfg, 0)
    cfg.train_cfg.max_epochs = 0
    DATASETS.register_module(module=lambda: [torch.zeros(1)], name='TimedImages', force=True)
    with pytest.raises(UserError, match='no step of training'):
        measure_training_time(cfg)
