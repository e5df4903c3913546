# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Joint angles of a person, as a URDF has them, from the joints' places: closed form, then Gauss-Newton from there
(`JointDirections`), drawn towards usual poses.

17 points do not tell everything: the turn of an arm or a leg about itself is seen by the bend of its elbow or knee
alone, and not at all while it is straight; that of the head not at all (it has no angle here). What is not seen goes
from the value that it had to what usually goes with the rest of the pose, and its standard deviation grows.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import rotation
from .joint_directions import JointDirections
from .kinematics import ANGLES, FIRST, LIMBS, UNKNOWNS, Body
from .observation import Skeleton3D
from .usual_poses import HIGH, LOW, WAY_ROUND, drawn, wrapped

__all__ = ['MOST_STEP', 'PAUSE_S', 'AngleTracker', 'JointAngles', 'closed_form', 'measured_body']

Array = NDArray[np.float64]

#: how fast angles change, rad/s over a step of `_STEP_S` (white, so it grows with the root of the step); joints come
#: filtered: more memory was no better
_RATE, _STEP_S = 5., .04
#: what usual poses count; directions that are further off than this count less and less, standard deviations
_USUAL, _OUTLIER = .6, 5.
#: errors of joints go together, from joint to joint and in time: measured against motion capture (validation split)
_HONEST = 1.3
#: a pause after which nothing is known of how it went on, s
PAUSE_S = 1.
#: steps (one where the last instant is near); none turns by more than this, rad; joints that must be known
_ROUNDS, MOST_STEP, _FEWEST = 2, .6, 9
#: an angle that has changed by more was somewhere else; a limb with less of a bend does not tell its turn, rad
_FAR, _STRAIGHT = .8, .35
#: of the limbs, in the order of `LIMBS`: which way the lower part bends, which side of the body it is
_FORWARDS, _SIDE = np.array([-1., -1, 1, 1]), np.array([1., -1, 1, -1])
_WEAK = 1e-6 * np.eye(UNKNOWNS)
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
    """Angles of one person from instant to instant. Some 0.8 ms for each."""

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
        angle = np.clip(angle, LOW, HIGH)
        before, known = angle, np.zeros((len(ANGLES), len(ANGLES)))
        if last is not None and 0 < stamp - last[0] <= PAUSE_S:
            _, before, covariance = last
            # where the closed form is far away, an angle went round its singularity, or this was wrong: it begins anew
            near = _near(angle, before)
            angle = before = np.where(near, before, angle)
            known = _information(covariance, near, _RATE ** 2 * _STEP_S * (stamp - last[0]))
        seen_here = JointDirections([person])
        for _ in range(_ROUNDS):
            pelvis, angle, covariance = self._step(seen_here, pelvis, angle, before, known)
        covariance = covariance[FIRST:, FIRST:]
        angle = np.where(WAY_ROUND, wrapped(angle), angle)
        self._last = stamp, angle, covariance
        sigma = np.sqrt(np.maximum(np.diagonal(covariance), 1e-8))
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

    @staticmethod
    def _step(directions: JointDirections, pelvis: Array, angle: Array, before: Array,
              known: Array) -> tuple[Array, Array, Array]:
        """One step of Gauss and Newton; the covariance (24, 24) before it with it. known: (21, 21) information,
        1/rad^2, of the angles `before`.
        """
        H, g = (x[0] for x in directions.equations(pelvis[None], angle[None], _OUTLIER))
        usual, pull = drawn(angle, _USUAL)
        H = H + _WEAK
        H[FIRST:, FIRST:] += known + usual
        g[FIRST:] += known @ (before - angle) + pull
        covariance = np.linalg.inv(H)
        step = np.clip(covariance @ g, -MOST_STEP, MOST_STEP)
        return rotation.exp(step[:FIRST]) @ pelvis, angle + step[FIRST:], covariance


def _information(covariance: Array, near: NDArray[np.bool_], change: float) -> Array:
    """(21, 21) of the angles that stayed `near`, which since had this covariance have changed, by a variance; rad^2."""
    out = np.zeros_like(covariance)
    at = np.ix_(near, near)
    out[at] = np.linalg.inv(covariance[at] + change * np.eye(int(near.sum())))
    return out


def _near(found: Array, before: Array) -> NDArray[np.bool_]:
    """(21,) bool, alike for all angles of waist, neck and each limb: whether these are about the same."""
    away = np.abs(wrapped(found - before))
    limbs = away[5:].reshape(4, 4)
    limbs[:, 2] *= found[5:].reshape(4, 4)[:, 3] > _STRAIGHT
    near = np.concatenate([[away[:3].max()], [away[3:5].max()], limbs.max(1)]) < _FAR
    return np.asarray(np.repeat(near, (3, 2, 4, 4, 4, 4)), bool)


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
