# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Joint angles of a person over a whole recording, smoothed both ways: maximum a posteriori over all instants at once.

The directions from joint to joint are what is measured (`JointDirections`). Beside them is known: people do not
accelerate their joints much (soft, heavy-tailed), poses are mostly usual ones, and an angle that the joints do not tell
(the turn of a straight limb) goes on from before to after. Errors of joints that were filtered or smoothed themselves
are alike for a while, and count for less therefore.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from . import rotation
from .angles import MOST_STEP, PAUSE_S, AngleTracker, JointAngles
from .banded import Bands, inverse_diagonal, second_difference, solved
from .joint_directions import JointDirections
from .kinematics import FIRST, UNKNOWNS, Body
from .observation import Skeleton3D
from .usual_poses import WAY_ROUND, drawn, wrapped

__all__ = ['angle_trajectory']

Array = NDArray[np.float64]

#: root mean square accelerations over steps of `_STEP_S` (motion capture, training split, left and right alike):
#: turn of the pelvis, waist and neck, leg, arm, rad/s^2. White, so they grow with the root of the rate
_STEP_S = .04
_ACCELERATION = np.array([7.4, 7.4, 7.4, 14, 7.6, 11, 8.3, 7, *[17, 13, 16, 27] * 2, *[16, 13, 21, 20] * 2])
#: accelerations and directions beyond so many standard deviations hardly count (Cauchy): people mostly move gently
_TAIL, _OUTLIER = .7, 2.
#: errors of joints are alike for so long, and so are poses, s
_ALIKE_S, _POSE_S = .08, .15
#: true spread of the errors over that of the smoother: measured against motion capture (validation split)
_HONEST = 1.8
_ROUNDS = 6


def angle_trajectory(skeletons: Sequence[Skeleton3D | None], body: Body) -> list[JointAngles | None]:
    """One person's angles at each instant, in order of time; None where the trunk or half of the body is not known.

    Args:
        skeletons: None = not known.
        body: the measures that the angles are told for.
    """
    tracker = AngleTracker()
    tracker.hold(body)
    out = [None if s is None else tracker.update(s) for s in skeletons]
    at = [i for i, a in enumerate(out) if a is not None]
    begins = [0, *[n for n in range(1, len(at)) if _stamp(out, at[n]) - _stamp(out, at[n - 1]) > PAUSE_S], len(at)]
    for a, b in zip(begins[:-1], begins[1:], strict=True):
        piece = at[a:b]
        if len(piece) >= 3:
            smooth = _Piece([out[i] for i in piece], [skeletons[i] for i in piece], body).solved()
            for i, angles in zip(piece, smooth, strict=True):
                out[i] = angles
    return out


def _stamp(found: Sequence[JointAngles | None], i: int) -> float:
    angles = found[i]
    assert angles is not None
    return angles.stamp


class _Piece:
    """Successive instants without a long gap."""

    def __init__(self, found: Sequence[JointAngles | None], skeletons: Sequence[Skeleton3D | None],
                 body: Body) -> None:
        known = [a for a in found if a is not None]
        self.body = body
        self.stamp = np.array([a.stamp for a in known])
        self.place, self.pelvis = np.stack([a.place for a in known]), np.stack([a.pelvis for a in known])
        angle = np.stack([a.angle for a in known])
        self.angle = np.where(WAY_ROUND, np.unwrap(angle, axis=0), angle)
        period = max(float(np.median(np.diff(self.stamp))), 1e-3)
        self.directions = JointDirections([s for s in skeletons if s is not None], max(_ALIKE_S / period, 1.))
        self.usual = min(period / _POSE_S, 1.)
        self.coef = second_difference(self.stamp)
        step = 2 / np.sqrt(-self.coef[1] * 2)
        self.acceleration = _ACCELERATION * np.sqrt(_STEP_S / step)[:, None]

    def solved(self) -> list[JointAngles]:
        """The angles as smoothed."""
        for _ in range(_ROUNDS):
            bands, g = self._system()
            step = np.clip(solved(bands.ab, g), -MOST_STEP, MOST_STEP)
            self.pelvis = rotation.exp(step[:, :FIRST]) @ self.pelvis
            self.angle = self.angle + step[:, FIRST:]
        variance = inverse_diagonal(self._system()[0].ab, len(self.stamp), UNKNOWNS).reshape(-1, UNKNOWNS)[:, FIRST:]
        sigma = _HONEST * np.sqrt(np.maximum(variance, 1e-8))
        angle = np.where(WAY_ROUND, wrapped(self.angle), self.angle)
        return [JointAngles(float(t), a, s, p, R, self.body) for t, a, s, p, R in zip(
            self.stamp, angle, sigma, self.place, self.pelvis, strict=True)]

    def _system(self) -> tuple[Bands, Array]:
        """Normal equations, and the descent (N, UNKNOWNS)."""
        N, diagonal = len(self.stamp), np.arange(UNKNOWNS)
        H, g = self.directions.equations(self.pelvis, self.angle, _OUTLIER)
        information, pull = drawn(self.angle, self.usual)
        H[:, FIRST:, FIRST:] += information
        H[:, diagonal, diagonal] += 1e-6
        g[:, FIRST:] += pull
        bands = Bands(N, UNKNOWNS)
        bands.add_diagonal_blocks(H)
        acc = self._accelerations() / self.acceleration
        q = 1 / (1 + (acc / _TAIL) ** 2) / self.acceleration ** 2
        bands.add_stencil(self.coef, q)
        force = q * self.acceleration * acc
        for i, c in enumerate(self.coef):
            g[i:N - 2 + i] -= c[:, None] * force
        return bands, g

    def _accelerations(self) -> Array:
        """(N - 2, UNKNOWNS) of the turn of the pelvis (world) and the angles."""
        N = len(self.stamp)
        flat = np.concatenate([np.zeros((N, FIRST)), self.angle], 1)
        acc: Array = sum(c[:, None] * flat[i:N - 2 + i] for i, c in enumerate(self.coef))       # type: ignore[assignment]
        turn = rotation.log(self.pelvis[1:] @ self.pelvis[:-1].swapaxes(-1, -2))
        h = np.diff(self.stamp)[:, None]
        acc[:, :FIRST] = 2 * (turn[1:] / h[1:] - turn[:-1] / h[:-1]) / (h[1:] + h[:-1])
        return acc
