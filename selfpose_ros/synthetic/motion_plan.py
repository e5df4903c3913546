# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a person means to do: the path over the floor, and the exercises as smooth joint-angle channels."""
from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ['Plan', 'ease', 'plan', 'rot_x', 'rot_y', 'rot_z', 'smooth']

Array = NDArray[np.float64]

_SETTLE_S = 1.2                         # both feet are on the floor again this long after walking or turning


@dataclass
class Plan:
    """Channels over the planning grid (N). Angles rad, lengths m; sides are right, left.

    Attributes:
        floor: (N, 2) pelvis over the floor.  yaw: (N,) facing direction, unwrapped.  sway: (N, 2).
        squat: (N,) 0..1.  look: (N, 2) head yaw, pitch.  knee_lift: (2, N) 0..1.
        lean, bend, twist: (N,) trunk forward, to the right, turned to the left.
        arm_flexion, arm_abduction, arm_turn, elbow: (2, N).
    """

    floor: Array
    yaw: Array
    sway: Array
    squat: Array
    lean: Array
    bend: Array
    twist: Array
    look: Array
    knee_lift: Array
    arm_flexion: Array
    arm_abduction: Array
    arm_turn: Array
    elbow: Array


def ease(u: Array) -> Array:
    """Minimum-jerk step from 0 to 1 over u in 0..1."""
    u = np.clip(u, 0., 1.)
    return np.asarray(u * u * u * (10. - 15. * u + 6. * u * u))


def smooth(x: Array, sigma: float) -> Array:
    """Gaussian smoothing of (N,) with a standard deviation in samples; the ends are continued."""
    half = int(np.ceil(3 * sigma))
    kernel = np.exp(-.5 * (np.arange(-half, half + 1) / max(sigma, 1e-9)) ** 2)
    return np.asarray(np.convolve(np.pad(x, half, 'edge'), kernel / kernel.sum(), 'valid'))


def _rotation(angle: ArrayLike, axis: int) -> Array:
    a = np.asarray(angle, float)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out = np.zeros(a.shape + (3, 3))
    out[..., axis, axis] = 1.
    out[..., i, i] = out[..., j, j] = np.cos(a)
    out[..., j, i] = np.sin(a)
    out[..., i, j] = -out[..., j, i]
    return out


def rot_x(angle: ArrayLike) -> Array:
    """(...) rad -> (..., 3, 3)."""
    return _rotation(angle, 0)


def rot_y(angle: ArrayLike) -> Array:
    """(...) rad -> (..., 3, 3)."""
    return _rotation(angle, 1)


def rot_z(angle: ArrayLike) -> Array:
    """(...) rad -> (..., 3, 3)."""
    return _rotation(angle, 2)


def _wander(rng: np.random.Generator, grid: Array, size: int, period_s: float, amplitude: float) -> Array:
    """Smooth random channels (size, N) with this standard deviation: sums of five slow sines."""
    freq = rng.uniform(.4, 1.6, (size, 5, 1)) / period_s
    phase = rng.uniform(0, 2 * np.pi, (size, 5, 1))
    return np.asarray(amplitude * np.sqrt(.4) * np.sin(2 * np.pi * freq * grid + phase).sum(1))


def plan(rng: np.random.Generator, grid: Array, style: str, start: Array, path_m: ArrayLike | None,
         speed_m_s: float) -> Plan:
    """Draw what happens when; `grid` are the planning times, s, motion begins at 0."""
    n = len(grid)
    shape = {'floor': (n, 2), 'sway': (n, 2), 'look': (n, 2), 'knee_lift': (2, n), 'arm_flexion': (2, n),
             'arm_abduction': (2, n), 'arm_turn': (2, n), 'elbow': (2, n)}
    out = Plan(**{f.name: np.zeros(shape.get(f.name, (n,))) for f in fields(Plan)})
    walking, turned = np.zeros(n), np.zeros(n)
    if style == 'walk':
        walking += 1.
    elif style in ('exercise', 'mixed'):
        _schedule(rng, grid, style, out, walking, turned)
    active = 0. if style == 'stand' else 1.
    out.sway = _wander(rng, grid, 2, 3., .004).T
    out.lean += .06 + _wander(rng, grid, 1, 3., .008 + .02 * active)[0]
    out.bend += _wander(rng, grid, 1, 3., .005 + .02 * active)[0]
    out.twist += _wander(rng, grid, 1, 4., .005 + .05 * active)[0]
    out.look = _wander(rng, grid, 2, 4., .02 + .15 * active).T
    out.arm_flexion += _wander(rng, grid, 2, 3., .01 + .06 * active)
    out.arm_abduction += .13 + _wander(rng, grid, 2, 3., .01 + .03 * active)
    out.arm_turn += .25 + _wander(rng, grid, 2, 4., .01 + .1 * active)
    out.elbow += .35 + _wander(rng, grid, 2, 3., .01 + .08 * active)
    _route(rng, grid, walking, turned, start, path_m, speed_m_s, out)
    return out


