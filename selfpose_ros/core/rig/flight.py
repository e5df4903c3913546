# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Whoever jumps or runs falls: metres and the direction of gravity from flights.

While nothing touches the ground the body's centre of mass moves on a parabola with gravity's acceleration, whatever the
limbs do. Its size in the unit of the adjustment is therefore known in metres. The bodies are triangulated instant by
instant: a smoother's prior would take 5 to 40 % of the curvature away.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ['CENTRE_OF_MASS', 'Flight', 'GRAVITY_M_S2', 'flights']

Array = NDArray[np.float64]

GRAVITY_M_S2 = 9.81
#: share of the body's mass by joint: masses and centres of the segments of de Leva 1996 (mean of women and men), the
#: foot at the ankle, the hand at the wrist, the trunk along pelvis, spine and thorax
CENTRE_OF_MASS = np.array([.190, .087, .081, .033, .087, .081, .033, .100, .141, .034, .034, .015, .021, .013, .015,
                           .021, .013])
CENTRE_OF_MASS = CENTRE_OF_MASS / CENTRE_OF_MASS.sum()
#: flights last this long, s: shorter ones tell nothing, longer ones nobody jumps
_SHORTEST_S, _LONGEST_S = .3, .85
_FEWEST = 6
#: accelerations, of what a body of mean size has, that can be gravity's; angle from the body's own down, degrees
_SLOWEST, _FASTEST, _OFF_DEG = .7, 1.45, 15.
#: the lower foot leaves the floor: least share of the way that the centre of mass goes up and down
_LIFT = .5
#: feet that push at the ends make an acceleration that is largest in the middle: least curvature of it, as the quartic
#: over the quadratic term at the ends (training split: flights -.13 to .15, running steps with feet down -.4 to -.15)
_EVEN = -.13
#: squared deviations from the parabola, over what noise explains: of all, and of the ends against the rest
_FITS, _END = 1.6, 6.
#: masses of this body that are not those of the table, feet that still or again touch the ground: of the acceleration,
#: relative; horizontally, degrees
_MODEL, _MODEL_DEG = .045, 4.
#: gaps between instants beyond which nothing is followed, s
_GAP_S = .09
#: relative accuracy below which a flight is of no use
_WORST = .15


@dataclass(frozen=True)
class Flight:
    """One flight.

    Attributes:
        person: see `Tracks.person`.  start, end: of the part that was used, s.
        acceleration: (3,) of the centre of mass in the frame of the adjustment, its unit of length / s^2.
        fall: the part of it along the body's own down: horizontal errors would make gravity larger.
        sigma: relative standard deviation of the fall; sigma_deg: of the direction of the acceleration, degrees.
    """

    person: int
    start: float
    end: float
    acceleration: Array
    fall: float
    sigma: float
    sigma_deg: float

    @property
    def factor(self) -> float:
        """Metres for one unit of the adjustment."""
        return GRAVITY_M_S2 / self.fall


