# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the doctor finds in data sets: formats, sizes, advice, near-duplicate frames."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

from smallobj_mm.datasets.analysis import (  # noqa: E402
    BoxTable,
    advise,
    config_lines,
    count_overlaps,
    find_near_duplicates,
    open_datasets,
    tabulate,
)
from smallobj_mm.datasets.analysis.report import as_text, describe  # noqa: E402


def table(sides, size=(640, 512), owners=None, labels=None, classes=('a', 'b')):
    """A table of square boxes, ten to an image."""
    sides = np.asarray(sides, dtype=np.float64)
    corners = np.stack([np.full(len(sides), 5.0), 20.0 * np.arange(len(sides))], axis=1)
    owners = np.arange(len(sides)) // 10 if owners is None else np.asarray(owners)
    images = int(owners.max(initial=0)) + 1
    labels = np.zeros(len(sides), np.int64) if labels is None else np.asarray(labels)
    return BoxTable(
        classes, [f'{n}.png' for n in range(images)], np.tile(size, (images, 1)),
        np.concatenate([corners, corners + sides[:, None]], axis=1), labels, owners, 0, '',
    )  # fmt: skip


def image(path, seed, size=(96, 128)):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (6, 8), dtype=np.uint8)
    picture = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)
    assert cv2.imwrite(str(path), picture)
    return str(path)


def test_formats(tmp_path, voc_folder, xml_object, image_writer):
    names = [xml_object('dog')] * 3 + [xml_object('cat'), xml_object('DontCare')]
    voc_folder.add('x', ''.join(names)).add('y')
    voc_folder.list(['x'], 'train')
    voc_folder.list(['y'], 'val')
    voc_folder.list(['x', 'y'], 'flights')
    found = open_datasets(str(voc_folder.root))
    assert list(found) == ['train', 'val']
    first = tabulate(found['train'])
    assert first.classes == ('cat', 'dog') and first.ignored == 1
    assert first.labels.tolist() == [1, 1, 1, 0] and first.crowding.tolist() == [4]
    assert list(open_datasets(str(voc_folder.root), ['flights'])) == ['flights']

    coco = tmp_path / 'coco'
    for split in ('train', 'valid'):
        image(coco / split / 'a.png', 0)
        content = dict(
            images=[dict(id=1, file_name='a.png')],
            annotations=[dict(image_id=1, category_id=1, bbox=[1, 2, 3, 12])],
            categories=[dict(id=1, name='dog')],
        )
        (coco / split / '_annotations.coco.json').write_text(json.dumps(content))
    found = open_datasets(str(coco))
    assert list(found) == ['train', 'val'] and tabulate(found['val']).sides.tolist() == [6]
    file = str(coco / 'train' / '_annotations.coco.json')
    assert [len(d) for d in open_datasets(file).values()] == [1]

    yolo = tmp_path / 'yolo'
    image(yolo / 'images' / 'train' / 'a.png', 0)
    (yolo / 'labels' / 'train').mkdir(parents=True)
    (yolo / 'labels' / 'train' / 'a.txt').write_text('0 0.5 0.5 0.25 0.25')
    (yolo / 'data.yaml').write_text('names: [x]\ntrain: images/train')
    for path in (yolo, yolo / 'data.yaml'):
        found = open_datasets(str(path))
        assert list(found) == ['train'] and tabulate(found['train']).classes == ('x',)

    masks = tmp_path / 'masks'
    mask = np.zeros((20, 30), np.uint8)
    mask[2:5, 3:7] = mask[10, 20] = 255
    for folder, picture in (('images', mask), ('masks', mask)):
        (masks / folder).mkdir(parents=True)
        cv2.imwrite(str(masks / folder / 'a.png'), picture)
    found = open_datasets(str(masks))
    assert list(found) == ['all']
    assert tabulate(found['all']).boxes.tolist() == [[3, 2, 7, 5], [20, 10, 21, 11]]

    bosch = tmp_path / 'bosch'
    bosch.mkdir()
    box = '{label: Red, x_min: 1, x_max: 5, y_min: 2, y_max: 11, occluded: false}'
    (bosch / 'train.yaml').write_text(f'- boxes:\n  - {box}\n  path: ./a.png\n')
    found = open_datasets(str(bosch), check_images=False)
    assert list(found) == ['train'] and tabulate(found['train']).sides.tolist() == [6]

    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='no supported data set recognized'):
        open_datasets(str(tmp_path / 'empty'))
    with pytest.raises(FileNotFoundError, match='no such folder or file'):
        open_datasets(str(tmp_path / 'absent'))