def _schedule(rng: np.random.Generator, grid: Array, style: str, out: Plan, walking: Array, turned: Array) -> None:
    """Fill time with walking bouts and exercises, never the same exercise twice running."""
    moves = ('raise', 'spread', 'squat', 'turn', 'knee', 'bend', 'reach')
    t, walk, last = 0., style == 'mixed', ''
    while t < grid[-1]:
        if walk:
            length = rng.uniform(4., 7.)
            walking += ease((grid - t) / .7) - ease((grid - t - length + .7) / .7)
            length += _SETTLE_S
        else:
            last = str(rng.choice([m for m in moves if m != last]))
            length = _exercise(rng, grid, t, last, out, turned)
        t += length
        walk = style == 'mixed' and (not walk if walk else bool(rng.random() < .5))


def _exercise(rng: np.random.Generator, grid: Array, t: float, move: str, out: Plan, turned: Array) -> float:
    """Add one exercise that begins at t; returns how long it takes, s."""
    rise, hold = rng.uniform(.7, 1.1), rng.uniform(.1, .5)
    length = 2 * rise + hold
    bump = ease((grid - t) / rise) - ease((grid - t - rise - hold) / rise)
    sides = [0, 1] if rng.random() < .5 else [int(rng.integers(2))]
    if move == 'raise':
        out.arm_flexion[sides] += rng.uniform(1.6, 2.8) * bump
    elif move == 'spread':
        out.arm_abduction[sides] += rng.uniform(1.2, 2.4) * bump
    elif move == 'squat':
        depth = rng.uniform(.4, .8)
        out.squat += depth * bump
        out.lean += .7 * depth * bump
        out.arm_flexion += 1.4 * depth * bump
    elif move == 'knee':
        side = int(rng.integers(2))
        out.knee_lift[side] += rng.uniform(.5, .85) * bump
        out.arm_flexion[1 - side] += .6 * bump
    elif move == 'bend':
        out.bend += rng.choice([-1., 1.]) * rng.uniform(.25, .5) * bump
        out.arm_abduction[sides] += rng.uniform(.3, 1.2) * bump
    elif move == 'reach':
        out.lean += rng.uniform(.3, .7) * bump
        out.twist += rng.uniform(-.5, .5) * bump
        out.arm_flexion[sides] += rng.uniform(.8, 1.6) * bump
        out.elbow[sides] += rng.uniform(0., 1.) * bump
    else:                                                  # a whole turn, so that the path goes on as it was
        length = rng.uniform(4.5, 6.)
        turned += rng.choice([-2., 2.]) * np.pi * ease((grid - t) / length)
        length += _SETTLE_S
    return float(length + rng.uniform(.1, .5))


def _route(rng: np.random.Generator, grid: Array, walking: Array, turned: Array, start: Array,
           path_m: ArrayLike | None, speed_m_s: float, out: Plan) -> None:
    """Pelvis over the floor and facing direction: a curve, walked at the speed that `walking` (0..1) allows."""
    dt = grid[1] - grid[0]
    go = np.cumsum(walking * ease(grid / .8)) * speed_m_s * dt               # everybody starts from standing
    if path_m is None:
        u = np.linspace(0, 2 * np.pi, 721)
        size, spin = rng.uniform(.9, 1.25), rng.uniform(0, 2 * np.pi)
        if rng.random() < .5:
            curve = np.stack([size * np.cos(u), size * np.sin(u)], -1)
        else:
            curve = np.stack([1.1 * size * np.sin(u), .6 * size * np.sin(2 * u)], -1)
        if rng.random() < .5:
            curve = curve[::-1]
        c, s = np.cos(spin), np.sin(spin)
        curve = curve @ np.array([[c, s], [-s, c]])
        if not walking.any():                              # stand in the middle, facing anywhere
            curve = curve - curve[0]
        closed = True
    else:
        curve, closed = np.asarray(path_m, float), False
    arc = np.r_[0., np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))]
    at = np.mod(go, arc[-1]) if closed else np.clip(go, 0., arc[-1])
    fine = np.linspace(0, arc[-1], 2001)
    points = np.stack([np.interp(fine, arc, curve[:, k]) for k in (0, 1)], -1)
    tangent = np.gradient(points, axis=0)
    heading = np.unwrap(np.arctan2(tangent[:, 1], tangent[:, 0]))
    if closed:                                             # laps add up instead of jumping back
        lap = np.floor(go / arc[-1])
        yaw = np.interp(at, fine, heading) + lap * round((heading[-1] - heading[0]) / (2 * np.pi)) * 2 * np.pi
    else:
        yaw = np.interp(at, fine, heading)
    floor = np.stack([np.interp(at, fine, points[:, k]) for k in (0, 1)], -1)
    sigma = .15 / dt                                       # nobody turns corners sharply
    out.floor = start + np.stack([smooth(floor[:, k], sigma) for k in (0, 1)], -1)
    out.yaw = smooth(yaw, sigma) + turned
