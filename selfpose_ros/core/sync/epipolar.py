# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Whether two cameras that stand still can have seen one body at an offset: the way through the room counts, too.

Somebody who walks repeats his movements at every step, but not his place. With the joints of all instants in common as
points, there is a fundamental matrix that explains them all (eight-point algorithm, Hartley 1997) at the right offset
alone. Too dear for every offset; for those that movements leave over it decides.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .signals import Motion

__all__ = ['epipolar_agreement']

Array = NDArray[np.float64]

#: instants that are looked at
_INSTANTS = 150
#: distance from an epipolar line that noise explains, body sizes (root mean square distance from the middle)
_NOISE = .03
#: what an instant in common counts when its joints lie on their lines; what distances cost more speaks against
_GAIN = 2.
_ROUNDS = 4


def epipolar_agreement(a: Sequence[Motion], b: Sequence[Motion], lag: int) -> float:
    """What speaks for an offset, in instants, negative against it; 0 = nothing in common.

    Args:
        a, b: the tracks of two cameras.  lag: a pose of `a` at instant k of the grid is one of `b` at k + lag.
    """
    if len(a) > len(b):
        a, b, lag = b, a, -lag
    total = 0.
    for one in a:
        some = [value for other in b if (value := _agreement(one, other, lag)) is not None]
        total += max(some, default=0.)
    return total


def _agreement(a: Motion, b: Motion, lag: int) -> float | None:
    shift = a.first + lag - b.first
    k = np.arange(max(0, -shift), min(len(a.x), len(b.x) - shift))
    if len(k) < 25:
        return None
    both = (a.seen[k] * b.seen[k + shift]).sum(1) >= 8
    k = k[both]
    if len(k) < 25:
        return None
    some = k[np.unique(np.linspace(0, len(k) - 1, _INSTANTS).astype(int))]
    use = (a.seen[some] * b.seen[some + shift]) > 0
    x, y = a.px[some][use], b.px[some + shift][use]
    noise_x = np.broadcast_to(a.size[some][:, None], use.shape)[use] * _NOISE
    noise_y = np.broadcast_to(b.size[some + shift][:, None], use.shape)[use] * _NOISE
    off = _off_the_lines(x, y, noise_x, noise_y)
    return float(len(k) * (_GAIN - np.log1p(off).mean()))


def _off_the_lines(x: Array, y: Array, noise_x: Array, noise_y: Array) -> Array:
    """(M,) squared distances of points x, y (M, 2) px from the epipolar geometry that fits them best, robustly, over
    what noise (M,) px explains.
    """
    Tx, x = _conditioned(x)
    Ty, y = _conditioned(y)
    noise_x, noise_y = noise_x * Tx, noise_y * Ty
    p, q = (np.concatenate([z, np.ones((len(z), 1))], 1) for z in (x, y))
    rows = (q[:, :, None] * p[:, None]).reshape(len(p), 9)
    weight = 1 / (noise_x ** 2 + noise_y ** 2)
    off = np.ones(len(p))
    for _ in range(_ROUNDS):
        F = np.linalg.eigh((rows * weight[:, None]).T @ rows)[1][:, 0].reshape(3, 3)
        e = rows @ F.ravel()
        on_y, on_x = p @ F.T, q @ F                          # lines in the second and in the first image
        spread = (on_y[:, :2] ** 2).sum(1) * noise_y ** 2 + (on_x[:, :2] ** 2).sum(1) * noise_x ** 2
        off = e * e / np.maximum(spread, 1e-12)
        weight = 1 / (np.maximum(spread, 1e-12) * (1 + off))
    return off


def _conditioned(x: Array) -> tuple[float, Array]:
    """Points about the origin with a spread of about one, and the factor."""
    scale = float(1 / max(x.std(), 1e-9))
    return scale, (x - x.mean(0)) * scale
