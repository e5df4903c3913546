# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The body as a tree of links and revolute joints, as a URDF has it: forward kinematics.

Frames follow REP-103: x forward, y to the left, z up in every link while all angles are 0: somebody who stands, arms
and legs hanging straight down. Limb order in all arrays here: left leg, right leg, left arm, right arm.
"""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .body import BONE_PRIOR_M
from .rotation import cross_matrix
from .skeleton import BONES, JOINTS

__all__ = ['ANGLES', 'Angle', 'Body', 'FIRST', 'LIMBS', 'Turned', 'UNKNOWNS', 'forward', 'link_rotations', 'turned']

Array = NDArray[np.float64]

#: root, middle and end joint of each limb
LIMBS = np.array([[JOINTS.index(f'{s}_{n}') for n in names] for names in (('hip', 'knee', 'ankle'),
                  ('shoulder', 'elbow', 'wrist')) for s in 'lr'])


class Angle(NamedTuple):
    """One revolute joint. axis: in its own frame, (x, y, z).  low, high: rad.  child: the link behind it."""

    name: str
    axis: tuple[int, int, int]
    low: float
    high: float
    parent: str
    child: str


def _angles() -> tuple[Angle, ...]:
    def rad(low: float, high: float) -> tuple[float, float]:
        return float(np.deg2rad(low)), float(np.deg2rad(high))

    out = [Angle('waist_yaw', (0, 0, 1), *rad(-60, 60), 'pelvis', 'waist_yaw_link'),
           Angle('waist_pitch', (0, 1, 0), *rad(-45, 100), 'waist_yaw_link', 'waist_pitch_link'),
           Angle('waist_roll', (1, 0, 0), *rad(-50, 50), 'waist_pitch_link', 'torso'),
           Angle('neck_pitch', (0, 1, 0), *rad(-80, 90), 'torso', 'neck_pitch_link'),
           Angle('neck_roll', (1, 0, 0), *rad(-60, 60), 'neck_pitch_link', 'head')]
    for limb, (middle, names) in {'leg': ('knee', ('hip', 'thigh', 'shank')),
                                  'arm': ('elbow', ('shoulder', 'upper_arm', 'forearm'))}.items():
        joint, upper, lower = names
        for s, sign in (('l', 1), ('r', -1)):
            # an arm reaches every direction: overhead and sideways its flexion and its turn go all the way round
            swing = rad(-40, 135) if limb == 'leg' else rad(-180, 180)
            side = rad(-45, 75) if limb == 'leg' else rad(-90, 90)
            turn = rad(-60, 60) if limb == 'leg' else rad(-180, 180)
            out += [
                Angle(f'{s}_{joint}_flexion', (0, -1, 0), *swing, 'pelvis' if limb == 'leg' else 'torso',
                      f'{s}_{joint}_flexion_link'),
                Angle(f'{s}_{joint}_abduction', (sign, 0, 0), *side, f'{s}_{joint}_flexion_link',
                      f'{s}_{joint}_abduction_link'),
                Angle(f'{s}_{joint}_rotation', (0, 0, sign), *turn, f'{s}_{joint}_abduction_link', f'{s}_{upper}'),
                Angle(f'{s}_{middle}_flexion', (0, 1 if limb == 'leg' else -1, 0), *rad(-10, 160), f'{s}_{upper}',
                      f'{s}_{lower}')]
    return tuple(out)


#: in the order of all arrays of angles
ANGLES = _angles()
#: unknowns of a pose: the turn of the pelvis, then the angles, which begin at `FIRST`
FIRST = 3
UNKNOWNS = FIRST + len(ANGLES)
_AXES = np.array([a.axis for a in ANGLES], float)
_WAIST, _NECK, _LIMB = range(3), range(3, 5), np.arange(5, 21).reshape(4, 4)
_CROSS = cross_matrix(_AXES)
_SQUARE = _CROSS @ _CROSS

_LENGTH = dict(zip(BONES, BONE_PRIOR_M, strict=True))


@dataclass(frozen=True)
class Body:
    """A body's measures, m, each in the frame of its link while all angles are 0.

    Attributes:
        hips: (2, 3) left and right, and spine (3,): from the pelvis.
        thorax: (3,), from the spine.  shoulders: (2, 3) left and right, from the thorax.
        neck: (3,), head (3,): from the thorax, z towards the top of the head.
        upper, lower: (4,) lengths of thighs and upper arms, shanks and forearms.
    """

    hips: Array
    spine: Array
    thorax: Array
    shoulders: Array
    neck: Array
    head: Array
    upper: Array
    lower: Array

    @classmethod
    def average(cls) -> Body:
        """Before somebody is seen: the average adult's."""
        hip, shoulder = _LENGTH[0, 4], _LENGTH[8, 11]
        pairs = [(_LENGTH[a, b], _LENGTH[b, c]) for a, b, c in LIMBS.tolist()]
        neck = _LENGTH[8, 9]
        return cls(np.array([[0, hip, 0], [0, -hip, 0]]), np.array([0, 0, _LENGTH[0, 7]]),
                   np.array([0, 0, _LENGTH[7, 8]]), np.array([[0, shoulder, 0], [0, -shoulder, 0]]),
                   np.array([0, 0, neck]), np.array([0, 0, neck + _LENGTH[9, 10]]),
                   np.array([u for u, _ in pairs]), np.array([w for _, w in pairs]))

    def blended(self, other: Body, share: float) -> Body:
        """This one with a share of another one's measures."""
        return replace(self, **{n: getattr(self, n) + share * (getattr(other, n) - getattr(self, n))
                                for n in self.__dataclass_fields__})