def test_advice_follows_the_sizes():
    large = advise(table([80.0, 100.0, 120.0] * 20))
    assert large.zoom == 1 and large.strides == (16, 32, 64) and large.tile is None
    small = advise(table([9.0, 12.0, 20.0] * 20))
    assert small.zoom == 1 and small.strides == (4, 8, 16)
    tiny = advise(table([4.5, 5.0, 6.0] * 20, size=(320, 256)))
    assert tiny.zoom == 2 and tiny.input_size == (640, 512)
    wide = advise(table([12.0, 30.0, 60.0] * 20, size=(4000, 3000)))
    assert wide.tile == 640 and 0.09 < wide.overlap < 0.1 + 1e-9
    wide_tiny = advise(table([4.5, 100.0] * 20, size=(4000, 3000)))
    assert wide_tiny.tile == 320 and wide_tiny.overlap == 0.31
    lines = '\n'.join(config_lines(wide_tiny))
    assert '--tile 320 --overlap 0.31' in lines and 'scale_factor=2.0' in lines


def test_steps_follow_the_number_of_images():
    advices = [advise(table([20.0] * n, owners=range(n))) for n in (3, 300, 2000, 9000)]
    assert [advice.steps for advice in advices] == [1000, 2500, 15_000, 30_000]
    assert 'max_iters = 2500' in '\n'.join(config_lines(advices[1]))


def test_advice_follows_crowding_and_classes():
    crowd = advise(table([20.0] * 300, owners=[0] * 180 + list(range(1, 121))))
    assert crowd.max_per_img == 400
    assert 'max_dets=400' in '\n'.join(config_lines(crowd))
    labels = [0] * 290 + [1] * 10
    rare = advise(table([20.0] * 300, labels=labels))
    assert rare.rare == [('b', pytest.approx(1 / 30))]
    assert 'ClassBalancedDataset' in '\n'.join(config_lines(rare))
    nothing = table([], classes=('a',))
    assert advise(nothing).max_per_img == 100
    assert 'no objects' in as_text(describe({'train': nothing}, advise(nothing)))


def test_overlaps():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10.5], [0, 2, 10, 12], [50, 0, 60, 10.0]])
    data = table([1.0] * 4, owners=[0] * 4)
    data.boxes = boxes
    assert count_overlaps(data) == dict(same=1, suppressed=2)
    data.labels = np.array([0, 1, 0, 1])
    assert count_overlaps(data) == dict(same=0, suppressed=1)
    text = as_text(describe({'train': data}, advise(data)))
    assert '1 pairs of one class overlap' in text


def test_near_duplicates(tmp_path):
    train = [image(tmp_path / f't{n}.png', n) for n in range(20)]
    val = [image(tmp_path / f'v{n}.png', 100 + n) for n in range(19)]
    found = find_near_duplicates(train, val)
    assert (found.total, found.near, found.alarm) == (19, 0, False)
    # The next frame: a little brighter, shifted and noisy.
    picture = cv2.imread(train[7], cv2.IMREAD_GRAYSCALE).astype(np.float32)
    picture = np.roll(picture, 1, axis=1) * 1.1 + np.random.default_rng(1).normal(
        0, 4, picture.shape
    )
    cv2.imwrite(str(tmp_path / 'next.png'), np.clip(picture, 0, 255))
    (tmp_path / 'broken.png').write_bytes(b'x')
    val += [str(tmp_path / 'next.png'), str(tmp_path / 'broken.png')]
    found = find_near_duplicates(train, val)
    assert (found.total, found.near, found.unreadable) == (20, 1, 1)
    assert found.share == found.near / 20 and found.alarm
    assert found.pairs[0][:2] == (str(tmp_path / 'next.png'), train[7])
    assert find_near_duplicates([], val).near == 0


@pytest.mark.parametrize(
    'lists, alarm, share',
    [(['train', 'val'], True, 0.4), (['flight_train', 'flight_val'], False, 0.013)],
)
def test_splits_of_hituav(shared_dir, lists, alarm, share):
    found = open_datasets(str(shared_dir / 'data' / 'HIT-UAV'), lists)
    train, val = (tabulate(dataset) for dataset in found.values())
    assert train.classes == ('Bicycle', 'Car', 'OtherVehicle', 'Person')
    duplicates = find_near_duplicates(train.paths, val.paths)
    assert duplicates.alarm == alarm and duplicates.share == pytest.approx(share, abs=0.002)
    advice = advise(train)
    assert advice.strides == (4, 8, 16) and advice.zoom == 1 and advice.tile is None
    assert [name for name, _ in advice.rare] == ['OtherVehicle']
    text = as_text(describe(dict(train=train, val=val), advice, duplicates))
    assert ('ALARM' in text) == alarm
