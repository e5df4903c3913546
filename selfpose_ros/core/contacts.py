# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Feet that stand: when they do, and skeletons whose standing feet do not slide.

A foot stands while its ankle is slow and low. It is then held where it came to stand, and the knee moves so that thigh
and shank keep their lengths. Nothing else of the body moves.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .observation import Skeleton3D

__all__ = ['FeetHeld', 'everybody_held', 'feet_held', 'standing', 'with_ankle']

Array = NDArray[np.float64]

#: hip, knee and ankle of the right and the left leg
_LEGS = ((1, 2, 3), (4, 5, 6))
@dataclass(frozen=True)
class _Limits:
    """When a foot stands.

    Attributes:
        slow, leaves: it comes to stand below the first speed of its ankle and leaves above the second, m/s.
        slipped: one that is further from where it stood is let go, m.
        mean_s: over so long it is averaged where it stands: feet roll, and a first idea of it may be wrong, s.
        sure: what these limits are for: ankles as sure as this, m.
        low: height of a standing foot's ankle above the lowest of late, m.
        creeps: causally, where it stands is corrected no faster than this, m/s.
    """

    slow: float
    leaves: float
    slipped: float
    mean_s: float
    sure: float
    low: float = .08
    creeps: float = .03

    def by(self, sigma: float) -> _Limits:
        """The same for ankles with this standard deviation per axis, m: noise moves them, too."""
        k = float(np.clip(sigma / self.sure, 1., _MOST)) if np.isfinite(sigma) else 1.
        return _Limits(k * self.slow, k * self.leaves, k * self.slipped, k * self.mean_s, self.sure,
                       self.low + _HIGHER * (k - 1), self.creeps)


# As little as cuts the slide of standing feet to a fifth where ankles are as sure as that (walk, exercise, ball, dance:
# synthetic gait and motion capture; off line of the validation, causally of the training split); what it costs:
# docs/accuracy.md.
_OFFLINE, _CAUSAL = _Limits(.2, .5, .03, .3, .007), _Limits(.35, .7, .05, .6, .010, .1)
#: how much less sure ankles may be; how much higher they stand while they are twice as unsure, m
_MOST, _HIGHER = 2.5, .05
#: how long 'of late' is, s: off line, of one foot; causally, of both, for a new rig may move the floor
_OF_LATE_S, _LATELY_S = 6., 1.
#: a stand shorter than this is none, off line, s
_SHORTEST_S = .08
#: it takes so long to let go, s
_EASE_S = .12
#: a pause after which a person is somebody new, s
_PAUSE_S = .5


def with_ankle(joints: Array, leg: tuple[int, int, int], ankle: Array) -> Array:
    """Joints (17, 3) m with this ankle elsewhere: the hip stays, thigh and shank keep their lengths, the knee stays as
    near as it can; an ankle out of reach is reached towards.
    """
    h, k, a = leg
    hip, knee = joints[h], joints[k]
    thigh, shank = np.linalg.norm(knee - hip), np.linalg.norm(joints[a] - knee)
    d = ankle - hip
    far = float(np.linalg.norm(d))
    if not np.isfinite(far + thigh + shank) or far < 1e-6:
        return joints
    reach = float(np.clip(far, abs(thigh - shank) + 1e-4, .9995 * (thigh + shank)))
    u = d / far
    along = (thigh ** 2 - shank ** 2 + reach ** 2) / (2 * reach)
    out = knee - hip - ((knee - hip) @ u) * u
    n = float(np.linalg.norm(out))
    if n < 1e-6:
        return joints
    new = joints.copy()
    new[k] = hip + along * u + np.sqrt(max(float(thigh ** 2 - along ** 2), 0.)) * out / n
    new[a] = hip + reach * u
    return new


def standing(stamp: Array, ankle: Array, sigma: float = 0.) -> NDArray[np.bool_]:
    """When a foot stands, off line.

    Args:
        stamp: (T,) s.  ankle: (T, 3) m, z up; NaN = not known.  sigma: its standard deviation per axis, m.
    """
    limits = _OFFLINE.by(sigma)
    T = len(stamp)
    if T < 3:
        return np.zeros(T, bool)
    velocity: Array = np.asarray(np.gradient(ankle, stamp, axis=0))
    speed = np.sqrt((velocity ** 2).sum(-1))
    half = max(round(_OF_LATE_S / max(float(np.median(np.diff(stamp))), 1e-3)), 1)
    out, now = np.zeros(T, bool), False
    z = ankle[:, 2]
    for t in range(T):
        near = z[max(0, t - half):t + half]
        floor = float(np.nanpercentile(near, 5)) if np.isfinite(near).any() else np.nan
        now = bool(speed[t] < (limits.leaves if now else limits.slow) and z[t] < floor + limits.low)
        out[t] = now
    return out


def _holds(stamp: Array, ankle: Array, sigma: float) -> list[tuple[int, int]]:
    """First and behind the last instant of each stand; one that wanders is several, or none."""
    slipped = _OFFLINE.by(sigma).slipped
    out: list[tuple[int, int]] = []
    for a, b in _runs(standing(stamp, ankle, sigma)):
        while a < b:
            end, mean = a + 1, ankle[a]
            while end < b and float(np.linalg.norm(ankle[end] - mean)) < slipped:
                mean = mean + (ankle[end] - mean) / (end + 1 - a)
                end += 1
            if stamp[end - 1] - stamp[a] >= _SHORTEST_S:
                out.append((a, end))
            a = end
    return out


