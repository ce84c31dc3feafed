# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Time and work of models."""

import subprocess
import sys
import time

import torch
from torch import nn

from smallobj_mm.benchmark.timing import (
    Stopwatch,
    compare,
    count_flops,
    count_parameters,
    peak_memory,
    training_step,
)


class Net(nn.Conv2d):
    """One convolution that takes a mode, as the models of the stack do."""

    def forward(self, x, mode):
        assert mode == 'tensor'
        return super().forward(x)


def test_counts():
    net = Net(4, 8, 3, padding=1, bias=False)
    assert count_parameters(net) == 4 * 8 * 9
    # Two operations for each multiplication with addition.
    assert count_flops(net, torch.rand(2, 4, 10, 6)) == 2 * 2 * 10 * 6 * 4 * 8 * 9


def test_compare_gives_ratios():
    done = []
    work = 10**9
    matmul, timings = compare(
        [(lambda: time.sleep(0.02), work), (lambda: time.sleep(0.06), work)],
        rounds=3,
        progress=lambda *turn: done.append(turn),
    )
    assert done == [(1, 3), (2, 3), (3, 3)]
    fast, slow = timings
    assert matmul > 0
    assert 0.02 <= fast.seconds < slow.seconds
    assert fast.rate == work / fast.seconds
    assert fast.ratio > slow.ratio > 0


def test_stopwatch_adds_up():
    watch = Stopwatch()
    for _ in range(2):
        with watch:
            time.sleep(0.02)
        time.sleep(0.02)  # does not count
    assert 0.04 <= watch.seconds
    assert 0 <= watch.processor < watch.seconds  # sleeping is no work


def test_peak_memory():
    """A larger one after the other: the process's largest size never falls."""
    small = peak_memory(lambda: torch.ones(2**28, dtype=torch.uint8))
    large = peak_memory(lambda: torch.ones(3 * 2**28, dtype=torch.uint8))
    assert 0 <= small < 1.5 * 2**28
    assert large > 2**28


def test_training_step_reaches_every_weight():
    net = Net(3, 2, 3)
    seen = []
    net.weight.register_hook(lambda grad: seen.append(grad.abs().sum().item()))
    training_step(net, torch.rand(1, 3, 8, 8))
    assert len(seen) == 1 and seen[0] > 0
    assert net.weight.grad is None


def test_tool_measures_a_training_step(repo_root):
    done = subprocess.run(
        [
            sys.executable,
            str(repo_root / 'tools/analysis_tools/benchmark.py'),
            str(repo_root / 'configs/ismallnet/ismallnet_demo.py'),
            '--train',
            '--shape',
            '32',
            '--rounds',
            '1',
            '--batch-size',
            '2',
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'training' in done.stdout
    assert 'peak memory of a step' in done.stdout


def test_tool_prints_plain_and_deployed(repo_root):
    done = subprocess.run(
        [
            sys.executable,
            str(repo_root / 'tools/analysis_tools/benchmark.py'),
            str(repo_root / 'configs/obsdm/obsdm_r18_demo.py'),
            '--shape',
            '64',
            '--rounds',
            '1',
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    plain, deployed = (line.split() for line in lines[-3:-1])
    assert (plain[0], deployed[0]) == ('plain', 'deployed')
    assert float(deployed[1][:-1]) < float(plain[1][:-1])  # the 1x1 branches are folded
    assert 'matrix product 2048^3' in done.stdout
    assert 'of the plain time' in lines[-1]
