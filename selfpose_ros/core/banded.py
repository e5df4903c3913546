# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Normal equations of a state at successive instants that is smooth in time: banded, solved by elimination."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ['Bands', 'inverse_diagonal', 'second_difference', 'solved']

Array = NDArray[np.float64]


class Bands:
    """Lower banded storage of a symmetric matrix of n blocks of `size`, coupled over two blocks.

    Attributes:
        ab: (2 size + 1, n size): row o has the elements (k + o, k).
        view: the same as (2 size + 1, n, size).
    """

    def __init__(self, n: int, size: int) -> None:
        self.n, self.size = n, size
        self.ab = np.zeros((2 * size + 1, n * size))
        self.view = self.ab.reshape(2 * size + 1, n, size)

    def add_diagonal_blocks(self, H: Array) -> None:
        """H (n, size, size)."""
        for o in range(self.size):
            self.view[o, :, :self.size - o] += np.einsum('nii->ni', H[:, o:, :self.size - o])

    def add_stencil(self, coef: list[Array], q: Array) -> None:
        """Second differences with coefficients (n - 2,) each and weights q (n - 2, size)."""
        m = self.n - 2
        for i in range(3):
            for k in range(i + 1):
                self.view[self.size * (i - k), k:m + k] += (coef[i] * coef[k])[:, None] * q


def second_difference(stamp: Array) -> list[Array]:
    """Coefficients of the second derivative on a grid of uneven steps, (N - 2,) each, 1/s^2."""
    h0, h1 = np.diff(stamp)[:-1], np.diff(stamp)[1:]
    return [2 / (h0 * (h0 + h1)), -2 / (h0 * h1), 2 / (h1 * (h0 + h1))]


def solved(ab: Array, g: Array) -> Array:
    """The solution (n, size) of the matrix of `Bands` (`ab`; positive definite) times it = g (n, size).

    Block by block from the front, then back. Two instants apart, only equal unknowns are coupled, and stay so.

    Raises:
        numpy.linalg.LinAlgError: the matrix is not positive definite, or the solution not finite.
    """
    n, size = g.shape
    view = ab.reshape(2 * size + 1, n, size)
    D, off, far = np.zeros((n, size, size)), np.zeros((n, size, size)), view[-1]    # off: rows of the next instant
    for o in range(2 * size):
        if o < size:
            at = np.arange(size - o)
            D[:, at + o, at] = D[:, at, at + o] = view[o, :, :size - o]
        k = np.arange(max(size - o, 0), min(size, 2 * size - o))
        off[:, k + o - size, k] = view[o][:, k]
    y, gone = g.copy(), np.empty_like(D)
    for i in range(n):
        root = np.linalg.inv(np.linalg.cholesky(D[i]))
        gone[i] = root.T @ root                            # exactly symmetric: else errors grow from block to block
        if i + 1 < n:
            by = off[i] @ gone[i]
            D[i + 1] -= by @ off[i].T
            y[i + 1] -= by @ y[i]
        if i + 2 < n:
            c = far[i][:, None]
            off[i + 1] -= c * by.T
            D[i + 2] -= c * gone[i] * far[i]
            y[i + 2] -= far[i] * (gone[i] @ y[i])
    out = np.empty_like(y)
    for i in range(n - 1, -1, -1):
        rest = y[i]
        if i + 1 < n:
            rest = rest - out[i + 1] @ off[i]
        if i + 2 < n:
            rest = rest - far[i] * out[i + 2]
        out[i] = gone[i] @ rest
    if not np.isfinite(out).all():
        raise np.linalg.LinAlgError('normal equations of a trajectory have no finite solution')
    return out


def inverse_diagonal(ab: Array, n: int, block: int) -> Array:
    """Diagonal (n * block,) of the inverse of the banded matrix of `Bands`: block tridiagonal in pairs of instants, by
    elimination from both ends (the marginal of a pair is what both sides leave of it).
    """
    pad = n % 2
    size, m = 2 * block, (n + pad) // 2
    full = np.zeros((2 * block + 1, m * size))
    full[:, :ab.shape[1]] = ab
    if pad:
        full[0, ab.shape[1]:] = 1.
    D = np.zeros((m, size, size))
    off = np.zeros((m, size, size))                                    # rows of pair i+1, columns of pair i
    view = full.reshape(2 * block + 1, m, size)
    for o in range(2 * block + 1):
        if o < size:
            at = np.arange(size - o)
            D[:, at + o, at] = view[o, :, :size - o]
            D[:, at, at + o] = view[o, :, :size - o]
        k = np.arange(max(size - o, 0), size)
        off[:, k + o - size, k] = view[o][:, k]
    left = np.empty_like(D)
    left[0] = D[0]
    for i in range(1, m):
        left[i] = D[i] - off[i - 1] @ np.linalg.solve(left[i - 1], off[i - 1].T)
    out = np.empty((m, size))
    right = D[-1]
    out[-1] = np.diag(np.linalg.inv(left[-1]))
    for i in range(m - 2, -1, -1):
        gone = off[i].T @ np.linalg.solve(right, off[i])
        out[i] = np.diag(np.linalg.inv(left[i] - gone))
        right = D[i] - gone
    return out.ravel()[:n * block]