def feet_held(people: Sequence[Skeleton3D]) -> list[Skeleton3D]:
    """One person over time, off line: standing feet lie where they lay on average, with a way in and out of it.

    Skeletons of levels 1 and 2, whose frame may jump, stay as they are.
    """
    out = list(people)
    at = [i for i, p in enumerate(people) if p.level == 3]
    if len(at) < 3:
        return out
    stamp = np.array([people[i].stamp for i in at])
    X = np.stack([people[i].joints for i in at])
    held = X.copy()
    for leg in _LEGS:
        ankle = X[:, leg[2]]
        there = ankle.copy()
        weight = np.zeros(len(at))
        sigma = float(np.nanmedian([people[i].own_sigma[leg[2]] for i in at] or [0.]))
        for a, b in _holds(stamp, ankle, sigma):
            place = _averaged(stamp[a:b], ankle[a:b], stamp, _OFFLINE.by(sigma).mean_s)
            ways = np.minimum(stamp - (stamp[a] - _EASE_S), (stamp[b - 1] + _EASE_S) - stamp) / _EASE_S
            w = np.clip(ways, 0, 1)
            take = w > weight
            there[take], weight[take] = place[take], w[take]
        smooth = weight * weight * (3 - 2 * weight)
        target = ankle + smooth[:, None] * (there - ankle)
        for t in np.flatnonzero(weight > 0):
            held[t] = with_ankle(held[t], leg, target[t])
    for i, x in zip(at, held, strict=True):
        out[i] = replace(people[i], joints=x)
    return out


def _averaged(stamp: Array, places: Array, at: Array, mean_s: float) -> Array:
    """Where a foot stands at times `at` (N,) s, averaged both ways; before and behind the stand as at its
    ends.
    """
    w = np.exp(-np.abs(np.clip(at, stamp[0], stamp[-1])[:, None] - stamp) / mean_s)
    return np.asarray(w @ places / w.sum(1, keepdims=True))


def everybody_held(instants: Sequence[Sequence[Skeleton3D]], offline: bool) -> list[list[Skeleton3D]]:
    """The people at each instant, standing feet held; offline: in the light of all instants, else of those before."""
    out = [list(people) for people in instants]
    where: dict[int, list[tuple[int, int]]] = {}
    for i, people in enumerate(out):
        for k, p in enumerate(people):
            where.setdefault(p.person, []).append((i, k))
    for places in where.values():
        track, feet = [out[i][k] for i, k in places], FeetHeld()
        for (i, k), p in zip(places, feet_held(track) if offline else map(feet.update, track), strict=True):
            out[i][k] = p
    return out


class FeetHeld:
    """The same as time goes on, for one person: no delay, and nothing of the future."""

    def __init__(self) -> None:
        self._begin(-np.inf)

    def _begin(self, stamp: float) -> None:
        self._stamp = stamp
        self._heights: list[tuple[float, float]] = []
        self._place: list[Array | None] = [None, None]
        self._count = [0, 0]
        self._share = [0., 0.]

    def update(self, person: Skeleton3D) -> Skeleton3D:
        """The skeleton with its standing feet held; one of level 1 or 2, whose frame may jump, as it is."""
        step = person.stamp - self._stamp
        self._stamp = person.stamp
        if person.level != 3 or not 0 < step <= _PAUSE_S:
            self._begin(person.stamp)
            if person.level != 3:
                return person
            step = 0.
        joints = person.joints
        for n, leg in enumerate(_LEGS):
            joints = self._leg(n, leg, person, joints, step)
        return person if joints is person.joints else replace(person, joints=joints)

    def _leg(self, n: int, leg: tuple[int, int, int], person: Skeleton3D, joints: Array, step: float) -> Array:
        ankle, speed = person.joints[leg[2]], float(np.linalg.norm(person.velocity[leg[2]]))
        if not np.isfinite(ankle).all():
            self._place[n], self._share[n] = None, 0.
            return joints
        heights = self._heights
        heights.append((person.stamp, float(ankle[2])))
        while heights[0][0] < person.stamp - _LATELY_S:
            heights.pop(0)
        floor = float(np.percentile([z for _, z in heights], 5))
        place, holding = self._place[n], self._share[n] >= 1
        limits = _CAUSAL.by(float(person.own_sigma[leg[2]]))
        low = ankle[2] < floor + limits.low and np.isfinite(speed)
        stands = low and speed < (limits.leaves if holding else limits.slow)
        if stands and place is not None and float(np.linalg.norm(ankle - place)) > limits.slipped:
            stands = False
        if stands:
            if place is None or self._share[n] < 1:
                place, self._count[n] = ankle, 0
            self._count[n] += 1
            share = max(1 / self._count[n], 1 - float(np.exp(-step / limits.mean_s)))
            off = share * (ankle - place)
            place = place + off * min(1., limits.creeps * step / max(float(np.linalg.norm(off)), 1e-9))
            self._place[n], self._share[n] = place, 1.
        else:
            self._share[n] = max(self._share[n] - step / _EASE_S, 0.)
            if self._share[n] <= 0:
                self._place[n] = None
        place = self._place[n]
        if place is None:
            return joints
        w = self._share[n] * self._share[n] * (3 - 2 * self._share[n])
        return with_ankle(joints, leg, ankle + w * (place - ankle))


def _runs(true: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and behind the last of each run of True."""
    edges = np.flatnonzero(np.diff(np.r_[False, true, False].astype(int)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
