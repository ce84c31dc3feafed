# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The speed of configs with several backends, as a table, a plot and JSON."""

from __future__ import annotations

import contextlib
import copy
import multiprocessing
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS, DefaultScope

from smallobj_mm.benchmark.figure import draw_speed
from smallobj_mm.checkpoints.reading import load_plain
from smallobj_mm.checkpoints.state_dict import load_weights
from smallobj_mm.deployment.exported_model import build_exported
from smallobj_mm.deployment.exporting import ExportOptions, export_model
from smallobj_mm.inference.preparing import ImagePreparer
from smallobj_mm.models.building import dataset_config, read_model_config
from smallobj_mm.models.utils import switch_to_deploy
from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.io import PathLike, atomic_write_bytes, atomic_write_json, atomic_write_text
from smallobj_mm.utils.sync_bn import disable_sync_bn_on_cpu
from smallobj_mm.visualization.irstd_figure import figure_png

from .stages import Stages, Subject, measure, predict, prepare
from .timing import count_flops, count_parameters, peak_memory

#: Backend -> format of the exported file; None for PyTorch, as built and folded for inference.
BACKENDS = {
    'pytorch': None, 'deployed': None, 'onnxruntime': 'onnx', 'openvino': 'openvino',
    'torchscript': 'torchscript',
}  # fmt: skip
_TITLES = {'preprocessing': 'pre-processing', 'postprocessing': 'post-processing'}
#: Images of a data set that are looked at.
MOST_IMAGES = 16


@dataclass
class SpeedRow:
    """One config with one backend; times in ms an image.

    Attributes:
        config: Name of the config.
        backend: One of :data:`BACKENDS`.
        images: Where the images are from: 'test set', or 'made' of noise.
        input_shape: Height and width in px of the network's input, of the first image.
        parameters: Number of parameters of the network.
        flops: Operations for that input, two for each multiplication with addition.
        loading: Reading and decoding the file.
        preprocessing: Test pipeline and data preprocessor.
        model: The network.
        postprocessing: Raw maps to boxes or mask.
        peak_memory: Bytes on top of the loaded network that an image needs at most.
        matmul: Rate of a matrix product in the same turns, operations a second.
    """

    config: str
    backend: str
    images: str
    input_shape: tuple[int, int]
    parameters: int
    flops: int
    loading: float
    preprocessing: float
    model: float
    postprocessing: float
    peak_memory: int
    matmul: float

    @property
    def stages(self) -> tuple[float, ...]:
        """What the stages take, ms."""
        return self.loading, self.preprocessing, self.model, self.postprocessing

    @property
    def total(self) -> float:
        """All stages, ms."""
        return sum(self.stages)


@dataclass
class SpeedOptions:
    """How is measured.

    Attributes:
        backends: Of :data:`BACKENDS`.
        shape: Height and width in px of the made images, where a data set is not there.
        rounds: Turns that count.
        threads: On the CPU, of PyTorch and of the exported backends.
        device: Where PyTorch runs.
        memory: Measure the peak memory, in a fresh process for each row; 0 in the rows without.

    Raises:
        UserError: There is no such backend.
    """

    backends: Sequence[str] = ('pytorch', 'deployed')
    shape: tuple[int, int] = (640, 640)
    rounds: int = 10
    threads: int = 2
    device: str = 'cpu'
    memory: bool = True

    def __post_init__(self) -> None:
        unknown = [name for name in self.backends if name not in BACKENDS]
        if unknown or not self.backends:
            raise UserError(
                f'backend: found {", ".join(unknown) or "none"}, expected of {", ".join(BACKENDS)}'
            )


