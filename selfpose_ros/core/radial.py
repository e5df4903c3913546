# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Radial distortion of a lens by two coefficients, k1 and k2 of OpenCV's model, with derivatives and inverse.

A normalised image point n = (x/z, y/z) is seen at n (1 + k1 r2 + k2 r2 r2), r2 = |n|2 (Brown 1971).
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ['COEFFICIENTS', 'IN_OPENCV', 'distorted', 'fold_radius', 'undistorted']

Array = NDArray[np.float64]

#: of one lens, and where they stand among OpenCV's (k1, k2, p1, p2, k3, ...)
COEFFICIENTS = 2
IN_OPENCV = slice(0, 2)
#: squared radius (63 degrees off the axis) from which on the factor stays as it is there: no joint that is seen lies
#: farther out, and a polynomial must not throw those that are not to infinity
_FARTHEST2 = 4.
#: steps of the inverse, and the least slope that one divides by
_STEPS, _LEAST_SLOPE = 12, .05


def distorted(n: Array, lens: Array) -> tuple[Array, Array, Array]:
    """Ideal normalised points (..., 2) as lenses (..., 2) (k1, k2; broadcast) show them.

    Returns:
        The points; derivatives (..., 2, 2) by the ideal points; by k1 and k2 (..., 2, 2).
    """
    r2 = (n * n).sum(-1)
    u = np.minimum(r2, _FARTHEST2)
    k1, k2 = lens[..., 0], lens[..., 1]
    factor = 1 + u * (k1 + u * k2)
    slope = np.where(r2 < _FARTHEST2, 2 * k1 + 4 * u * k2, 0.)
    by_point = slope[..., None, None] * n[..., :, None] * n[..., None, :]
    by_point[..., 0, 0] += factor
    by_point[..., 1, 1] += factor
    return n * factor[..., None], by_point, np.stack([n * u[..., None], n * (u * u)[..., None]], -1)


def undistorted(m: Array, lens: Array) -> Array:
    """The inverse of `distorted`: ideal normalised points of those that are seen, (..., 2), by Newton's method on the
    radius. What lies farther out than the lens model reaches is put where it folds back.
    """
    seen = np.sqrt((m * m).sum(-1))
    k1, k2 = np.broadcast_arrays(lens[..., 0], lens[..., 1])
    fold = _stationary(k1, k2)
    r = np.minimum(seen, fold)
    for _ in range(_STEPS):
        u = np.minimum(r * r, _FARTHEST2)
        factor = 1 + u * (k1 + u * k2)
        slope = np.where(r * r < _FARTHEST2, 1 + u * (3 * k1 + 5 * u * k2), factor)
        step = (r * factor - seen) / np.maximum(slope, _LEAST_SLOPE)
        r = np.clip(r - step, .5 * r, np.minimum(2 * r + 1e-12, fold))
        if np.abs(step).max(initial=0.) < 1e-12:
            break
    return np.asarray(m * (r / np.maximum(seen, 1e-12))[..., None])


def fold_radius(lens: Array) -> Array:
    """(...) radius in the picture, normalised, that lenses (..., 2) show nothing beyond; inf where there is none."""
    k1, k2 = lens[..., 0], lens[..., 1]
    r = _stationary(k1, k2)
    u = np.minimum(r * r, _FARTHEST2)
    return np.where(np.isfinite(r), np.where(np.isfinite(r), r, 0.) * (1 + u * (k1 + u * k2)), np.inf)


def _stationary(k1: Array, k2: Array) -> Array:
    """Ideal radius where the seen one is largest: the smallest positive root of 1 + 3 k1 u + 5 k2 u2, or inf."""
    b, a = 3 * k1, 5 * k2
    disc = b * b - 4 * a
    root = np.sqrt(np.maximum(disc, 0.))
    # smallest positive root of a u2 + b u + 1, in the form that holds for a = 0, too
    q = -b + root
    u = np.where(q > 0, 2 / np.maximum(q, 1e-300), np.inf)
    return np.sqrt(np.where((disc >= 0) & (u < _FARTHEST2), u, np.inf))
