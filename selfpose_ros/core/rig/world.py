# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where up is, where the floor is, and how large the world is: what images of a body tell beyond a rig."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..body import BONE_LOG_SIGMA, STATURE_LOG_SIGMA, STATURE_PRIOR_M, stature_m
from .flight import Flight
from .up import Up, up_of

__all__ = ['MetricScale', 'World', 'body_forward_score', 'find_world', 'metric_scale']

Array = NDArray[np.float64]

#: height of the ankle joint above the sole, m
_ANKLE_M = 0.08
#: error that all flights share: masses of the segments, take-off and landing that are taken for flight, relative
_FLIGHTS_LOG_SIGMA = .02
#: share of flights with feet that push, by how much their factors are too large in the mean, relative; flights of one
#: person that tell as much as any number
_PUSHES, _PUSHED, _SAME_WAY = .3, .15, 3.
#: heights at which the two ankles of a body rest differ by this much, m
_FEET_M = .04
#: bodies whose long axis is nearer to up than this stand, degrees
_STANDS_DEG = 25.


@dataclass(frozen=True)
class World:
    """x_world = R x + t (rig frame in metres already); sigma_deg: predicted error of the up direction."""

    R: Array
    t: Array
    sigma_deg: float


@dataclass(frozen=True)
class MetricScale:
    """Factor from the frame of the adjustment to metres, where it comes from, and its relative standard deviation."""

    factor: float
    source: str
    sigma: float


def body_forward_score(X: Array) -> float:
    """Mean over poses (N, 17, 3) of how far knees and nose point forward, m; negative for a mirrored world.

    Knees bend forwards and the face is in front: a body seen in a mirror (depth reversed) does both backwards. Any
    right-handed frame. Poses with unknown joints do not count.
    """
    left, up = X[:, 4] - X[:, 1], X[:, 8] - X[:, 0]
    f = np.cross(left, up)
    f = f / (np.linalg.norm(f, axis=-1, keepdims=True) + 1e-9)
    knees = [(X[:, k] - .5 * (X[:, h] + X[:, a])) for h, k, a in ((1, 2, 3), (4, 5, 6))]
    s = sum((k * f).sum(-1) for k in knees) + ((X[:, 9] - .5 * (X[:, 8] + X[:, 10])) * f).sum(-1)
    s = s[np.isfinite(s)]
    return float(np.mean(np.clip(s, -.3, .3))) if len(s) else 0.


def metric_scale(bones: Array, centres: Array, height_m: float = 0., baseline_m: float = 0.,
                 baseline_pair: tuple[int, int] = (0, 1), *, flights: Sequence[Flight] = (),
                 people: int = 1) -> MetricScale:
    """Scale from the best knowledge given: baseline, height, else flights and the adult prior together.

    Args:
        bones: (16,) lengths in the frame of the adjustment.  centres: (V, 3) camera centres in that frame.
        flights: of people in that frame.  people: number of them whose mean the bones are.
    """
    if baseline_m > 0 and len(centres) > max(baseline_pair):
        d = float(np.linalg.norm(centres[baseline_pair[0]] - centres[baseline_pair[1]]))
        return MetricScale(baseline_m / max(d, 1e-6), 'known baseline', .02)
    spread = float(1 / np.sqrt((BONE_LOG_SIGMA ** -2.).sum()))
    if height_m > 0:
        return MetricScale(height_m / stature_m(bones), 'known height', max(.02, spread))
    # the adjustment pins the scale at the adult mean already: the factor is one up to the fit of single bones
    prior = float(np.log(STATURE_PRIOR_M / stature_m(bones)))
    prior_sigma = float(np.hypot(STATURE_LOG_SIGMA, spread) / np.sqrt(max(people, 1)))
    if not flights:
        return MetricScale(float(np.exp(prior)), 'adult prior', prior_sigma)
    together, spread = _together(prior, prior_sigma, flights)
    count = f'{len(flights)} flights' if len(flights) > 1 else '1 flight'
    # what all flights have in common does not average out
    return MetricScale(float(np.exp(together)), f'{count} and adult prior',
                       float(min(np.hypot(spread, _FLIGHTS_LOG_SIGMA), prior_sigma)))


def _together(prior: float, sigma: float, flights: Sequence[Flight]) -> tuple[float, float]:
    """Mean and standard deviation of the logarithm of the factor, by the prior and by flights.

    Nothing falls faster than freely; feet that still push, or push again, make it slower. So a flight is right with its
    sigma, or its factor is too large by an unknown amount. People have their way of running: many flights tell no more
    than a few.
    """
    s = np.linspace(prior - 6 * sigma, prior + 6 * sigma, 481)
    log = -.5 * ((s - prior) / sigma) ** 2
    told = np.zeros(len(s))
    for f in flights:
        off = np.log(f.factor) - s
        free = np.exp(-.5 * (off / f.sigma) ** 2) / (np.sqrt(2 * np.pi) * f.sigma)
        # an exponential amount with Gaussian noise
        z = (off / f.sigma - f.sigma / _PUSHED) / np.sqrt(2)
        tail = np.array([math.erfc(-a) for a in z.tolist()])
        pushed = np.exp(np.minimum(.5 * (f.sigma / _PUSHED) ** 2 - off / _PUSHED, 50.)) * tail / (2 * _PUSHED)
        told += np.log((1 - _PUSHES) * free + _PUSHES * pushed + 1e-12)
    log = log + told * min(1., _SAME_WAY / len(flights))
    weight = np.exp(log - log.max())
    weight = weight / weight.sum()
    mean = float(weight @ s)
    return mean, float(np.sqrt(weight @ (s - mean) ** 2))


