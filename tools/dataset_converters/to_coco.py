# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Convert a detection data set to COCO JSON.

One line for each layout:

    python tools/dataset_converters/to_coco.py voc data/VOCdevkit voc07_test.json \
        --ann-file VOC2007/ImageSets/Main/test.txt
    python tools/dataset_converters/to_coco.py yolo data/rail_worker train.json --split train
    python tools/dataset_converters/to_coco.py bosch data/bstld test.json --ann-file test.yaml
    python tools/dataset_converters/to_coco.py hituav data/HIT-UAV val.json \
        --ann-file ImageSets/Main/val.txt
    python tools/dataset_converters/to_coco.py synthetic data/synthetic_det val.json \
        --ann-file ImageSets/Main/val.txt
"""

import argparse
import os
from typing import Any, Dict, List, Optional, Type

from smallobj_mm.compat import activate

activate()

from smallobj_mm.datasets import (  # noqa: E402
    BoschTrafficLightsDataset,
    HITUAVDataset,
    SmallObjectVOCDataset,
    SyntheticSmallObjectDataset,
    YOLOFolderDataset,
    dataset_to_coco,
)
from smallobj_mm.datasets.base import SmallObjectDetDataset  # noqa: E402
from smallobj_mm.datasets.stamped_folder import read_stamp  # noqa: E402
from smallobj_mm.datasets.synthetic_files import STAMP  # noqa: E402
from smallobj_mm.datasets.synthetic_scene import STYLES  # noqa: E402
from smallobj_mm.utils.errors import UserError, errors_in_one_line  # noqa: E402
from smallobj_mm.utils.io import atomic_write_json  # noqa: E402

FORMATS: Dict[str, Type[SmallObjectDetDataset]] = {
    'voc': SmallObjectVOCDataset,
    'yolo': YOLOFolderDataset,
    'bosch': BoschTrafficLightsDataset,
    'hituav': HITUAVDataset,
    'synthetic': SyntheticSmallObjectDataset,
}
SYNTHETIC_OPTIONS = ('num_images', 'image_size', 'seed', 'style')


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Read the command line; each format has the options that it knows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    formats = parser.add_subparsers(dest='format', required=True, metavar='FORMAT')
    for name, dataset in FORMATS.items():
        sub = formats.add_parser(name, help=dataset.TITLE, description=dataset.LAYOUTS)
        sub.add_argument('data_root', metavar='SRC', help='folder of the data set')
        sub.add_argument('out', metavar='OUT.json', help='COCO file to write')
        sub.add_argument('--strict', action='store_true', help='stop at the first unusable box')
        sub.add_argument(
            '--unknown-labels',
            choices=('error', 'drop', 'ignore'),
            default='error',
            help='what happens to labels outside the classes',
        )
        if name == 'yolo':
            sub.add_argument('--ann-file', default='', help='data.yaml, instead of the folders')
            sub.add_argument('--split', default='train')
        else:
            sub.add_argument('--ann-file', nargs='+', required=True, help='list or label files')
        if name in ('voc', 'yolo', 'bosch'):
            sub.add_argument('--classes', nargs='+', help="instead of the data set's own")
        if name in ('voc', 'hituav'):
            sub.add_argument(
                '--difficult',
                choices=('keep', 'ignore'),
                default='keep' if name == 'hituav' else 'ignore',
            )
        if name in ('voc', 'bosch', 'hituav'):
            sub.add_argument(
                '--labels-only',
                dest='check_images',
                action='store_false',
                help='do not look for the images',
            )
        if name == 'synthetic':
            sub.add_argument('--num-images', type=int, help='default: 500, where SRC is absent')
            sub.add_argument('--image-size', type=int, help='px (default: 320)')
            sub.add_argument('--seed', type=int, help='default: 0')
            sub.add_argument('--style', choices=tuple(STYLES), help='default: shapes')
    return parser.parse_args(argv)


def open_synthetic(
    data_root: str, ann_file: List[str], parameters: Dict[str, Any], **checks: Any
) -> SmallObjectVOCDataset:
    """The synthetic set; one that is there is read as it is, and never made anew.

    Args:
        data_root: Folder of the set.
        ann_file: Lists.
        parameters: What it is to be made with; those that are None are not asked for.
        **checks: ``strict`` and ``unknown_labels`` of the data set.

    Raises:
        UserError: If the set that is there was made with other parameters.
    """
    asked = {name: value for name, value in parameters.items() if value is not None}
    stamp = read_stamp(data_root, STAMP)
    if stamp is None:
        return SyntheticSmallObjectDataset(
            ann_file, data_root=data_root, test_mode=True, **asked, **checks
        )
    if stamp.get('style') not in STYLES:
        raise UserError(
            f'{os.path.join(data_root, STAMP)}: damaged, expected the parameters of the set; '
            'make the set anew in another folder'
        )
    different = {name: stamp.get(name) for name, value in asked.items() if stamp.get(name) != value}
    if different:
        options = ' '.join(f'--{name.replace("_", "-")} {asked[name]}' for name in different)
        raise UserError(
            f'{data_root}: was made with {different}, but {options} is given; leave the options '
            'out to convert it as it is, or choose another folder'
        )
    return SmallObjectVOCDataset(
        ann_file,
        data_root=data_root,
        metainfo=dict(classes=STYLES[stamp['style']]),
        test_mode=True,
        **checks,
    )


def main(argv: Optional[List[str]] = None) -> None:
    """Convert."""
    options = vars(parse_args(argv))
    name = options.pop('format')
    out = options.pop('out')
    classes = options.pop('classes', None)
    if classes:
        options['metainfo'] = dict(classes=tuple(classes))
    if name == 'synthetic':
        parameters = {key: options.pop(key) for key in SYNTHETIC_OPTIONS}
        dataset = open_synthetic(parameters=parameters, **options)
    else:
        dataset = FORMATS[name](test_mode=True, **options)
    coco = dataset_to_coco(dataset)
    atomic_write_json(out, coco)
    print(
        f'{out}: {len(coco["images"])} images, {len(coco["annotations"])} annotations, '
        f'{len(coco["categories"])} categories'
    )


if __name__ == '__main__':
    with errors_in_one_line():
        main()
