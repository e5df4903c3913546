# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""2D tracks from the times at which they were seen to other times close by."""
from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

__all__ = ['move_in_time']

Array = NDArray[np.float64]


#: a step is of a movement when the one before or after differs from it by less than this share of it
_GOES_ON = .5


def move_in_time(t: Array, kp: Array, conf: Array, to: Array, longest_s: float = .2) -> tuple[Array, Array]:
    """Joints (N, 17, 2) px seen at t (N,) s, increasing, as they were at times `to` (N,): linear between neighbours.

    Where a joint jumps (outlier, exchanged sides: a large step that neither begins before nor goes on after it),
    across holes longer than `longest_s` and beyond the ends there is nothing between: the nearer observation is taken.
    Confidences (N, 17) are those of the nearer one.
    """
    hi = np.clip(np.searchsorted(t, to), 1, len(t) - 1)
    lo = hi - 1
    gap = t[hi] - t[lo]
    a = np.clip((to - t[lo]) / np.maximum(gap, 1e-9), 0., 1.)
    near = np.where(a < .5, lo, hi)
    step = kp[hi] - kp[lo]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)                       # a joint that is never seen: NaN stays
        usual = 4 * np.nanmedian(np.abs(np.diff(kp, axis=0)), axis=(0, 2))[:, None] + 3.
    # what moves fast goes on before or after; a jump does not
    before, after = kp[lo] - kp[np.maximum(lo - 1, 0)], kp[np.minimum(hi + 1, len(t) - 1)] - kp[hi]
    far = np.abs(step).max(-1, keepdims=True)
    other = np.fmin(np.abs(step - before).max(-1, keepdims=True), np.abs(step - after).max(-1, keepdims=True))
    smooth = ((far < usual) | (other < _GOES_ON * far)) & (gap < longest_s)[:, None, None]
    return np.where(smooth, kp[lo] + a[:, None, None] * step, kp[near]), conf[near]
