# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Banded normal equations of a state that is smooth in time, against dense ones."""
from __future__ import annotations

import numpy as np
import pytest
from banded_matrices import dense
from numpy.typing import NDArray

from selfpose_ros.core.banded import Bands, inverse_diagonal, second_difference, solved

Array = NDArray[np.float64]


def system(n: int, size: int) -> tuple[Array, Array, Array, list[Array]]:
    """Blocks (n, size, size), weights (n - 2, size), the same dense, and coefficients on a grid of uneven steps."""
    rng = np.random.default_rng(n)
    J = rng.normal(size=(n, size + 2, size))
    H, q = J.swapaxes(1, 2) @ J, rng.uniform(.5, 2., (n - 2, size))
    coef = second_difference(np.cumsum(rng.uniform(.5, 1.5, n)))
    full = np.zeros((n, size, n, size))
    full[np.arange(n), :, np.arange(n)] = H
    for i in range(n - 2):
        row = np.zeros(n)
        row[i:i + 3] = [c[i] for c in coef]
        for k in range(size):
            full[:, k, :, k] += q[i, k] * np.outer(row, row)
    return H, q, full.reshape(n * size, -1), coef


@pytest.mark.parametrize('size', [1, 2, 5])
@pytest.mark.parametrize('n', [3, 4, 7])
def test_blocks_and_second_differences_are_those_of_the_dense_system(n: int, size: int) -> None:
    H, q, full, coef = system(n, size)
    bands = Bands(n, size)
    bands.add_diagonal_blocks(H)
    bands.add_diagonal_blocks(0 * H)
    bands.add_stencil(coef, q)
    assert bands.ab.shape == (2 * size + 1, n * size) and bands.view.shape == (2 * size + 1, n, size)
    assert np.allclose(dense(bands.ab), full, atol=1e-12)


@pytest.mark.parametrize('size', [1, 2, 5])
@pytest.mark.parametrize('n', [3, 4, 7])
def test_the_diagonal_of_the_inverse_is_that_of_the_dense_inverse(n: int, size: int) -> None:
    """Odd and even numbers of instants (they are taken in pairs)."""
    H, q, full, coef = system(n, size)
    bands = Bands(n, size)
    bands.add_diagonal_blocks(H)
    bands.add_stencil(coef, q)
    given = bands.ab.copy()
    assert np.allclose(inverse_diagonal(bands.ab, n, size), np.diag(np.linalg.inv(full)), rtol=1e-9)
    assert np.array_equal(bands.ab, given)


@pytest.mark.parametrize('size', [1, 2, 5])
@pytest.mark.parametrize('n', [3, 4, 7])
def test_the_solution_is_that_of_the_dense_system(n: int, size: int) -> None:
    """Also where successive instants are coupled by whole blocks, as by errors that last."""
    H, q, _, coef = system(n, size)
    bands = Bands(n, size)
    bands.add_diagonal_blocks(H)
    bands.add_stencil(coef, q)
    rng = np.random.default_rng(7)
    for o in range(1, 2 * size):
        k = np.arange(max(size - o, 0), min(size, 2 * size - o))
        bands.view[o, :-1, k] += rng.uniform(-.05, .05, (len(k), n - 1))
    given, g = bands.ab.copy(), rng.normal(size=(n, size))
    assert np.allclose(solved(bands.ab, g).ravel(), np.linalg.solve(dense(bands.ab), g.ravel()), rtol=1e-9)
    assert np.array_equal(bands.ab, given)


def test_errors_do_not_grow_along_a_stiff_trajectory() -> None:
    """400 instants that are held together 10^4 times more firmly than each by itself; measured 1e-12."""
    n, size = 400, 12
    rng = np.random.default_rng(3)
    J = rng.normal(size=(n, 3, size))
    bands = Bands(n, size)
    bands.add_diagonal_blocks(J.swapaxes(1, 2) @ J + 1e-2 * np.eye(size))
    bands.add_stencil(second_difference(np.arange(n, dtype=float)), np.full((n - 2, size), 1e4))
    A, wanted = dense(bands.ab), rng.normal(size=(n, size))
    assert np.abs(solved(bands.ab, (A @ wanted.ravel()).reshape(n, size)) - wanted).max() < 1e-8


@pytest.mark.parametrize('value', [np.nan, -1.])
def test_a_matrix_that_is_none_of_these_is_an_error(value: float) -> None:
    bands = Bands(4, 2)
    bands.ab[0] = value
    with pytest.raises(np.linalg.LinAlgError):
        solved(bands.ab, np.ones((4, 2)))


def test_second_differences_of_a_parabola_are_its_curvature() -> None:
    t = np.cumsum(np.random.default_rng(1).uniform(.01, .1, 12))
    before, at, after = second_difference(t)
    x = 3. + 2. * t - 4.905 * t ** 2
    assert np.allclose(before * x[:-2] + at * x[1:-1] + after * x[2:], -9.81)
