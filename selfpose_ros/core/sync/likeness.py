# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How alike the movements in two cameras are, for every offset between their clocks at once.

Two cameras that see one body from afar see its movements along one direction in common: the one that is perpendicular
to both lines of sight (the affine epipolar constraint; Tresadern and Reid 2003 synchronise with it). So at the right
offset the 2D movements of one view and those of the other have a canonical correlation near one, whatever the cameras
are and wherever the person turns; which direction it is follows from the same sums. All sums over time are
cross-correlations: one Fourier transform gives them for all offsets.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .signals import Motion

__all__ = ['Likeness', 'Spectra', 'likeness', 'spectra']

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

#: instants that two tracks must have in common, counted by joint
_FEWEST = 17 * 50
#: share of its movements that each view has of its own: noise
_OWN = 1e-2
#: no correlation of noisy views is larger than one whose remainder is this
_LEAST = 1e-4


@dataclass(frozen=True)
class Spectra:
    """Transforms (n / 2 + 1, 17) of one track: seen, x, y, xx, xy, yy; first: its place on the grid."""

    first: int
    length: int
    of: tuple[Complex, ...]


@dataclass(frozen=True)
class Likeness:
    """value (L,), in nats, of the offsets lag (L,) instants of the grid: a pose of the first camera at k is one of the
    second at k + lag.
    """

    lag: NDArray[np.int64]
    value: Array


def spectra(motion: Motion, n: int) -> Spectra:
    """Transforms over n instants, at least twice as many as any track has."""
    x, y = motion.x[..., 0], motion.x[..., 1]
    return Spectra(motion.first, len(motion.x), tuple(
        np.fft.rfft(s, n, axis=0) for s in (motion.seen, x, y, x * x, x * y, y * y)))


def likeness(a: Sequence[Spectra], b: Sequence[Spectra], n: int, lag: NDArray[np.int64]) -> Likeness:
    """Of two cameras with any number of tracks: each track of the one with that of the other that is most like it."""
    value = np.zeros(len(lag))
    if len(a) > len(b):
        turned = likeness(b, a, n, -lag)
        return Likeness(lag, turned.value)
    for one in a:
        best = np.zeros(len(lag))
        for other in b:
            shift = lag - (other.first - one.first)            # from the beginnings of the tracks
            inside = (shift < other.length) & (shift > -one.length)
            if inside.any():
                best[inside] = np.maximum(best[inside], _information(one, other, n, shift[inside] % n))
        value += best
    return Likeness(lag, value)


def _information(a: Spectra, b: Spectra, n: int, at: NDArray[np.int64]) -> Array:
    """Information, nats, that the movements of the two share as Gaussian ones, times the instants in common."""
    def summed(i: int, k: int) -> Array:
        return np.asarray(np.fft.irfft((np.conj(a.of[i]) * b.of[k]).sum(1), n)[at])
    both = summed(0, 0)
    A = _symmetric(summed(3, 0), summed(4, 0), summed(5, 0))
    B = _symmetric(summed(0, 3), summed(0, 4), summed(0, 5))
    C = np.stack([np.stack([summed(1, 1), summed(1, 2)], -1), np.stack([summed(2, 1), summed(2, 2)], -1)], -2)
    usual = (np.trace(A, axis1=1, axis2=2) + np.trace(B, axis1=1, axis2=2)) / 4
    own = (_OWN * np.maximum(usual, 0.) + 1e-9)[:, None, None] * np.eye(2)
    M = np.linalg.solve(A + own, C) @ np.linalg.solve(B + own, C.swapaxes(1, 2))
    # the squared canonical correlations are the eigenvalues of M: (1 - r1) (1 - r2)
    left = 1 - np.trace(M, axis1=1, axis2=2) + np.linalg.det(M)
    return np.where(both >= _FEWEST, -.5 * np.log(np.clip(left, _LEAST, 1.)) * both / 17, 0.)


def _symmetric(xx: Array, xy: Array, yy: Array) -> Array:
    return np.stack([np.stack([xx, xy], -1), np.stack([xy, yy], -1)], -2)
