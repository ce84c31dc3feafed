# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The random affine warp that makes a training image out of a mosaic canvas."""

from __future__ import annotations

import math

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from smallobj_mm.registry import TRANSFORMS
from smallobj_mm.utils.errors import UserError

from .annotations import Annotations, clip_and_drop
from .mosaic import check_img_scale


def translation(x: float, y: float) -> np.ndarray:
    """Homogeneous (3, 3) matrix that moves points by x and y."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def project_boxes(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Upright boxes around the images of the four corners of boxes.

    Args:
        boxes: Array (n, 4), x1 y1 x2 y2 in pixels.
        matrix: Affine map (3, 3).

    Returns:
        Array (n, 4) of the same type.
    """
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2).astype(np.float64)
    corners = corners @ matrix[:2, :2].T + matrix[:2, 2]
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(boxes.dtype)


@TRANSFORMS.register_module()
class MosaicAffine(BaseTransform):
    """Rotate, scale and shear the image about its center, shift it, and cut out the output.

    A point p of the input goes to c_out + t + shear @ rotation(scale · (p - c_in)) with the centers
    c_in of the input and c_out of the output: with all ranges zero the middle of a 2W x 2H canvas
    is cut out at its own size. The image is warped once, bilinearly, straight into the output. The
    warp of the pixels takes into account that pixel i has its center at i + 0.5, so that boxes stay
    exact when a small object is scaled down to a few pixels.

    mmdet's ``RandomAffine`` is not used: it scales about the top left corner, so that strong
    scaling shows one corner of the canvas only; it moves boxes by up to half a pixel against the
    image; and it keeps every remainder of an object. Random numbers come from ``numpy.random``.

    Source: the recipe of Liu et al., TL-OBSDM, The Visual Computer 2025 (translate 0.2, scale
    0.9; boxes under 2 px or over 20:1 dropped after the warp).

    Required keys: ``img``, ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_ignore_flags`` (optional).
    Modified keys: these, ``img_shape`` and ``homography_matrix`` (input to output, after what was
    recorded before).

    Args:
        img_scale: Width and height of the output in pixels.
        scale: The scale is drawn from [1 - scale, 1 + scale].
        translate: The shift is drawn from ±translate, in output widths and heights.
        degrees: The rotation is drawn from ±degrees.
        shear: Both shear angles are drawn from ±shear degrees.
        min_size: Objects are dropped unless both sides are above this many output pixels.
        max_aspect: Objects whose longer side is this many times the shorter one are dropped.
        min_area_ratio: Objects that keep no more than this part of their area inside the output
            are dropped.
        pad_val: Gray value outside the input.

    Raises:
        UserError: If a range or size is outside what is possible.
    """

    def __init__(
        self,
        img_scale: tuple[int, int] = (640, 640),
        scale: float = 0.9,
        translate: float = 0.2,
        degrees: float = 0.0,
        shear: float = 0.0,
        min_size: float = 2.0,
        max_aspect: float = 20.0,
        min_area_ratio: float = 0.1,
        pad_val: int = 114,
    ) -> None:
        self.img_scale = check_img_scale('MosaicAffine', img_scale)
        limits = (
            ('scale', scale, 0, 1),
            ('translate', translate, 0, np.inf),
            ('degrees', degrees, 0, np.inf),
            ('shear', shear, 0, 45),
            ('min_size', min_size, 0, np.inf),
            ('min_area_ratio', min_area_ratio, 0, 1),
            ('max_aspect', max_aspect, 1, np.inf),
        )
        for name, value, low, high in limits:
            if not low <= value < high:
                raise UserError(
                    f'MosaicAffine: {name} is {value}, expected a value in [{low}, {high})'
                )
        self.scale = scale
        self.translate = translate
        self.degrees = degrees
        self.shear = shear
        self.min_size = min_size
        self.max_aspect = max_aspect
        self.min_area_ratio = min_area_ratio
        self.pad_val = pad_val

    def _draw(self) -> np.ndarray:
        """Scale, shift x and y (in output sizes), angle, shear x and y (radians)."""
        spread = np.array(
            [
                self.scale,
                self.translate,
                self.translate,
                math.radians(self.degrees),
                math.radians(self.shear),
                math.radians(self.shear),
            ]
        )
        return np.random.uniform(-1, 1, size=6) * spread + [1, 0, 0, 0, 0, 0]

    def matrix(self, width: int, height: int) -> np.ndarray:
        """Draw a map from an input of width x height pixels to the output, (3, 3) float64."""
        scale, shift_x, shift_y, angle, shear_x, shear_y = self._draw()
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
        skew = np.array(
            [[1.0, math.tan(shear_x), 0.0], [math.tan(shear_y), 1.0, 0.0], [0.0, 0.0, 1.0]]
        )
        out_width, out_height = self.img_scale
        place = translation((0.5 + shift_x) * out_width, (0.5 + shift_y) * out_height)
        return place @ skew @ turn @ translation(-0.5 * width, -0.5 * height)

    def transform(self, results: dict) -> dict:
        """Warp image and boxes.

        Args:
            results: The sample.

        Returns:
            The sample with an image of (H, W[, C]).
        """
        annotations = Annotations.read(results, 'MosaicAffine')
        img = results['img']
        matrix = self.matrix(img.shape[1], img.shape[0])
        # OpenCV counts from pixel centers, boxes from pixel edges: half a pixel apart.
        pixels = translation(-0.5, -0.5) @ matrix @ translation(0.5, 0.5)
        width, height = self.img_scale
        warped = cv2.warpAffine(
            img,
            pixels[:2],
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(self.pad_val,) * 4,
        )
        warped = warped.reshape(height, width, *img.shape[2:])
        annotations.boxes = project_boxes(annotations.boxes, matrix)
        annotations = clip_and_drop(
            annotations, width, height, self.min_size, self.max_aspect, self.min_area_ratio
        )
        results['img'] = warped
        results['img_shape'] = warped.shape[:2]
        before = results.get('homography_matrix')
        total = matrix if before is None else matrix @ before
        results['homography_matrix'] = total.astype(np.float32)
        annotations.write(results)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(img_scale={self.img_scale}, scale={self.scale}, '
            f'translate={self.translate}, degrees={self.degrees}, shear={self.shear}, '
            f'min_size={self.min_size}, max_aspect={self.max_aspect}, '
            f'min_area_ratio={self.min_area_ratio}, pad_val={self.pad_val})'
        )
