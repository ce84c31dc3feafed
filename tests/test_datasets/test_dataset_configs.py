# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The base configs of the data sets: they parse, agree with each other, and give batches."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from mmengine.runner import Runner

import smallobj_mm.datasets  # noqa: F401

SIZES = dict(voc=640, bstld=1280, railworker=640, hituav=640, synthetic_det=256)


@pytest.fixture
def load(repo_root):
    """Function that loads a base config by its name."""
    return lambda name: Config.fromfile(repo_root / f'configs/_base_/datasets/{name}.py')


def raw_data_set(cfg):
    """Config of the data set inside both mixing ones."""
    return cfg.train_dataloader.dataset.dataset.dataset


@pytest.mark.parametrize('name', sorted(SIZES))
def test_numbers_of_the_recipe(load, name):
    cfg = load(name)
    size = (SIZES[name],) * 2
    outer, inner = cfg.train_dataloader.dataset, cfg.train_dataloader.dataset.dataset
    assert [t.type for t in inner.pipeline] == ['SmallObjectMosaic', 'MosaicAffine']
    assert [t.type for t in outer.pipeline] == [
        'BetaMixUp',
        'MultiplicativeHSV',
        'RandomFlip',
        'SmallBoxFilter',
        'PackDetInputs',
    ]
    assert all(tuple(t.img_scale) == size for t in inner.pipeline)
    assert tuple(cfg.test_pipeline[1].scale) == size
    assert raw_data_set(cfg).type == cfg.val_dataloader.dataset.type
    assert raw_data_set(cfg).ann_file != cfg.val_dataloader.dataset.ann_file or name == 'railworker'
    assert cfg.val_dataloader.dataset.test_mode and not cfg.val_dataloader.drop_last
    assert cfg.val_evaluator.type == cfg.test_evaluator.type == 'SmallObjectMetric'


