# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Data sets of infrared small targets in their three layouts."""

import cv2
import numpy as np
import pytest

from smallobj_mm.datasets import IRSTDDataset
from smallobj_mm.datasets.irstd_layouts import LAYOUTS

LISTS = {
    'ismallnet': '{}.txt',
    'basicirstd': 'img_idx/{}_Some-Set.txt',
    'sirst_v2': 'splits/{}.txt',
}
NAMES = ['a', 'b.c', 'd', 'e', 'f']


class Folder:
    """A data set in one layout, whose images have several endings and sizes."""

    def __init__(self, root, layout='ismallnet', mask_suffix=''):
        self.root, self.layout, self.mask_suffix = root, LAYOUTS[layout], mask_suffix
        self.list_path = root / LISTS[layout]
        for number, name in enumerate(NAMES):
            self.add(name, ('png', 'bmp', 'jpg')[number % 3], (20 + number, 30))
        self.list(NAMES, 'train')

    def add(self, name, ending='png', size=(20, 30)):
        for sub, stem in (
            (self.layout.images, f'{name}.{ending}'),
            (self.layout.masks, f'{name}{self.mask_suffix}.png'),
        ):
            path = self.root / sub / stem
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full(size, 255, np.uint8))

    def list(self, entries, split='train', newline='\n'):
        path = self.root / str(self.list_path.relative_to(self.root)).format(split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(newline.join([*entries, '']).encode())
        return path

    def load(self, **options):
        return IRSTDDataset(str(self.root), **options)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / 'set')


def names_of(dataset):
    return [dataset.get_data_info(i)['img_path'].split('/')[-1][:-4] for i in range(len(dataset))]


@pytest.mark.parametrize('suffix', ['', '_pixels0'])
@pytest.mark.parametrize('layout', sorted(LAYOUTS))
def test_layouts(tmp_path, layout, suffix):
    made = Folder(tmp_path, layout, suffix)
    for option in ('auto', layout):
        dataset = made.load(
            layout=option, pipeline=[dict(type='LoadImageStrict'), dict(type='LoadBinaryMask')]
        )
        assert names_of(dataset) == NAMES
        results = dataset[3]
        assert results['img'].shape == (23, 30, 3) and results['gt_seg_map'].shape == (23, 30)
        assert results['seg_fields'] == ['gt_seg_map']
    assert dataset.metainfo['classes'] == ('background', 'target')
    assert len(made.load(indices=2)) == 2


@pytest.mark.parametrize(
    'entries, newline',
    [
        (NAMES, '\r\n'),
        ([f' {n}  ' for n in NAMES], '\n'),
        ([*NAMES, '', NAMES[0]], '\n'),
        (['a.png', 'b.c.bmp', 'd.jpg', 'e.png', 'f.bmp'], '\n'),
        ([f'{n}.png' for n in NAMES], '\n'),
    ],
)
def test_forms_of_lists(folder, entries, newline):
    folder.list(entries, newline=newline)
    assert names_of(folder.load()) == NAMES


def test_own_list_files(folder, tmp_path):
    (tmp_path / 'mine.txt').write_text('d\n')
    (folder.root / 'other.txt').write_text('e\nf\n')
    assert names_of(folder.load(split=str(tmp_path / 'mine.txt'))) == ['d']
    assert names_of(folder.load(split='other.txt')) == ['e', 'f']


def test_several_lists_of_one_split(tmp_path):
    made = Folder(tmp_path / 'IRSTD-1k', 'basicirstd')
    made.list(['a'], 'train_IRSTD-1k').rename(made.root / 'img_idx' / 'train_IRSTD-1K.txt')
    assert names_of(made.load()) == ['a']
    made.root.rename(tmp_path / 'x')
    with pytest.raises(FileNotFoundError, match=r"'train'.*train_IRSTD-1K.txt.*name one of them"):
        IRSTDDataset(str(tmp_path / 'x'))
    assert names_of(IRSTDDataset(str(tmp_path / 'x'), split='train_Some-Set.txt')) == NAMES


def test_holdout(folder):
    many = [f'n{i:02}' for i in range(40)]
    for name in many:
        folder.add(name)
    folder.list(many)
    parts = {
        (part, seed): names_of(folder.load(holdout=dict(fraction=0.25, seed=seed, part=part)))
        for part in ('train', 'val')
        for seed in (0, 1)
    }
    assert [len(parts[key]) for key in (('train', 0), ('val', 0))] == [30, 10]
    assert sorted(parts['train', 0] + parts['val', 0]) == many
    assert parts['val', 0] != parts['val', 1] and parts['val', 0] == sorted(parts['val', 0])
    folder.list(many[::-1])
    again = names_of(folder.load(holdout=dict(fraction=0.25, part='val')))
    assert again == parts['val', 0][::-1]


@pytest.mark.parametrize(
    'holdout, message',
    [
        (dict(part='val'), "holdout has .'part'."),
        (dict(fraction=0.1, part='x'), "part='x'"),
        (dict(fraction=1, part='val'), 'fraction=1'),
        (dict(fraction=0.1, part='val', share=1), 'share'),
        (dict(fraction=0.99, part='val'), 'expected some to remain'),
    ],
)
def test_holdout_errors(folder, holdout, message):
    with pytest.raises(ValueError, match=message):
        folder.load(holdout=holdout)


