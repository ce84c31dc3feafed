# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Thresholds by what they are for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallobj_mm.evaluation.operating_points import choose_operating_points


def metrics(**columns):
    """Metrics by threshold from lists of the same length."""
    names = columns.pop('at')
    rows = [dict(zip(columns, values)) for values in zip(*columns.values())]
    return {f'{name:.10g}': dict(row, targets=9) for name, row in zip(names, rows)}


def test_each_is_for_what_it_says():
    found = choose_operating_points(
        metrics(
            at=[0.1, 0.2, 0.4, 0.5, 0.7, 0.9],
            F1=[0.60, 0.70, 0.80, 0.8005, 0.79, 0.50],
            Pd=[0.95, 0.95, 0.90, 0.90, 0.85, 0.40],
            Fa=[90e-6, 50e-6, 20e-6, 15e-6, 4e-6, 1e-6],
        )
    )
    assert found == (0.5, 0.7, 0.2)
    assert found.by_name() == {
        'balanced': 0.5, 'few-false-alarms': 0.7, 'find-everything': 0.2,
    }  # fmt: skip


def test_never_few_enough():
    rows = metrics(at=[0.5, 0.8, 0.9], F1=[0.8, 0.7, 0.6], Pd=[1.0] * 3, Fa=[9e-5, 2e-5, 3e-5])
    assert choose_operating_points(rows).few_false_alarms == 0.8
    assert choose_operating_points(rows, max_fa=1e-4).few_false_alarms == 0.5


rates = st.lists(st.floats(0, 1), min_size=4, max_size=4)


@given(rates, rates, rates)
def test_order(f1, pd, fa):
    found = choose_operating_points(metrics(at=[0.1, 0.4, 0.6, 0.9], F1=f1, Pd=pd, Fa=fa))
    assert found.find_everything <= found.balanced <= found.few_false_alarms


@pytest.mark.parametrize('rows', [{}, {'0.5': dict(F1=0.0, Pd=0.0, Fa=0.0, targets=0)}])
def test_nothing_to_choose_by(rows):
    with pytest.raises(ValueError, match='expected images with targets'):
        choose_operating_points(rows)