def find_world(X: Array, forward: Array, cameras: Array | None = None, flights: Sequence[Flight] = ()) -> World:
    """World frame of a rig whose frame shows the body at X (N, 17, 3) m: z up, origin on the floor below the body.

    Up is first what bodies' long axes, the cameras and flights say together, see `up.up_of`, then, where bodies stand,
    the normal of the plane in which resting feet stand, as far as they cover ground; both with their spread.

    Args:
        forward: (3,) viewing direction of the first camera, which becomes x.
        cameras: (V, 3, 3) rotations of x_cam = R x + t; None = they tell nothing.
        flights: of people, in the rig's frame.
    """
    X = X[np.isfinite(X).all((1, 2))]
    axis = X[:, 8] - .5 * (X[:, 3] + X[:, 6])
    length = np.linalg.norm(axis, axis=-1)
    axis = axis / length[:, None].clip(1e-6)
    straight = length > .75 * np.quantile(length, .95)             # stretched bodies: standing, not sitting or bending
    body = _robust_direction(axis[straight] if straight.sum() >= 5 else axis)
    # standing still leans by some degrees in the mean; walking averages it out
    lean = np.rad2deg(np.arccos(np.clip(axis[straight] @ body, -1, 1))) if straight.any() else np.array([20.])
    sigma = float(np.clip(np.median(lean) / np.sqrt(max(len(lean) / 25., 1.)), 2., 15.))
    found = up_of(Up(body, sigma), cameras, flights)
    up, sigma, low = found.direction, found.sigma_deg, X
    if body @ up > np.cos(np.deg2rad(_STANDS_DEG)):
        up, sigma = _floor_normal(X, up, sigma)
        low = X[:, [3, 6]]
    sigma = float(np.hypot(sigma, found.doubt_deg))
    x = forward - up * (forward @ up)
    x = x / np.linalg.norm(x) if np.linalg.norm(x) > .1 else np.linalg.svd(up[None])[2][1]
    R = np.stack([x, np.cross(up, x), up])
    floor = float(np.quantile(low.reshape(-1, 3) @ up, .1)) - _ANKLE_M
    centre = R @ np.median(X[:, 0], 0)
    return World(R, np.array([-centre[0], -centre[1], -floor]), sigma)


def _robust_direction(v: Array) -> Array:
    up = np.median(v, 0)
    for _ in range(10):
        up = up / np.linalg.norm(up)
        w = 1 / (1 + (np.arccos(np.clip(v @ up, -1, 1)) / .15) ** 2)
        up = (w[:, None] * v).sum(0)
    return np.asarray(up / np.linalg.norm(up))


def _floor_normal(X: Array, up: Array, sigma: float) -> tuple[Array, float]:
    """Up direction refined by the plane of resting feet; unchanged when they do not cover ground."""
    feet = np.stack([X[:, 3], X[:, 6]], 1)                                  # N,2,3
    speed = np.linalg.norm(np.diff(feet, axis=0, prepend=feet[:1]), axis=-1)
    height = feet @ up
    low = height < np.quantile(height, .5, axis=0) + .05
    rest = low & (speed <= np.quantile(speed, .5))
    P = feet[rest]
    if len(P) < 20:
        return up, sigma
    c = np.median(P, 0)
    e = np.linalg.svd(up[None])[2][1:]                                      # two horizontal axes
    # the right foot may stand, or be seen, higher than the left: somebody on the spot has no slope from that
    right = np.where(np.nonzero(rest)[1] == 0, .5, -.5)[:, None]
    A = np.concatenate([(P - c) @ e.T, np.ones((len(P), 1)), right], 1)
    h = (P - c) @ up
    slope = np.zeros(4)
    w = np.ones(len(P))
    prior = np.diag([1 / np.tan(np.deg2rad(sigma)) ** 2] * 2 + [0., _FEET_M ** -2.])
    for _ in range(10):
        s2 = max(1.5 * np.median(np.abs(h - A @ slope)), .01) ** 2
        w = 1 / (1 + (h - A @ slope) ** 2 / (4 * s2)) ** 2
        # neighbouring frames tell the same: one footfall in about ten frames is counted once
        M = (A * w[:, None]).T @ A / (10 * s2) + prior
        slope = np.linalg.solve(M, (A * w[:, None]).T @ h / (10 * s2))
    n = up - e.T @ slope[:2]
    cov = np.linalg.inv(M)[:2, :2]
    return n / np.linalg.norm(n), float(np.rad2deg(np.sqrt(max(np.trace(cov) / 2, 1e-8))))
