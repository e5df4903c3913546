# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Linear systems over the joints of many poses, in which joints concern each other only along bones.

The skeleton is a tree: eliminated from hands, feet and head towards the pelvis, a joint changes the equations of its
parent alone, and all there is to factorise are blocks of 3 x 3.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..skeleton import PARENTS

__all__ = ['solve_poses']

Array = NDArray[np.float64]

_J = len(PARENTS)


def _order() -> list[tuple[list[int], list[int]]]:
    """Joints that are eliminated together, and their parents: no two of one parent, none before its children."""
    left, order = set(range(1, _J)), []
    while left:
        ends = [j for j in left if not any(PARENTS[k] == j for k in left)]
        first = {PARENTS[j]: j for j in sorted(ends, reverse=True)}
        order.append((list(first.values()), list(first)))
        left -= set(first.values())
    return order


_ORDER = _order()
_CHILD, _PARENT = np.arange(1, _J), np.array(PARENTS[1:])


def solve_poses(M: Array, rhs: Array) -> Array:
    """X of M X = rhs, for each pose by itself.

    Args:
        M: (N, 51, 51), symmetric and positive definite; zero between joints that no bone joins.
        rhs: (N, 51, K).

    Raises:
        numpy.linalg.LinAlgError: a system is singular.
    """
    N, _, K = rhs.shape
    blocks = M.reshape(N, _J, 3, _J, 3)
    own = np.ascontiguousarray(np.einsum('njajb->jnab', blocks))
    # how a joint stands in its parent's equations: (16, N, 3, 3)
    above = np.ascontiguousarray(blocks[:, _PARENT, :, _CHILD])
    x = np.ascontiguousarray(rhs.reshape(N, _J, 3, K).swapaxes(0, 1))
    root = np.empty_like(own)
    through = np.empty_like(above)
    for joints, parents in _ORDER:
        bones = [j - 1 for j in joints]
        root[joints] = _inverse_root(own[joints])
        through[bones] = part = above[bones] @ root[joints].swapaxes(-1, -2)
        own[parents] -= part @ part.swapaxes(-1, -2)
        x[joints] = z = root[joints] @ x[joints]
        x[parents] -= part @ z
    top = _inverse_root(own[0])
    x[0] = top.swapaxes(-1, -2) @ (top @ x[0])
    for joints, parents in reversed(_ORDER):
        known = through[[j - 1 for j in joints]].swapaxes(-1, -2) @ x[parents]
        x[joints] = root[joints].swapaxes(-1, -2) @ (x[joints] - known)
    return np.ascontiguousarray(x.swapaxes(0, 1)).reshape(rhs.shape)


def _inverse_root(A: Array) -> Array:
    """Inverses of the lower Cholesky factors of 3 x 3 blocks, written out: LAPACK takes longer to be called than to
    compute. What rounding leaves of a pivot is at least a rounding error.
    """
    a, b, c, d, e, f = (A[..., i, k] for i, k in ((0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (2, 2)))
    out = np.zeros_like(A)
    if not a.all() or not d.all() or not f.all():
        raise np.linalg.LinAlgError('a joint of a pose is not held by anything')
    i, k = b / a, c / a
    d1, e1 = np.maximum(d - b * i, 1e-15 * d), e - c * i
    m = e1 / d1
    f1 = np.maximum(f - c * k - e1 * m, 1e-15 * f)
    out[..., 0, 0], out[..., 1, 1], out[..., 2, 2] = a ** -.5, d1 ** -.5, f1 ** -.5
    out[..., 1, 0] = -i * out[..., 1, 1]
    out[..., 2, 0], out[..., 2, 1] = (i * m - k) * out[..., 2, 2], -m * out[..., 2, 2]
    return out
