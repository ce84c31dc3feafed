# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Any detection data set of this package as COCO JSON."""

import os.path as osp

from mmdet.datasets import BaseDetDataset


def dataset_to_coco(dataset: BaseDetDataset) -> dict:
    """Turn a detection data set into the content of a COCO annotation file.

    Categories have the ids 1 to n in the order of the classes, images the ids from 1 in the order
    of the data set; file names are relative to ``data_root`` where the images lie below it. Boxes
    keep their fractions. A region to ignore has ``iscrowd=1`` (not the key ``ignore``, at which
    mmdet's reader leaves the annotation out, region and all); one that belongs to no class in
    particular is written once for every category, as COCO's evaluation looks at one category at
    a time.

    Args:
        dataset (BaseDetDataset): The data set; its pipeline is not run.

    Returns:
        dict: ``images``, ``annotations`` and ``categories``.
    """
    root = osp.abspath(dataset.data_root or '.')
    classes = dataset.metainfo['classes']
    images: list[dict] = []
    annotations: list[dict] = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        path = osp.abspath(info['img_path'])
        below = path.startswith(root.rstrip('/') + '/')
        images.append(
            dict(
                id=index + 1,
                file_name=osp.relpath(path, root) if below else path,
                width=info['width'],
                height=info['height'],
            )
        )
        for instance in info['instances']:
            x1, y1, x2, y2 = (float(value) for value in instance['bbox'])
            every = instance.get('any_class', False)
            for label in range(len(classes)) if every else [instance['bbox_label']]:
                annotations.append(
                    dict(
                        id=len(annotations) + 1,
                        image_id=index + 1,
                        category_id=label + 1,
                        bbox=[x1, y1, x2 - x1, y2 - y1],
                        area=(x2 - x1) * (y2 - y1),
                        iscrowd=int(instance['ignore_flag']),
                    )
                )
    categories = [dict(id=index + 1, name=name) for index, name in enumerate(classes)]
    return dict(images=images, annotations=annotations, categories=categories)
