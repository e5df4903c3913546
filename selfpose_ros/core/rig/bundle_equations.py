# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The linear equations of a bundle adjustment: residuals with their derivatives, and the normal equations in blocks, of
the poses (51 each), of the cameras and bones, and between them.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..body import BONE_A, BONE_B, BONE_PRIOR_M
from ..cameras import CameraLayout
from ..robust import robust_weight
from ..skeleton import PARENTS
from .bundle_problem import BundleProblem, BundleState, bone_prior, bone_vectors, pose_lengths

__all__ = ['centre_equations', 'gathered', 'held_parameters', 'linearise', 'normal_equations', 'pose_covariance']

Array = NDArray[np.float64]

_J, _B = len(PARENTS), len(BONE_PRIOR_M)
#: a joint is within this of where it is estimated, m, whatever is seen of it
_POINT_M = .5


def linearise(s: BundleState, p: BundleProblem) -> tuple[Array, Array, Array]:
    """Residuals r (N, V, 17, 2) in standard deviations, and their derivatives with respect to the points
    JX (N, V, 17, 2, 3) and to each camera's parameters Jc (N, V, 17, 2, EACH), see `CameraLayout`; 0 where unseen.
    """
    px, JX, Jc = s.cameras.project_jacobian(s.X)
    k = np.where(np.isfinite(p.sigma), 1 / p.sigma, 0.)
    JX *= k[..., None, None]
    Jc *= k[..., None, None]
    return (px - p.kp) * k[..., None], JX, Jc


def _lens_equations(s: BundleState, p: BundleProblem) -> tuple[Array, Array]:
    """Gradient (V * EACH,) and matrix of the prior of focal lengths and lenses."""
    layout = s.cameras.layout
    g, H = np.zeros(layout.size), np.zeros((layout.size, layout.size))
    if p.lens is not None:
        own, both = p.lens.normal_equations(s.cameras)
        layout.split(g)[:, layout.INTRINSIC] = own
        blocks = H.reshape(layout.cameras, layout.EACH, layout.cameras, layout.EACH)
        blocks[:, layout.INTRINSIC, :, layout.INTRINSIC] = both
    else:
        free = p.log_focal_sigma > 0
        i = layout.focal[free]
        H[i, i] = 1 / p.log_focal_sigma[free] ** 2
        g[i] = (np.log(s.cameras.focal) - p.log_focal)[free] / p.log_focal_sigma[free] ** 2
    return p.temper * g, p.temper * H


def normal_equations(
    s: BundleState, p: BundleProblem, scale: float, kind: str, prior: tuple[Array, Array],
) -> tuple[Array, Array, Array, Array, Array]:
    """Hxx (N,51,51), Hxc (N,51,K), Hcc (C,C), gx (N,51), gc (C,).

    C counts the cameras' parameters, then 16 bones for each person; K the cameras' and the bones of the pose's person.
    """
    N, V = p.kp.shape[:2]
    layout = s.cameras.layout
    r, JX, Jc = linearise(s, p)
    root = np.sqrt(robust_weight((r * r).sum(-1), scale, kind))
    r = r * root[..., None]
    JX *= root[..., None, None]
    Jc *= root[..., None, None]
    JXt = np.ascontiguousarray(JX.transpose(0, 2, 1, 3, 4)).reshape(N, _J, 2 * V, 3)
    rt = r.transpose(0, 2, 1, 3).reshape(N, _J, 2 * V, 1)
    blocks = np.matmul(JXt.swapaxes(-1, -2), JXt)
    gx = np.matmul(JXt.swapaxes(-1, -2), rt)[..., 0].reshape(N, 3 * _J)
    Hxx = np.zeros((N, _J, 3, _J, 3))
    jj = np.arange(_J)
    Hxx[:, jj, :, jj] = blocks.transpose(1, 0, 2, 3)
    Hxx = Hxx.reshape(N, 3 * _J, 3 * _J)
    nc = layout.size + _B * p.people
    Hxc = np.zeros((N, 3 * _J, layout.size + _B))
    cross = np.matmul(JX.swapaxes(-1, -2), Jc)                # N,V,J,3,EACH
    Hxc[:, :, :layout.size] = cross.transpose(0, 2, 3, 1, 4).reshape(N, 3 * _J, layout.size)
    Hcc, gc = np.zeros((nc, nc)), np.zeros(nc)
    flat = Jc.transpose(1, 0, 2, 3, 4).reshape(V, -1, layout.EACH)
    res = r.transpose(1, 0, 2, 3).reshape(V, -1, 1)
    layout.add_blocks(Hcc, np.matmul(flat.swapaxes(1, 2), flat))
    gc[:layout.size] = np.matmul(flat.swapaxes(1, 2), res).ravel()
    gradient, matrix = _lens_equations(s, p)
    Hcc[:layout.size, :layout.size] += matrix
    gc[:layout.size] += gradient
    L = slice(layout.size, nc)
    d = np.log(s.bones).ravel() - prior[0]
    Hcc[L, L] += prior[1]
    gc[L] += prior[1] @ d
    if p.bone_weight:
        n, u = bone_vectors(s.X)
        lengths = pose_lengths(s, p)
        rb = (n - lengths) / p.bone_sigma
        wb = np.sqrt(p.bone_weight * robust_weight(rb * rb, 3., 'cauchy'))
        kb = wb / p.bone_sigma
        B = np.zeros((N, _B, _J, 3))
        b = np.arange(_B)
        B[:, b, BONE_B] = u * kb[..., None]
        B[:, b, BONE_A] = -u * kb[..., None]
        B = B.reshape(N, _B, 3 * _J)
        JL = -lengths * kb                                   # d residual / d log length, (N, 16)
        Bt = B.swapaxes(1, 2)
        Hxx += np.matmul(Bt, B)
        gx += np.matmul(Bt, (rb * wb)[..., None])[..., 0]
        Hxc[:, :, layout.size:] = Bt * JL[:, None]
        for q, of in p.by_person():
            own = slice(layout.size + _B * q, layout.size + _B * (q + 1))
            Hcc[own, own] += np.diag((JL[of] * JL[of]).sum(0))
            gc[own] += (JL[of] * rb[of] * wb[of]).sum(0)
    return Hxx, Hxc, Hcc, gx, gc


