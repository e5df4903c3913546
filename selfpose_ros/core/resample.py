# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""2D tracks from the times at which they were seen to other times close by."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ['move_in_time']

Array = NDArray[np.float64]


def move_in_time(t: Array, kp: Array, conf: Array, to: Array, longest_s: float = .2) -> tuple[Array, Array]:
    """Joints (N, 17, 2) seen at t (N,) moved to times `to` (N,), by the slope towards the neighbour on that side.

    A jump (outlier, exchanged sides) has no slope: there, and across gaps, a joint stays where it was seen.
    """
    d = to - t
    other = np.clip(np.arange(len(t)) + np.where(d > 0, 1, -1), 0, len(t) - 1)
    gap = t[other] - t
    share = np.where((np.abs(gap) > 1e-6) & (np.abs(gap) < longest_s), d / np.where(gap == 0, 1., gap), 0.)
    step = kp[other] - kp
    usual = 4 * np.nanmedian(np.abs(np.diff(kp, axis=0)), axis=(0, 2))[:, None] + 3.
    step = np.where(np.isfinite(step) & (np.abs(step).max(-1, keepdims=True) < usual), step, 0.)
    return kp + np.clip(share, -1.5, 1.5)[:, None, None] * step, conf
