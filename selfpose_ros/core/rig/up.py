# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where up is, from several cues of which each can be wrong: somebody may lie, a camera may hang on its side.

Bodies mostly stand, cameras mostly hang level (they look up or down, but their images are seldom turned), and whoever
flies falls downwards. Each cue is a mixture: mostly right with its spread, else it tells nothing. Directions that are
likely by one cue are compared by all; what other directions keep of the probability is doubt.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .flight import Flight

__all__ = ['Up', 'up_of']

Array = NDArray[np.float64]

#: how often bodies lie or hang all the time, a camera is turned in its picture's plane, a flight is none
_LIES, _TURNED, _NO_FLIGHT = .03, .08, .1
#: bodies lean, cameras hang askew by this much, degrees
_LEAN_DEG, _ASKEW_DEG = 3., 6.
_ROUNDS = 5


@dataclass(frozen=True)
class Up:
    """Unit direction (3,), its spread, and what it is in doubt by where another direction is likely, too; degrees."""

    direction: Array
    sigma_deg: float
    doubt_deg: float = 0.


def up_of(body: Up, cameras: Array | None, flights: Sequence[Flight]) -> Up:
    """The likeliest direction.

    Args:
        body: long axis of people, and what it is uncertain by if they stand.
        cameras: (V, 3, 3) rotations of x_cam = R x + t; None = unknown.
        flights: of people, in the same frame.
    """
    if cameras is None and not flights:
        return body
    # what each picture has for up, and what they have together
    level = [] if cameras is None else [*(-cameras[:, 1]), *_level(cameras)]
    falls = [-f.acceleration / np.linalg.norm(f.acceleration) for f in flights]
    starts = [body.direction, *falls, *level]
    found = [_nearest(u, body, cameras, flights) for u in starts]
    likely = np.array([_log_likelihood(u.direction, body, cameras, flights) for u in found])
    best = int(likely.argmax())
    up = found[best]
    # directions that are the same one count once
    share, doubt, seen = 1., 0., [up.direction]
    for k in np.argsort(-likely, kind='stable'):
        angle = min(_angle_deg(found[k].direction, u) for u in seen)
        if angle > 15.:
            odds = float(np.exp(max(likely[k] - likely[best], -50.)))
            share += odds
            doubt += odds * _angle_deg(found[k].direction, up.direction) ** 2
            seen.append(found[k].direction)
    return Up(up.direction, up.sigma_deg, float(np.sqrt(doubt / share)))


def _angle_deg(a: Array, b: Array) -> float:
    return float(np.rad2deg(np.arccos(np.clip(a @ b, -1., 1.))))


def _level(R: Array) -> list[Array]:
    """Up of cameras that all hang level: across all their rows; none where they look along one line."""
    rows = R[:, 0]
    value, vector = np.linalg.eigh(rows.T @ rows)
    if value[1] < .05 * len(R):
        return []
    up = np.asarray(vector[:, 0])
    return [up if -(R[:, 1] @ up).sum() > 0 else -up]


def _log_likelihood(u: Array, body: Up, cameras: Array | None, flights: Sequence[Flight]) -> float:
    sphere = 1 / (4 * np.pi)

    def near(angle: float, sigma: float) -> float:
        """Density on the sphere of directions about one."""
        s = np.deg2rad(sigma)
        return float(np.exp(-.5 * (angle / sigma) ** 2) / (2 * np.pi * s * s))
    total = np.log((1 - _LIES) * near(_angle_deg(body.direction, u), np.hypot(body.sigma_deg, _LEAN_DEG))
                   + _LIES * sphere)
    for f in flights:
        a = -f.acceleration / np.linalg.norm(f.acceleration)
        total += np.log((1 - _NO_FLIGHT) * near(_angle_deg(a, u), np.hypot(f.sigma_deg, 1.)) + _NO_FLIGHT * sphere)
    for R in () if cameras is None else cameras:
        roll = np.rad2deg(np.arctan2(R[0] @ u, -R[1] @ u))                      # of the picture, -180..180
        even = np.exp(-.5 * (roll / _ASKEW_DEG) ** 2) / (np.sqrt(2 * np.pi) * _ASKEW_DEG)
        # who looks straight up or down has no level
        flat = np.hypot(R[0] @ u, R[1] @ u) < .3
        total += 0. if flat else np.log(360 * ((1 - _TURNED) * even + _TURNED / 360))
    return float(total)


def _nearest(u: Array, body: Up, cameras: Array | None, flights: Sequence[Flight]) -> Up:
    """Least squares about a direction, of the cues that are right there."""
    spread = float(np.hypot(body.sigma_deg, _LEAN_DEG))
    sigma = 15.
    for _ in range(_ROUNDS):
        e = np.linalg.svd(u[None])[2][1:]                                       # two directions across
        H, g = np.zeros((2, 2)), np.zeros(2)

        def add(direction: Array, s_deg: float, u: Array = u, e: Array = e, H: Array = H, g: Array = g) -> None:
            if _angle_deg(direction, u) < 4 * s_deg + 5.:
                w = np.deg2rad(s_deg) ** -2.
                H += w * np.eye(2)
                g += w * (e @ direction)
        add(body.direction, spread)
        for f in flights:
            add(-f.acceleration / np.linalg.norm(f.acceleration), float(np.hypot(f.sigma_deg, 1.)))
        for R in () if cameras is None else cameras:
            roll = np.arctan2(R[0] @ u, -R[1] @ u)
            if abs(np.rad2deg(roll)) < 4 * _ASKEW_DEG and np.hypot(R[0] @ u, R[1] @ u) > .3:
                w, across = np.deg2rad(_ASKEW_DEG) ** -2., e @ R[0]
                H += w * np.outer(across, across)
                g -= w * across * (R[0] @ u)
        if not np.linalg.det(H) > 0:
            break
        step = np.linalg.solve(H, g)
        u = u + e.T @ step
        u = u / np.linalg.norm(u)
        sigma = float(np.rad2deg(np.sqrt(np.trace(np.linalg.inv(H)) / 2)))
    return Up(u, sigma)
