# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from smallobj_mm.evaluation.slicing import FILL, make_mosaic, parse_mosaic


def info(path, *boxes):
    instances = [dict(bbox=b, bbox_label=n, ignore_flag=n % 2) for n, b in enumerate(boxes)]
    return dict(img_path=path, instances=instances)


def test_images_and_boxes_lie_in_their_cells():
    images = {'a': np.full((4, 6, 3), 1, np.uint8), 'b': np.full((5, 3), 2, np.uint8)}
    images['b'] = images['b'][..., None].repeat(3, axis=2)
    infos = [info('a', [1, 2, 3, 4], [0, 0, 1, 1]), info('b', [0, 1, 2, 2.5]), info('a')]
    mosaic = make_mosaic(infos, 2, images.__getitem__)
    assert mosaic.image.shape == (10, 12, 3)
    assert (mosaic.image[:4, :6] == 1).all() and (mosaic.image[:5, 6:9] == 2).all()
    assert (mosaic.image[5:9, :6] == 1).all()
    assert (mosaic.image[:, 9:] == FILL).all() and (mosaic.image[4, :6] == FILL).all()
    assert mosaic.truth(False)['bboxes'].tolist() == [[1, 2, 3, 4], [6, 1, 8, 2.5]]
    assert mosaic.truth(True)['bboxes'].tolist() == [[0, 0, 1, 1]]
    assert mosaic.truth(True)['labels'].tolist() == [1]


def test_images_without_boxes_and_of_different_channels():
    images = {'a': np.zeros((4, 6, 3), np.uint8), 'b': np.zeros((4, 6), np.uint8)}
    assert make_mosaic([info('a')], 1, images.__getitem__).truth(False)['bboxes'].shape == (0, 4)
    with pytest.raises(ValueError, match='different numbers of channels'):
        make_mosaic([info('a'), info('b')], 2, images.__getitem__)


def test_names_of_mosaics():
    assert parse_mosaic('4x3') == (4, 3)
    for text in ('4', '0x4', '4x4x4', 'axb'):
        with pytest.raises(ValueError, match='expected COLUMNSxROWS'):
            parse_mosaic(text)