def measure_config(
    config: PathLike | Config,
    weights: PathLike | None = None,
    options: SpeedOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[SpeedRow]:
    """Measure a config with each backend, in turns.

    Args:
        config: Path or name of a config of mmdet or mmseg, or a ``Config``.
        weights: Checkpoint; None for random weights. Only post-processing depends on them.
        options: See there; None for its defaults.
        progress: Called with the number of turns done and in all.

    Returns:
        A row for each backend.

    Raises:
        FileNotFoundError: There is no such config or checkpoint.
        MissingPackageError: A backend is not installed.
        UserError: The model is none that can be measured, or not with this backend.
    """
    options = options or SpeedOptions()
    cfg, name, _ = read_model_config(config)
    with tempfile.TemporaryDirectory() as folder:
        paths, origin = _images(cfg, options.shape, Path(folder))
        state = Path(folder) / 'weights.pth'
        _write_state(cfg, weights, state)
        files = {backend: state for backend in options.backends if BACKENDS[backend] is None}
        formats = {b: form for b in options.backends if (form := BACKENDS[b]) is not None}
        if formats:
            exported = export_model(
                cfg, state, Path(folder) / name, ExportOptions(formats=list(formats.values()))
            ).files
            files.update({backend: exported[form] for backend, form in formats.items()})
        subjects = {b: build_subject(cfg, name, b, files[b], options) for b in options.backends}
        rate, times = measure(subjects, paths, options.rounds, progress)
        # Of the folded network, which the exported ones are.
        counted = {b: subjects[b].model for b in subjects if BACKENDS[b] is None}
        if formats and 'deployed' not in counted:
            counted['deployed'] = build_subject(cfg, name, 'deployed', state, options).model
        rows = []
        for backend, subject in subjects.items():
            network = counted[backend if backend in counted else 'deployed']
            inputs, _ = prepare(subject, subject.preparer.read(paths[0]), paths[0])
            peak = 0
            if options.memory:
                peak = _in_fresh_process(cfg, name, backend, files[backend], paths[0], options)
            height, width = inputs.shape[2:]
            loading, preprocessing, forward, postprocessing = _milliseconds(times[backend])
            rows.append(
                SpeedRow(
                    name, backend, origin, (height, width), count_parameters(network),
                    count_flops(network, inputs), loading, preprocessing, forward, postprocessing,
                    peak, rate,
                )
            )  # fmt: skip
        return rows


def build_subject(
    cfg: Config, name: str, backend: str, file: Path, options: SpeedOptions
) -> Subject:
    """The model of a config with one backend.

    Args:
        cfg: The config.
        name: What it is called, for messages.
        backend: One of :data:`BACKENDS`.
        file: Plain weights, or the exported file.
        options: Threads and device.
    """
    cfg = copy.deepcopy(cfg)
    preparer = ImagePreparer(cfg, name)
    if BACKENDS[backend] is not None:
        return Subject(
            build_exported(cfg, file, 'cpu', options.threads)[0], preparer, cfg.default_scope
        )
    model = _build(cfg)
    load_weights(model, load_plain(file), str(file))
    if backend == 'deployed':
        model = switch_to_deploy(model)
    model = model.eval().to(options.device, memory_format=torch.channels_last)
    return Subject(model, preparer, cfg.default_scope)


def write_report(rows: Sequence[SpeedRow], folder: PathLike, options: SpeedOptions) -> None:
    """Write ``speed.json``, ``speed.md`` and ``speed.png``.

    Args:
        rows: What was measured.
        folder: Where they go; made if missing.
        options: How it was measured.
    """
    folder = Path(folder)
    machine = dict(
        processor=_processor(), cores=os.cpu_count(), threads=options.threads,
        device=options.device, torch=torch.__version__, load=list(os.getloadavg()),
    )  # fmt: skip
    content = dict(machine=machine, rows=[dict(asdict(row), total=row.total) for row in rows])
    atomic_write_json(folder / 'speed.json', content, indent=1)
    atomic_write_text(folder / 'speed.md', speed_table(rows) + '\n\n' + _conditions(rows, machine))
    panels = [
        (config, [(row.backend, row.stages) for row in rows if row.config == config])
        for config in dict.fromkeys(row.config for row in rows)
    ]
    names = [_TITLES.get(name, name) for name in Stages._fields]
    atomic_write_bytes(folder / 'speed.png', figure_png(draw_speed(panels, names)))


def speed_table(rows: Sequence[SpeedRow]) -> str:
    """The rows as a table in Markdown."""
    lines = [
        '| config | backend | input | parameters | GFLOPs | loading ms | pre-processing ms | '
        'model ms | post-processing ms | total ms | images/s | peak memory |',
        '|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
    ]
    for row in rows:
        height, width = row.input_shape
        stages = (*row.stages, row.total)
        peak = f'{row.peak_memory / 2**20:.0f} MiB' if row.peak_memory else '-'
        lines.append(
            f'| {row.config} | {row.backend} | {width}x{height} | {row.parameters / 1e6:.2f} M | '
            f'{row.flops / 1e9:.1f} | {" | ".join(f"{value:.1f}" for value in stages)} | '
            f'{1e3 / row.total:.3g} | {peak} |'
        )
    return '\n'.join(lines)


def _conditions(rows: Sequence[SpeedRow], machine: dict) -> str:
    rates = ', '.join(sorted({f'{row.config} {row.matmul / 1e9:.0f}' for row in rows}))
    configs_without_data = sorted({row.config for row in rows if row.images == 'made'})
    load = machine['load'][0]
    text = (
        f'Medians, one image at a time, the backends of a config in turns; {machine["processor"]}, '
        f'{machine["threads"]} of {machine["cores"]} cores, device {machine["device"]}, PyTorch '
        f'{machine["torch"]}, load of the machine {load:.1f} at the end. A matrix product of 2048³ '
        f'in the same turns, GFLOP/s: {rates}. Peak memory: on top of the loaded network, in a '
        'fresh process.'
    )
    if configs_without_data:
        text += (
            f' The data are not there and the images made for {", ".join(configs_without_data)}.'
        )
    return text + '\n'


def _milliseconds(stages: Stages) -> list[float]:
    return [1e3 * value for value in stages]


def _images(cfg: Config, shape: tuple[int, int], folder: Path) -> tuple[list[str], str]:
    """Images of the test set, or a made one if the config has none or its files are not there.

    A data set that is there and broken, or a wrong setting of it, is an error as in training.
    """
    paths: list[str] = []
    if settings := dataset_config(cfg):
        with (
            contextlib.suppress(FileNotFoundError),
            DefaultScope.overwrite_default_scope(cfg.default_scope),
        ):
            dataset = DATASETS.build(copy.deepcopy(settings))
            step = max(len(dataset) // MOST_IMAGES, 1)
            paths = [dataset.get_data_info(i)['img_path'] for i in range(0, len(dataset), step)]
    if paths and all(map(os.path.isfile, paths)):
        return paths[:MOST_IMAGES], 'test set'
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    path = folder / 'made.png'
    cv2.imwrite(str(path), cv2.GaussianBlur(noise, (5, 5), 0))
    return [str(path)], 'made'


def _build(cfg: Config) -> BaseModel:
    disable_sync_bn_on_cpu(cfg)
    if cfg.get('data_preprocessor') is not None:
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return MODELS.build(cfg.model)


def _write_state(cfg: Config, weights: PathLike | None, path: Path) -> None:
    model = _build(copy.deepcopy(cfg))
    if weights is not None:
        load_weights(model, load_plain(Path(weights)), str(weights))
    torch.save(dict(state_dict=model.state_dict()), path)


def _in_fresh_process(
    cfg: Config, name: str, backend: str, file: Path, image: str, options: SpeedOptions
) -> int:
    """Peak memory of an image in a process that did nothing else."""
    text = cfg.pretty_text
    with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:
        return pool.submit(_peak, text, name, backend, file, image, options).result()


def _peak(text: str, name: str, backend: str, file: Path, image: str, options: SpeedOptions) -> int:
    """Bytes; what the fresh process runs."""
    torch.set_num_threads(options.threads)
    cfg = Config.fromstring(text, '.py')
    subject = build_subject(cfg, name, backend, file, options)
    inputs, samples = prepare(subject, subject.preparer.read(image), image)
    return peak_memory(lambda: predict(subject, inputs, samples), options.device)


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()
