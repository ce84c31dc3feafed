# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A shipped config through the runner of tools/train.py: the loss falls, nothing collapses."""

import json

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from smallobj_mm.checkpoints.reading import load_plain
from smallobj_mm.engine.hooks.knn_accuracy import knn_accuracy
from smallobj_mm.engine.runner import build_runner


def scalars(work_dir):
    """Entries of the log by what they are of."""
    lines = next(work_dir.rglob('scalars.json')).read_text().splitlines()
    return [json.loads(line) for line in lines]


def tensorboard(work_dir):
    """Tag -> steps in TensorBoard's file."""
    file = next(work_dir.rglob('events.out.tfevents.*'))
    events = EventAccumulator(str(file), size_guidance=dict(scalars=0)).Reload()
    return {tag: [one.step for one in events.Scalars(tag)] for tag in events.Tags()['scalars']}


SPREADS = {f'{name}_stage{i}' for name in ('spread', 'positive', 'other') for i in range(1, 5)}


def test_it_learns(tiny, tmp_path):
    cfg = tiny(epochs=20)
    cfg.optim_wrapper.optimizer.lr = 1.0  # 8 images a step are 1/32 of it
    runner = build_runner(cfg)
    runner.train()
    log = [one for one in scalars(tmp_path / 'work') if 'loss' in one]
    assert len(log) == 60
    losses = torch.tensor([one['loss'] for one in log])
    similarity = torch.tensor([one['loss_similarity_stage4'] for one in log])
    assert losses[-10:].mean() < losses[:10].mean() - 0.1
    assert similarity[-10:].mean() < similarity[:10].mean() - 0.05
    for stage in range(1, 5):
        assert log[-1][f'spread_stage{stage}'] > 0.3
    assert set(log[-1]) >= SPREADS
    steps = tensorboard(tmp_path / 'work')
    assert all(steps[tag] == list(range(1, 61)) for tag in {*SPREADS, 'loss'})
    # The predictors keep their rate, the others end near zero.
    rates = {
        group.get('fix_lr', False): group['lr']
        for group in runner.optim_wrapper.optimizer.param_groups
    }
    assert rates[True] == pytest.approx(8 / 256) and rates[False] < 1e-3
    fixed = [
        n
        for g, n in zip(
            runner.optim_wrapper.optimizer.param_groups, dict(runner.model.named_parameters())
        )
        if g.get('fix_lr')
    ]
    assert fixed and all(name.startswith('head.stages.') for name in fixed)
    state = load_plain(tmp_path / 'work/epoch_20.pth')['state_dict']
    assert all(v.isfinite().all() for v in state.values() if v.is_floating_point())


def test_a_short_run_shows_its_spread(tiny, tmp_path):
    """Three batches an epoch, with the intervals of the shipped config: 50 iterations."""
    cfg = tiny(epochs=2)
    cfg.default_hooks.logger.interval = 50
    for hook in cfg.custom_hooks:
        if hook.type == 'FeatureSpreadHook':
            hook.interval = 50
    build_runner(cfg).train()
    log = [one for one in scalars(tmp_path / 'work') if 'loss' in one]
    assert [one['step'] for one in log] == [3, 6]
    assert all(set(one) >= SPREADS for one in log)
    steps = tensorboard(tmp_path / 'work')
    assert all(steps[tag] == [3, 6] for tag in SPREADS)


@pytest.mark.parametrize('name', ['detsim_r18_folder_local-views', 'detsim_r18_folder_no-aux'])
def test_variants_train(tiny, tmp_path, name):
    build_runner(tiny(name, epochs=1)).train()
    last = scalars(tmp_path / 'work')[-1]
    assert ('loss_local_stage4' in last) == ('local' in name)
    assert ('loss_crop_stage4' in last) == ('local' in name)


def test_nearest_neighbors(tiny, tmp_path, classes):
    """With labels: a scalar for each evaluation, the last epoch always."""
    cfg = tiny(epochs=3)
    loader = dict(
        batch_size=4,
        num_workers=0,
        dataset=dict(
            type='ImageTreeDataset',
            data_root=str(classes),
            with_label=True,
            pipeline=[
                dict(type='LoadImageStrict'),
                dict(type='Resize', scale=(32, 32)),
                dict(type='PackInputs'),
            ],
        ),
    )
    cfg.custom_hooks.append(dict(type='KNNAccuracyHook', bank_dataloader=loader, interval=2))
    runner = build_runner(cfg)
    runner.train()
    found = [one for one in scalars(tmp_path / 'work') if 'knn/accuracy' in one]
    assert [one['step'] for one in found] == [2, 3]
    hook = next(one for one in runner.hooks if type(one).__name__ == 'KNNAccuracyHook')
    dataset = hook._loaders[0].dataset
    images = torch.stack([one['inputs'] for one in dataset])
    labels = torch.tensor([int(one['data_samples'].gt_label) for one in dataset])
    model = runner.model.eval()
    with torch.no_grad():
        data = model.data_preprocessor(dict(inputs=images, data_samples=None), False)
        features = model.pooled_features(data['inputs'])[-1]
    expected = knn_accuracy(features, labels, features, labels, leave_one_out=True)
    assert found[-1]['knn/accuracy'] == pytest.approx(expected)


def test_images_without_labels_are_named(tiny, images):
    cfg = tiny(epochs=1)
    loader = dict(
        batch_size=4,
        num_workers=0,
        dataset=dict(
            type='ImageTreeDataset',
            data_root=str(images),
            pipeline=[dict(type='LoadImageStrict'), dict(type='PackInputs')],
        ),
    )
    cfg.custom_hooks.append(dict(type='KNNAccuracyHook', bank_dataloader=loader))
    with pytest.raises(ValueError, match=r'0\.png has no label'):
        build_runner(cfg).train()


def test_fewer_images_than_a_batch(tiny):
    with pytest.raises(ValueError, match='24 images make no whole batch'):
        build_runner(tiny(batch_size=25)).train()
