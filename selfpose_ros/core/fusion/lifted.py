# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lifted poses of several views to one body and to a first idea of the rig.

A lifted pose is a body in its own camera's axes: two of the same body tell how the cameras are turned against each
other, from the first instant on, and never mirrored. Where the body stands before each camera gives the rest. Errors
of a lifter lie mostly along its view, so views from the side mend each other.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import rotation
from ..body import BONE_A, BONE_B
from ..lifting import bone_information, depth_information, metres, place
from .triangulation import triangulate

__all__ = ['LiftedRig', 'align_views', 'body_in_world', 'bone_vectors', 'depth_agreement', 'fuse', 'lifted_rig']

Array = NDArray[np.float64]

#: relative rotations of one instant that are further from the mean than this do not count, degrees
_STRAY_DEG = 20.
#: views whose lifted poses differ by more than this, in units of the body's size, show different people
_OTHER_BODY = .6
#: pull of a triangulated joint to its lifted place, m
_PULL_M = .10


@dataclass(frozen=True)
class LiftedRig:
    """Cameras in the axes of the first, and the body at each instant.

    Attributes:
        R, t: (V, 3, 3), (V, 3) m, x_cam = R x + t; identity for the reference.  reference: index of that view.
        X: (N, 17, 3) m.  sigma_deg: (V,) predicted error of the rotations.
    """

    R: Array
    t: Array
    reference: int
    X: Array
    sigma_deg: Array


def align_views(joints: Array, sigma: Array, rounds: int = 3) -> tuple[Array, Array, int] | None:
    """How the cameras are turned: per instant by Procrustes, averaged over the instants without the strays.

    Args:
        joints: (N, V, 17, 3) relative to the pelvis, root mean square distance 1, axes of each camera; NaN = not seen.
        sigma: (N, V, 17) same unit.

    Returns:
        R (V, 3, 3), each camera from the reference view; predicted error (V,) degrees; the reference. None when a view
        has nothing in common with the others, or shows another body.
    """
    N, V = joints.shape[:2]
    seen = np.isfinite(joints).all((-1, -2))
    w = np.where(seen[..., None], 1 / np.where(seen[..., None], sigma, 1.) ** 2, 0.)
    y = np.where(seen[..., None, None], joints, 0.)
    ref = int(w.sum((0, 2)).argmax())
    # each view against the reference, one rotation an instant; then all of them against the mean body
    M = np.einsum('nvj,nvja,njb->nvab', np.sqrt(w * w[:, ref:ref + 1]), y, y[:, ref])
    both = seen & seen[:, ref:ref + 1]
    if not both.any(0).all():
        return None
    R, sigma_deg = np.tile(np.eye(3), (V, 1, 1)), np.zeros(V)
    for k in range(rounds + 1):
        if k:
            turned = np.einsum('vba,nvjb->nvja', R, y)               # in the reference's axes
            body = (w[..., None] * turned).sum(1, keepdims=True)
            body = body - w[..., None] * turned                        # of the others
            rest = (w.sum(1, keepdims=True) - w)
            body = body / np.maximum(rest, 1e-9)[..., None]
            M = np.einsum('nvj,nvja,nvjb->nvab', w * rest / np.maximum(w + rest, 1e-9), y, body)
            both = seen & (rest.sum(-1) > 0)
        for v in range(V):
            if v == ref and k == 0:
                continue
            n = np.nonzero(both[:, v])[0]
            each = rotation.nearest_rotation(M[n, v])
            mass = np.sqrt((M[n, v] ** 2).sum((-1, -2)))
            R[v], sigma_deg[v] = _mean(each, mass)
        R = R @ R[ref].T
    turned = np.einsum('vba,nvjb->nvja', R, y)
    off = np.linalg.norm(turned - turned[:, ref:ref + 1], axis=-1).mean(-1)
    apart = [float(np.median(off[both[:, v] & seen[:, ref], v])) for v in range(V) if v != ref]
    if max(apart, default=0.) > _OTHER_BODY:
        return None
    sigma_deg[ref] = 0.
    return R, sigma_deg, ref


def _mean(R: Array, weight: Array) -> tuple[Array, float]:
    """Mean of rotations (N, 3, 3) without those that stray, and its predicted error, degrees."""
    mean = rotation.mean_rotation(R, weight)
    if len(R) < 3:
        return mean, 12. / np.sqrt(max(len(R), 1))
    for _ in range(5):
        off = rotation.angle_deg(R, np.broadcast_to(mean, R.shape))
        w = weight / (1 + (off / _STRAY_DEG) ** 2) ** 2
        mean = rotation.mean_rotation(R, w)
    good = off < max(_STRAY_DEG, float(np.median(off)))
    spread = float(np.sqrt((off[good] ** 2).mean()))
    # poses of neighbouring instants are lifted wrongly alike: one in ten counts, and a part never averages out
    return mean, float(np.hypot(max(spread, 4.) / np.sqrt(max(len(R) / 10., 1.)), 3.))


def fuse(joints: Array, sigma: Array, R: Array) -> tuple[Array, Array]:
    """Bodies in the reference's axes from views with known rotations: mean by information, depth being least sure.

    Args:
        joints: (N, V, 17, 3) relative to the pelvis in each camera's axes; NaN = not seen.  sigma: (N, V, 17).
        R: (V, 3, 3) camera from reference.

    Returns:
        (N, 17, 3) and standard deviation per axis (N, 17), same unit.
    """
    seen = np.isfinite(joints).all(-1)
    y = np.einsum('vba,nvjb->nvja', R, np.where(seen[..., None], joints, 0.))
    info = depth_information(np.where(seen, sigma, 1.), R[:, 2]) * seen[..., None, None]
    total = info.sum(1) + 1e-9 * np.eye(3)
    x = np.linalg.solve(total, np.einsum('nvjab,nvjb->nja', info, y)[..., None])[..., 0]
    return x, np.sqrt(np.trace(np.linalg.inv(total), axis1=-2, axis2=-1) / 3)


