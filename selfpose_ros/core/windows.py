# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Sliding windows over a series; beyond its ends it goes on mirrored, the last value twice."""
from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ['gaussian_mean', 'moving_maximum', 'moving_mean']

Array = NDArray[np.float64]

#: a bell is cut off so many standard deviations from its middle
_CUT = 4.


def _mirrored(x: Array, radius: int) -> Array:
    return np.pad(x, [(radius, radius)] + [(0, 0)] * (x.ndim - 1), mode='symmetric')


def moving_mean(x: Array, size: int) -> Array:
    """Mean (T, ...) of x (T, ...) over `size` values, an odd number, along the first axis."""
    total = np.cumsum(_mirrored(np.asarray(x, float), size // 2), axis=0)
    out = total[size - 1:].copy()
    out[1:] -= total[:-size]
    return np.asarray(out / size)


def moving_maximum(x: Array, size: int) -> Array:
    """Maximum (T,) of x (T,) over `size` values, an odd number."""
    return np.asarray(sliding_window_view(_mirrored(np.asarray(x, float), size // 2), size).max(-1))


def gaussian_mean(x: Array, sigma: float) -> Array:
    """Mean (T, ...) of x (T, ...) under a bell of this standard deviation, in values, along the first axis."""
    radius = int(_CUT * sigma + .5)
    bell = np.exp(-.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    wide = sliding_window_view(_mirrored(np.asarray(x, float), radius), 2 * radius + 1, axis=0)
    return np.asarray(wide @ (bell / bell.sum()))
