# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lifted poses of one view or of several to one body that fits the 2D joints of all of them, without any rig.

The views' poses are turned onto each other, which gives a body and the cameras' rotations; `correction.correct` then
mends both. Bones keep their lengths over time: those are running means of what was lifted.
"""
from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from .. import rotation
from ..body import BONE_A, BONE_B, BONE_LOG_SIGMA, BONE_PRIOR_M, MIRROR_BONE
from ..correction import Corrected, CorrectionConfig, correct
from ..lifting import bone_information, metres

__all__ = ['RunningLengths', 'between', 'correct_views', 'pose_at', 'turned_together']

Array = NDArray[np.float64]

#: share of a corrected pose in what is shown: of one view, and of several, times their number: the more there are, the
#: more a filter knows. Measured, validation split
_OF_ONE, _OF_MANY = .5, 1.6
#: lengths of so many people are remembered
_KEPT = 64


class RunningLengths:
    """Lengths of the bones of each person, m: shares as lifted so far, both sides alike; size as told."""

    def __init__(self) -> None:
        self._sums: dict[Hashable, tuple[int, Array]] = {}

    def add(self, who: Hashable, joints: Array, like: Array = BONE_PRIOR_M) -> Array:
        """(16,) m after the lifted poses (V, 17, 3) of one more instant; as large as bones `like` (16,) m."""
        n = np.linalg.norm(joints[:, BONE_B] - joints[:, BONE_A], axis=-1).mean(0)
        count, total = self._sums.pop(who, (0, np.zeros(16)))
        self._sums[who] = count + 1, total + .5 * (n + n[MIRROR_BONE])         # the newest person last
        if len(self._sums) > _KEPT:
            del self._sums[next(iter(self._sums))]
        mean = np.maximum(self._sums[who][1] / (count + 1), 1e-6)
        w = BONE_LOG_SIGMA ** -2.
        return np.asarray(mean * np.exp((w * np.log(like / mean)).sum() / w.sum()))


def turned_together(joints: Array, sigma: Array, rounds: int = 2) -> tuple[Array, Array]:
    """Poses (N, V, 17, 3) of V views, relative to the pelvis, made one by rotations alone.

    Args:
        sigma: (N, V, 17): joints weigh 1 / sigma^2.

    Returns:
        The body (N, 17, 3), in axes near those of the first view, and R (N, V, 3, 3), each camera from these axes.
    """
    weight = sigma[..., None] ** -2.
    body = joints[:, 0]
    R = np.broadcast_to(np.eye(3), (*joints.shape[:2], 3, 3))
    for _ in range(rounds if joints.shape[1] > 1 else 0):
        R = rotation.nearest_rotation(np.matmul(joints.swapaxes(-1, -2), body[:, None]))
        body = (weight * np.matmul(joints, R)).sum(1) / weight.sum(1)
        body = body - body[:, :1]
    if joints.shape[1] > 1:
        R = rotation.nearest_rotation(np.matmul(joints.swapaxes(-1, -2), body[:, None]))
    return body, R


def correct_views(joints: Array, sigma: Array, rays: Array, k: Array, lengths: Array,
                  config: CorrectionConfig | None = None) -> tuple[Corrected, Array, Array]:
    """One body of each of N instants from what V views of it were lifted to, corrected by the 2D of all of them.

    Args:
        joints: (N, V, 17, 3) as `lifting.lift` gives them, sigma (N, V, 17).
        rays: (N, V, 17, 2) normalised image coordinates.  k: (N, V, 17) inverse standard deviation, 0 = unseen.
        lengths: (N, 16) m.

    Returns:
        Corrected poses, in axes near those of the first view; the poses before, (N, 17, 3) m; R (N, V, 3, 3), each
        camera from these axes, before.
    """
    body, R = turned_together(joints, sigma)
    body = body * metres(body, lengths)[:, None, None]
    spread = sigma * metres(joints, lengths[:, None])[..., None]
    seen = ((k > 0) & np.isfinite(rays).all(-1))[..., None]
    middle = np.where(seen, rays, 0.).sum(2) / np.maximum(seen.sum(2), 1)
    axis = np.concatenate([middle, np.ones_like(middle[..., :1])], -1)
    info = bone_information(spread, axis / np.linalg.norm(axis, axis=-1, keepdims=True))
    Q = R[:, :, None]
    info = np.matmul(np.matmul(Q.swapaxes(-1, -2), info), Q).sum(1)
    return correct(body, info, R, np.zeros(rays.shape[:2] + (3,)), rays, k, lengths, config), body, R


def pose_at(body: Array, like: Array) -> Array:
    """Body (17, 3), relative to its pelvis, turned onto joints (17, 3) and put where their pelvis is."""
    turn = rotation.nearest_rotation((like - like[0]).T @ body)
    return np.asarray(body @ turn.T + like[0])


def between(x: Array, joints: Array, sigma: Array, rays: Array, k: Array, lengths: Array) -> Array:
    """Joints (17, 3) m between those of a filter, x, and what lifted poses of one instant come to, corrected.

    Place and heading are the filter's; where the guards let nothing pass, all of it is.

    Args:
        joints (V, 17, 3), sigma (V, 17), rays (V, 17, 2), k (V, 17), lengths (16,): as in `correct_views`.
    """
    V = len(joints)
    found, *_ = correct_views(joints[None], sigma[None], rays[None], k[None], lengths[None])
    if not found.accepted[0]:
        return x
    share = _OF_ONE if V == 1 else min(_OF_MANY / V, 1.)
    return np.asarray(x + share * (pose_at(found.joints[0], x) - x))
