# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Rotations: so(3) exponential and logarithm, averaging, Procrustes; never a reflection."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ['angle_deg', 'cross_matrix', 'exp', 'log', 'mean_rotation', 'nearest_rotation', 'quaternion',
           'ray_rotation', 'rigid_alignment', 'similarity_alignment']

Array = NDArray[np.float64]


def cross_matrix(w: Array) -> Array:
    """Vectors (..., 3) to matrices (..., 3, 3) that take the cross product with them."""
    z = np.zeros(w.shape[:-1])
    return np.stack([np.stack([z, -w[..., 2], w[..., 1]], -1), np.stack([w[..., 2], z, -w[..., 0]], -1),
                     np.stack([-w[..., 1], w[..., 0], z], -1)], -2)


def exp(w: Array) -> Array:
    """Rotation vectors (..., 3) rad -> (..., 3, 3)."""
    th2 = (w * w).sum(-1)[..., None, None]
    th = np.sqrt(th2)
    small = th2 < 1e-10                                    # series, so that tiny steps stay exact
    safe = np.where(small, 1., th)
    a = np.where(small, 1 - th2 / 6, np.sin(th) / safe)
    b = np.where(small, .5 - th2 / 24, (1 - np.cos(th)) / (safe * safe))
    A = cross_matrix(w)
    return np.asarray(np.eye(3) + a * A + b * (A @ A))


def log(R: Array) -> Array:
    """(..., 3, 3) -> rotation vectors (..., 3) rad, length in 0..pi."""
    q = _quaternion(R)
    v, w = q[..., 1:], q[..., :1]
    n = np.linalg.norm(v, axis=-1, keepdims=True)
    return np.asarray(np.where(n < 1e-12, 2 * v, 2 * np.arctan2(n, w) * v / np.where(n < 1e-12, 1., n)))


def quaternion(R: Array) -> Array:
    """(..., 3, 3) -> (..., 4) in the order x y z w of ROS, w >= 0."""
    return np.roll(_quaternion(R), -1, axis=-1)


def _quaternion(R: Array) -> Array:
    """(..., 3, 3) -> (..., 4) w >= 0; the largest component is taken as pivot, so no angle is special."""
    t = np.trace(R, axis1=-2, axis2=-1)
    diag = np.diagonal(R, axis1=-2, axis2=-1)
    q2 = np.concatenate([(1 + t)[..., None], 1 + 2 * diag - t[..., None]], -1)      # 4 q_i^2
    m = np.empty(R.shape[:-2] + (4, 4))
    a = np.stack([R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0], R[..., 1, 0] - R[..., 0, 1]], -1)
    m[..., 0, 0] = q2[..., 0]
    m[..., 0, 1:] = a
    m[..., 1:, 0] = a
    m[..., 1:, 1:] = R + np.swapaxes(R, -1, -2)
    for i in range(3):
        m[..., i + 1, i + 1] = q2[..., i + 1]
    k = np.argmax(q2, -1)
    q = np.take_along_axis(m, k[..., None, None], -2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.asarray(np.where(q[..., :1] < 0, -q, q))


def angle_deg(A: Array, B: Array) -> Array:
    """Angle between rotations (..., 3, 3), degrees."""
    return np.rad2deg(np.linalg.norm(log(A @ np.swapaxes(B, -1, -2)), axis=-1))


def nearest_rotation(M: Array) -> Array:
    """Rotation closest to (..., 3, 3) in the Frobenius norm, det +1."""
    U, _, Vt = np.linalg.svd(M)
    d = np.sign(np.linalg.det(U @ Vt))
    U = U.copy()
    U[..., :, 2] *= d[..., None]
    return np.asarray(U @ Vt)


def mean_rotation(R: Array, weights: Array | None = None) -> Array:
    """Chordal mean of (N, 3, 3) with weights (N,)."""
    w = np.ones(len(R)) if weights is None else weights
    return nearest_rotation(np.einsum('n,nij->ij', w, R))


def rigid_alignment(p: Array, g: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """R, t of least squares with g = R p + t for points (N, 3); see `similarity_alignment`."""
    _, R, t = similarity_alignment(p, g, weights, with_scale=False)
    return R, t


def similarity_alignment(
    p: Array, g: Array, weights: Array | None = None, with_scale: bool = True,
) -> tuple[Any, Array, Array]:
    """s, R, t of least squares with g = s R p + t for points (..., N, 3), det R = +1 (Umeyama 1991).

    weights: (N,). Returns s (...), a float for one set of points, R (..., 3, 3) and t (..., 3).
    """
    w = np.ones(p.shape[-2]) if weights is None else np.asarray(weights, float)
    w = w / w.sum()
    mp, mg = w @ p, w @ g
    pc, gc = p - mp[..., None, :], g - mg[..., None, :]
    U, S, Vt = np.linalg.svd(np.swapaxes(gc * w[:, None], -1, -2) @ pc)
    d = np.ones(S.shape)
    d[..., 2] = np.sign(np.linalg.det(U @ Vt))
    R = (U * d[..., None, :]) @ Vt
    s = np.ones(S.shape[:-1])
    if with_scale:
        s = (S * d).sum(-1) / np.maximum((w[:, None] * pc * pc).sum((-1, -2)), 1e-300)
    t = mg - ((s[..., None, None] * R) @ mp[..., None])[..., 0]
    return s if S.ndim > 1 else float(s), R, t


def ray_rotation(ray: Array) -> Array:
    """Smallest rotation (..., 3, 3) that takes the optical axis (0, 0, 1) to rays (..., 3) in front of the camera."""
    r = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
    x, y, z = r[..., 0], r[..., 1], r[..., 2]
    k = 1 / (1 + z)
    return np.stack([np.stack([1 - k * x * x, -k * x * y, x], -1), np.stack([-k * x * y, 1 - k * y * y, y], -1),
                     np.stack([-x, -y, z], -1)], -2)