def lifted_rig(joints: Array, sigma: Array, rays: Array, weight: Array, bones: Array) -> LiftedRig | None:
    """Cameras and bodies from lifted poses: rotations by `align_views`, translations from where the body is seen.

    Args:
        joints, sigma: as in `align_views`.
        rays: (N, V, 17, 2) normalised image coordinates.  weight: (N, V, 17) inverse variance of those, 0 = unseen.
        bones: (16,) m, of the body.

    Returns:
        None when the views have no common body.
    """
    found = align_views(joints, sigma)
    if found is None:
        return None
    R, sigma_deg, ref = found
    body, spread = fuse(joints, sigma, R)
    k = metres(body, bones)
    body, spread = body * k[:, None, None], spread * k[:, None]
    # the fused body, turned into each camera, is the better one to find the place with
    there = np.einsum('vab,njb->nvja', R, body)
    seen = np.isfinite(joints).all((-1, -2))
    at, _ = place(there, rays, np.where(seen[..., None], weight, 0.))          # N,V,3
    if not np.isfinite(at[:, ref]).any():
        return None
    t = np.zeros_like(R[:, 0])
    for v in range(len(R)):
        gap = at[:, v] - at[:, ref] @ R[v].T
        gap = gap[np.isfinite(gap).all(-1)]
        if not len(gap):
            return None
        t[v] = 0. if v == ref else np.median(gap, axis=0)
    places = np.einsum('vba,nvb->nva', R, at - t)
    with np.errstate(invalid='ignore'):
        middle = np.nanmedian(places, axis=1)
    middle = np.where(np.isfinite(middle), middle, np.nanmedian(at[:, ref], axis=0))
    X = body + middle[:, None]
    if len(R) > 1:
        X = triangulate(rays, weight, R, t, rounds=4, scale=5., ridge=1 / _PULL_M ** 2, toward=X)
    return LiftedRig(R, t, ref, X, sigma_deg)


def body_in_world(joints: Array, sigma: Array, rays: Array, weight: Array, R: Array, t: Array, bones: Array,
                  views: list[int]) -> Array | None:
    """Body (17, 3) m in the world of known cameras from the lifted poses of some of their views.

    Args:
        joints (L, 17, 3), sigma (L, 17): as `lifting.lift` gives them, of the cameras `views`.
        rays (V, 17, 2), weight (V, 17), R, t: of all cameras; 0 = unseen.  bones: (16,) m.

    Returns:
        None when nothing tells where the body stands.
    """
    body = fuse(joints[None], sigma[None], R[views])[0][0]
    body = body * metres(body, bones)
    at, _ = place(np.einsum('vab,jb->vja', R[views], body), rays[views], weight[views])
    root = np.einsum('vba,vb->va', R[views], at - t[views])
    root = root[np.isfinite(root).all(-1)]
    if not len(root):
        return None
    X = body + np.median(root, axis=0)
    if (weight > 0).any(-1).sum() > 1:
        X = triangulate(rays[None], weight[None], R, t, rounds=4, scale=5., ridge=1 / _PULL_M ** 2, toward=X[None])[0]
    return np.asarray(X)


def bone_vectors(joints: Array, sigma: Array, R: Array, t: Array, root: Array, lengths: Array) -> tuple[Array, Array]:
    """Bones (..., 16, 3) m, child minus parent in world axes, and the inverse covariance (..., 16, 3, 3) of each.

    Args:
        joints (..., V, 17, 3), sigma (..., V, 17): as `lifting.lift` gives them, of cameras R, t; sigma inf, with any
            finite joints, where there is no pose.
        root: (..., 3) m where the body is, for the direction in which each camera sees it.  lengths: (..., 16) m.
    """
    there = np.isfinite(sigma[..., :1, None])
    k = metres(joints, lengths[..., None, :])
    sigma = np.where(there[..., 0], sigma, 1.) * k[..., None]
    bones = np.matmul((joints[..., BONE_B, :] - joints[..., BONE_A, :]) * k[..., None, None], R)
    # from where the camera stands, in world axes
    toward = root[..., None, :] + np.einsum('vba,vb->va', R, t)
    axis = toward / np.maximum(np.sqrt((toward * toward).sum(-1, keepdims=True)), 1e-6)
    info = np.where(there[..., None], bone_information(sigma, axis), 0.)
    total = info.sum(-4)
    pull = np.matmul(info, bones[..., None]).sum(-4)
    return np.linalg.solve(total, pull)[..., 0], total


def depth_agreement(X: Array, R: Array, joints: Array, sigma: Array) -> float:
    """-1..1: how alike bodies X (N, 17, 3) and their lifted poses lie in depth, seen from each camera R (V, 3, 3).

    A mirrored world shows every body turned inside out along the view: the sign tells. 0 without lifted poses.
    """
    z = np.einsum('vk,njk->nvj', R[:, 2], X - X[:, :1])
    seen = np.isfinite(joints[..., 2]) & np.isfinite(z)
    w = np.where(seen, 1 / np.where(seen, sigma, 1.) ** 2, 0.)
    a, b = np.where(seen, z, 0.), np.where(seen, joints[..., 2], 0.)
    size = float((w * a * a).sum() * (w * b * b).sum())
    return float((w * a * b).sum() / np.sqrt(size)) if size > 0 else 0.
