#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Test a checkpoint of any model of a config whose default scope is mmdet, mmseg or mmpretrain."""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
import os
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process
from mmengine.evaluator import DumpResults

from smallobj_mm.engine.runner import (
    add_common_arguments,
    build_runner,
    check_weights,
    leaving_process_group,
    load_config,
)
from smallobj_mm.models.tta.settings import set_tta
from smallobj_mm.models.utils.half import use_half
from smallobj_mm.utils.errors import DEBUG_VARIABLE, UserError, errors_in_one_line

_HOOKS = {
    'mmdet': 'DetVisualizationHook',
    'mmseg': 'SegVisualizationHook',
    'mmpretrain': 'VisualizationHook',
}
#: Metrics of mmseg with an ``output_dir``.
_MAP_WRITERS = ('IoUMetric', 'CityscapesMetric')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f'{DEBUG_VARIABLE}=1 shows the traceback of every error.'
    )
    parser.add_argument('config', help='path of a config, or a name such as ismallnet_s_nuaa')
    parser.add_argument(
        'checkpoint', help='path of the checkpoint, or the name of a model that ships'
    )
    parser.add_argument(
        '--out',
        help='file for the predictions (.pkl); a folder for the maps of mmseg models',
    )
    parser.add_argument(
        '--prob-dir',
        help='folder for probability maps, a PNG per image at its original size (mmseg configs); '
        'tools/analysis_tools/evaluate_maps.py reads them',
    )
    parser.add_argument(
        '--prob-bits', type=int, choices=[8, 16], help='bits of the probability maps (default: 8)'
    )
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument(
        '--show-dir',
        help='folder for painted images, below work-dir/TIMESTAMP unless it is absolute',
    )
    parser.add_argument('--wait-time', type=float, default=2, help='seconds between shown images')
    parser.add_argument(
        '--tta', action='store_true',
        help='test-time augmentation: tta_model and tta_pipeline of the config, or flips',
    )  # fmt: skip
    parser.add_argument(
        '--half', action='store_true',
        help='half precision: float16 on CUDA, bfloat16 on the CPU (mmdet and mmseg configs)',
    )  # fmt: skip
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    if args.prob_bits is not None and args.prob_dir is None:
        parser.error('--prob-bits: needs --prob-dir DIR, where the maps are written')
    return args


def set_visualization(cfg: Config, args: argparse.Namespace, scope: str) -> None:
    """Paint predictions: switch on the visualization hook of the framework."""
    hooks = cfg.setdefault('default_hooks', ConfigDict())
    hook = hooks.setdefault('visualization', ConfigDict(type=_HOOKS[scope]))
    hook['enable' if scope == 'mmpretrain' else 'draw'] = True
    if args.show:
        hook.update(show=True, wait_time=args.wait_time)
    if args.show_dir is None:
        return
    if scope == 'mmdet':
        hook['test_out_dir'] = args.show_dir
    elif scope == 'mmpretrain':
        hook['out_dir'] = args.show_dir
    else:
        if cfg.get('visualizer') is None:
            raise UserError(
                '--show-dir: the config has no visualizer; add visualizer='
                "dict(type='IRSTDVisualizer'), or 'SegLocalVisualizer' for more than one class"
            )
        hook.update(type='smallobj_mm.SegPicturesHook', out_dir=args.show_dir)


def check_out(out: str, scope: str) -> None:
    """Refuse a name before the hours of testing, not after them.

    Raises:
        UserError: The name does not end in .pkl or .pickle.
    """
    if scope != 'mmseg' and not out.endswith(('.pkl', '.pickle')):
        raise UserError(f'--out {out}: expected a name that ends in .pkl or .pickle')


def set_map_output(cfg: Config, out: str) -> None:
    """Let the metric of an mmseg config write the predicted maps.

    Raises:
        UserError: The config has no metric that can.
    """
    evaluators = cfg.test_evaluator
    evaluators = evaluators if isinstance(evaluators, (list, tuple)) else [evaluators]
    writers = [
        evaluator for evaluator in evaluators if evaluator['type'].split('.')[-1] in _MAP_WRITERS
    ]
    if not writers:
        raise UserError(
            f'--out {out}: the config has none of the metrics that write maps '
            f'({", ".join(_MAP_WRITERS)}) in test_evaluator; --prob-dir works with any metric'
        )
    writers[0]['output_dir'] = out
    if writers[0]['type'].endswith('CityscapesMetric'):
        writers[0]['keep_results'] = True


def set_probability_maps(cfg: Config, args: argparse.Namespace, scope: str) -> None:
    """Let a hook write the probability maps.

    Raises:
        UserError: The config is not one of segmentation.
    """
    if scope != 'mmseg':
        raise UserError(
            f'--prob-dir {args.prob_dir}: the config is one of {scope}, expected one of mmseg '
            "(default_scope = 'mmseg'): only segmentation has probability maps"
        )
    hook = dict(
        type='smallobj_mm.ProbabilityMapHook', out_dir=args.prob_dir, bits=args.prob_bits or 8
    )
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), hook]


def dump_metric(path: Path, scope: str) -> DumpResults:
    """The metric that writes predictions to a file."""
    if scope == 'mmdet':
        from mmdet.evaluation import DumpDetResults

        return DumpDetResults(out_file_path=str(path))
    return DumpResults(out_file_path=str(path))


def main(argv: list[str] | None = None) -> None:
    """Test."""
    args = parse_args(argv)
    cfg = load_config(args)
    scope = cfg.get('default_scope') or 'mmdet'
    if scope not in _HOOKS:
        raise UserError(f'default_scope {scope!r} of the config: expected one of {sorted(_HOOKS)}')
    cfg.load_from, cfg.resume = args.checkpoint, False
    if args.out is not None:
        check_out(args.out, scope)
        if scope == 'mmseg':
            set_map_output(cfg, args.out)
    if args.prob_dir is not None:
        set_probability_maps(cfg, args, scope)
    if args.show or args.show_dir:
        set_visualization(cfg, args, scope)
    if args.tta:
        set_tta(cfg)
    if args.half and scope == 'mmpretrain':
        raise UserError(f'--half: the config is one of {scope}, expected one of mmdet or mmseg')
    runner = build_runner(cfg)
    check_weights(runner.model, cfg.load_from)
    if args.half:
        use_half(runner.model)
    if args.out is None or scope == 'mmseg':
        runner.test()
        return
    out = Path(args.out)
    part = out.with_name(f'.{out.stem}.part{out.suffix}')  # a killed test leaves no half file
    runner.test_evaluator.metrics.append(dump_metric(part, scope))
    runner.test()
    if is_main_process():
        os.replace(part, out)
        runner.logger.info(f'predictions are in {out}')


if __name__ == '__main__':
    with errors_in_one_line(), leaving_process_group():
        main()
