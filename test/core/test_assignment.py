# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The least sum of costs, compared with SciPy's."""
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from selfpose_ros.core.assignment import least_cost_pairs


@pytest.mark.parametrize('kind', ['any', 'gate', 'whole', 'large'])
def test_no_assignment_is_cheaper(kind: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(400):
        cost = rng.normal(size=rng.integers(1, 9, 2))
        if kind == 'gate':                                           # most pairs gain nothing, as in `assign_each`
            cost = np.minimum(cost, 0.)
        if kind == 'whole':
            cost = rng.integers(0, 4, cost.shape).astype(float)
        if kind == 'large':
            cost = np.where(rng.random(cost.shape) < .5, 1e3, cost)
        rows, columns = least_cost_pairs(cost)
        assert len(rows) == min(cost.shape) == len(set(columns.tolist()))
        assert (np.diff(rows) > 0).all()
        assert cost[rows, columns].sum() == pytest.approx(cost[linear_sum_assignment(cost)].sum(), abs=1e-9)


def test_pairs_are_those_of_scipy_where_there_is_one_best() -> None:
    rng = np.random.default_rng(6)
    for shape in ((30, 30), (12, 40), (40, 12)):
        cost = rng.normal(size=shape)
        for found, wanted in zip(least_cost_pairs(cost), linear_sum_assignment(cost), strict=True):
            assert np.array_equal(found, wanted)


@pytest.mark.parametrize('shape', [(0, 3), (3, 0), (0, 0)])
def test_nobody_has_no_pairs(shape: tuple[int, int]) -> None:
    rows, columns = least_cost_pairs(np.zeros(shape))
    assert rows.shape == columns.shape == (0,)


@pytest.mark.parametrize('cost', [[[np.nan, 1.]], [[np.inf]], [1., 2.]])
def test_costs_that_are_none_are_an_error(cost: list) -> None:
    with pytest.raises(ValueError, match='finite'):
        least_cost_pairs(np.array(cost))
