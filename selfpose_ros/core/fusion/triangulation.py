# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Robust triangulation of many points at once from any number of views."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..cameras import NEAREST

__all__ = ['triangulate']

Array = NDArray[np.float64]


def triangulate(
    rays: Array, weight: Array, R: Array, t: Array, *, rounds: int = 3, scale: float = 0., ridge: float = 0.,
    toward: Array | None = None,
) -> Array:
    """Weighted linear triangulation, re-weighted by depth (so that image errors count) and, with `scale`, robustly.

    Args:
        rays: (N, V, J, 2) normalised image coordinates ((u - cx) / f), any number where the weight is 0.
        weight: (N, V, J) inverse variance of a coordinate, in normalised units; 0 = unseen.
        R, t: (V, 3, 3), (V, 3) with x_cam = R x + t.
        scale: Geman-McClure scale in standard deviations; 0 = plain least squares.
        ridge, toward: pull of each point towards `toward` (N, J, 3) with this inverse variance (1/m^2).

    Returns:
        (N, J, 3) m; NaN where fewer than two views see the point and there is no pull.
    """
    N, V, J = weight.shape
    rows = rays[..., None] * R[:, None, None, 2] - R[:, None, :2]        # N,V,J,2,3
    b = t[:, None, :2] - rays * t[:, None, 2:]                             # N,V,J,2
    rows = rows.transpose(0, 2, 1, 3, 4).reshape(N, J, 2 * V, 3)
    b = b.transpose(0, 2, 1, 3).reshape(N, J, 2 * V)
    base = np.repeat(weight.transpose(0, 2, 1), 2, axis=2)                 # N,J,2V
    enough = (weight > 0).sum(1) >= 2
    depth2 = np.ones((N, J, V))
    w, X = base, np.zeros((N, J, 3))
    for i in range(rounds):
        rw = rows * w[..., None]
        A = np.matmul(rw.swapaxes(-1, -2), rows)
        y = np.matmul(rw.swapaxes(-1, -2), b[..., None])[..., 0]
        tiny = 1e-9 * np.trace(A, axis1=-2, axis2=-1)[..., None, None] + 1e-12 + ridge
        A = A + tiny * np.eye(3)
        if toward is not None and ridge:
            y = y + ridge * toward
        X = np.linalg.solve(A, y[..., None])[..., 0]
        if i == rounds - 1:
            break
        z = np.einsum('vk,njk->njv', R[:, 2], X) + t[:, 2]
        depth2 = np.maximum(z, NEAREST) ** 2
        w = base / np.repeat(depth2, 2, axis=2)
        if scale:
            r = np.matmul(rows, X[..., None])[..., 0] - b
            e2 = (r * r * w).reshape(N, J, V, 2).sum(-1)
            g = 1 / (1 + e2 / scale ** 2)
            w = w * np.repeat(g * g, 2, axis=2)
    if not ridge:
        X = np.where(enough[..., None], X, np.nan)
    return np.asarray(X)
