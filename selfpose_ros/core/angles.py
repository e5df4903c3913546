# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Joint angles of a person, as a URDF has them, from the joints' places: closed form, then Gauss-Newton from there.

17 points do not tell everything: the turn of an arm or a leg about itself is seen by the bend of its elbow or knee
alone, and not at all while it is straight; that of the head not at all (it has no angle here). What is not seen keeps
the value that it had, and its standard deviation grows.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import rotation
from .kinematics import ANGLES, DOF, FIRST, LIMBS, Body, forward
from .observation import Skeleton3D

__all__ = ['LEAST_SIGMA', 'MOST_STEP', 'PAUSE_S', 'WAY_ROUND', 'AngleTracker', 'JointAngles', 'closed_form', 'drawn',
           'measured_body', 'wrapped']

Array = NDArray[np.float64]

_LOW, _HIGH = np.array([a.low for a in ANGLES]), np.array([a.high for a in ANGLES])
#: angles of people in motion (motion capture, training split; left and right alike), mean and standard deviation, deg:
#: waist and neck, leg, arm
_USUAL = ((0, 10), (17, 10), (0, 6), (-3, 14), (0, 6)), ((15, 27), (3, 10), (1, 10), (42, 28)), (
    (22, 50), (12, 18), (-5, 32), (52, 30))
_MEAN, _SIGMA = np.deg2rad(np.array([*_USUAL[0], *_USUAL[1] * 2, *_USUAL[2] * 2], float)).T
#: how fast angles change, rad in a step of `_STEP_S` (white, so it grows with the root of the step)
_RATE, _STEP_S = 2.5, .04
#: errors of joints go together, from joint to joint and in time: measured against motion capture (validation split)
_HONEST = 2.
#: spread of a limit, rad; the angles that have none, for they go all the way round
_LIMIT_SIGMA = .05
WAY_ROUND = _HIGH - _LOW > 6.
#: poses further than this many standard deviations from the usual ones are hardly drawn towards them any more
_UNUSUAL = 2.
#: a joint's place is no surer than this, m: bodies are not rigid
LEAST_SIGMA = .005
#: a pause after which nothing is known of how it went on, s
PAUSE_S = 1.
#: steps (one where the last instant is near); none turns by more than this, rad; joints that must be known
_ROUNDS, MOST_STEP, _FEWEST = 2, .6, 9
#: an angle that has changed by more was somewhere else; a limb with less of a bend does not tell its turn, rad
_FAR, _STRAIGHT = .8, .35
#: of the limbs, in the order of `LIMBS`: which way the lower part bends, which side of the body it is
_FORWARDS, _SIDE = np.array([-1., -1, 1, 1]), np.array([1., -1, 1, -1])
_DIAGONAL, _WEAK = np.arange(DOF), np.full(FIRST, 1e-6)
#: instants over which the body's measures are averaged: all of the first so many, then one in so many
_MEASURED, _EVERY_UNTIL, _EVERY = 150, 60, 5


@dataclass(frozen=True)
class JointAngles:
    """The pose of one person as angles.

    Attributes:
        stamp: s.
        angle: (21,) rad in the order of `kinematics.ANGLES`.  sigma: (21,) rad, standard deviation.
        place: (3,) m, pelvis: (3, 3): where the pelvis is, in the frame of the skeleton.
        body: the measures that it is told for.
    """

    stamp: float
    angle: Array
    sigma: Array
    place: Array
    pelvis: Array
    body: Body


