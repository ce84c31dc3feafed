#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Find small objects in images, folders, patterns and videos with a trained model.

DIR gets predictions.json (a COCO results array), images.json (its images and categories),
targets.csv (box, centroid, area, score, class) and, of segmentation, masks/. The same command goes
on where it was stopped. Exit status: 1 if files could not be read (they are listed at the end), 2
for other errors.
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

import cv2
from mmengine.config import DictAction
from tqdm import tqdm

from smallobj_mm.checkpoints.operating_points import NAMES
from smallobj_mm.inference import Result, SmallObjectInferencer, Source, list_sources
from smallobj_mm.inference.inferencer import check_options
from smallobj_mm.inference.overlap import WriteBehind
from smallobj_mm.inference.ray import PART_SIZE, Settings, run_on_ray
from smallobj_mm.inference.result_folder import PICTURES, ResultFolder
from smallobj_mm.inference.urls import fetch, is_url
from smallobj_mm.inference.video_results import VideoResults
from smallobj_mm.utils.configs import read_config
from smallobj_mm.utils.errors import DEBUG_VARIABLE, UserError, errors_in_one_line, one_line

WINDOW = 'infer'
#: The model where no config is given.
DEFAULT = 'ismallnet_s_nuaa'
#: Least score of boxes that are written; segmentors have a threshold of their own.
SCORE = 0.3


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f'{DEBUG_VARIABLE}=1 shows the traceback of every error.',
    )
    parser.add_argument(
        'inputs', nargs='+', metavar='INPUT',
        help='image, folder, pattern ("a/**/*.png"), video, or address (http, https) of one',
    )  # fmt: skip
    parser.add_argument(
        '--config',
        help='path of a config, or a name such as ismallnet_s_nuaa (see smallobj-mm models); '
        f'default: {DEFAULT}, for infrared images',
    )
    parser.add_argument(
        '--weights',
        help='checkpoint, or a file of tools/deployment/export.py; default: the weights that come '
        'with the package',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
        help='settings that override those of the config',
    )  # fmt: skip
    parser.add_argument('--out', required=True, metavar='DIR', help='folder of the results')
    parser.add_argument(
        '--tile', type=int, default=640,
        help='side in px of the tiles of larger images; 0 for whole images (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--overlap', type=float, default=0.2,
        help='least overlap of tiles as a part of their side (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--batch-size', type=int, default=1, help='images or tiles at once (default: %(default)s)'
    )
    parser.add_argument(
        '--device', help='cpu, cuda, cuda:1, ... (default: cuda where it is, else cpu)'
    )
    parser.add_argument(
        '--tta', action='store_true',
        help='test-time augmentation: tta_model and tta_pipeline of the config, or flips',
    )  # fmt: skip
    parser.add_argument(
        '--half', action='store_true',
        help='half precision: float16 on CUDA, bfloat16 on the CPU',
    )  # fmt: skip
    parser.add_argument(
        '--threshold', '--score-thr', type=float,
        help=f'least score of boxes (default: {SCORE}); probability above which a pixel is a '
        'target (default: that of the config)',
    )  # fmt: skip
    parser.add_argument(
        '--operating-point', choices=NAMES,
        help='the threshold that the weights recommend for this',
    )  # fmt: skip
    parser.add_argument(
        '--probabilities', type=int, choices=[8, 16], metavar='{8,16}',
        help='also probabilities/: maps of so many bits (segmentation)',
    )  # fmt: skip
    parser.add_argument(
        '--pictures', nargs='?', const='single', choices=PICTURES,
        help='also pictures/: numbered targets in the image; "beside" has the image beside it',
    )  # fmt: skip
    parser.add_argument(
        '--enlarged', action='store_true', help='also enlarged/: contact sheets of the targets'
    )
    parser.add_argument(
        '--coco-json', metavar='FILE',
        help='COCO file of these images, whose ids predictions.json gets (for loadRes)',
    )  # fmt: skip
    parser.add_argument(
        '--track', action='store_true', help='number the tracks of targets in videos (ByteTrack)'
    )
    parser.add_argument(
        '--video', action='store_true', help='also videos/: videos with their targets marked'
    )
    parser.add_argument(
        '--engine', choices=['local', 'ray'], default='local',
        help='ray: many images by --workers of Ray Data; also takes Parquet files of paths or of '
        'encoded images; DIR gets part-*.parquet and part-*.json (COCO results)',
    )  # fmt: skip
    parser.add_argument('--workers', type=int, default=2, help='of Ray (default: %(default)s)')
    parser.add_argument(
        '--part-size', type=int, default=PART_SIZE,
        help='images of a part, which a stopped run of Ray goes on with (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument('--show', action='store_true', help='show each result in a window')
    args = parser.parse_args(argv)
    if args.show and sys.platform == 'linux' and not os.environ.get('DISPLAY'):
        parser.error('--show: there is no display here; use --pictures')
    local = dict(
        probabilities=None, pictures=None, enlarged=False, coco_json=None, track=False,
        video=False, show=False,
    )  # fmt: skip
    given = [name for name, default in local.items() if getattr(args, name) != default]
    if args.engine == 'ray' and given:
        parser.error(f'--engine ray: has no --{given[0].replace("_", "-")}')
    if args.threshold is not None and args.operating_point is not None:
        parser.error('--threshold and --operating-point: give one of them')
    return args


def run(args: argparse.Namespace) -> int:
    """Infer; returns the number of files that could not be read.

    Raises:
        UserError: See :class:`SmallObjectInferencer` and :class:`ResultFolder`.
    """
    sources = find_sources(args.inputs, args.out)
    inferencer = build(args)
    segmentation = inferencer.task == 'segmentation'
    if args.probabilities and not segmentation:
        raise UserError(
            f'--probabilities {args.probabilities}: {inferencer.name} is a detector, expected a '
            'segmentor: only segmentation has probability maps'
        )
    threshold = find_threshold(args, inferencer)
    options = dict(tile=args.tile or None, overlap=args.overlap, threshold=threshold)
    check_options(args.batch_size, **options)
    settings = dict(options, tta=args.tta, half=args.half, track=args.track)
    results = ResultFolder(
        args.out, inferencer, settings, args.probabilities, args.pictures, args.enlarged,
        args.coco_json,
    )  # fmt: skip
    videos = VideoResults(results, args.track, args.video)
    left = videos.left(sources)
    if len(left) < len(sources):
        print(f'{len(sources) - len(left)} of {len(sources)} images are in {args.out} already')
    unreadable, done = [], 0
    bar = progress_bar(len(left))
    stream = inferencer.stream(
        left, args.batch_size, **options, on_progress=lambda images: bar.update(images - bar.n)
    )
    try:
        with bar, WriteBehind(videos.add) as add:
            for result in stream:
                done += 1
                if result.error is not None:
                    unreadable.append(one_line(result.error))
                    bar.clear()
                    print(f'not readable: {unreadable[-1]}', file=sys.stderr)
                else:
                    add(result)
                    if args.show:
                        show(result)
                bar.update(done - bar.n)
        videos.finish()
    finally:
        videos.abandon()
    number = results.summarize()
    print(f'results of {number} images are in {args.out}')
    if unreadable:
        print(f'{len(unreadable)} files could not be read:', file=sys.stderr)
        print(*(f'  {line}' for line in unreadable), sep='\n', file=sys.stderr)
    return len(unreadable)


def run_ray(args: argparse.Namespace) -> int:
    """Infer by workers of Ray; returns the number of images that could not be read.

    Raises:
        UserError: See :func:`run_on_ray`.
    """
    inferencer = build(args)  # what is wrong with the model is said before Ray starts
    options = dict(tile=args.tile or None, overlap=args.overlap,
                   threshold=find_threshold(args, inferencer))  # fmt: skip
    check_options(args.batch_size, **options)
    for name in ('workers', 'part_size'):
        if getattr(args, name) < 1:
            raise UserError(f'--{name.replace("_", "-")} {getattr(args, name)}: expected 1 or more')
    weights = None if args.weights is None else str(Path(args.weights).resolve())
    settings = Settings(
        str(inferencer.config_path.resolve() if inferencer.config_path else DEFAULT), weights,
        args.cfg_options, args.device, batch_size=args.batch_size, tta=args.tta, half=args.half,
        **options,
    )  # fmt: skip
    del inferencer
    bar, before, unreadable = None, 0, 0
    for done, errors, total in run_on_ray(
        args.inputs, args.out, settings, args.workers, args.part_size
    ):
        unreadable = errors
        if bar is None:
            bar, before = progress_bar(total - done), done
            if done:
                print(f'{done} of {total} images are in {args.out} already')
        bar.update(done - before - bar.n)
    if bar is not None:
        bar.close()
    print(
        f'results of {done} images are in {args.out}, {unreadable} of this call could not be read'
    )
    return unreadable


def progress_bar(total: int) -> tqdm:
    """How many of the images are done; of an image in tiles it may be a part."""
    interval = 0.2 if sys.stderr.isatty() else 15.0  # s; a file keeps every line
    return tqdm(
        total=total,
        bar_format='{percentage:3.0f} % of {total} images |{bar}| {elapsed}, {remaining} left',
        mininterval=interval,
        delay=interval,
        leave=False,
    )


def build(args: argparse.Namespace) -> SmallObjectInferencer:
    """The model of the command line.

    Raises:
        FileNotFoundError: There is no such config or no weights.
        UserError: See :class:`SmallObjectInferencer`.
    """
    config = args.config or DEFAULT
    cfg = read_config(config, args.cfg_options) if args.cfg_options else config
    return SmallObjectInferencer(cfg, args.weights, args.device, tta=args.tta, half=args.half)


def find_threshold(args: argparse.Namespace, inferencer: SmallObjectInferencer) -> float:
    """The threshold of the command line, of the weights, or of the model.

    Raises:
        UserError: The weights have no such operating point.
    """
    if args.threshold is not None:
        return args.threshold
    if args.operating_point is not None:
        points = inferencer.operating_points
        if args.operating_point not in points:
            names = ', '.join(points) or 'none'
            raise UserError(
                f'--operating-point {args.operating_point}: {inferencer.weights_path} has '
                f'{names}; give --threshold'
            )
        return points[args.operating_point]
    return inferencer.default_threshold if inferencer.task == 'segmentation' else SCORE


def find_sources(inputs: list[str], out: str) -> list[Source]:
    """All images of the inputs; what lies in the web is fetched into a folder of the results.

    Raises:
        FileNotFoundError: A path is not there.
        UserError: See :func:`list_sources`, :func:`foreign` and :func:`fetch`.
    """
    local = [given for given in inputs if not is_url(given)]
    sources = foreign(list_sources(local), out) if local else []
    for url in filter(is_url, inputs):
        file = str(fetch(url, Path(out) / 'downloads'))
        sources += [replace(s, path=url, file=file) for s in list_sources(file)]
    return sources


def foreign(sources: list[Source], out: str) -> list[Source]:
    """Those outside of the folder of results, which may lie in a folder of images.

    Raises:
        UserError: None are.
    """
    folder = os.path.realpath(out) + os.sep
    kept = [source for source in sources if not os.path.realpath(source.path).startswith(folder)]
    if not kept:
        raise UserError(f'--out {out}: all inputs lie in it; give another folder')
    return kept


def show(result: Result) -> None:
    """Show a result until a key is pressed."""
    cv2.imshow(WINDOW, result.draw())
    cv2.waitKey(0)


def main(argv: list[str] | None = None) -> None:
    """Infer and leave with the exit status."""
    args = parse_args(argv)
    try:
        unreadable = run_ray(args) if args.engine == 'ray' else run(args)
    except KeyboardInterrupt:
        print(f'\nstopped; the same command goes on in {args.out}', file=sys.stderr)
        sys.exit(130)
    if unreadable:
        sys.exit(1)


if __name__ == '__main__':
    with errors_in_one_line():
        main()
