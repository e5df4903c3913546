# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""2D joints that are normalised by the image's size: by what range, and the way back to pixels.

Whether they are is a rule of `core.check.in_pixels`.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ['NORMALISED_RANGES', 'extent', 'normalised_range', 'to_pixels']

Array = NDArray[np.float64]

#: ranges that programs normalise by: the image from corner to corner, or with the origin in its middle
NORMALISED_RANGES: tuple[tuple[int, int], ...] = ((0, 1), (-1, 1))
#: normalised joints may lie outside the image by as much as it is large
_OUTSIDE = 2.
#: share of the coordinates that are left out at either end: single joints may lie anywhere
_TAIL = .01
#: below the first number there must be a negative range, down to the second there may be joints outside the image
_NEGATIVE, _HARDLY_OUTSIDE = -.3, -.1


def extent(keypoints: ArrayLike, confidence: ArrayLike | None = None) -> tuple[float, float]:
    """Lowest and highest coordinate of nearly all joints seen, in the unit of `keypoints`; NaN = no joint is seen.

    Args:
        keypoints: (..., 2), NaN = not seen.
        confidence: (...), 0 or NaN = not seen.
    """
    points = np.asarray(keypoints, float)
    seen = np.isfinite(points).all(-1)
    if confidence is not None:
        seen &= np.asarray(confidence, float) > 0
    values = points[seen].ravel()
    if not values.size:
        return float('nan'), float('nan')
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    return float(low), float(high)


def normalised_range(low: float, high: float) -> tuple[int, int] | None:
    """The range of `NORMALISED_RANGES` that coordinates with this `extent` have; None: it could be either.

    All cameras of a recording count together: in one of them somebody may stay in a quarter of the image.
    """
    if not (low >= -_OUTSIDE and high <= _OUTSIDE):
        return None
    if low >= _HARDLY_OUTSIDE:
        return NORMALISED_RANGES[0]
    return NORMALISED_RANGES[1] if low < _NEGATIVE else None


def to_pixels(keypoints: ArrayLike, between: tuple[int, int], image_size: Sequence[float]) -> Array:
    """Joints (..., 2) that are normalised to this range, in px of an image (w, h)."""
    low, high = between
    return (np.asarray(keypoints, float) - low) / (high - low) * np.asarray(image_size, float)
