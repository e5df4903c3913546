# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Who belongs to whom, one to one, at the least sum of costs: shortest augmenting paths (Jonker and Volgenant 1987)."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ['least_cost_pairs']


def least_cost_pairs(cost: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """As many pairs of a row and a column of cost (N, P) as there can be, each once, with the least sum.

    Written for some dozens of rows: the time grows with their cube.

    Returns:
        Rows (M,), rising, and their columns (M,); M = min(N, P).

    Raises:
        ValueError: a cost is not finite.
    """
    cost = np.asarray(cost, float)
    if cost.ndim != 2 or not np.isfinite(cost).all():
        raise ValueError(f'costs {cost.shape}: they must be finite, in rows and columns')
    if cost.shape[0] > cost.shape[1]:
        columns, rows = least_cost_pairs(cost.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    N, P = cost.shape
    if not N:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    best = cost.argmin(1)
    if len(set(best.tolist())) == N:                       # nobody is in anybody's way
        return np.arange(N), best
    # plain lists: most are of a few people, where each call of numpy takes longer than a row
    table = cost.tolist()
    u, v = [0.] * N, [0.] * P                              # prices: cost - u - v >= 0, and 0 for pairs
    row_of = [-1] * P
    for start in range(N):
        shortest, before = [np.inf] * P, [-1] * P          # of a path from `start` to each column, and by which
        done = [False] * P
        row, at, length = start, -1, 0.
        visited = []
        while True:
            line, own = table[row], u[row]
            least, following = np.inf, -1
            for k in range(P):
                if not done[k]:
                    far = length + line[k] - own - v[k]
                    if far < shortest[k]:
                        shortest[k], before[k] = far, at
                    # of equal ones a free column, which ends the path
                    if shortest[k] < least or (shortest[k] == least and row_of[k] < 0):
                        least, following = shortest[k], k
            length, at = least, following
            if row_of[at] < 0:
                break
            done[at] = True
            visited.append(at)
            row = row_of[at]
        u[start] += length
        for k in visited:
            u[row_of[k]] += length - shortest[k]
            v[k] -= length - shortest[k]
        while at >= 0:                                     # everybody on the path moves on by one
            former = before[at]
            row_of[at] = start if former < 0 else row_of[former]
            at = former
    column_of = np.empty(N, np.int64)
    for k, row in enumerate(row_of):
        if row >= 0:
            column_of[row] = k
    return np.arange(N), column_of
