# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What a parser hands over, whatever the format on disk was."""

from typing import List, NamedTuple, Optional, Tuple, Union


class ObjectRecord(NamedTuple):
    """One annotated object.

    Attributes:
        label (str): Name of the class as the file has it.
        box (tuple[float, float, float, float]): x1, y1, x2, y2 in px, unchecked.
        difficult (bool): Marked as difficult by the annotators.
    """

    label: str
    box: Tuple[float, float, float, float]
    difficult: bool = False


class ImageRecord(NamedTuple):
    """One annotated image.

    Attributes:
        source (str): Annotation file (and record in it), for messages.
        img_path (str): Path of the image.
        img_id (str | int): Unique name or number within the data set.
        size (tuple[int, int] | None): Width and height in px if the annotation has them, else
            None: then the header of the image is read.
        objects (list[ObjectRecord]): The objects, possibly none.
    """

    source: str
    img_path: str
    img_id: Union[str, int]
    size: Optional[Tuple[int, int]]
    objects: List[ObjectRecord]