class AngleTracker:
    """Angles of one person from instant to instant. Some 0.5 ms for each."""

    def __init__(self) -> None:
        self.body = Body.average()
        self._measured = self._instants = 0
        self._last: tuple[float, Array, Array] | None = None
        self._held = False

    def update(self, person: Skeleton3D) -> JointAngles | None:
        """The angles at this instant; None while the trunk or half of the body is not known."""
        X, stamp, last = person.joints, person.stamp, self._last
        seen = np.isfinite(X).all(-1)
        if seen.sum() < _FEWEST:
            return None
        if seen.all():
            self._measure(X)
        found = closed_form(X)
        if found is None:
            return None
        place, pelvis, angle = found
        angle = np.clip(angle, _LOW, _HIGH)
        before, information, rounds = angle, np.zeros(len(ANGLES)), _ROUNDS
        if last is not None and 0 < stamp - last[0] <= PAUSE_S:
            _, before, sigma = last
            # where the closed form is far away, an angle went round its singularity, or this was wrong: it begins anew
            near = _near(angle, before)
            rounds = 1 if near.all() else _ROUNDS
            angle = np.where(near, before, angle)
            information = np.where(near, 1 / (sigma ** 2 + _RATE ** 2 * _STEP_S * (stamp - last[0])), 0.)
        weight = np.repeat(np.where(seen, 1 / np.maximum(np.nan_to_num(person.sigma, nan=1.), LEAST_SIGMA), 0.), 3)
        for _ in range(rounds):
            place, pelvis, angle, covariance = self._step(X, weight, place, pelvis, angle, before, information)
        sigma = np.sqrt(np.maximum(np.diagonal(covariance)[FIRST:], 1e-8))
        angle = np.where(WAY_ROUND, wrapped(angle), angle)
        self._last = stamp, angle, sigma
        return JointAngles(stamp, angle, _HONEST * sigma, place, pelvis, self.body)

    def hold(self, body: Body | None = None) -> None:
        """Keep the body's measures as they are, or as these, and begin anew."""
        self.body = body or self.body
        self._held, self._last = True, None

    def _measure(self, X: Array) -> None:
        """Average the body's measures."""
        if self._held:
            return
        self._instants += 1
        found = measured_body(X) if self._measured < _EVERY_UNTIL or self._instants % _EVERY == 0 else None
        if found is not None:
            self._measured = min(self._measured + 1, _MEASURED)
            self.body = self.body.blended(found, 1 / self._measured)

    def _step(self, X: Array, weight: Array, place: Array, pelvis: Array, angle: Array, before: Array,
              information: Array) -> tuple[Array, Array, Array, Array]:
        """One step of Gauss and Newton; the covariance with it. weight: (51,) 1/m.  information: (21,) 1/rad^2 of the
        angles `before`.
        """
        posed = forward(self.body, place, pelvis, angle)
        J = posed.jacobian() * weight[:, None]
        r = np.nan_to_num((X - posed.joints).reshape(51)) * weight
        H, g = J.T @ J, J.T @ r
        usual, pull = drawn(angle)
        H[_DIAGONAL, _DIAGONAL] += np.concatenate([_WEAK, information + usual])
        g[FIRST:] += information * (before - angle) + pull
        covariance = np.linalg.inv(H)
        step = covariance @ g
        step[3:] = np.clip(step[3:], -MOST_STEP, MOST_STEP)
        return place + step[:3], rotation.exp(step[3:6]) @ pelvis, angle + step[FIRST:], covariance


