# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The synthetic infrared set, made at its first use."""

from collections.abc import Mapping
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

from smallobj_mm.registry import DATASETS
from smallobj_mm.utils.errors import UserError

from .irstd import IRSTDDataset
from .synthetic_irstd_files import make_synthetic_irstd


@DATASETS.register_module()
class SyntheticIRSTDDataset(IRSTDDataset):
    """Dim small targets on clouds, sea and ground, seeded, with masks.

    The files are made below ``data_root`` at first use and made anew when the parameters differ;
    give the training and the test set the same parameters. See :func:`make_synthetic_irstd`.

    Args:
        data_root (str): Folder of the data set; absent, empty or made here before.
        split (str): 'train' or 'test'.
        num_images (int): Number of images, both splits together.
        image_size (int): Side of the square images in px.
        seed (int): Seed of everything random.
        test_fraction (float): Share of the images for the test.
        target_size (Sequence[float]): Least and largest target in px.
        max_targets (int): Most targets an image has.
        holdout (Mapping, optional): See :class:`IRSTDDataset`, as all that follow.
        metainfo (Mapping, optional): Instead of the data set's own.
        indices (int | Sequence[int], optional): Only the first n, or these images.
        serialize_data (bool): Hold the list serialized, shared by the workers.
        pipeline (Sequence[dict | Callable]): Transforms.
        test_mode (bool): Whether the data set is used for evaluation.
        lazy_init (bool): Make the files and read the list at first use only.
        max_refetch (int): How often another image is tried if a transform returns None.

    Raises:
        UserError: If ``data_root`` is empty or a parameter is out of its range.
        UserError: If ``data_root`` holds files that were not made here.
    """

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        num_images: int = 300,
        image_size: int = 256,
        seed: int = 0,
        test_fraction: float = 0.2,
        target_size: Sequence[float] = (2.0, 10.0),
        max_targets: int = 4,
        holdout: Optional[Mapping] = None,
        metainfo: Optional[Mapping] = None,
        indices: Optional[Union[int, Sequence[int]]] = None,
        serialize_data: bool = True,
        pipeline: Sequence[Union[dict, Callable]] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        if not data_root:
            raise UserError(
                f'{type(self).__name__}: data_root is empty, expected the folder to make it in'
            )
        self.parameters: Dict[str, Any] = dict(
            num_images=num_images,
            image_size=image_size,
            seed=seed,
            test_fraction=test_fraction,
            target_size=target_size,
            max_targets=max_targets,
        )
        super().__init__(
            data_root=data_root,
            split=split,
            layout='basicirstd',
            holdout=holdout,
            metainfo=metainfo,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=pipeline,
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def load_data_list(self) -> List[dict]:
        """Make the files unless they are there, then read the list.

        Returns:
            list[dict]: See :class:`IRSTDDataset`.
        """
        make_synthetic_irstd(self.data_root, **self.parameters)
        return super().load_data_list()
