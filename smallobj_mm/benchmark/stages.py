# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Where the time of an image goes: loading, pre-processing, model, post-processing."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from smallobj_mm.inference.preparing import ImagePreparer
from smallobj_mm.models.utils.half import giving_modules
from smallobj_mm.utils.errors import UserError

from .timing import MATMUL_WORK, clock, in_turns, matrix_product, timed


class Stages(NamedTuple):
    """Seconds that the stages of an image take.

    Attributes:
        loading: Reading and decoding its file.
        preprocessing: The rest of the test pipeline and the model's data preprocessor.
        model: The network, up to the raw maps of its head.
        postprocessing: From raw maps to boxes or a mask in pixels of the original image.
    """

    loading: float
    preprocessing: float
    model: float
    postprocessing: float


class Subject(NamedTuple):
    """What is measured.

    Attributes:
        model: A single-stage detector of mmdet or a segmentor of mmseg, in evaluation mode.
        preparer: Gives it its input.
        scope: Its framework.
    """

    model: BaseModel
    preparer: ImagePreparer
    scope: str


def prepare(subject: Subject, image: Any, path: str) -> tuple[Tensor, list]:
    """An image as the network takes it: inputs ``(1, C, H, W)`` and data samples."""
    with DefaultScope.overwrite_default_scope(subject.scope):
        item = subject.preparer.prepare(image, path)
        data = subject.model.data_preprocessor(pseudo_collate([item]), False)
    return data['inputs'].contiguous(memory_format=torch.channels_last), data['data_samples']


@torch.no_grad()
def predict(subject: Subject, inputs: Tensor, samples: list) -> list:
    """The samples of a batch, with predictions."""
    with DefaultScope.overwrite_default_scope(subject.scope):
        return subject.model(inputs, samples, mode='predict')


def time_stages(subject: Subject, path: str) -> Stages:
    """Take an image through all stages once.

    Args:
        subject: The model.
        path: Of an image.

    Raises:
        UserError: The model has no head whose raw maps are read apart.
    """
    now = clock(next(subject.model.parameters(), torch.zeros(0)).device)
    start = now()
    image = subject.preparer.read(path)
    loaded = now()
    inputs, samples = prepare(subject, image, path)
    with _marking_heads(subject.model, now) as marks:
        prepared = now()
        predict(subject, inputs, samples)
        end = now()
    return Stages(loaded - start, prepared - loaded, marks[-1] - prepared, end - marks[-1])


def measure(
    subjects: Mapping[str, Subject],
    paths: Sequence[str],
    rounds: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[float, dict[str, Stages]]:
    """Time subjects in turns, so that all meet the same neighbors on the machine.

    Args:
        subjects: What is measured, by name.
        paths: Images; each turn takes the next one.
        rounds: Turns that count; one more is made first.
        progress: Called with the number of turns done and in all.

    Returns:
        The median rate of the fp32 product of two square matrices of side 2048 on the CPU in the
        same turns (operations a second), and the median times of each subject.
    """

    def stages_of(subject: Subject) -> Callable[[int], Any]:
        return lambda turn: time_stages(subject, paths[turn % len(paths)])

    measures = {f'subject {name}': stages_of(subject) for name, subject in subjects.items()}
    times = in_turns({'product': timed(matrix_product()), **measures}, rounds, 1, progress)
    medians = {
        name: Stages(*map(statistics.median, zip(*times[f'subject {name}']))) for name in subjects
    }
    return statistics.median(MATMUL_WORK / took for took in times['product']), medians


@contextlib.contextmanager
def _marking_heads(model: nn.Module, now: Callable[[], float]) -> Iterator[list[float]]:
    """Note when each forward pass of a head ends."""
    heads = [module for module in model.modules() if hasattr(module, 'predict_by_feat')]
    if not heads:
        raise UserError(
            f'{type(model).__name__}: no head with predict_by_feat, expected a single-stage '
            'detector or a segmentor'
        )
    marks: list[float] = []

    def mark(module: nn.Module, inputs: tuple, outputs: Any) -> None:
        marks.append(now())

    handles = [
        module.register_forward_hook(mark) for head in heads for module in giving_modules(head)
    ]
    try:
        yield marks
    finally:
        for handle in handles:
            handle.remove()
