# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""People whose ways cross: figures of eight through one middle, so that everybody hides everybody else in turn."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..synthetic import walker
from ..synthetic.figure import Look

__all__ = ['LOOKS', 'MOST_PEOPLE', 'crossing_walkers']

Array = NDArray[np.float64]

#: as many as `LOOKS` has clothes for
MOST_PEOPLE = 4
#: clothes of each person: BGR 0..1; the first is dressed as the demo's one person is
LOOKS: tuple[Look, ...] = (
    Look(),
    Look(hair=(.25, .45, .62), shirt=(.20, .22, .66), sleeve=(.24, .27, .74), trousers=(.42, .30, .22)),
    Look(skin=(.30, .40, .58), hair=(.06, .06, .07), shirt=(.32, .58, .30), sleeve=(.36, .64, .34),
         trousers=(.52, .55, .58), sleeves=1.8),
    Look(hair=(.20, .26, .38), shirt=(.24, .66, .84), sleeve=(.26, .70, .88), trousers=(.20, .18, .18), legs=1.),
)
#: half the length and half the width of a figure of eight, m; walking speed, m/s; standing heights, m
_HALF_M, _WIDE_M, _SPEED_M_S = 1.35, .88, .9
_HEIGHTS_M = (1.75, 1.64, 1.83, 1.70)
#: by the number of people: from one's eight to the next one's, deg, and how much of a lap the next one is ahead. Ways
#: cross, but the people themselves stay 0.6 m apart or more, from pelvis to pelvis
_NEXT = {1: (0., 0.), 2: (30., .733), 3: (115., .867), 4: (245., .133)}


def crossing_walkers(people: int, duration_s: float, fps: float, seed: int) -> tuple[Array, ...]:
    """Joints (T, 17, 3) m of each person. Each walks an eight of a direction of its own through the common middle.

    Args:
        people: 1 to `MOST_PEOPLE`.  duration_s: s.  fps: samples per second.  seed: of bodies, gaits and directions.
    """
    rng = np.random.default_rng([seed, 43])
    spin, first = rng.uniform(0, 2 * np.pi), 1 + people * int(rng.integers(1 << 20))
    turn, ahead = np.deg2rad(_NEXT[people][0]), _NEXT[people][1]
    return tuple(walker(duration_s, fps, first + p, 'walk', _HEIGHTS_M[p], path_m=_eight(
        spin + turn * p, ahead * p, _SPEED_M_S * duration_s), speed_m_s=_SPEED_M_S) for p in range(people))


def _eight(direction_rad: float, ahead: float, least_m: float) -> Array:
    """(N, 2) m: laps of an eight, at least so long; begun `ahead` of its beginning, as a share of a lap."""
    u = np.linspace(0, 2 * np.pi, 361)
    lap = np.stack([_HALF_M * np.cos(u), _WIDE_M * np.sin(2 * u)], -1)
    length = np.r_[0., np.cumsum(np.linalg.norm(np.diff(lap, axis=0), axis=1))]
    laps = int(np.ceil(least_m / length[-1])) + 2
    at = np.mod(np.linspace(0., laps * length[-1], laps * 360 + 1) + ahead * length[-1], length[-1])
    path = np.stack([np.interp(at, length, lap[:, k]) for k in (0, 1)], -1)
    c, s = np.cos(direction_rad), np.sin(direction_rad)
    return np.asarray(path @ np.array([[c, s], [-s, c]]))
