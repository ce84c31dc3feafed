#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Average precision of a detector on large images: seen as a whole, and in tiles.

The large images are mosaics of the config's test images, with their boxes. As a whole they go
through the config's test pipeline, which resizes them to the network's size; in tiles each tile
does. Limits of detections per image grow with the mosaic, so that they favor neither.
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import logging
import sys

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS, METRICS, DefaultScope
from tqdm import tqdm

from smallobj_mm.benchmark.timing import Stopwatch
from smallobj_mm.evaluation import SmallObjectMetric
from smallobj_mm.evaluation.slicing import Mosaic, make_mosaic, parse_mosaic
from smallobj_mm.inference import SmallObjectInferencer
from smallobj_mm.inference.inferencer import check_options
from smallobj_mm.models.building import dataset_config, read_model_config
from smallobj_mm.utils.errors import DEBUG_VARIABLE, UserError, errors_in_one_line
from smallobj_mm.utils.io import atomic_write_json

COLUMNS = ('AP50', 'AP_tiny', 'AP_small', 'AP_medium', 'AP_large', 'AP')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f'{DEBUG_VARIABLE}=1 shows the traceback of every error.',
    )
    parser.add_argument('config', help='path or name of the config of a detector')
    parser.add_argument('checkpoint', help='its weights')
    parser.add_argument(
        '--mosaic', default='4x4', metavar='COLUMNSxROWS',
        help='images in a large one (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument('--limit', type=int, help='number of mosaics (default: all full ones)')
    parser.add_argument(
        '--tile', type=int, nargs='+', default=[640], metavar='PX',
        help='sides of the tiles, a line of the table each (default: 640)',
    )  # fmt: skip
    parser.add_argument('--overlap', type=float, default=0.2, help='default: %(default)s')
    parser.add_argument('--batch-size', type=int, default=1, help='tiles at once')
    parser.add_argument('--device', default='cpu', help='cpu, cuda, cuda:1, ... (default: cpu)')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument('--half', action='store_true', help='half precision')
    parser.add_argument('--json', metavar='FILE', help='where the table is also written')
    return parser.parse_args(argv)


def load_mosaics(cfg: Config, columns: int, rows: int, limit: int | None) -> tuple[list, tuple]:
    """What is known about the images of each mosaic, and the names of the classes.

    Raises:
        UserError: There are fewer test images than one mosaic has.
    """
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        dataset = DATASETS.build(dataset_config(cfg))
    size = columns * rows
    number = min(len(dataset) // size, limit or len(dataset))
    if number < 1:
        raise UserError(
            f'--mosaic {columns}x{rows}: the test set has {len(dataset)} images, expected '
            f'{size} or more; take a smaller mosaic'
        )
    groups = [
        [dataset.get_data_info(size * index + i) for i in range(size)] for index in range(number)
    ]
    return groups, dataset.metainfo['classes']


def raise_limits(cfg: Config, factor: int) -> None:
    """Let the detector give so many times as many boxes for an image."""
    for owner in (cfg.model.get('test_cfg') or {}, (cfg.model.get('test_cfg') or {}).get('rcnn')):
        for key in ('max_per_img', 'nms_pre'):
            if owner and owner.get(key):
                owner[key] *= factor
    if cfg.get('tta_model', {}).get('tta_cfg', {}).get('max_per_img'):
        cfg.tta_model.tta_cfg.max_per_img *= factor


def build_metric(cfg: Config, classes: tuple, factor: int) -> SmallObjectMetric:
    """The config's metric if it is ours, else ours with its defaults."""
    settings = cfg.get('test_evaluator') or {}
    settings = settings if isinstance(settings, (list, tuple)) else [settings]
    ours = [
        setting for setting in settings if str(setting.get('type')).endswith('SmallObjectMetric')
    ]
    options = dict(ours[0] if ours else {}, type='SmallObjectMetric', classwise=False)
    options['max_dets'] = options.get('max_dets', 100) * factor
    metric = METRICS.build(options)
    metric.dataset_meta = dict(classes=classes)
    return metric


def add(metric: SmallObjectMetric, mosaic: Mosaic, predictions: object, index: int) -> None:
    """Give a metric the truth and the detections of a mosaic."""
    size = mosaic.image.shape[:2]
    metric.process(
        {},
        [
            dict(
                img_id=index, img_path=f'mosaic {index}', ori_shape=size, img_shape=size,
                pred_instances=predictions, gt_instances=mosaic.truth(False),
                ignored_instances=mosaic.truth(True),
            )
        ],
    )  # fmt: skip


def evaluate(args: argparse.Namespace) -> list[dict]:
    """A dict for each line of the table.

    Raises:
        UserError: The config is no detector's, or an option is out of its range.
    """
    for tile in args.tile:
        check_options(args.batch_size, tile, args.overlap, None)
    columns, rows = parse_mosaic(args.mosaic)
    cfg, name, _ = read_model_config(args.config)
    if cfg.default_scope != 'mmdet':
        raise UserError(f'{name}: default_scope {cfg.default_scope!r}, expected a detector (mmdet)')
    raise_limits(cfg, columns * rows)
    inferencer = SmallObjectInferencer(
        cfg, args.checkpoint, args.device, tta=args.tta, half=args.half
    )
    groups, classes = load_mosaics(cfg, columns, rows, args.limit)
    ways = {'whole': None, **{f'tiles of {tile} px': tile for tile in args.tile}}
    metrics = {way: build_metric(cfg, classes, columns * rows) for way in ways}
    watches = {way: Stopwatch(args.device) for way in ways}
    for index, infos in enumerate(tqdm(groups, unit='mosaic')):
        mosaic = make_mosaic(infos, columns, inferencer.preparer.read)
        for way, tile in ways.items():
            with watches[way]:
                (sample,) = inferencer(
                    mosaic.image, args.batch_size, tile=tile, overlap=args.overlap
                )
            add(metrics[way], mosaic, sample.pred_instances, index)
    height, width = mosaic.image.shape[:2]
    print(
        f'{name}: {len(groups)} mosaics of {columns}x{rows} test images, the last one of '
        f'{width}x{height} px; overlap {args.overlap}'
    )
    logger = MMLogger.get_current_instance()
    logger.setLevel(logging.WARNING)  # its table would be printed for each way
    lines = []
    for way, metric in metrics.items():
        values = metric.compute_metrics(metric.results)
        lines.append(
            dict(
                seen=way, mosaics=len(groups), seconds=watches[way].seconds / len(groups),
                **{key: values[key] for key in COLUMNS},
            )
        )  # fmt: skip
    return lines


def main(argv: list[str] | None = None) -> None:
    """Evaluate and print a table."""
    args = parse_args(argv)
    if args.limit is not None and args.limit < 1:
        raise UserError(f'--limit {args.limit}: expected 1 or more')
    lines = evaluate(args)
    print(f'{"seen":<18}' + ''.join(f'{key:>11}' for key in COLUMNS) + f'{"s/image":>10}')
    for line in lines:
        # -1 where there is no such object, as COCO has it.
        cells = ('-' if line[key] < 0 else f'{line[key]:.4f}' for key in COLUMNS)
        print(
            f'{line["seen"]:<18}' + ''.join(f'{cell:>11}' for cell in cells)
            + f'{line["seconds"]:>10.2f}'
        )  # fmt: skip
    print('AP by area in px² of the mosaic: tiny < 16², small 16² to 32²')
    if args.json:
        atomic_write_json(args.json, lines, indent=1)


if __name__ == '__main__':
    with errors_in_one_line():
        main(sys.argv[1:])
