# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Robust losses of squared normalised residuals: what is far off pulls less."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ['robust_cost', 'robust_weight']

Array = NDArray[np.float64]


def robust_weight(e2: Array, scale: float, kind: str = 'gm') -> Array:
    """IRLS weight of squared normalised residuals: 'gm' Geman-McClure, 'cauchy', 'soft_l1', or 'l2'."""
    if kind == 'l2':
        return np.ones_like(e2)
    w = 1 / (1 + e2 / scale ** 2)
    if kind == 'soft_l1':
        return np.sqrt(w)
    return w * w if kind == 'gm' else w


def robust_cost(e2: Array, scale: float, kind: str) -> Array:
    """Loss that `robust_weight` belongs to."""
    if kind == 'l2':
        return .5 * e2
    c2 = scale ** 2
    if kind == 'soft_l1':
        return c2 * (np.sqrt(1 + e2 / c2) - 1)
    return .5 * c2 * np.log1p(e2 / c2) if kind == 'cauchy' else .5 * c2 * e2 / (c2 + e2)
