# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Joints in an image, and how far each lies behind the pelvis, to a pose: what networks of images with depth tell.

Such a network sees sizes in the image, not the camera: the unit of depth is the reference bone, thorax to pelvis. With
the focal length, that bone's length says how far away the pelvis is (Iqbal et al., CVPR 2020; methods.md 4.3).
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .body import BONE_PRIOR_M
from .rotation import ray_rotation
from .skeleton import BONE_NAMES, BONES, JOINTS, PARENTS

__all__ = ['END_ON', 'FARTHEST', 'FORESHORTENED', 'NEAREST', 'OTHER_BONES', 'REFERENCE', 'REFERENCE_M',
           'pose_with_depth']

Array = NDArray[np.float64]

_J = {name: i for i, name in enumerate(JOINTS)}
#: pelvis and thorax: long, hardly ever hidden, nearly rigid
REFERENCE = (_J['pelvis'], _J['thorax'])
#: bones (joint, joint, index) that tell the distance where that one points at the camera
OTHER_BONES = tuple((a, b, k) for k, (a, b) in enumerate(BONES) if BONE_NAMES[k] in (
    'r_hip-r_knee', 'r_knee-r_ankle', 'l_hip-l_knee', 'l_knee-l_ankle', 'l_shoulder-l_elbow', 'l_elbow-l_wrist',
    'r_shoulder-r_elbow', 'r_elbow-r_wrist'))
#: its usual length, m
REFERENCE_M = float(sum(BONE_PRIOR_M[BONES.index((PARENTS[j], j))] for j in (_J['spine'], _J['thorax'])))
#: share of its length across the view below which it is taken to point at the camera; lengths of it that
#: anybody is away
FORESHORTENED, NEAREST, FARTHEST = .3, 1.5, 80.
#: least of a discriminant, share of what a bone across the view has
END_ON = 1e-3
_SMALLEST = 1e-6
#: of a joint that was not seen and is put where its parent is, in lengths of the reference bone
_UNSEEN = 1.
_A, _B = (np.array([REFERENCE[i], *(bone[i] for bone in OTHER_BONES)]) for i in (0, 1))
_LENGTH = np.array([1., *(BONE_PRIOR_M[k] / REFERENCE_M for _, _, k in OTHER_BONES)])


def pose_with_depth(kp: Array, seen: NDArray[np.bool_], depth: Array, sigma: Array,
                    K: Array) -> tuple[Array, Array] | None:
    """A pose as a lifter would give it.

    Args:
        kp: (17, 2) px, undistorted.  seen: (17,) which of them, and whose depths, are known.
        depth: (17,) behind the pelvis along the ray to it, in lengths of the reference bone.
        sigma: (17,) standard deviation of a joint's place in that unit.
        K: (3, 3) px, known or guessed.

    Returns:
        joints (17, 3) relative to the pelvis, camera axes, root mean square distance 1, and sigma (17,) in that unit:
        large for joints that were not seen, which lie where their parents do. None where the pelvis was not seen, or
        no bone tells how far away it is.
    """
    if not seen[0]:
        return None
    rays = np.concatenate([np.where(seen[:, None], kp, kp[:1]), np.ones((17, 1))], 1) @ np.linalg.inv(K).T
    turn = ray_rotation(rays[0])
    rays = rays @ turn
    p = rays[:, :2] / np.maximum(rays[:, 2:], .1)
    d = np.where(seen, depth - depth[0], 0.)
    q = _root_depth(p, d, seen)
    if q is None:
        return None
    X = np.maximum(q + d, .2)[:, None] * np.concatenate([p, np.ones((17, 1))], 1)
    X = (X - X[0]) @ turn.T
    spread = np.where(seen, sigma, _UNSEEN)
    for j in range(1, 17):
        if not seen[j]:
            X[j] = X[PARENTS[j]]
    size = max(float(np.sqrt((X * X).sum(-1).mean())), _SMALLEST)
    return X / size, np.maximum(spread / size, 1e-3)


def _root_depth(p: Array, d: Array, seen: NDArray[np.bool_]) -> float | None:
    """Larger root of the quadratic in the pelvis' distance that a bone's length sets up; see the module's source."""
    use = seen[_A] & seen[_B]
    m, n, dm, dn = p[_A], p[_B], d[_A], d[_B]
    mn = (m * n).sum(-1)
    a = ((n - m) ** 2).sum(-1)
    b = 2 * (dn * ((n * n).sum(-1) - mn) + dm * ((m * m).sum(-1) - mn))
    c = ((n * dn[:, None] - m * dm[:, None]) ** 2).sum(-1) + (dn - dm) ** 2 - _LENGTH ** 2
    root = np.sqrt(np.maximum(b * b - 4 * a * c, 4 * a * _LENGTH ** 2 * END_ON))
    q = np.clip((root - b) / (2 * np.maximum(a, _SMALLEST)), NEAREST, FARTHEST)
    across = a * q ** 2 / _LENGTH ** 2
    if use[0] and across[0] > FORESHORTENED ** 2:
        return float(q[0])
    share = np.where(use[1:], np.minimum(across[1:], 1.), 0.) ** 4
    return float((share * q[1:]).sum() / share.sum()) if share.sum() > FORESHORTENED ** 8 else None
