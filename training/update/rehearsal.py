# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Samples for fine tuning on a few recordings, so that the network does not forget the rest.

Synthetic people, bent and tilted in ways that no recording shows, seen by new virtual cameras. Their 3D poses are
given as unknown (sigma infinite): the target is the output of the network that training began with.
"""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from selfpose_ros.core.skeleton import PARENTS
from selfpose_ros.synthetic import walker

from ..data.motion import Change, MotionViews, Poses
from ..data.noise import NoiseSource

__all__ = ['rehearsal', 'rehearsed_poses']

Array = NDArray[np.float64]

_PEOPLE, _CLIP_S = 24, 6.
#: root mean square angles, degrees: of limbs about the joints that they hang on, and of whole bodies
_BENT_DEG, _TILTED_DEG = 22., 12.
#: every so manieth person lies, more or less: tilted by these angles, degrees
_LYING, _LYING_DEG = 6, (60., 100.)
_HINGES = (1, 2, 4, 5, 7, 8, 9, 11, 12, 14, 15)


def rehearsal(noise: NoiseSource, fps: float, seed: int, views: int = 4) -> MotionViews:
    """Synthetic people before virtual cameras.

    Args:
        noise: what the 2D network makes of true pixels.
        fps: frames a second, as the recordings have.
        seed: of everything random.
        views: cameras of each rig.
    """
    return MotionViews(rehearsed_poses(fps, seed), views, seed=seed, noise=noise, change=Change(turn=True, mirror=True))


def rehearsed_poses(fps: float, seed: int) -> Poses:
    """Synthetic people in postures of all kinds, with poses that count as unknown."""
    rng = np.random.default_rng([seed, 31])
    clips = []
    for k in range(_PEOPLE):
        style = ('walk', 'exercise', 'mixed')[k % 3]
        height = float(rng.uniform(1.45, 1.95))
        person = walker(_CLIP_S, fps, int(rng.integers(1 << 30)), style, height)
        clips.append(_bent(rng, person, k % _LYING == _LYING - 1))
    joints = np.concatenate(clips).astype(np.float32)
    return Poses(joints, np.cumsum([0, *map(len, clips)]), fps, np.full(joints.shape[:2], np.inf, np.float32))


def _bent(rng: np.random.Generator, joints: Array, lying: bool) -> Array:
    """A clip (T, 17, 3) with every limb turned by an angle of its own, in the body's axes, and the body tilted."""
    out = joints.copy()
    for j in _HINGES:
        moved = [i for i in range(17) if i != j and _hangs_on(i, j)]
        to_body = _facing(out)
        turn = to_body.swapaxes(-1, -2) @ _rotation(rng, _BENT_DEG) @ to_body
        out[:, moved] = (out[:, moved] - out[:, [j]]) @ turn.swapaxes(-1, -2) + out[:, [j]]
    tilt = _rotation(rng, _TILTED_DEG)
    if lying:
        way, angle = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(*_LYING_DEG))
        tilt = Rotation.from_rotvec([angle * np.cos(way), angle * np.sin(way), 0]).as_matrix()
    middle = out[:, :1].copy()
    out = (out - middle) @ tilt.T + middle
    out[..., 2] -= np.quantile(out[..., 2], .01)
    return out


def _hangs_on(i: int, j: int) -> bool:
    while i > j:
        i = PARENTS[i]
    return i == j


def _facing(joints: Array) -> Array:
    """(T, 3, 3) rotations world -> axes left, back, up of the body over the floor."""
    left = joints[:, 4] - joints[:, 1]
    angle = np.arctan2(left[:, 1], left[:, 0])
    c, s, o, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([np.stack(row, -1) for row in ((c, s, o), (-s, c, o), (o, o, one))], -2)


def _rotation(rng: np.random.Generator, deg: float) -> Any:
    """A rotation (3, 3) about any axis; root mean square of the angle."""
    return Rotation.from_rotvec(np.deg2rad(rng.normal(0, deg / np.sqrt(3), 3))).as_matrix()