def wrapped(angle: Array) -> Array:
    """The same angles, -pi <= angle < pi."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def drawn(angle: Array, share: float = 1.) -> tuple[Array, Array]:
    """What is known of angles (..., 21) rad before anything is seen, usual poses (by a share of what they count) and
    limits: information, 1/rad^2, and the gradient towards them, 1/rad, both (..., 21).
    """
    beyond = np.clip(angle, _LOW, _HIGH) - angle
    limit = np.where((beyond != 0) & ~WAY_ROUND, _LIMIT_SIGMA ** -2, 0.)
    off = np.where(WAY_ROUND, wrapped(_MEAN - angle), _MEAN - angle)
    usual = share * _SIGMA ** -2. / (1 + (off / (_UNUSUAL * _SIGMA)) ** 2)
    return usual + limit, usual * off + limit * beyond


def _near(found: Array, before: Array) -> Array:
    """(21,) bool, alike for all angles of waist, neck and each limb: whether these are about the same."""
    away = np.abs(wrapped(found - before))
    limbs = away[5:].reshape(4, 4)
    limbs[:, 2] *= found[5:].reshape(4, 4)[:, 3] > _STRAIGHT
    near = np.concatenate([[away[:3].max()], [away[3:5].max()], limbs.max(1)]) < _FAR
    return np.repeat(near, (3, 2, 4, 4, 4, 4))


def _frame(up: Array, left: Array) -> Array | None:
    """Rotation whose z is `up` and whose y is as near to `left` as that allows."""
    z = up / max(float(np.linalg.norm(up)), 1e-9)
    x = _crossed(left, z)
    n = float(np.linalg.norm(x))
    if not np.isfinite(n) or n < 1e-6:
        return None
    x = x / n
    return np.array([x, _crossed(z, x), z]).T


def _crossed(a: Array, b: Array) -> Array:
    """As `np.cross`, which takes ten times as long for two vectors."""
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def _trunk(X: Array) -> tuple[Array, Array, Array] | None:
    """Rotations of pelvis, torso and head."""
    pelvis = _frame(X[7] - X[0], X[4] - X[1])
    torso = _frame(X[8] - X[7], X[11] - X[14])
    if pelvis is None or torso is None:
        return None
    head = _frame(X[10] - X[8], torso[:, 1])
    return pelvis, torso, torso if head is None else head


def measured_body(X: Array) -> Body | None:
    """The measures of a body of which all joints (17, 3) m are known; None where it has no frames."""
    trunk = _trunk(X)
    if trunk is None:
        return None
    pelvis, torso, head = trunk
    upper = np.linalg.norm(X[LIMBS[:, 1]] - X[LIMBS[:, 0]], axis=-1)
    lower = np.linalg.norm(X[LIMBS[:, 2]] - X[LIMBS[:, 1]], axis=-1)
    return Body((X[[4, 1]] - X[0]) @ pelvis, (X[7] - X[0]) @ pelvis, (X[8] - X[7]) @ torso,
                (X[[11, 14]] - X[8]) @ torso, (X[9] - X[8]) @ head, (X[10] - X[8]) @ head, upper, lower)


def closed_form(X: Array) -> tuple[Array, Array, Array] | None:
    """Place and rotation of the pelvis and the angles (21,) rad of joints (17, 3) m; None without the trunk.

    What is not known is 0; so is the turn of a straight limb.
    """
    trunk = _trunk(X)
    if trunk is None:
        return None
    pelvis, torso, head = trunk
    waist, neck = pelvis.T @ torso, torso.T @ head
    angle = np.zeros(len(ANGLES))
    # yaw about z, then pitch about y, then roll about x
    angle[:3] = (np.arctan2(waist[1, 0], waist[0, 0]), np.arcsin(np.clip(-waist[2, 0], -1, 1)),
                 np.arctan2(waist[2, 1], waist[2, 2]))
    up = neck[:, 2]
    angle[3:5] = np.arctan2(up[0], up[2]), np.arcsin(np.clip(-up[1], -1, 1))
    base = np.stack([pelvis, pelvis, torso, torso])
    d, e = ((X[LIMBS[:, k + 1]] - X[LIMBS[:, k]])[:, None] @ base for k in (0, 1))
    d, e = (v[:, 0] / np.maximum(np.sqrt((v[:, 0] ** 2).sum(-1, keepdims=True)), 1e-9) for v in (d, e))
    flexion, abduction = np.arctan2(d[:, 0], -d[:, 2]), np.arcsin(np.clip(d[:, 1], -1, 1))
    c, s, ca, sa = np.cos(flexion), np.sin(flexion), np.cos(abduction), np.sin(abduction)
    # the lower part, seen from the upper one
    fx, back = c * e[:, 0] + s * e[:, 2], -s * e[:, 0] + c * e[:, 2]
    fy, fz = ca * e[:, 1] + sa * back, -sa * e[:, 1] + ca * back
    bend = np.arccos(np.clip(-fz, -1, 1))
    turn = np.where(bend > .05, np.arctan2(_FORWARDS * fy, _FORWARDS * fx), 0.)
    angle[5:] = np.stack([flexion, _SIDE * abduction, _SIDE * turn, bend], 1).ravel()
    return X[0], pelvis, np.nan_to_num(angle)
