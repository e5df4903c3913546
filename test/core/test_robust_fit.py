# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A pose of a camera from joints, some of which are plain wrong, compared with SciPy's robust least squares."""
import numpy as np
import pytest
from scipy.optimize import least_squares

from selfpose_ros.core import rotation
from selfpose_ros.core.robust_fit import robust_fit

SCALE = np.repeat([.05, .1], 3)


def problem(seed: int, wrong: float = .2):
    rng = np.random.default_rng(seed)
    X, true = rng.normal(size=(200, 3)), np.r_[rng.normal(0, .2, 3), rng.normal(0, .3, 3)]

    def px(q):
        c = X @ rotation.exp(q[:3]).T + q[3:] + [0, 0, 5.]
        return 1000 * c[:, :2] / c[:, 2:]

    seen = px(true) + rng.normal(0, 3., (200, 2))
    lost = rng.random(200) < wrong
    seen[lost] += rng.normal(0, 300., (lost.sum(), 2))
    return (lambda q: ((px(q) - seen) / 3.).ravel()), true


@pytest.mark.parametrize('loss', ['soft_l1', 'cauchy'])
@pytest.mark.parametrize('seed', range(4))
def test_it_ends_where_scipy_ends(loss: str, seed: int) -> None:
    residual, true = problem(seed)
    q, cost = robust_fit(residual, np.zeros(6), SCALE, loss, 3.)
    other = least_squares(residual, np.zeros(6), loss=loss, f_scale=3., x_scale=SCALE, ftol=1e-12, xtol=1e-12)
    assert cost <= other.cost * (1 + 1e-6)
    assert np.abs(q - other.x).max() < 1e-3 and np.abs(q - true).max() < .02


def test_what_cannot_be_evaluated_is_not_stepped_into() -> None:
    def residual(q):
        with np.errstate(invalid='ignore'):
            return np.r_[np.sqrt(q[0]) - .1, 1e-3 * (q[0] - 1.)]     # the first full step goes below 0

    q, _ = robust_fit(residual, np.ones(1), np.ones(1), 'soft_l1', 3.)
    assert q[0] == pytest.approx(.01, abs=1e-3)


def test_a_start_that_cannot_be_evaluated_is_an_error() -> None:
    with pytest.raises(ValueError, match='not finite'):
        robust_fit(lambda q: np.array([np.nan, 1.]), np.zeros(2), np.ones(2), 'cauchy', 1.)


def test_an_unknown_that_nothing_depends_on_stays() -> None:
    q, cost = robust_fit(lambda q: np.array([q[0] - 2., 2 * q[0] - 4.]), np.zeros(2), np.ones(2), 'soft_l1', 3.)
    assert q == pytest.approx([2., 0.], abs=1e-6) and cost < 1e-9
