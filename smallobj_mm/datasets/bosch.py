# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Bosch Small Traffic Lights Dataset."""

import os.path as osp
from collections import defaultdict
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple, Union

from smallobj_mm.registry import DATASETS
from smallobj_mm.utils.errors import UserError

from .base import SmallObjectDetDataset
from .files import common_suffix_length, list_images
from .parsers.bosch_yaml import BOSCH_MERGE, parse_bosch_yaml
from .records import ImageRecord


@DATASETS.register_module()
class BoschTrafficLightsDataset(SmallObjectDetDataset):
    """Bosch Small Traffic Lights (Behrendt et al., ICRA 2017), label files as published.

    The 14 labels of the training files (arrows) merge into the 4 states of the test file, in the
    order Yellow, Red, off, Green. Other classes in ``metainfo`` that are not among these four
    switch the merging off, so that the 14 labels can be trained as they are.

    Image paths are taken relative to the label file, then to ``data_root``; a path of another
    machine is found below ``data_root`` by its file name, the longest common end of the path
    deciding between several.

    Args:
        ann_file (str | Sequence[str]): Label file(s), e.g. ``['train.yaml',
            'additional_train.yaml']``.
        img_size (tuple[int, int]): Width and height of all images in px. Defaults to (1280, 720).
        **kwargs: See :class:`SmallObjectDetDataset`.
    """

    METAINFO = dict(
        classes=('Yellow', 'Red', 'off', 'Green'),
        palette=[(255, 220, 0), (230, 25, 75), (128, 128, 128), (60, 180, 75)],
    )
    TITLE = 'Bosch Small Traffic Lights'
    SOURCE = 'https://hci.iwr.uni-heidelberg.de/content/bosch-small-traffic-lights-dataset'
    LAYOUTS = (
        '{train,additional_train,test}.yaml with rgb/{train,additional,test}/… below data_root '
        '(any place of the images below data_root is found by file name)'
    )

    def __init__(
        self,
        ann_file: Union[str, Sequence[str]],
        img_size: Tuple[int, int] = (1280, 720),
        **kwargs: Any,
    ) -> None:
        if not ann_file:
            raise UserError(
                f"{type(self).__name__}: ann_file is empty, expected label files as 'train.yaml'"
            )
        width, height = img_size
        self.img_size = (width, height)
        self._by_name: Optional[Dict[str, List[str]]] = None
        super().__init__(ann_file=ann_file, **kwargs)

    def canonical_label(self, label: str) -> str:
        """The state (Yellow, Red, off, Green) of a label, unless other classes were asked for."""
        if set(self._metainfo['classes']) <= set(self.METAINFO['classes']):
            return BOSCH_MERGE.get(label, label)
        return label

    def iter_records(self) -> Iterable[ImageRecord]:
        """Yield the images of all label files in their order."""
        for ann_file in self.ann_files:
            if not osp.isfile(ann_file):
                raise self.missing(ann_file)
        seen: Dict[str, str] = {}
        for ann_file in self.ann_files:
            for number, (written, objects) in enumerate(parse_bosch_yaml(ann_file), start=1):
                source = f'{ann_file}, record {number}'
                img_id = osp.splitext(osp.normpath(written))[0]
                if img_id in seen:
                    raise UserError(
                        f'{source}: path {written!r} is there before, at {seen[img_id]}; expected '
                        'each image once'
                    )
                seen[img_id] = source
                img_path = self._find_image(ann_file, written, source)
                yield ImageRecord(source, img_path, img_id, self.img_size, objects)
        self._by_name = None  # workers get a copy of the data set

    def _find_image(self, ann_file: str, written: str, source: str) -> str:
        root = self.data_root or '.'
        bases = (osp.dirname(ann_file), root)
        candidates = [osp.normpath(osp.join(base, written)) for base in bases]
        for path in candidates:
            if self.files.has(path):
                return path
        if not self.check_images:
            return candidates[0]
        paths = self._images_below(root).get(osp.basename(written), [])
        if not paths:
            raise FileNotFoundError(
                f'{source}: its image {written!r} does not exist (looked for {candidates[0]!r} and '
                f'for {osp.basename(written)!r} anywhere below {root!r}); {self.TITLE} comes from '
                f'{self.SOURCE}; layouts understood: {self.LAYOUTS}'
            )
        parts = written.split('/')
        lengths = [common_suffix_length(parts, path.split('/')) for path in paths]
        best = [path for path, length in zip(paths, lengths) if length == max(lengths)]
        if len(best) > 1:
            raise UserError(
                f'{source}: image {written!r} may be {best[0]!r} or {best[1]!r}; expected one file '
                'of that name: remove the other or correct the path'
            )
        return best[0]

    def _images_below(self, root: str) -> Dict[str, List[str]]:
        """File name -> paths of all images below ``root``, walked once."""
        if self._by_name is None:
            index = defaultdict(list)
            for path in list_images(root):
                index[osp.basename(path)].append(path)
            self._by_name = dict(index)
        return self._by_name
