# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np

from smallobj_mm.visualization.label_curves import draw_label_curves


def picture(arms):
    data = np.frombuffer(draw_label_curves(arms, 'AP50', 'labeled images'), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def test_each_arm_adds_a_line_of_its_own_color():
    one = {'random': {50: [0.1, 0.2], 100: [0.3, 0.3]}}
    two = {**one, 'detsim': {50: [0.4], 100: [0.5, 0.6]}}
    blue = np.array([0xB2, 0x72, 0x00])  # BGR of the second color
    counts = [(picture(arms) == blue).all(axis=2).sum() for arms in (one, two)]
    assert counts[0] == 0 and counts[1] > 100