def one_line(error, *parts):
    text = str(error.value)
    assert '\n' not in text
    assert all(part in text for part in parts), text


def test_missing_data_set(tmp_path):
    for name, parts in {
        'NUAA-SIRST': ('NUAA-SIRST', 'github.com/YimianDai/sirst'),
        'nudt': ('NUDT-SIRST', 'YeRen123455'),
        'IRSTD-1k': ('IRSTD-1k', 'ISNet'),
        'other': ('infrared small targets', 'NUAA-SIRST from'),
    }.items():
        with pytest.raises(FileNotFoundError) as caught:
            IRSTDDataset(str(tmp_path / name))
        one_line(caught, *parts, str(tmp_path / name), 'img_idx', 'annotations/masks', 'data_root')


def test_errors(folder, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        folder.load(layout='sirst_v2')
    one_line(caught, str(folder.root / 'mixed'), 'not found')
    with pytest.raises(ValueError) as caught:
        folder.load(layout='x')
    one_line(caught, "layout is 'x'")
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError) as caught:
        IRSTDDataset(str(tmp_path / 'empty'))
    one_line(caught, 'none of the known layouts', 'ismallnet: {image,mask}')
    with pytest.raises(FileNotFoundError) as caught:
        folder.load(split='test')
    one_line(caught, "split 'test'", "found ['train.txt']", 'holdout')
    path = folder.list(['a', 'missing'])
    with pytest.raises(FileNotFoundError) as caught:
        folder.load()
    one_line(caught, str(path), "names 'missing'", 'no image')
    (folder.root / 'mask' / 'a.png').unlink()
    with pytest.raises(FileNotFoundError) as caught:
        folder.load()
    one_line(caught, str(path), "names 'a'", 'no mask a.* or a_pixels0.*')
    path.write_text('\n \r\n')
    with pytest.raises(ValueError) as caught:
        folder.load()
    one_line(caught, str(path), 'empty')


def test_real_nuaa(shared_dir, tmp_path):
    root = shared_dir / 'data' / 'NUAA-SIRST'
    pipeline = [dict(type='LoadImageStrict'), dict(type='LoadBinaryMask')]
    train = IRSTDDataset(str(root), 'train', pipeline=pipeline)
    test = IRSTDDataset(str(root), 'test', pipeline=pipeline)
    assert (len(train), len(test)) == (213, 214)
    assert not set(names_of(train)) & set(names_of(test))
    kinds = set()
    for index in range(0, 213, 15):
        results = train[index]
        kinds.add(results['img'].shape)
        assert results['gt_seg_map'].max() == 1
    assert len(kinds) > 5
    both = tmp_path / 'all.txt'
    both.write_text('\r\n'.join(f'{n}.png ' for n in names_of(train) + names_of(test)))
    assert len(IRSTDDataset(str(root), str(both))) == 427


def test_real_nudt(shared_dir):
    root = str(shared_dir / 'data' / 'NUDT-SIRST')
    assert len(IRSTDDataset(root)) == 663
    parts = [IRSTDDataset(root, holdout=dict(fraction=0.1, part=p)) for p in ('train', 'val')]
    assert [len(part) for part in parts] == [597, 66]
    with pytest.raises(FileNotFoundError, match='train_NUDT-SIRST.txt.*holdout'):
        IRSTDDataset(root, 'test')


@pytest.mark.parametrize('layout', sorted(LAYOUTS))
def test_folders_without_lists(tmp_path, layout):
    made = Folder(tmp_path, layout)
    made.list([], 'train').unlink()
    assert sorted(names_of(made.load(split='all'))) == NAMES
    parts = [
        names_of(made.load(split=split, holdout=dict(fraction=0.4, part=part)))
        for split, part in (('train', 'train'), ('test', 'val'))
    ]
    assert sorted(parts[0] + parts[1]) == NAMES and len(parts[1]) == 2
    with pytest.raises(FileNotFoundError, match=r"found no list; take split='all', or part the"):
        made.load(split='train')
    made.list(NAMES[:2], 'train')
    with pytest.raises(FileNotFoundError, match=r"no one list for split 'all'.*name one of them"):
        made.load(split='all')


@pytest.mark.parametrize(
    'places', ['{split}/images {split}/masks', 'image/{split} mask/{split}'], ids=['above', 'below']
)
def test_folders_of_splits(tmp_path, places):
    for split, names in (('train', 'ab'), ('valid', 'c')):
        for place in places.format(split=split).split():
            for name in names:
                path = tmp_path / place / f'{name}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), np.zeros((4, 4), np.uint8))
    root = str(tmp_path)
    assert names_of(IRSTDDataset(root, split='train')) == ['a', 'b']
    assert names_of(IRSTDDataset(root, split='val')) == ['c']
    with pytest.raises((FileNotFoundError, ValueError), match='without lists: SPLIT|found no list'):
        IRSTDDataset(root, split='test')
    masks = tmp_path / places.format(split='train').split()[1]
    (masks / 'b.png').unlink()
    with pytest.raises(FileNotFoundError, match="names 'b', but there is no mask"):
        IRSTDDataset(root, split='train')
