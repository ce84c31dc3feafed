# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np

from smallobj_mm.visualization.pretraining_figure import draw_pretraining


def decode(png):
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


def test_curves_alone():
    loss = [(50, 0.2), (100, -0.5)]
    curves = {'pretrained': [(5, 0.1), (10, 0.3)], 'random weights': [(5, 0.0), (10, 0.2)]}
    both = decode(draw_pretraining(loss, curves, 'AP50'))
    one = decode(draw_pretraining(loss, {'pretrained': curves['pretrained']}, 'AP50'))
    assert both.shape == one.shape and (both != one).any()
    assert draw_pretraining([], {}, 'AP50')  # nothing was logged


def test_pictures_below():
    red = np.full((64, 80, 3), (0, 0, 255), np.uint8)
    row = {'truth': red, 'pretrained': red // 2, 'random weights': red}
    figure = decode(draw_pretraining([(1, 1.0)], {'a': [(1, 0.1)]}, 'AP50', [row, row]))
    plain = decode(draw_pretraining([(1, 1.0)], {'a': [(1, 0.1)]}, 'AP50'))
    assert len(figure) > 2 * len(plain)
    shares = [(figure == color).all(axis=2).mean() for color in ((0, 0, 255), (0, 0, 127))]
    assert shares[0] > 0.1 and abs(shares[0] - 2 * shares[1]) < 0.1 * shares[0]
