# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""evaluate_slices.py and benchmark_tiles.py with models that find what is bright."""

import json

import cv2
import numpy as np
import pytest

from smallobj_mm.utils.errors import errors_in_one_line

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')
#: The last is a pixel, which half the size dims away.
BOXES = [(10, 12, 16, 18), (40, 30, 48, 38), (61, 21, 62, 22)]


@pytest.fixture(scope='module')
def task(toys, tmp_path_factory):
    """Folder with the models, and a detector that halves images, with a COCO set of four."""
    from mmengine.config import Config

    folder = tmp_path_factory.mktemp('task')
    toys.write_models(folder)
    annotations = []
    for number in range(5):
        cv2.imwrite(str(folder / f'{number}.png'), toys.scene(64, 80, BOXES))
        for x1, y1, x2, y2 in BOXES:
            annotations.append(
                dict(
                    id=len(annotations) + 1, image_id=number, category_id=1, iscrowd=0,
                    bbox=[x1, y1, x2 - x1, y2 - y1], area=(x2 - x1) * (y2 - y1),
                )
            )  # fmt: skip
    content = dict(
        images=[dict(id=n, file_name=f'{n}.png', width=80, height=64) for n in range(5)],
        categories=[dict(id=1, name='light'), dict(id=2, name='lamp')],
        annotations=annotations,
    )
    (folder / 'truth.json').write_text(json.dumps(content))
    cfg = toys.detection_config((80, 64))
    cfg['test_dataloader']['dataset'].update(
        ann_file='truth.json', data_root=str(folder), data_prefix=dict(img=''), test_mode=True
    )
    Config(cfg).dump(str(folder / 'sliced.py'))
    return folder


def test_slices_find_what_the_whole_does_not(task, load_tool, capsys):
    """A mosaic of 160x128 px is halved as a whole; tiles of 64 px stay, those of 80 nearly do."""
    tool = load_tool('analysis_tools/evaluate_slices')
    arguments = [task / 'sliced.py', task / 'det.pth', '--mosaic', '2x2', '--tile', 64, 80]
    tool.main(list(map(str, [*arguments, '--json', task / 'out.json', '--overlap', 0])))
    said = capsys.readouterr().out
    assert '1 mosaics of 2x2 test images, the last one of 160x128 px' in said
    whole, *tiles = json.loads((task / 'out.json').read_text())
    assert whole['seen'] == 'whole' and tiles[0]['seen'] == 'tiles of 64 px'
    assert tiles[0]['AP50'] == tiles[0]['AP_tiny'] == tiles[0]['AP'] == 1
    assert tiles[0]['AP_small'] == -1
    assert whole['AP50'] < 0.7 and tiles[1]['AP_tiny'] < 1
    assert said.splitlines()[-2].split()[:4] == ['tiles', 'of', '80', 'px']


def test_errors_of_one_line(task, load_tool, capsys, monkeypatch):
    tool = load_tool('analysis_tools/evaluate_slices')
    for config, options, words in (
        ('sliced', ['--mosaic', '9x9'], 'the test set has 5 images'),
        ('sliced', ['--mosaic', '9'], 'expected COLUMNSxROWS'),
        ('sliced', ['--limit', '0'], '--limit 0'),
        ('seg', [], 'expected a detector'),
    ):
        monkeypatch.setattr('sys.argv', [tool.__file__])
        with pytest.raises(SystemExit), errors_in_one_line():
            tool.main([str(task / f'{config}.py'), str(task / 'det.pth'), *options])
        said = capsys.readouterr().err
        assert words in said and len(said.splitlines()) == 1


@pytest.mark.parametrize('kind', ['det', 'seg'])
def test_cost_of_tiles(task, load_tool, monkeypatch, kind):
    """Memory in this process: a fresh one is asked for the same."""
    tool = load_tool('analysis_tools/benchmark_tiles')
    base = [str(task / f'{kind}.py'), '--size', '200', '150', '--tile', '64', '--batch-size', '3']
    base += ['--weights', str(task / f'{kind}.pth'), '--rounds', '2', '--threads', '1']

    said = []
    monkeypatch.setattr('builtins.print', lambda *text: said.append(' '.join(map(str, text))))
    monkeypatch.setattr(tool, 'memory_of', lambda args, size: dict(peak=1, image=2, result=3))
    tool.main(base)
    text = '\n'.join(said)
    assert f'{kind}: 200x150 px in tiles of 64 px' in text and '12 tiles alone' in text
    assert 'image / sum of the tiles' in text and '100x75' in text
    said.clear()
    tool.main([*base, '--memory-only'])
    found = json.loads(said[-1])
    assert found['image'] == 200 * 150 * 3 and found['peak'] >= 0
    assert found['result'] == (200 * 150 * 5 if kind == 'seg' else 0)


def test_random_weights(toys, task, load_tool):
    tool = load_tool('analysis_tools/benchmark_tiles')
    inferencer = tool.build(tool.parse_args([str(task / 'seg.py')]))
    (sample,) = inferencer(np.zeros((32, 32, 3), np.uint8))
    assert sample.seg_logits.data.shape == (1, 32, 32)
