# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Fisheye lenses (`equidistant` of ROS, `cv2.fisheye`: Kannala and Brandt 2006) as OpenCV's rational model, which all
of the core understands: exact to a tenth of a pixel up to 80 degrees off the axis.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.errors import CameraError

__all__ = ['rational_of_fisheye']

Array = NDArray[np.float64]

#: angles off the axis up to which it is tried to fit, degrees; an error that is good enough, of a focal length
_UP_TO_DEG, _GOOD = (80., 75., 70., 65., 60.), 6e-4
_POINTS, _ROUNDS = 400, 20


def rational_of_fisheye(coefficients: Array) -> Array:
    """(8,) k1, k2, p1, p2, k3 .. k6 of the rational model, from up to 4 coefficients of the fisheye model.

    Least squares over radii, the denominator of the round before as weight (Sanathanan and Koerner 1963).

    Raises:
        CameraError: the lens folds back, or cannot be expressed, within 60 degrees off the axis.
    """
    d = np.zeros(4)
    given = np.asarray(coefficients, float).ravel()[:4]
    if not np.isfinite(given).all():
        raise CameraError(f'distortion must be finite, got {given.tolist()}')
    d[:len(given)] = given
    for most in _UP_TO_DEG:
        angle = np.linspace(1e-3, np.deg2rad(most), _POINTS)
        u = angle ** 2
        seen, r = angle * (1 + u * (d[0] + u * (d[1] + u * (d[2] + u * d[3])))), np.tan(angle)
        if (np.diff(seen) <= 0).any():
            continue
        k = _fit(r, seen)
        got = r * np.polyval([*k[2::-1], 1], r ** 2) / np.polyval([*k[:2:-1], 1], r ** 2)
        if np.abs(got - seen).max() < _GOOD:
            return np.array([k[0], k[1], 0., 0., *k[2:]])
    raise CameraError(f'no lens has the fisheye coefficients {d.tolist()} (it folds back)', 'calibrate it anew')


def _fit(r: Array, seen: Array) -> Array:
    """(6,) coefficients of the numerator and of the denominator."""
    most = r.max() ** 2
    x = r ** 2 / most
    powers = np.stack([x, x ** 2, x ** 3], 1)
    below = np.ones(len(r))
    for _ in range(_ROUNDS):
        A = np.concatenate([r[:, None] * powers, -seen[:, None] * powers], 1)
        k = np.linalg.lstsq(A / below[:, None], (seen - r) / below, rcond=None)[0]
        below = np.maximum(1 + powers @ k[3:], .1)
    return np.asarray(k / np.tile(most ** np.arange(1., 4.), 2))