def pose_covariance(s: BundleState, p: BundleProblem, scale: float, kind: str) -> Array:
    """(N, 17, 3, 17, 3) m2 of the joints of each pose, with cameras and lengths of bones held."""
    H = normal_equations(s, p, scale, kind, bone_prior(p))[0]
    return np.linalg.inv(H + np.eye(H.shape[-1]) / _POINT_M ** 2).reshape(-1, _J, 3, _J, 3)


def centre_equations(s: BundleState, p: BundleProblem, scale: float, kind: str) -> tuple[Array, Array, Array, Array]:
    """What normal equations lack of principal points, px: derivatives of the gradient (C, 2 V) of cameras and bones,
    and (N, 51, 2 V) of the points, by the pixels that they move; of their own, each by itself (2 V,); and their
    gradient (2 V,).
    """
    N, V = p.kp.shape[:2]
    layout = s.cameras.layout
    r, JX, Jc = linearise(s, p)
    inverse = np.where(np.isfinite(p.sigma), 1 / p.sigma, 0.)
    w = robust_weight((r * r).sum(-1), scale, kind) * inverse
    by_camera = np.zeros((layout.size + _B * p.people, 2 * V))
    by_point = np.zeros((N, _J, 3, V, 2))
    for v in range(V):
        by_camera[layout.camera(v), 2 * v:2 * v + 2] = np.einsum('nj,njak->ka', w[:, v], Jc[:, v])
        by_point[:, :, :, v] = w[:, v, :, None, None] * JX[:, v].swapaxes(-1, -2)
    return (by_camera, by_point.reshape(N, 3 * _J, 2 * V), np.repeat((w * inverse).sum((0, 2)), 2),
            np.einsum('nvj,nvjk->vk', w, r).ravel())


def gathered(p: BundleProblem, layout: CameraLayout, kept: NDArray[np.int64], A: Array, B: Array) -> Array:
    """Sum over the poses of A' B, A (N, 51, K), B (N, 51, K) or (N, 51), in the places of all C parameters: (C, C) or
    (C,). kept: (K,) which of the cameras' parameters and the bones of one person the columns are.

    A pose concerns the cameras and the bones of its own person alone, so that many people cost as much as many poses
    of one.
    """
    nc = layout.size + _B * p.people
    out = np.zeros((nc,) * (B.ndim - 1))
    for q, of in p.by_person():
        at = np.where(kept < layout.size, kept, kept + _B * q)
        if B.ndim == 2:
            out[at] += np.einsum('nia,ni->a', A[of], B[of], optimize=True)
        else:
            out[np.ix_(at, at)] += np.einsum('nia,nib->ab', A[of], B[of], optimize=True)
    return out


def held_parameters(p: BundleProblem) -> NDArray[np.bool_]:
    """Camera parameters that do not move: the first camera's pose (or all of them), known focal lengths."""
    layout = CameraLayout(p.kp.shape[1])
    held = np.zeros(layout.size + _B * p.people, bool)
    cameras = layout.split(held)
    cameras[:layout.cameras if p.hold_cameras else 1, layout.POSE] = True
    cameras[:, layout.FOCAL] = p.log_focal_sigma <= 0
    cameras[:, layout.LENS] = True if p.lens is None else ~p.lens.distorted[:, None]
    return held
