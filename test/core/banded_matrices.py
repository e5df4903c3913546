# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Banded matrices written out, to compare with."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def dense(ab: Array) -> Array:
    """The symmetric matrix of lower banded storage."""
    n = ab.shape[1]
    out = np.zeros((n, n))
    for o in range(ab.shape[0]):
        i = np.arange(n - o)
        out[i + o, i] = out[i, i + o] = ab[o, :n - o]
    return out
