# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Sliding windows, compared with SciPy's."""
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, uniform_filter1d

from selfpose_ros.core.windows import gaussian_mean, moving_maximum, moving_mean


@pytest.mark.parametrize('length', [1, 2, 7, 200])
@pytest.mark.parametrize('size', [1, 3, 31])
def test_means_and_maxima_are_those_of_scipy(length: int, size: int) -> None:
    x = np.random.default_rng(length).normal(size=(length, 3, 2))
    assert moving_mean(x, size) == pytest.approx(uniform_filter1d(x, size, axis=0), abs=1e-12)
    assert np.array_equal(moving_maximum(x[:, 0, 0], size), maximum_filter1d(x[:, 0, 0], size))


@pytest.mark.parametrize('length', [1, 2, 7, 200])
@pytest.mark.parametrize('sigma', [.4, 3., 7.5])
def test_bells_are_those_of_scipy(length: int, sigma: float) -> None:
    x = np.random.default_rng(length).normal(size=(length, 3, 2))
    assert gaussian_mean(x, sigma) == pytest.approx(gaussian_filter1d(x, sigma, axis=0), abs=1e-12)


def test_means_of_what_was_seen_are_whole_where_all_was_seen() -> None:
    """Sums of ones are exact however long the series is: no joint is taken for one that was seen a little less."""
    assert (moving_mean(np.ones((5000, 17)), 3) == 1.).all()
