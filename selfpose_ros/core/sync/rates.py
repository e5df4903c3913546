# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Clocks that run fast or slow: offsets in pieces of a recording, and the line through them."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .offsets import MotionOffsets, offsets_nearby
from .signals import Track2D

__all__ = ['ClockRates', 'clock_rates']

Array = NDArray[np.float64]

#: pieces of this length are compared; of a recording that has fewer, no rate is told, s
_PIECE_S, _FEWEST = 20., 3
#: clocks are further off than they were by this at most from piece to piece, s
_NEARBY_S = .4
#: offset of a piece, at best, s
_SIGMA_S = .012


@dataclass(frozen=True)
class ClockRates:
    """Attributes:
    rate: (V,) a camera's clock against that of the reference, 1e-6 = one second in 11 days; 0 = not found.
    sigma: (V,) of it; inf = not found.
    middle_s: time of the reference at which offsets are those that were found over all, s.
    offset_s: (V,) then, NaN where not decided.
    """

    rate: Array
    sigma: Array
    middle_s: float
    offset_s: Array

    @property
    def significant(self) -> NDArray[np.bool_]:
        """(V,) clocks that are off by more than can be chance."""
        return np.asarray(np.abs(self.rate) > 3 * self.sigma)


def clock_rates(tracks: Mapping[str, Sequence[Track2D]], found: MotionOffsets) -> ClockRates:
    """Constant rates, from pieces of 20 s.

    Args:
        tracks: as given to `motion_offsets`, which returned `found`.
    """
    V, ref = len(found.cameras), found.cameras.index(found.reference)
    known = {c: d for c, d in zip(found.cameras, found.offset_s, strict=True) if np.isfinite(d)}
    nothing = ClockRates(np.zeros(V), np.full(V, np.inf), 0., found.offset_s)
    ends = [(t.stamp[0], t.stamp[-1]) for t in tracks.get(found.reference, ())]
    if not known or not ends:
        return nothing
    first, last = min(a for a, _ in ends), max(b for _, b in ends)
    begins = np.arange(first, last - .5 * _PIECE_S, _PIECE_S)
    if len(begins) < _FEWEST:
        return nothing
    # from the middle outwards, each piece about where the one before it was
    at, value = begins + .5 * _PIECE_S, np.full((len(begins), V), np.nan)
    middle = len(begins) // 2
    for order in (range(middle, len(begins)), range(middle - 1, -1, -1)):
        about = dict(known)
        for k in order:
            near = offsets_nearby({c: _part(tracks[c], begins[k] + d) for c, d in about.items()}, found.reference,
                                  about, _NEARBY_S)
            for c, d in near.items():
                value[k, found.cameras.index(c)] = about[c] = d
    rate, sigma, offset = np.zeros(V), np.full(V, np.inf), found.offset_s.copy()
    centre = float(at.mean())
    for v in range(V):
        have = np.isfinite(value[:, v])
        if v == ref or have.sum() < _FEWEST:
            continue
        rate[v], sigma[v], offset[v] = _line(at[have] - centre, value[have, v])
    return ClockRates(rate, sigma, centre, offset)


def _part(tracks: Sequence[Track2D], begin: float) -> list[Track2D]:
    out = []
    for t in tracks:
        keep = (t.stamp >= begin) & (t.stamp < begin + _PIECE_S)
        if keep.sum() > 4:
            out.append(Track2D(t.stamp[keep], t.kp[keep], t.confidence[keep]))
    return out


def _line(t: Array, d: Array) -> tuple[float, float, float]:
    """Slope, its sigma, and value at zero, robustly."""
    A, w = np.stack([t, np.ones(len(t))], 1), np.ones(len(t))
    x = np.zeros(2)
    for _ in range(10):
        x = np.linalg.lstsq(A * w[:, None], d * w, rcond=None)[0]
        off = d - A @ x
        scale = max(1.4826 * float(np.median(np.abs(off))), _SIGMA_S)
        w = 1 / np.sqrt(1 + (off / (2 * scale)) ** 2)
    covariance = np.linalg.inv((A * (w ** 2)[:, None]).T @ A) * scale ** 2
    return float(x[0]), float(np.sqrt(covariance[0, 0])), float(x[1])
