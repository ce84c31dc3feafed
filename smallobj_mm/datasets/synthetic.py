# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The synthetic small-object set, made at its first use."""

from collections.abc import Mapping
from typing import Any, Dict, Iterable, Optional, Sequence, Union

from smallobj_mm.registry import DATASETS
from smallobj_mm.utils.errors import UserError

from .records import ImageRecord
from .synthetic_files import make_synthetic_dataset
from .synthetic_scene import STYLES
from .voc import SmallObjectVOCDataset


@DATASETS.register_module()
class SyntheticSmallObjectDataset(SmallObjectVOCDataset):
    """Small targets on clutter in Pascal VOC layout with masks, seeded.

    The files are made below ``data_root`` at first use and made anew when the parameters differ;
    give the training and the validation set the same parameters. See
    :func:`make_synthetic_dataset` for their meaning.

    Args:
        ann_file (str | Sequence[str]): 'ImageSets/Main/train.txt' or 'ImageSets/Main/val.txt'.
        data_root (str): Folder of the data set; absent, empty or made here before.
        metainfo (Mapping, optional): Defaults to the classes of the style: disk, square and
            triangle, or target.
        num_images (int): Number of images, both splits together.
        image_size (int): Side of the square images in px.
        seed (int): Seed of everything random.
        style (str): 'shapes' or 'infrared'.
        val_fraction (float): Share of the images for validation.
        object_size (Sequence[float], optional): Shortest and longest object in px.
        max_objects (int): Most objects an image has.
        **kwargs: See :class:`SmallObjectVOCDataset`.

    Raises:
        UserError: If ``data_root`` is empty or a parameter is out of its range.
        UserError: If ``data_root`` holds files that were not made here.
    """

    METAINFO = dict(
        classes=STYLES['shapes'], palette=[(215, 70, 50), (40, 120, 205), (190, 200, 60)]
    )
    TITLE = 'synthetic small objects'
    SOURCE = 'this package, which makes it (smallobj_mm.datasets.make_synthetic_dataset)'
    LAYOUTS = '{JPEGImages,Annotations,masks,ImageSets/Main/{train,val}.txt}'

    def __init__(
        self,
        ann_file: Union[str, Sequence[str]],
        data_root: str,
        metainfo: Optional[Mapping] = None,
        num_images: int = 500,
        image_size: int = 320,
        seed: int = 0,
        style: str = 'shapes',
        val_fraction: float = 0.2,
        object_size: Optional[Sequence[float]] = None,
        max_objects: int = 8,
        **kwargs: Any,
    ) -> None:
        if not data_root:
            raise UserError(
                f'{type(self).__name__}: data_root is empty, expected the folder to make it in'
            )
        if metainfo is None and style in STYLES and style != 'shapes':
            metainfo = dict(classes=STYLES[style])
        self.parameters: Dict[str, Any] = dict(
            num_images=num_images,
            image_size=image_size,
            seed=seed,
            style=style,
            val_fraction=val_fraction,
            object_size=object_size,
            max_objects=max_objects,
        )
        super().__init__(ann_file=ann_file, data_root=data_root, metainfo=metainfo, **kwargs)

    def iter_records(self) -> Iterable[ImageRecord]:
        """Make the files unless they are there, then yield the images of the lists."""
        make_synthetic_dataset(self.data_root, **self.parameters)
        yield from super().iter_records()
