# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recorded or virtual views lifted as at run time: every view by itself, through guessed intrinsics."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.lifting import Lifter, norm2d, pinhole
from selfpose_ros.core.noise import NoiseModel
from selfpose_ros.core.past_poses import window
from selfpose_ros.synthetic.clips import Clip

__all__ = ['Lifted', 'fused_views', 'lift_clip', 'lift_views', 'rotated_onto']

Array = NDArray[np.float64]

#: poses that the lifter gets at once
_BATCH = 2048


@dataclass(frozen=True)
class Lifted:
    """Lifted poses of T instants and V views, and the truth.

    Attributes:
        joints: (T, V, 17, 3) in camera axes, root mean square distance 1.  sigma: (T, V, 17).
        true: (T, V, 17, 3) mm, in camera axes, relative to the pelvis.
        rays: (T, V, 17, 2) what was seen, normalised image coordinates of the guessed cameras.
        k: (T, V, 17) inverse standard deviation of these, as it is assumed before anything is known.
    """

    joints: Array
    sigma: Array
    true: Array
    rays: Array
    k: Array


def lift_clip(lifter: Lifter, clip: Clip) -> Lifted:
    """All views of a clip, each by itself."""
    return lift_views(lifter, clip.keypoints.astype(float), clip.confidence.astype(float), clip.image_size,
                      clip.truth.R, clip.truth.joints.astype(float), clip.instant)


def lift_views(lifter: Lifter, kp: Array, conf: Array, image_size: Any, R: Array, X: Array,
               stamp: Array, at: NDArray[np.int64] | None = None) -> Lifted:
    """Every view by itself, through guessed intrinsics as at run time.

    Args:
        kp: (T, V, 17, 2) px, anything where conf (T, V, 17) is 0.  image_size: (V, 2) px.
        R: (V, 3, 3), or (T, V, 3, 3) of cameras that move: camera axes from the world's.
        X: (T, 17, 3) m, the truth; NaN = not known.
        stamp: (T,) s, rising.
        at: (N,) the instants that are wanted; None = all. The others are the past of these.

    Returns:
        Lifted poses of the instants `at`.
    """
    T, V = kp.shape[:2]
    at = np.arange(T) if at is None else at
    K = np.stack([pinhole(None, (int(w), int(h))) for w, h in image_size])
    n = norm2d(kp, conf, K)
    pose = np.concatenate([n.w2d, conf[..., None]], -1).astype(np.float32)                  # T, V, 17, 3
    joints, sigma = np.empty((len(at) * V, 17, 3)), np.empty((len(at) * V, 17))
    for part, batch in _batches(pose, lifter, stamp, at):
        joints[part], sigma[part] = lifter.lift(batch)
    away = 1e3 * (X - X[:, :1])[at]
    true = away[:, None] @ np.swapaxes(R[at] if R.ndim == 4 else R, -1, -2)
    focal = K[:, None, 0, 0]
    k = np.stack([f / NoiseModel.prior(size).sigma(conf[at, v])
                  for v, (f, size) in enumerate(zip(focal, image_size, strict=True))], 1)
    return Lifted(joints.reshape(-1, V, 17, 3) @ n.ray_rot[at].swapaxes(-1, -2), sigma.reshape(-1, V, 17), true,
                  (kp[at] - K[:, None, :2, 2]) / focal[..., None], k)


def _batches(pose: NDArray[np.float32], lifter: Lifter, stamp: Array,
             at: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Poses (T, V, 17, 3) as (N, 17, 3), or with their past (N, frames, 17, 3), instant by instant of `at`."""
    V = pose.shape[1]
    step = max(1, _BATCH // V)
    for i in range(0, len(at), step):
        now = at[i:i + step]
        batch = pose[now]
        if lifter.frames > 1:
            past = window(stamp, now, lifter.frames, lifter.interval_s)
            batch = np.moveaxis(pose[past], 1, 2)                                           # n, V, frames, 17, 3
        yield slice(i * V, (i + len(now)) * V), np.ascontiguousarray(batch).reshape(-1, *batch.shape[2:])


def fused_views(joints: Array, sigma: Array, rounds: int = 2) -> Array:
    """Poses (T, V, 17, 3) of V views made one, without cameras: turned onto their mean, averaged, turned back.

    Args:
        joints: unit size, relative to the pelvis.  sigma: (T, V, 17): joints weigh 1 / sigma^2; inf = a view that
            saw nothing.

    Returns:
        (T, V, 17, 3): the one pose of the instant in the axes of each view.
    """
    weight = sigma[..., None] ** -2.
    mean = joints[np.arange(len(joints)), np.isfinite(sigma).all(-1).argmax(1)][:, None]
    for _ in range(rounds):
        turned = rotated_onto(joints, mean)
        mean = (turned * weight).sum(1, keepdims=True) / np.maximum(weight.sum(1, keepdims=True), 1e-12)
    return rotated_onto(np.broadcast_to(mean, joints.shape), joints)


def rotated_onto(poses: Array, onto: Array) -> Array:
    """Poses (T, V, 17, 3) rotated about the pelvis onto others, least squares, no reflection."""
    U, _, Vt = np.linalg.svd(np.swapaxes(poses, -1, -2) @ onto)
    U[..., -1] *= np.where(np.linalg.det(U @ Vt) < 0, -1., 1.)[..., None]
    return np.asarray(poses @ (U @ Vt))
