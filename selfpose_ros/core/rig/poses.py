# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How many clearly different poses a body shows."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ['distinct_poses']

#: poses are different when five joints or more have moved by this much, m
_DISTINCT_M = .052


def distinct_poses(X: NDArray[np.float64], steps: int = 5) -> int:
    """How many clearly different poses (N, 17, 3) shows: a body that stands still gives its noise again and again.

    Poses are averaged over `steps` neighbours first, which halves the noise and leaves movements.
    """
    n = len(X) // steps
    if n < 2:
        return len(X) if len(X) < steps else 1
    mean = X[:n * steps].reshape(n, steps, 17, 3).mean(1)
    chosen: list[int] = []
    for i in range(n):
        far = np.linalg.norm(mean[chosen] - mean[i], axis=-1)
        if not chosen or np.sort(far, axis=1)[:, -5].min() > _DISTINCT_M:
            chosen.append(i)
    return len(chosen)
