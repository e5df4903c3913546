# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Operations on a handful of numbers, many times a tick, where NumPy's own spend most of their time on generality.

So does `numpy.stack`: of a handful of small arrays of one shape, `numpy.array` makes the same in a fifth of the time.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ['masked_median', 'median', 'padded']

Array = NDArray[np.float64]


def median(x: Array) -> Array:
    """Median over the first axis, which is not empty, as `numpy.median`: in a tenth of its time for 17 joints."""
    n = len(x)
    s = np.sort(x, axis=0)                                  # NaN comes last
    middle = s[n // 2] if n % 2 else .5 * (s[n // 2 - 1] + s[n // 2])
    return np.where(np.isnan(s[-1]), np.nan, middle)


def masked_median(x: Array, use: NDArray[np.bool_]) -> Array:
    """Median along the last axis of what is used (broadcast to x); NaN where nothing is."""
    most = x.shape[-1]
    ordered = np.sort(np.where(use, x, np.inf), axis=-1).reshape(-1, most)
    n = np.broadcast_to(use, x.shape).sum(-1).ravel()
    row = np.arange(len(n))
    middle = .5 * (ordered[row, np.maximum((n - 1) // 2, 0)] + ordered[row, np.minimum(n // 2, most - 1)])
    return np.where(n > 0, middle, np.nan).reshape(x.shape[:-1])


def padded(arrays: Sequence[Array]) -> Array:
    """Arrays (n_k, ...) of unequal lengths as one (K, max n_k, ...), NaN where there is nothing."""
    most = max(len(a) for a in arrays)
    if all(len(a) == most for a in arrays):
        return np.array(arrays)
    out = np.full((len(arrays), most, *arrays[0].shape[1:]), np.nan)
    for k, a in enumerate(arrays):
        out[k, :len(a)] = a
    return out
