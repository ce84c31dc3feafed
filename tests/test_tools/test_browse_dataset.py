# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0

import cv2
import mmengine
import numpy as np
import pytest

CONFIG = """
default_scope = 'mmdet'
custom_imports = dict(imports=['smallobj_mm'], allow_failed_imports=False)
raw = dict(
    type='CocoDataset', ann_file='labels.json', data_root=ROOT, data_prefix=dict(img=''),
    metainfo=dict(classes=('boat', 'plane')),
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)],
)
train_dataloader = dict(dataset=dict(
    type='MultiImageMixDataset', dataset=raw,
    pipeline=[
        dict(type='SmallObjectMosaic', img_scale=(64, 48)),
        dict(type='MosaicAffine', img_scale=(64, 48), scale=0.2),
        dict(type='PackDetInputs'),
    ],
))
val_dataloader = dict(dataset=dict(
    type='CocoDataset', ann_file='labels.json', data_root=ROOT, data_prefix=dict(img=''),
    metainfo=dict(classes=('boat', 'plane')), test_mode=True,
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
              dict(type='PackDetInputs')],
))
"""


@pytest.fixture
def tool(load_tool, monkeypatch):
    monkeypatch.delenv('DISPLAY', raising=False)
    return load_tool('analysis_tools/browse_dataset')


@pytest.fixture
def config(tmp_path):
    images, annotations = [], []
    for index in range(3):
        cv2.imwrite(str(tmp_path / f'im{index}.png'), np.full((40, 60, 3), 90, np.uint8))
        images.append(dict(id=index, file_name=f'im{index}.png', height=40, width=60))
        for crowd in (0, 1):
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=index,
                    category_id=1,
                    iscrowd=crowd,
                    bbox=[5 + 30 * crowd, 5, 20, 30],
                    area=600,
                )
            )
    categories = [dict(id=1, name='boat'), dict(id=2, name='plane')]
    content = dict(images=images, annotations=annotations, categories=categories)
    mmengine.dump(content, tmp_path / 'labels.json')
    path = tmp_path / 'config.py'
    path.write_text(CONFIG.replace('ROOT', repr(str(tmp_path))))
    return path


def pictures(folder):
    return {path.name: cv2.imread(str(path)) for path in sorted(folder.iterdir())}


def test_draws_the_augmented_samples(tool, config, tmp_path, capsys):
    tool.main([str(config), '--output-dir', str(tmp_path / 'out'), '--zoom', '2', '--not-show'])
    drawn = pictures(tmp_path / 'out')
    assert list(drawn) == [f'00000{index}_im{index}.png' for index in range(3)]
    assert all(img.shape[1] == 128 and img.shape[0] > 96 for img in drawn.values())
    shown = capsys.readouterr().out
    assert 'ETA' in shown and 'pictures of the train split' in shown


def test_same_seed_same_pictures(tool, config, tmp_path):
    for name, seed in (('a', '1'), ('b', '1'), ('c', '2')):
        tool.main([str(config), '--output-dir', str(tmp_path / name), '--seed', seed])
    first, second, third = (pictures(tmp_path / name) for name in 'abc')
    assert all((first[name] == second[name]).all() for name in first)
    assert any((first[name] != third[name]).any() for name in first)


def test_other_split_number_and_kind(tool, config, tmp_path):
    tool.main(
        [
            str(config),
            '--output-dir',
            str(tmp_path / 'out'),
            '--split',
            'val',
            '--num',
            '1',
            '--ext',
            'jpg',
        ]
    )
    ((name, img),) = pictures(tmp_path / 'out').items()
    assert name == '000000_im0.jpg' and img.shape[1] == 60
    # An object keeps its pixels, an ignore region is hatched.
    assert np.ptp(img[8:30, 8:22].astype(int)) < 12 < np.ptp(img[8:30, 38:52].astype(int))


def test_sheets(tool, config, tmp_path):
    options = [str(config), '--split', 'val', '--sheet', '1', '2', '--output-dir']
    tool.main([*options, str(tmp_path / 'out')])
    drawn = pictures(tmp_path / 'out')
    assert list(drawn) == ['sheet_0000.png', 'sheet_0001.png']
    assert [img.shape[1] for img in drawn.values()] == [2 * 60 + 4, 60]


def test_errors_say_what_to_do(tool, config, repo_root, tmp_path, capsys):
    with pytest.raises(SystemExit):
        tool.main([str(config)])
    assert '--output-dir FOLDER is needed' in capsys.readouterr().err
    with pytest.raises(SystemExit, match='has no test_dataloader'):
        tool.main([str(config), '--split', 'test', '--output-dir', str(tmp_path)])
    with pytest.raises(FileNotFoundError, match=r'none\.py: no such file'):
        tool.main([str(tmp_path / 'none.py'), '--output-dir', str(tmp_path)])
    with pytest.raises(FileNotFoundError, match="^Pascal VOC.*'nowhere/"):
        tool.main(
            [
                str(repo_root / 'configs/obsdm/obsdm_r18_voc.py'),
                *('--output-dir', str(tmp_path), '--cfg-options', 'data_root=nowhere/'),
            ]
        )
    for option in ('--zoom', '--num'):
        with pytest.raises(SystemExit):
            tool.main([str(config), option, '0'])
        assert f'{option} is 0' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool.main([str(config), '--sheet', '2', '0'])
    assert '--sheet is [2, 0]' in capsys.readouterr().err


@pytest.mark.parametrize('split', ['train', 'val'])
def test_real_images(tool, repo_root, shared_dir, tmp_path, split):
    root = f'{shared_dir}/data/HIT-UAV/'
    key = (
        'train_dataloader.dataset.dataset.dataset' if split == 'train' else 'val_dataloader.dataset'
    )
    tool.main(
        [
            str(repo_root / 'configs' / 'obsdm' / 'obsdm_r18_hituav.py'),
            '--split',
            split,
            '--num',
            '2',
            '--output-dir',
            str(tmp_path),
            '--cfg-options',
            f'{key}.data_root={root}',
        ]
    )
    height = 640 if split == 'train' else 512
    for img in pictures(tmp_path).values():
        assert img.shape[1] == 640 and img.shape[0] > height


SEGMENTATION = """
default_scope = 'mmseg'
custom_imports = dict(imports=['smallobj_mm'], allow_failed_imports=False)
data = dict(type='SyntheticIRSTDDataset', data_root=ROOT, num_images=4, image_size=96)
load = [dict(type='LoadImageStrict'), dict(type='LoadBinaryMask')]
train_dataloader = dict(
    dataset=dict(**data, pipeline=load),
    collate_fn=dict(
        type='sync_resize_collate', sizes=[64],
        transforms=[dict(type='LabelDecoupling'), dict(type='PackIRSTDInputs')],
    ),
)
val_dataloader = dict(
    dataset=dict(**data, split='test', pipeline=[*load, dict(type='PackIRSTDInputs')]),
)
"""


def test_segmentation(tool, tmp_path):
    (tmp_path / 'config.py').write_text(SEGMENTATION.replace('ROOT', repr(str(tmp_path / 'data'))))
    for split, number, size in (('train', 3, (64, 3 * 64 + 4)), ('val', 1, (96, 96))):
        out = tmp_path / split
        tool.main([str(tmp_path / 'config.py'), '--split', split, '--output-dir', str(out)])
        drawn = pictures(out)
        assert len(drawn) == number
        assert all(img.shape[:2] == size for img in drawn.values())