def flights(X: Array, stamp: Array, covariance: Array, correlation_at: Callable[[float], float],
            person: int = 0) -> list[Flight]:
    """The flights of one person, those that are surest where they overlap.

    Args:
        X: (N, 17, 3) joints, each instant by itself, in a unit in which an adult of mean size has his metres.
        stamp: (N,) s, increasing.  covariance: (N, 3, 3) of the centre of mass.
        correlation_at: correlation of the errors of instants so many s apart.
    """
    centre, down = np.einsum('nja,j->na', X, CENTRE_OF_MASS), _down(X)
    found: list[tuple[float, int, int, Flight]] = []
    step = float(np.median(np.diff(stamp)))
    rho = float(np.clip(correlation_at(step), 0., .9))
    noise = _noise(centre, covariance, rho)
    falling = _falling(centre, stamp, down)
    for a in range(len(X) - _FEWEST + 1):
        for b in range(a + _FEWEST, len(X) + 1):
            span = stamp[b - 1] - stamp[a]
            if span > _LONGEST_S or stamp[b - 1] - stamp[b - 2] > _GAP_S:
                break
            if span < _SHORTEST_S or not falling[(a + b - 1) // 2]:
                continue
            flight = _flight(X[a:b], centre[a:b], stamp[a:b], noise ** 2 * covariance[a:b], rho, step, down, person)
            if flight is not None:
                # the surest as it stands, not by its outcome: a larger acceleration would look surer
                found.append((flight.sigma * flight.fall, a, b, flight))
    out: list[tuple[int, int, Flight]] = []
    for _, a, b, flight in sorted(found, key=lambda f: f[:3]):
        if all(b <= c or a >= d for c, d, _ in out):
            out.append((a, b, flight))
    return [f for _, _, f in sorted(out, key=lambda f: f[0])]


def _falling(centre: Array, stamp: Array, down: Array) -> NDArray[np.bool_]:
    """(N,) instants around which the centre of mass roughly falls: others are no middle of a flight."""
    n = len(centre)
    out = np.zeros(n, bool)
    windows = np.lib.stride_tricks.sliding_window_view(centre @ down, _FEWEST)
    t = np.lib.stride_tricks.sliding_window_view(stamp, _FEWEST)
    t = t - t.mean(1, keepdims=True)
    A = np.stack([np.ones_like(t), t, .5 * t * t], -1)
    fall = np.linalg.solve(A.swapaxes(1, 2) @ A + 1e-12 * np.eye(3), A.swapaxes(1, 2) @ windows[..., None])[:, 2, 0]
    short = t[:, -1] - t[:, 0] < _LONGEST_S
    good = np.flatnonzero((fall > .4 * GRAVITY_M_S2) & (fall < 2 * GRAVITY_M_S2) & short)
    for k in range(_FEWEST // 2 - 1, _FEWEST // 2 + 1):
        out[good + k] = True
    return out


def _down(X: Array) -> Array:
    """(3,) from the thorax to the ankles in the mean: roughly where down is, as nobody flies lying."""
    axis = .5 * (X[:, 3] + X[:, 6]) - X[:, 8]
    axis = np.median(axis, axis=0)
    return np.asarray(axis / max(float(np.linalg.norm(axis)), 1e-9))


def _noise(centre: Array, covariance: Array, rho: float) -> float:
    """Factor on the predicted standard deviations: measured on what a parabola over five instants leaves, at the median
    of all, so that the few which are no parabolas have no say.
    """
    n = len(centre)
    if n < 8:
        return 1.
    t = np.arange(5) - 2.
    A = np.stack([np.ones(5), t, t * t], 1)
    left = np.eye(5) - A @ np.linalg.pinv(A)
    windows = np.lib.stride_tricks.sliding_window_view(centre, 5, axis=0)      # n - 4, 3, 5
    e = (np.einsum('wak,lk->wal', windows, left) ** 2).sum((1, 2))
    expected = float(np.trace(left @ rho ** np.abs(t[:, None] - t)))
    predicted = expected * np.trace(covariance, axis1=1, axis2=2)[2:n - 2]
    # the median of chi squared with six degrees of freedom is .89 of its mean
    return float(np.clip(np.sqrt(np.median(e / predicted) / .89), .3, 3.))


def _flight(X: Array, centre: Array, stamp: Array, covariance: Array, rho: float, step: float, down: Array,
            person: int) -> Flight | None:
    n = len(X)
    t = stamp - .5 * (stamp[0] + stamp[-1])
    A = np.stack([np.ones(n), t, .5 * t * t], 1)
    usual = covariance.mean(0)
    rough = np.linalg.lstsq(A, centre, rcond=None)[0]
    size = float(np.linalg.norm(rough[2]))
    if not _SLOWEST < size / GRAVITY_M_S2 < _FASTEST or rough[2] @ down < np.cos(np.deg2rad(_OFF_DEG)) * size:
        return None
    # the lower foot goes up and down with the body
    foot = np.minimum(-X[:, 3] @ down, -X[:, 6] @ down)
    third = max(n // 3, 1)
    ends = np.r_[foot[:1], foot[-1:]]
    lift = float(np.mean(foot[third:n - third]) - ends.max())
    if lift < _LIFT * size * (stamp[-1] - stamp[0]) ** 2 / 8 * .8:
        return None
    C = rho ** (np.abs(t[:, None] - t[None]) / step)
    Ci = np.linalg.inv(C)
    N = np.linalg.inv(A.T @ Ci @ A)
    x = N @ (A.T @ Ci @ centre)
    e = centre - A @ x
    inverse = np.linalg.inv(usual)
    chi = float(np.einsum('na,nm,mb,ab->', e, Ci, e, inverse)) / (3 * (n - 3))
    if chi > _FITS:
        return None
    u = t / t[-1]
    quartic = np.linalg.lstsq(np.stack([np.ones(n), u, u * u, u ** 3, u ** 4], 1), centre @ down, rcond=None)[0][4]
    if quartic / np.linalg.lstsq(np.stack([np.ones(n), u, u * u], 1), centre @ down, rcond=None)[0][2] < _EVEN:
        return None
    for inner, end in ((slice(1, n), 0), (slice(0, n - 1), n - 1)):             # an end that is no part of it
        y = np.linalg.lstsq(A[inner], centre[inner], rcond=None)[0]
        off = centre[end] - A[end] @ y
        more = 1 + A[end] @ np.linalg.inv(A[inner].T @ A[inner]) @ A[end]
        if float(off @ inverse @ off) / more > 3 * _END:
            return None
    a = x[2]
    size = float(np.linalg.norm(a))
    along = a / size
    sigma = float(np.sqrt(N[2, 2] * (along @ usual @ along))) / size
    across = float(np.sqrt(max(N[2, 2] * (np.trace(usual) - along @ usual @ along) / 2, 0.))) / size
    sigma = float(np.hypot(sigma * max(np.sqrt(chi), 1.), _MODEL))
    if sigma > _WORST:
        return None
    return Flight(person, float(stamp[0]), float(stamp[-1]), a, float(a @ down), sigma,
                  float(np.hypot(np.rad2deg(across * max(np.sqrt(chi), 1.)), _MODEL_DEG)))
