#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What pretraining is worth with few labels: all arms, numbers of labels and seeds, and the figure.

Each arm's backbone is pretrained once and handed over; each run fine-tunes the same detector. The
same command goes on where it was stopped: finished runs are not repeated, others are resumed.
DIR gets backbones/, runs/, table.md and figure.png.
"""

import smallobj_mm  # noqa: F401, I001  (compat before anything imports mmcv or torchvision)

import argparse
from dataclasses import dataclass
from pathlib import Path

from smallobj_mm.evaluation.run_summary import markdown_table, read_last_metrics, summarize_runs
from smallobj_mm.utils.errors import UserError, errors_in_one_line
from smallobj_mm.utils.io import atomic_write_bytes, atomic_write_text
from smallobj_mm.utils.processes import run_tool
from smallobj_mm.visualization.label_curves import draw_label_curves

TOOLS = Path(__file__).resolve().parent.parent
CONFIGS = TOOLS.parent / 'configs'
SPLITS = CONFIGS / '_base_' / 'datasets' / 'splits'
METRICS = ('smallobj/AP50', 'smallobj/AP', 'smallobj/AP_tiny', 'smallobj/AP_small')


@dataclass(frozen=True)
class Arm:
    """A way to the weights that fine-tuning starts from.

    Attributes:
        pretrain: Config of the pretraining; None for none.
        finetune: Config of the fine-tuning.
    """

    pretrain: str | None = None
    finetune: str = 'obsdm/obsdm_t_hituav_few.py'


ARMS = {
    'random': Arm(),
    'detsim': Arm('detsim/detsim_r18h_hituav.py'),
    'detsim-no-aux': Arm('detsim/detsim_r18h_hituav_no-aux.py'),
    'detsim-local-views': Arm('detsim/detsim_r18h_hituav_local-views.py'),
    'synthetic': Arm('obsdm/obsdm_t_synthetic.py'),  # boxes of drawn shapes
    'distilled': Arm('distillation/distill_r18h_lite0.py'),
    'lite0-imagenet': Arm(finetune='obsdm/obsdm_lite0_hituav_few.py'),
}
#: Number of labeled images -> list of them and iterations of fine-tuning.
LABELS = {
    50: ('hituav_flight_train_50.txt', 1500),
    100: ('hituav_flight_train_100.txt', 2500),
    200: ('hituav_flight_train_200.txt', 4000),
    1861: ('hituav_flight_train.txt', 10000),
}


@dataclass(frozen=True)
class Job:
    """One process of the study.

    Attributes:
        name: Name of its folder, below ``backbones`` or ``runs``.
        command: Tool and arguments.
        done: File or folder that tells that it is over.
        iterations: Of a fine-tuning, the iteration of its last evaluation; None of a pretraining.
    """

    name: str
    command: list[str]
    done: Path
    iterations: int | None = None

    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        if self.iterations is None:
            return self.done.is_file()
        try:
            return read_last_metrics(self.done)['step'] >= self.iterations
        except (FileNotFoundError, UserError):
            return False


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('dir', type=Path, help='folder of all that is made')
    parser.add_argument('--arms', nargs='+', choices=ARMS, default=list(ARMS))
    parser.add_argument('--labels', nargs='+', type=int, choices=LABELS, default=list(LABELS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--amp', action='store_true', help='mixed precision')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
        help='settings of every fine-tuning, such as data_root=data/HIT-UAV/',
    )  # fmt: skip
    parser.add_argument(
        '--dry-run', action='store_true', help='list the jobs, and which of them are over'
    )
    parser.add_argument('--summary', action='store_true', help='only the table and the figure')
    return parser.parse_args(argv)


def make_jobs(args: argparse.Namespace) -> list[Job]:
    """All jobs in the order in which they run: seed by seed, few labels first."""
    amp = ['--amp'] if args.amp else []
    jobs = []
    for arm in args.arms:
        pretrain = ARMS[arm].pretrain
        if pretrain is None:
            continue
        work_dir, backbone = args.dir / 'backbones' / arm, backbone_file(args.dir, arm)
        train = ['train.py', str(CONFIGS / pretrain), '--work-dir', str(work_dir)]
        jobs.append(Job(arm, [*train, '--resume', *amp], backbone))
    for seed in args.seeds:
        for labels in sorted(args.labels):
            names, iterations = LABELS[labels]
            for arm in args.arms:
                name = f'{arm}_{labels}_seed{seed}'
                options = [
                    f'train_list={SPLITS / names}',
                    f'max_iters={iterations}',
                    f'randomness.seed={seed}',
                    *args.cfg_options,
                ]
                if ARMS[arm].pretrain is not None:
                    options.append(f'pretrained={backbone_file(args.dir, arm)}')
                work_dir = args.dir / 'runs' / name
                command = [
                    'train.py',
                    str(CONFIGS / ARMS[arm].finetune),
                    '--work-dir',
                    str(work_dir),
                ]
                command += ['--resume', *amp, '--cfg-options', *options]
                jobs.append(Job(name, command, work_dir, iterations))
    return jobs


def backbone_file(folder: Path, arm: str) -> Path:
    """Where the pretrained backbone of an arm is."""
    return folder / 'backbones' / f'{arm}.safetensors'


def run_job(job: Job) -> None:
    """Train; after a pretraining, write the backbone."""
    tool, *arguments = job.command
    run_tool(TOOLS / tool, *arguments)
    if job.iterations is None:
        pointer = job.done.with_suffix('') / 'last_checkpoint'
        checkpoint = pointer.read_text(encoding='utf-8').strip()
        run_tool(TOOLS / 'model_converters' / 'export_backbone.py', checkpoint, job.done)


def summarize(folder: Path, jobs: list[Job]) -> None:
    """Write the table and the figure of the runs that are over.

    Raises:
        UserError: None is.
    """
    finished = [job for job in jobs if job.iterations is not None and job.finished()]
    if not finished:
        raise UserError(f'{folder}: no run is over yet; call without --summary first')
    groups = summarize_runs([job.done for job in finished], METRICS)
    atomic_write_text(folder / 'table.md', markdown_table(groups) + '\n')
    points: dict[str, dict[int, list[float]]] = {}
    for group, spreads in groups.items():
        arm, _, labels = group.rpartition('_')
        points.setdefault(arm, {})[int(labels)] = spreads[METRICS[0]].values
    figure = draw_label_curves(points, 'AP50', 'labeled images')
    atomic_write_bytes(folder / 'figure.png', figure)
    print(f'{folder / "table.md"} and {folder / "figure.png"}: {len(finished)} runs')


def main(argv: list[str] | None = None) -> None:
    """Run what is left, then summarize."""
    args = parse_args(argv)
    jobs = make_jobs(args)
    left = [job for job in jobs if not job.finished()]
    if args.dry_run:
        for job in jobs:
            print('over' if job not in left else 'left', job.name, *job.command)
        return
    if not args.summary:
        for number, job in enumerate(left, 1):
            print(f'== {number} of {len(left)}: {job.name}', flush=True)
            run_job(job)
    summarize(args.dir, jobs)


if __name__ == '__main__':
    with errors_in_one_line():
        main()
