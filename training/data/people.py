# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""People of recordings that come with 3D joints, stood upright on a floor: poses to render, metres, z up.

The world's axes are those of the data set: z is up in Human3.6M, MPI-INF-3DHP has those of a camera, SkiPose-PTZ does
not say. Up is where bodies point from their ankles to their necks, on the whole, corrected by the cameras, which are
held level: their x axes are horizontal, nearly. Where that is about z, z it is.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.rotation import ray_rotation
from selfpose_ros.core.skeleton import JOINTS

from ..errors import TrainingError
from .recordings import Recorded

__all__ = ['poses_of', 'upright', 'up_of']

Array = NDArray[np.float64]

_ANKLES, _NECK = [JOINTS.index('r_ankle'), JOINTS.index('l_ankle')], JOINTS.index('thorax')
#: weight of the bodies for up against one camera's x axis, squared sines
_BODIES = .1
#: world axes of which z lies so near to up have z up, degrees
_NEAR_DEG = 15.
#: of the lowest joint over the floor, m
_ANKLE_M = .07


def up_of(recordings: Sequence[Recorded]) -> Array:
    """(3,) unit vector that points up in the world that these recordings share.

    Raises:
        TrainingError: no whole pose in them.
    """
    poses = np.concatenate([_whole(r) for r in recordings])
    if not len(poses):
        raise TrainingError('no instant with all 17 joints', 'give recordings with more', place=recordings[0].name)
    body = poses[:, _NECK] - poses[:, _ANKLES].mean(1)
    body = (body / np.maximum(np.linalg.norm(body, axis=-1, keepdims=True), 1e-9)).mean(0)
    body /= max(float(np.linalg.norm(body)), 1e-9)
    across = np.concatenate([np.zeros((0, 3)), *(np.asarray(r.R, float)[..., 0, :].reshape(-1, 3)
                                                 for r in recordings if r.R is not None)])
    across = across[np.isfinite(across).all(1)]
    level = across.T @ across / max(len(across), 1)
    up = np.linalg.solve(level + _BODIES * np.eye(3), _BODIES * body)
    up /= np.linalg.norm(up)
    return np.array([0., 0., 1.]) if up[2] > np.cos(np.deg2rad(_NEAR_DEG)) else np.asarray(up)


def upright(recordings: Sequence[Recorded]) -> list[Recorded]:
    """Recordings with X (T, 17, 3) m, z up, the lowest joint of every instant on the floor; cameras are left behind.

    Raises:
        TrainingError: none of them has 3D joints, or none of all 17.
    """
    posed = [r for r in recordings if r.X is not None and len(_whole(r))]
    if not posed:
        what = 'all 17 joints in 3D' if any(r.X is not None for r in recordings) else '3D joints'
        raise TrainingError(f'its recordings have the 2D of people, but not {what}, so that there is nobody to render',
                            'give motion capture (.npz with pos, seq_start, seq_name, fps), or Human3.6M, MPI-INF-3DHP '
                            'or SkiPose-PTZ with their 3D joints', place=recordings[0].name)
    worlds: dict[str, list[Recorded]] = {}
    for r in posed:
        worlds.setdefault(r.rig or r.name, []).append(r)
    turns = {name: _onto_z(up_of(group)) for name, group in worlds.items()}
    return [_stood(r, turns[r.rig or r.name]) for r in posed]


def _onto_z(up: Array) -> Array:
    return np.asarray(ray_rotation(up).T if up[2] > -.9999 else np.diag([1., -1., -1.]))


def _stood(r: Recorded, turn: Array) -> Recorded:
    X = np.asarray(r.X, float) @ turn.T
    X[..., 2] += _ANKLE_M - X[..., 2].min(1, keepdims=True)              # NaN where a joint is not known
    return replace(r, X=X, R=None, t=None, K=None)


def poses_of(recordings: Sequence[Recorded]) -> NDArray[np.float32]:
    """(N, 17, 3) m: all instants with all 17 joints."""
    return np.concatenate([_whole(r) for r in recordings]).astype(np.float32)


def _whole(r: Recorded) -> Array:
    X = np.asarray(r.X, float)
    return X[np.isfinite(X).all((1, 2))]
