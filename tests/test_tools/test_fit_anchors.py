# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import re

import cv2
import numpy as np
import pytest

MODEL = """
default_scope = 'mmdet'
custom_imports = dict(imports=['smallobj_mm'], allow_failed_imports=False)
model = dict(bbox_head=dict(prior_generator=dict(base_sizes=[
    [(12, 16), (19, 36), (40, 28)], [(36, 75), (76, 55), (72, 146)],
    [(142, 110), (192, 243), (459, 401)]])))
"""
YOLO = (
    MODEL
    + """
raw = dict(type='YOLOFolderDataset', data_root=ROOT, split='train',
           metainfo=dict(classes=('a',)), pipeline=[dict(type='LoadImageFromFile')])
train_dataloader = dict(dataset=dict(
    type='MultiImageMixDataset',
    dataset=dict(type='MultiImageMixDataset', dataset=raw, pipeline=[
        dict(type='SmallObjectMosaic', img_scale=(320, 320))]),
    pipeline=[dict(type='PackDetInputs')]))
"""
)
BOSCH = (
    MODEL
    + """
train_dataloader = dict(dataset=dict(
    type='BoschTrafficLightsDataset', data_root=ROOT, ann_file='train.yaml',
    pipeline=[dict(type='Resize', scale=(640, 640), keep_ratio=True)]))
"""
)


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis_tools/fit_anchors')


@pytest.fixture
def config(tmp_path):
    """Ten images of 640x320, each with boxes of 8x10 and 80x100 px: half of that at 320 px."""
    rng = np.random.default_rng(0)
    for folder in ('images', 'labels'):
        (tmp_path / folder / 'train').mkdir(parents=True)
    for index in range(10):
        cv2.imwrite(str(tmp_path / f'images/train/{index}.jpg'), np.zeros((320, 640, 3), np.uint8))
        sides = np.array([[8, 10], [80, 100]]) * rng.uniform(0.9, 1.1, (2, 1))
        rows = [f'0 0.5 0.5 {w / 640} {h / 320}' for w, h in sides]
        (tmp_path / f'labels/train/{index}.txt').write_text('\n'.join(rows))
    path = tmp_path / 'config.py'
    path.write_text(YOLO.replace('ROOT', repr(str(tmp_path))))
    return path


def recalls(text):
    return [float(value) for value in re.findall(r'best possible recall ([0-9.]+)', text)]


def test_measures_and_fits(tool, config, capsys):
    tool.main([str(config), '--fit', '--num-anchors', '6', '--generations', '20'])
    shown = capsys.readouterr().out
    assert '20 boxes of images resized to fit 320x320' in shown
    # 40x50 fits an anchor, 4x5 is a third of (12, 16).
    assert recalls(shown) == [1.0, 1.0]
    sizes = eval('dict(' + shown[shown.index('base_sizes=') :] + ')')['base_sizes']
    assert [len(level) for level in sizes] == [2, 2, 2]
    areas = [w * h for level in sizes for w, h in level]
    assert areas == sorted(areas) and areas[0] < 30 and 1000 < areas[-1] < 3000


def test_size_from_the_command_line(tool, config, capsys):
    tool.main([str(config), '--img-size', '160'])
    tool.main([str(config), '--img-size', '640', '320'])
    shown = capsys.readouterr().out
    assert recalls(shown) == [0.5, 1.0]
    assert 'fit 160x160' in shown and 'fit 640x320' in shown


def test_crops_are_measured_at_the_size_of_validation(tool, config, capsys):
    text = config.read_text().replace(
        "dict(type='LoadImageFromFile')", "dict(type='RandomCrop', crop_size=(64, 64))"
    )
    config.write_text(text)
    with pytest.raises(SystemExit, match='no image size found .* give --img-size PX'):
        tool.main([str(config)])
    config.write_text(
        text + "val_dataloader = dict(dataset=dict(pipeline=[dict(type='Resize', scale=(96, 64))]))"
    )
    tool.main([str(config)])
    assert 'fit 96x64' in capsys.readouterr().out


def test_errors_say_what_to_do(tool, config, capsys):
    with pytest.raises(SystemExit, match='found 8 for 3 levels, expected a multiple'):
        tool.main([str(config), '--fit', '--num-anchors', '8', '--generations', '1'])
    with pytest.raises(SystemExit, match='found 30 for boxes of 20 different sizes'):
        tool.main([str(config), '--fit', '--num-anchors', '30'])
    for options, message in (
        (['--img-size', '1', '2', '3'], '--img-size is'),
        (['--limit', '1'], '--limit is 1'),
    ):
        with pytest.raises(SystemExit):
            tool.main([str(config), *options])
        assert message in capsys.readouterr().err
    for options in ([], ['--cfg-options', 'x=1']):
        with pytest.raises(FileNotFoundError, match=r'^config none\.py: no such file'):
            tool.main(['none.py', *options])
    config.write_text(config.read_text().replace('prior_generator', 'anchors'))
    with pytest.raises(SystemExit, match='give a config of an anchor-based detector'):
        tool.main([str(config)])


def test_bosch_labels_without_images(tool, shared_dir, tmp_path, capsys):
    """The numbers of the specification, from the published labels alone."""
    path = tmp_path / 'bosch.py'
    path.write_text(BOSCH.replace('ROOT', repr(f'{shared_dir}/data/bstld_labels')))
    seen = {}
    original = tool.box_sizes

    def keep(*args):
        seen['sizes'] = original(*args)
        return seen['sizes']

    tool.box_sizes = keep
    tool.main([str(path), '--fit', '--generations', '10'])
    published, fitted = recalls(capsys.readouterr().out)
    assert published == pytest.approx(0.73, abs=0.005) and fitted > 0.999
    anchors = [
        (12, 16),
        (19, 36),
        (40, 28),
        (36, 75),
        (76, 55),
        (72, 146),
        (142, 110),
        (192, 243),
        (459, 401),
    ]
    for size, expected in ((960, 0.93), (1280, 0.98)):
        recall = tool.fit_of_anchors(seen['sizes'] * size / 640, anchors).recall
        assert recall == pytest.approx(expected, abs=0.005)
