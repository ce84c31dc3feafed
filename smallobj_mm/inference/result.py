# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What came of an image, in the forms that people use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.structures import BaseDataElement
from PIL import Image

from smallobj_mm.evaluation.irstd_counts import find_components
from smallobj_mm.utils.errors import MissingPackageError, UserError
from smallobj_mm.utils.io import PathLike, atomic_write_bytes, atomic_write_json
from smallobj_mm.utils.probability_maps import foreground_probability
from smallobj_mm.visualization.target_drawing import as_bgr

from .pictures import draw_contact_sheet, draw_result
from .sources import Source
from .targets import Targets, find_targets
from .writers import (
    CSV_COLUMNS,
    Record,
    coco_categories,
    coco_results,
    target_rows,
    write_csv,
)

#: Longest side in px of the picture in a notebook.
_NOTEBOOK = 1280
_PICTURES = ('.png', '.jpg', '.jpeg', '.webp', '.bmp', '.tif', '.tiff')


class Result:
    """What came of an image: the framework's data sample, and what people do with it.

    What the sample has, the result has too: ``result.pred_instances.bboxes``,
    ``result.seg_logits``, ``result.ori_shape``.

    Args:
        source: Where the image is from.
        classes: Names by label; of segmentation the background's is the first.
        sample: ``DetDataSample`` or ``SegDataSample``; None if the image cannot be read.
        image: Array (H, W, 3) or (H, W), BGR, if it is at hand.
        error: Why the image cannot be read.
        reader: Reads the image of the source again, where it is not at hand.

    Example:
        >>> (result,) = inferencer('frame.png')  # doctest: +SKIP
        >>> result.save('marked.png')  # doctest: +SKIP
        >>> result.to_pandas()[['class', 'score', 'x1', 'y1']]  # doctest: +SKIP
    """

    def __init__(
        self,
        source: Source,
        classes: Sequence[str],
        sample: BaseDataElement | None = None,
        image: np.ndarray | None = None,
        error: Exception | None = None,
        reader: Callable[[Source], np.ndarray] | None = None,
    ) -> None:
        self.source = source
        self.classes = tuple(classes)
        self.sample = sample
        self.error = error
        self._image = image
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        """What the data sample has."""
        if name.startswith('_') or self.__dict__.get('sample') is None:
            error = self.__dict__.get('error')
            reason = '' if error is None else f'; the image was not read: {error}'
            raise AttributeError(f'{type(self).__name__} has no {name}{reason}')
        return getattr(self.sample, name)

    def __contains__(self, name: str) -> bool:
        return self.sample is not None and name in self.sample

    def __repr__(self) -> str:
        if self.sample is None:
            return f'Result({self.source.label!r}, error={str(self.error)!r})'
        height, width = self.sample.ori_shape
        number = len(self.targets.scores)
        words = 'target' if number == 1 else 'targets'
        return f'Result({self.source.label!r}, {width} x {height} px, {number} {words})'

    def _repr_png_(self) -> bytes | None:
        """The picture in a notebook."""
        if self.sample is None:
            return None
        picture = self.draw()
        factor = _NOTEBOOK / max(picture.shape[:2])
        if factor < 1:
            picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return _encode(picture, '.png', self.source.label)

    @property
    def image(self) -> np.ndarray | None:
        """The image as it was given to the pipeline, BGR; a file is read again.

        None if it could not be read.
        """
        if self._image is None and self.sample is not None and self._reader is not None:
            return self._reader(self.source)
        return self._image

    @cached_property
    def targets(self) -> Targets:
        """What was found, best first.

        Raises:
            UserError: The image could not be read.
        """
        return find_targets(self._whole())

    @property
    def mask(self) -> np.ndarray | None:
        """Array (H, W) bool of segmentation, else None."""
        if 'pred_sem_seg' not in self:
            return None
        return self.pred_sem_seg.data[0].cpu().numpy() > 0

    @property
    def probability(self) -> np.ndarray | None:
        """Array (H, W) float32 of segmentation, else None."""
        if 'seg_logits' not in self:
            return None
        return foreground_probability(self._whole(), self.source.label)

    def draw(self, beside: bool = False, numbers: bool = True) -> np.ndarray:
        """The picture: frames or outlines, numbers, a legend.

        Args:
            beside: Whether the image without marks is beside it.
            numbers: Whether the targets are numbered as in the table.

        Returns:
            Array (h, w, 3) uint8, BGR.

        Raises:
            UserError: The image could not be read, or is gone.
        """
        self._whole()
        return draw_result(
            self._pixels(), self.targets, self.classes, self.mask, numbers, beside
        )  # fmt: skip

    def draw_enlarged(self) -> np.ndarray:
        """A contact sheet of the best targets, enlarged; array (h, w, 3) uint8, BGR.

        Raises:
            UserError: The image could not be read, or is gone.
        """
        self._whole()
        return draw_contact_sheet(self._pixels(), self.targets, self.classes, self.mask)

    def show(self) -> None:
        """Show the picture: in the notebook, else in the system's viewer of images."""
        picture = Image.fromarray(np.ascontiguousarray(self.draw()[..., ::-1]))
        ipython = sys.modules.get('IPython')
        if ipython is not None and ipython.get_ipython() is not None:
            sys.modules['IPython.display'].display(picture)
        else:
            picture.show(title=self.source.label)

    def save(self, path: PathLike) -> None:
        """Write the picture, or the targets as .csv or .json (a COCO results array).

        Args:
            path: The file, whose ending says what is written.

        Raises:
            UserError: An ending that is none of these, or whose format has no such large pictures.
        """
        suffix = Path(path).suffix.lower()
        if suffix == '.json':
            atomic_write_json(path, self.to_coco())
        elif suffix == '.csv':
            write_csv(path, [self.record()], self.classes)
        elif suffix in _PICTURES:
            atomic_write_bytes(path, _encode(self.draw(), suffix, str(path)))
        else:
            raise UserError(
                f'{path}: ending {suffix!r}, expected .csv, .json or one of {", ".join(_PICTURES)}'
            )

    def record(self) -> Record:
        """What is known about it, as the folder of results keeps it."""
        height, width = self._whole().ori_shape
        source = self.source
        return Record(
            source.name, source.label, width, height, [], self.targets, source.frame
        )  # fmt: skip

    def to_pandas(self) -> Any:
        """The targets as a ``pandas.DataFrame``: the columns of targets.csv, lengths in px.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise MissingPackageError(_missing('to_pandas', 'pandas')) from None
        rows = list(target_rows(self.record(), self.classes))
        frame = pandas.DataFrame(rows, columns=list(CSV_COLUMNS))
        for name in ('frame', 'track'):
            frame[name] = pandas.to_numeric(frame[name]).astype('Int64')
        return frame

    def to_coco(self, image_id: int | str | None = None) -> list[dict]:
        """The targets as entries of a COCO results array.

        Args:
            image_id: Of the image in a COCO file; None takes its file name.
        """
        background = 'pred_sem_seg' in self
        categories = coco_categories(self.classes, background, None)
        identity = self.source.label if image_id is None else image_id
        return coco_results(self.targets, identity, categories, background)

    def to_supervision(self, masks: bool = False) -> Any:
        """The targets as ``supervision.Detections``, with ``data['class_name']``.

        Args:
            masks: Whether each target of segmentation has its mask: n times the image's size.

        Raises:
            MissingPackageError: supervision is not installed.
        """
        try:
            import supervision
        except ImportError:
            raise MissingPackageError(_missing('to_supervision', 'supervision')) from None
        targets = self.targets
        whole = self.mask if masks else None
        return supervision.Detections(
            xyxy=targets.bboxes.reshape(-1, 4),
            mask=None if whole is None else _target_masks(whole, targets),
            confidence=targets.scores,
            class_id=targets.labels,
            data={'class_name': np.array([self.classes[i] for i in targets.labels], dtype=str)},
        )

    def release(self) -> Result:
        """Forget the image where it can be read again; returns the result itself."""
        if self.source.array is None:
            self._image = None
        return self

    def _whole(self) -> BaseDataElement:
        if self.sample is None:
            raise UserError(f'{self.source.label}: has no result ({self.error})')
        return self.sample

    def _pixels(self) -> np.ndarray:
        image = self.image
        if image is None:
            raise UserError(f'{self.source.label}: the image is not at hand any more')
        return as_bgr(image)


def _encode(picture: np.ndarray, suffix: str, name: str) -> bytes:
    """A picture as a file of a format.

    Args:
        picture: Array (h, w, 3) uint8, BGR.
        suffix: The format's ending.
        name: What it is called, for the message.

    Raises:
        UserError: The format has no pictures of that size.
    """
    try:
        done, data = cv2.imencode(suffix, picture)
    except cv2.error:
        done = False
    if not done:
        height, width = picture.shape[:2]
        raise UserError(
            f'{name}: {width} x {height} px cannot be written as {suffix}, expected a size that '
            'this format has; take .png'
        )
    return data.tobytes()


def _target_masks(mask: np.ndarray, targets: Targets) -> np.ndarray:
    """The components of a mask, (n, H, W) bool, in the order of the targets."""
    labels = find_components(mask.view(np.uint8)).labels
    masks = np.zeros((len(targets.scores), *mask.shape), dtype=bool)
    for index, (x1, y1, x2, y2) in enumerate(targets.bboxes.astype(int)):
        part = labels[y1:y2, x1:x2]
        # Another component may reach into the box; this one touches all of its sides.
        own = set(part[0]) & set(part[-1]) & set(part[:, 0]) & set(part[:, -1]) - {0}
        own = {k for k in own if (part == k).sum() == targets.areas[index]} or own
        masks[index, y1:y2, x1:x2] = part == min(own)
    return masks


def _missing(method: str, package: str) -> str:
    return f'{method}: needs {package}, which is not installed; pip install {package}'
