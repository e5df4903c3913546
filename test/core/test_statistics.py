# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Statistics, compared with SciPy's."""
import numpy as np
import pytest
from scipy.optimize import isotonic_regression
from scipy.special import chdtrc

from selfpose_ros.core.statistics import by_chance, falling


@pytest.mark.parametrize('degrees', range(1, 9))
def test_chances_are_those_of_scipy(degrees: int) -> None:
    for square in (0., 1e-12, .3, 2., 9., 40., 300., 2000.):
        assert by_chance(square, degrees) == pytest.approx(chdtrc(degrees, square), rel=1e-10, abs=1e-300)


def test_a_falling_series_is_that_of_scipy() -> None:
    rng = np.random.default_rng(2)
    for n in (1, 2, 5, 40):
        for _ in range(20):
            value, weight = rng.normal(size=n), rng.integers(1, 60, n)
            assert falling(value, weight.tolist()) == pytest.approx(
                isotonic_regression(value, weights=weight, increasing=False).x, abs=1e-12)
    assert falling(np.array([1., 1., 0.]), [1, 1, 1]).tolist() == [1., 1., 0.]
