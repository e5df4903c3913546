# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A few unknowns from many residuals, some of which are plain wrong: Levenberg-Marquardt under a robust loss."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .robust import robust_cost, robust_weight

__all__ = ['robust_fit']

Array = NDArray[np.float64]

#: of a difference quotient, in the scales of the unknowns
_STEP = 1e-6
#: it ends when a step gains less than this share of the cost
_LEAST_GAIN = 1e-9
_ROUNDS = 60


def robust_fit(residual: Callable[[Array], Array], start: Array, scale: Array, loss: str,
               width: float) -> tuple[Array, float]:
    """The unknowns (K,) of the least loss of the residuals (N,), from `start`, and that loss.

    Args:
        scale: (K,) by how much each unknown may change for about the same effect.
        loss: of `robust.robust_cost`, for every residual by itself.
        width: where residuals begin to count less.

    Raises:
        ValueError: the residuals are not finite at the start.
    """
    q, scale = np.asarray(start, float), np.asarray(scale, float)
    r = residual(q)
    cost = _cost(r, loss, width)
    if not np.isfinite(cost):
        raise ValueError('residuals are not finite at the start')
    damping = 1e-3
    for _ in range(_ROUNDS):
        J = np.stack([(residual(q + _STEP * s * unit) - r) / _STEP for s, unit in zip(
            scale, np.eye(len(q)), strict=True)], -1)
        w = robust_weight(r * r, width, loss)
        H, g = (J * w[:, None]).T @ J, J.T @ (w * r)
        if not np.isfinite(H).all():
            break
        while damping < 1e9:
            trial = q - scale * np.linalg.solve(H + damping * np.diag(np.diag(H) + 1e-12), g)
            r_trial = residual(trial)
            better = _cost(r_trial, loss, width)
            if better < cost:
                break
            damping *= 4
        else:
            break
        gain, q, r, cost = cost - better, trial, r_trial, better
        damping = max(damping / 8, 1e-9)
        if gain < _LEAST_GAIN * cost:
            break
    return q, float(cost)


def _cost(r: Array, loss: str, width: float) -> float:
    """Infinite where a residual is not finite."""
    with np.errstate(invalid='ignore', over='ignore'):
        cost = float(robust_cost(r * r, width, loss).sum())
    return cost if np.isfinite(cost) else np.inf
