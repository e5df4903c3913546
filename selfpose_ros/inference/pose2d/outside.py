# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Joints beyond the edge of the image, which some networks extrapolate: how far they are still joints."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ['OUTSIDE_SHARE', 'faded_outside']

Array = NDArray[np.float64]
#: joints outside the image are extrapolated: kept up to this share of the longer side, with a confidence that
#: falls from half of the network's value to nothing at that distance
OUTSIDE_SHARE = 0.1


def faded_outside(points: Array, confidence: Array, image_size: tuple[int, int]) -> tuple[Array, Array]:
    """Points (..., 2) px and confidences (...) of an image of (w, h) px, less sure the further outside they are.

    Returns:
        The points, NaN where nothing is left or a number was not finite, and the confidences, 0 there.
    """
    size = np.array(image_size, float)
    outside = np.maximum(np.maximum(-0.5 - points, points - (size - 0.5)), 0.)
    share = np.linalg.norm(outside, axis=-1) / (OUTSIDE_SHARE * size.max())
    left = np.clip(confidence, 0., 1.) * np.where(share > 0, 0.5 * np.clip(1 - share, 0., 1.), 1.)
    seen = np.isfinite(points).all(-1) & np.isfinite(left) & (left > 0)
    return np.where(seen[..., None], points, np.nan), np.where(seen, left, 0.)
