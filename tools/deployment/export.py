#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A detector or segmentor as a file for ONNX Runtime, OpenVINO or TorchScript.

The files take any batch and size; each appears only if it gives what PyTorch gives (1e-3) for
several of them. Then the time of each backend is printed. SmallObjectInferencer and
tools/infer.py take a file without the two --with options as weights.

With --int8 each file is written in 8-bit integers as well (NAME_int8), with ranges measured on
training images of the config, and the metrics on its test data are printed before and after.
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
from functools import partial

import torch
from mmengine.config import Config, DictAction

from smallobj_mm.benchmark.latency import latency_table, measure
from smallobj_mm.deployment.accuracy import accuracy_table, evaluate
from smallobj_mm.deployment.backends import PRECISIONS, file_format, load_backend
from smallobj_mm.deployment.checking import sample_images
from smallobj_mm.deployment.exported_model import build_exported
from smallobj_mm.deployment.exporting import Exported, ExportOptions, export_model
from smallobj_mm.deployment.formats import FORMATS
from smallobj_mm.deployment.network import ExportedNetwork
from smallobj_mm.models.building import build_network, find_weights, read_model_config
from smallobj_mm.utils.configs import read_config
from smallobj_mm.utils.errors import DEBUG_VARIABLE, errors_in_one_line


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f'{DEBUG_VARIABLE}=1 shows the traceback of every error.',
    )
    parser.add_argument('config', help='path of a config, or a name such as ismallnet_s_nuaa')
    parser.add_argument(
        'checkpoint', nargs='?', help='default: the weights that come with the package'
    )
    parser.add_argument(
        '--format', nargs='+', choices=list(FORMATS), default=['onnx'], help='default: onnx'
    )
    parser.add_argument(
        '--out', metavar='PATH', help='ending not needed; default: name of the config, here'
    )
    parser.add_argument(
        '--with-preprocess', action='store_true',
        help='take uint8 images (N, 3, H, W), BGR, of any size: colors, mean and std, padding',
    )  # fmt: skip
    parser.add_argument(
        '--with-postprocess', action='store_true',
        help='give boxes, scores, labels after NMS (padded to max_per_img, labels -1), or '
        'probability and mask',
    )  # fmt: skip
    parser.add_argument(
        '--shape', type=int, nargs='+', default=[256, 320], metavar='PX',
        help='height and width that are traced and timed (default: 256 320); others work as well',
    )  # fmt: skip
    parser.add_argument('--threads', type=int, default=2, help='of the timing (default: 2)')
    parser.add_argument('--batch-size', type=int, default=1, help='of the timing (default: 1)')
    parser.add_argument(
        '--rounds', type=int, default=10, help='times each is timed, 0 for none (default: 10)'
    )
    parser.add_argument(
        '--openvino-precision', choices=PRECISIONS, default='f32',
        help='that OpenVINO is timed with; the check is made with f32 (default: f32)',
    )  # fmt: skip
    parser.add_argument(
        '--int8', action='store_true',
        help='write each file in 8-bit integers as well; of onnx and openvino',
    )  # fmt: skip
    parser.add_argument(
        '--calibration-images', type=int, default=200, metavar='N',
        help='training images that ranges are measured on for --int8 (default: 200)',
    )  # fmt: skip
    parser.add_argument(
        '--no-metrics', action='store_true',
        help='with --int8: leave out the metrics on the test data before and after',
    )  # fmt: skip
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='key=value')
    args = parser.parse_args(argv)
    least = min([*args.shape, args.threads, args.batch_size, args.calibration_images])
    if len(args.shape) > 2 or least < 1 or args.rounds < 0:
        parser.error('--shape takes one or two numbers; sizes, batch and threads are at least 1')
    return args


def export(args: argparse.Namespace, cfg: Config) -> Exported:
    """Write the files.

    Raises:
        UserError: See :func:`smallobj_mm.deployment.export_model`.
    """
    options = ExportOptions(
        args.format,
        args.with_preprocess,
        args.with_postprocess,
        (args.shape[0], args.shape[-1]),
        args.int8,
        args.calibration_images,
    )
    report = partial(print, flush=True)
    return export_model(cfg, args.checkpoint, args.out, options, report)


def compare_speed(exported: Exported, args: argparse.Namespace, cfg: Config) -> str:
    """Table of the time of PyTorch and of each file, measured in turns."""
    torch.set_num_threads(args.threads)
    network = exported.network
    divisor = 1 if args.with_preprocess else exported.info.size_divisor
    height, width = (-(-side // divisor) * divisor for side in (args.shape[0], args.shape[-1]))
    images = sample_images((args.batch_size, height, width))
    if not args.with_preprocess:
        images = network.preparation(images)
    calls = {'pytorch': partial(torch.inference_mode()(network), images)}
    if args.int8:
        calls['not deployed'] = partial(torch.inference_mode()(as_trained(args, cfg)), images)
    for kind, path in exported.files.items():
        precision = args.openvino_precision if kind == 'openvino' else 'f32'
        backend = load_backend(path, threads=args.threads, precision=precision)
        calls[backend.name if precision == 'f32' else f'openvino {precision}'] = partial(
            backend, images
        )
    for path in exported.int8_files.values():
        backend = load_backend(path, threads=args.threads)
        calls[f'{backend.name} int8'] = partial(backend, images)
    title = (
        f'{args.batch_size} x {height} x {width} px, {args.threads} threads, fp32'
        f'{" and int8" if args.int8 else ""}, {args.rounds} turns; pytorch: deployed, channels_last'
    )
    return f'{title}\n{latency_table(measure(calls, args.rounds))}'


def as_trained(args: argparse.Namespace, cfg: Config) -> ExportedNetwork:
    """The network with all its branches and batch norms."""
    cfg, name, _ = read_model_config(cfg)
    model, _ = build_network(cfg, find_weights(args.checkpoint, name), 'cpu', deploy=False)
    return ExportedNetwork(model, cfg.default_scope, args.with_preprocess, args.with_postprocess)


def compare_metrics(exported: Exported, cfg: Config) -> str:
    """Table of the metrics on the test data, of PyTorch and of the INT8 files."""
    if exported.info.preprocess or exported.info.postprocess:
        return 'metrics: not measured for files with pre- or post-processing; export without'
    models = {'pytorch': exported.network.model}
    for path in exported.int8_files.values():
        model, _ = build_exported(cfg.copy(), path, 'cpu')
        models[f'{file_format(path)} int8'] = model
    try:
        metrics = evaluate(cfg, list(models.values()))
    except FileNotFoundError as error:
        return f'metrics: not measured, the test data are not there ({error})'
    return accuracy_table(dict(zip(models, metrics)))


def main(argv: list[str] | None = None) -> None:
    """Export, check, time."""
    args = parse_args(argv)
    cfg = read_config(args.config, args.cfg_options)
    exported = export(args, cfg)
    if args.int8 and not args.no_metrics:
        print(compare_metrics(exported, cfg), flush=True)
    if args.rounds:
        print(compare_speed(exported, args, cfg))


if __name__ == '__main__':
    with errors_in_one_line():
        main()