@pytest.mark.parametrize('name', sorted(set(SIZES) - {'synthetic_det'}))
def test_missing_data_stop_with_one_line(load, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = load(name)
    with DefaultScope.overwrite_default_scope('mmdet'):
        for dataset in (cfg.train_dataloader.dataset, cfg.val_dataloader.dataset):
            with pytest.raises(FileNotFoundError) as error:
                DATASETS.build(dataset)
            text = str(error.value)
            assert '\n' not in text and "data_root='data/" in text
            assert 'it comes from' in text and 'layouts understood' in text


def test_synthetic_batches(load, tmp_path):
    cfg = load('synthetic_det')
    for dataset in (raw_data_set(cfg), cfg.val_dataloader.dataset):
        dataset.data_root = str(tmp_path / 'set')
        dataset.num_images = 20
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(batch_size=4, num_workers=0, persistent_workers=False)
    with DefaultScope.overwrite_default_scope('mmdet'):
        train = next(iter(Runner.build_dataloader(cfg.train_dataloader, seed=0)))
        val_loader = Runner.build_dataloader(cfg.val_dataloader, seed=0)
        val = next(iter(val_loader))
    assert val_loader.dataset.metainfo['classes'] == ('disk', 'square', 'triangle')
    for batch in (train, val):
        assert len(batch['inputs']) == 4
        assert all(img.shape == (3, 256, 256) for img in batch['inputs'])
    boxes = [sample.gt_instances.bboxes for sample in train['data_samples']]
    assert sum(len(b) for b in boxes) > 0
    assert all((b.tensor if hasattr(b, 'tensor') else b).shape[1] == 4 for b in boxes)
    assert {'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'} <= set(
        val['data_samples'][0].metainfo_keys()
    )


def test_hituav_batch_carries_regions_to_ignore(load, shared_dir):
    cfg = load('hituav')
    dataset = cfg.val_dataloader.dataset
    dataset.data_root = str(shared_dir / 'data' / 'HIT-UAV')
    with DefaultScope.overwrite_default_scope('mmdet'):
        built = DATASETS.build(dataset)
    assert len(built) == 290
    index = next(
        i for i in range(290) if any(x['ignore_flag'] for x in built.get_data_info(i)['instances'])
    )
    sample = built[index]['data_samples']
    assert len(sample.ignored_instances) > 0 and sample.img_shape == (512, 640)


def with_data(node, root, indices=None):
    """Point all data sets of a config at a folder, pipelines included; few images are faster."""
    if isinstance(node, dict):
        if str(node.get('data_root', '')).startswith('data/'):
            node['data_root'] = node['data_root'].replace('data', str(root), 1)
            node['indices'] = indices
        for value in node.values():
            with_data(value, root, indices)
    elif isinstance(node, (list, tuple)):
        for value in node:
            with_data(value, root, indices)


def mentioned(node):
    """Folders of data that a config names anywhere."""
    if isinstance(node, dict):
        own = {Path(node['data_root']).name} if 'data_root' in node else set()
        return own.union(*(mentioned(value) for value in node.values()))
    if isinstance(node, (list, tuple)):
        return set().union(*(mentioned(value) for value in node))
    return set()


MIXTURES = {
    'ir_mixture': {'NUAA-SIRST', 'NUDT-SIRST'},
    'ir_mixture_no-nuaa': {'NUDT-SIRST'},
    'ir_mixture_no-nudt': {'NUAA-SIRST'},
}
BACKGROUNDS = {'HIT-UAV', 'svanstrom_ir', 'imagenet_sample'}


@pytest.mark.parametrize('name', MIXTURES)
def test_mixtures(load, shared_dir, name):
    cfg = load(name)
    train = cfg.train_dataloader.dataset
    assert mentioned(train) == MIXTURES[name] | BACKGROUNDS  # nothing left of the set left out
    assert mentioned(cfg.val_dataloader) == MIXTURES[name]
    expected = {'ir_mixture': 'NUAA-SIRST', 'ir_mixture_no-nuaa': 'NUAA-SIRST'}
    assert mentioned(cfg.test_dataloader) == {expected.get(name, 'NUDT-SIRST')}
    with_data(cfg.train_dataloader, shared_dir / 'data', indices=20)
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        with_data(loader, shared_dir / 'data')
    train.length = 8
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    with DefaultScope.overwrite_default_scope('mmseg'):
        built = Runner.build_dataloader(cfg.train_dataloader, seed=0)
        batch = next(iter(built))
        val = Runner.build_dataloader(cfg.val_dataloader, seed=0)
        sample = next(iter(val))['data_samples'][0]
        test = DATASETS.build(dict(cfg.test_dataloader.dataset, lazy_init=False))
    assert len(built.dataset.datasets) == len(MIXTURES[name]) + len(BACKGROUNDS)
    assert len(val.dataset) == sum(
        {'NUAA-SIRST': 40, 'NUDT-SIRST': 60}[folder] for folder in MIXTURES[name]
    )
    assert len(test) == (200 if name == 'ir_mixture_no-nudt' else 214)
    assert all(image.shape == (3, 128, 128) for image in batch['inputs'])
    assert {'gt_sem_seg', 'gt_interior_map', 'gt_boundary_map'} <= set(
        batch['data_samples'][0].keys()
    )
    assert tuple(sample.gt_sem_seg.shape) == sample.ori_shape


@pytest.mark.parametrize(
    'name, train, test, side',
    [('nuaa_sirst_paste', 213, 214, 256), ('nudt_sirst_paste', 603, 60, 128)],
)
def test_single_sets_with_pasted_targets(load, shared_dir, name, train, test, side):
    cfg = load(name)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        with_data(loader, shared_dir / 'data')
        loader.update(num_workers=0, persistent_workers=False)
    paste = next(t for t in cfg.train_dataloader.dataset.pipeline if t.type == 'TargetCopyPaste')
    for source in paste.sources:
        source.indices = 20
    with DefaultScope.overwrite_default_scope('mmseg'):
        loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
        val = Runner.build_dataloader(cfg.val_dataloader, seed=0)
        batch, sample = next(iter(loader)), next(iter(val))
    assert len(loader.dataset.datasets[0]) == train and len(val.dataset) == test
    assert all(image.shape == (3, side, side) for image in batch['inputs'])
    assert sample['inputs'][0].shape[0] == 3


@pytest.mark.parametrize('name, images', [('nuaa_sirst', 213), ('nudt_sirst', 663)])
def test_holdout_lists(repo_root, shared_dir, name, images):
    folder = repo_root / 'configs/_base_/datasets/splits'
    lists = {
        part: (folder / f'{name}_{part}.txt').read_text().split() for part in ('train', 'holdout')
    }
    assert not set(lists['train']) & set(lists['holdout'])
    data = shared_dir / 'data' / name.upper().replace('_', '-')
    published = next(iter([*data.glob('train.txt'), *data.glob('img_idx/train*.txt')]))
    assert sorted(lists['train'] + lists['holdout']) == sorted(published.read_text().split())
    assert len(lists['train']) + len(lists['holdout']) == images
    if name == 'nudt_sirst':
        unseen = (folder / f'{name}_unseen.txt').read_text().split()
        assert len(set(unseen)) == 200 and set(lists['holdout']) <= set(unseen)


def first_batch(loader, data_root):
    """The first batch of a loader, made in this process."""
    loader.dataset.data_root = str(data_root)
    loader.update(num_workers=0, persistent_workers=False)
    with DefaultScope.overwrite_default_scope('mmseg'):
        return next(iter(Runner.build_dataloader(loader, seed=0)))


@pytest.mark.parametrize('name', ['nuaa_sirst', 'nudt_sirst', 'irstd1k', 'synthetic_irstd'])
def test_infrared(load, shared_dir, tmp_path, name):
    cfg = load(name)
    assert cfg.val_dataloader == cfg.test_dataloader
    assert cfg.val_evaluator == cfg.test_evaluator == dict(type='IRSTDMetric')
    folder = {'nuaa_sirst': 'NUAA-SIRST', 'nudt_sirst': 'NUDT-SIRST'}.get(name)
    root = shared_dir / 'data' / folder if folder else tmp_path / 'set'
    if name == 'irstd1k':
        with pytest.raises(FileNotFoundError, match='infrared|IRSTD-1k'):
            first_batch(cfg.train_dataloader, root)
        return
    batch = first_batch(cfg.train_dataloader, root)
    assert len(batch['inputs']) == 16
    shapes = {tuple(image.shape[1:]) for image in batch['inputs']}
    assert len(shapes) == 1 and shapes <= {(s, s) for s in cfg.train_sizes}
    assert {'gt_sem_seg', 'gt_interior_map', 'gt_boundary_map'} <= set(
        batch['data_samples'][0].keys()
    )
    if name == 'nudt_sirst':  # the images of its test are not here
        cfg.val_dataloader.dataset.update(split='train', holdout=dict(fraction=0.1, part='val'))
    batch = first_batch(cfg.val_dataloader, root)
    for image, sample in zip(batch['inputs'], batch['data_samples']):
        assert tuple(sample.gt_sem_seg.shape) == sample.ori_shape
        native = (352, 352) if name == 'nuaa_sirst' else sample.ori_shape
        assert tuple(image.shape[1:]) == tuple(sample.img_shape) == native
