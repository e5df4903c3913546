# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""2D tracks from the times at which they were seen to other times close by."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ['move_in_time']

Array = NDArray[np.float64]


def move_in_time(t: Array, kp: Array, conf: Array, to: Array, longest_s: float = .2) -> tuple[Array, Array]:
    """Joints (N, 17, 2) px seen at t (N,) s, increasing, as they were at times `to` (N,): linear between neighbours.

    Where a joint jumps (outlier, exchanged sides), across holes longer than `longest_s` and beyond the ends there is
    nothing between: the nearer observation is taken. Confidences (N, 17) are those of the nearer one.
    """
    hi = np.clip(np.searchsorted(t, to), 1, len(t) - 1)
    lo = hi - 1
    gap = t[hi] - t[lo]
    a = np.clip((to - t[lo]) / np.maximum(gap, 1e-9), 0., 1.)
    near = np.where(a < .5, lo, hi)
    step = kp[hi] - kp[lo]
    usual = 4 * np.nanmedian(np.abs(np.diff(kp, axis=0)), axis=(0, 2))[:, None] + 3.
    smooth = (np.abs(step).max(-1, keepdims=True) < usual) & (gap < longest_s)[:, None, None]
    return np.where(smooth, kp[lo] + a[:, None, None] * step, kp[near]), conf[near]
