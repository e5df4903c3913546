# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Statistics that numpy does not have."""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ['by_chance', 'falling']


def by_chance(square: float, degrees: int) -> float:
    """How likely a sum of so many squared standard normal numbers, 1 or more, is above `square`."""
    half = square / 2
    if half <= 0:
        return 1.
    start = degrees % 2
    # Q(a + 1, x) = Q(a, x) + x^a e^-x / Gamma(a + 1)
    out = math.erfc(math.sqrt(half)) if start else 0.
    for n in range(degrees // 2):
        a = n + .5 * start
        out += math.exp(a * math.log(half) - half - math.lgamma(a + 1))
    return min(out, 1.)


def falling(value: NDArray[np.float64], weight: Sequence[float]) -> NDArray[np.float64]:
    """The series (N,) nearest to value (N,), weighted least squares, that nowhere rises: neighbours are pooled."""
    mean: list[float] = []
    mass: list[float] = []
    length: list[int] = []
    for v, w in zip(np.asarray(value, float).tolist(), weight, strict=True):
        mean.append(v)
        mass.append(float(w))
        length.append(1)
        while len(mean) > 1 and mean[-2] < mean[-1]:
            v, w, n = mean.pop(), mass.pop(), length.pop()
            mean[-1] = (mean[-1] * mass[-1] + v * w) / (mass[-1] + w)
            mass[-1] += w
            length[-1] += n
    return np.repeat(mean, length)
