# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Hard scenes of several people: who does what is scripted, sequences and cameras are drawn."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.camera import project
from ..core.rig import Rig
from ..core.skeleton import MIRROR
from .crowd import CrowdScene, performance, placed, seen_scene
from .motion_capture import Motion
from .rigs import ring_rig

__all__ = ['SCRIPTS', 'scripted_scene']

Array = NDArray[np.float64]

#: name -> what happens
SCRIPTS = {
    'alone': 'one person walks in a circle: the control',
    'cross': 'two walk to and fro on one line and pass each other shoulder to shoulder',
    'exchange': "two come together, turn about each other within an arm's length, and part again",
    'mirror': 'one does what the other does, mirrored',
    'still': 'two stand still',
    'poster': 'one walks, and one camera shows a picture of somebody else all the time',
    'one_view': 'one walks, and another one stands where one camera alone sees him'}
_GHOSTS, _WALKS_M_S = .02, .9
#: half the length of a way, and the radius of a walk in a circle, m; two who pass or turn are apart by, m
_HALF_M, _CIRCLE_M, _PASS_M = 1.7, 1.5, .5
#: how quickly two turn about each other, rad/s
_TURNS_RAD_S = 3.
#: joints that a view must have of somebody to show him
_SHOWN = 8


def scripted_scene(motion: Motion, name: str, views: int = 4, seed: int = 1, number: int = 0,
                   seconds: float = 10.) -> CrowdScene:
    """A scene of `SCRIPTS`; everything random comes from name, seed and number."""
    rng = np.random.default_rng([seed, number, list(SCRIPTS).index(name), 57])
    T = int(seconds * motion.fps)
    time = np.arange(T) / motion.fps
    rig = ring_rig(views, int(rng.integers(1 << 31)), (4., 7.), (1., 3.), room_radius_m=2.)
    where = _corner(rng, rig) if name == 'one_view' else np.zeros(2)
    while where is None:
        rig = ring_rig(views, int(rng.integers(1 << 31)), (4., 7.), (1., 3.), room_radius_m=2.)
        where = _corner(rng, rig)
    first = performance(rng, motion, T)
    if name in ('alone', 'poster', 'one_view'):
        people = [placed(first, _circle(time))]
        if name == 'one_view':
            people.append(placed(performance(rng, motion, T), np.tile(where, (T, 1))))
    elif name == 'mirror':
        one = placed(first, _circle(time) * [.4, .4] + [-1.1, 0.])
        people = [one, one[:, list(MIRROR)] * [-1., 1., 1.]]
    elif name == 'still':
        people = [placed(np.repeat(first[k:k + 1], T, 0), np.tile([[x, .2]], (T, 1)))
                  for k, x in ((0, -.8), (T // 2, .8))]
    else:
        way = _to_and_fro(time) if name == 'cross' else _about(time)
        people = [placed(first, way), placed(performance(rng, motion, T), -way + [0., _PASS_M * (name == 'cross')])]
    return seen_scene(rng, motion, np.stack(people, 1), rig, 0. if name in ('alone', 'poster') else _GHOSTS,
                      poster=name == 'poster')


def _circle(time: Array) -> Array:
    """(T, 2) m."""
    angle = time * _WALKS_M_S / _CIRCLE_M
    return _CIRCLE_M * np.stack([np.cos(angle), np.sin(angle)], -1)


def _to_and_fro(time: Array) -> Array:
    """(T, 2) m on a line through the middle of the room."""
    phase = time * _WALKS_M_S / _HALF_M % 4
    return np.stack([_HALF_M * (1 - np.abs(phase - 2)), np.zeros(len(time))], -1)


def _about(time: Array) -> Array:
    """(T, 2) m of one of two who come together and part again, and turn about each other while they are near; the other
    is opposite.
    """
    radius = .5 * _PASS_M + (_HALF_M - .5 * _PASS_M) * np.abs(time * _WALKS_M_S / _HALF_M % 2 - 1)
    near = np.exp(-((radius - .5 * _PASS_M) / .3) ** 2)
    angle = np.cumsum(_TURNS_RAD_S * near * np.gradient(time))
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)


def _corner(rng: np.random.Generator, rig: Rig) -> Array | None:
    """(2,) m: where one camera alone would see somebody who stands; None where this rig has no such place."""
    body = np.linspace([0., 0., .1], [0., 0., 1.7], 17)
    for place in rng.uniform(-4.5, 4.5, (400, 2)):
        seen = 0
        for v in range(len(rig.cameras)):
            px = project(body + [*place, 0.], rig.K[v], rig.R[v], rig.t[v])
            with np.errstate(invalid='ignore'):
                inside = ((px >= 0).all(-1) & (px < rig.image_size[v]).all(-1)).sum()
            seen += 1 if inside == 17 else 0 if inside < _SHOWN // 2 else 9
        if seen == 1 and np.linalg.norm(place) > 1.8:
            return np.asarray(place)
    return None