class Turned(NamedTuple):
    """Links in the world.

    Attributes:
        pelvis, torso, head: (..., 3, 3) rotations.  upper, lower: (..., 4, 3, 3), of each limb.
        axes: (..., UNKNOWNS, 3), of the turn of the pelvis (x, y, z) and of the angles.
    """

    pelvis: Array
    torso: Array
    head: Array
    upper: Array
    lower: Array
    axes: Array


def _turns(angles: Array) -> Array:
    """Rotation (..., 21, 3, 3) of each joint."""
    return np.asarray(np.eye(3) + np.sin(angles)[..., None, None] * _CROSS
                      + (1 - np.cos(angles))[..., None, None] * _SQUARE)


def link_rotations(angles: Array) -> dict[str, Array]:
    """Rotation (3, 3) of each link that has a length, in the one before it: torso, head, thighs, shanks, arms."""
    turns, out = _turns(angles), dict[str, Array]()
    R = np.eye(3)
    for angle, turn in zip(ANGLES, turns, strict=True):
        R = R @ turn
        if not angle.child.endswith('_link'):
            out[angle.child], R = R, np.eye(3)
    return out


def turned(pelvis: Array, angles: Array) -> Turned:
    """How the links are turned. pelvis: (..., 3, 3).  angles: (..., 21) rad."""
    turns, axes = _turns(angles), np.empty((*angles.shape[:-1], UNKNOWNS, 3))
    axes[..., :FIRST, :] = np.eye(3)
    R = pelvis
    for n in _WAIST:
        axes[..., FIRST + n, :] = R @ _AXES[n]
        R = R @ turns[..., n, :, :]
    torso = R
    for n in _NECK:
        axes[..., FIRST + n, :] = R @ _AXES[n]
        R = R @ turns[..., n, :, :]
    head = R
    R = upper = np.stack([pelvis, pelvis, torso, torso], -3)
    for at in _LIMB.T:
        upper = R
        axes[..., FIRST + at, :] = (R @ _AXES[at][..., None])[..., 0]
        R = R @ turns[..., at, :, :]
    return Turned(pelvis, torso, head, upper, R, axes)


def forward(body: Body, place: Array, pelvis: Array, angles: Array) -> Array:
    """Where the joints are, (17, 3) m.

    Args:
        place: (3,) m of the pelvis.  pelvis: (3, 3) its rotation.  angles: (21,) rad.
    """
    links, X = turned(pelvis, angles), np.empty((17, 3))
    X[0], X[7] = place, place + pelvis @ body.spine
    X[8] = X[7] + links.torso @ body.thorax
    X[9], X[10] = X[8] + links.head @ body.neck, X[8] + links.head @ body.head
    X[LIMBS[:2, 0]], X[LIMBS[2:, 0]] = place + body.hips @ pelvis.T, X[8] + body.shoulders @ links.torso.T
    X[LIMBS[:, 1]] = X[LIMBS[:, 0]] - body.upper[:, None] * links.upper[:, :, 2]
    X[LIMBS[:, 2]] = X[LIMBS[:, 1]] - body.lower[:, None] * links.lower[:, :, 2]
    return X
