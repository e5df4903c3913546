# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""First guesses of a rig from 2D joints over many instants; bundle adjustment makes the best of them good.

Ways that fail on different inputs: `factorise` (three views or more, weak perspective, uses all instants at once;
Tomasi and Kanade 1992 with the metric constraints of scaled orthography), `from_pairs` (essential matrices, needs
perspective and a guess of the focal lengths, works from two views; chained by the best-supported pairs) and
`from_lifted` (what a lifting network made of each view: rough, but from the first instant on, and never mirrored).
"""
from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .. import rotation
from ..body import BONE_PRIOR_M
from ..fusion.lifted import lifted_rig

__all__ = ['factorise', 'from_lifted', 'from_pairs']

Array = NDArray[np.float64]
Cameras = tuple[Array, Array]
#: joints' RMS distance from the body's centroid across a viewing direction, m
_BODY_RMS_M = 0.50


def factorise(rays: Array, weight: Array, rounds: int = 12) -> list[Cameras]:
    """Cameras (R (V,3,3), t (V,3)) up to scale, both of the mirror pair; empty when it does not work out.

    Args:
        rays: (N, V, J, 2) normalised image coordinates.  weight: (N, V, J) >= 0, 0 = unseen.
    """
    N, V, J = weight.shape
    if V < 3:
        return []
    W = np.where(weight[..., None] > 0, rays, 0.)
    seen = weight > 0
    common = seen.all(1)                                         # the centroid must be of the same joints in all views
    if common.sum() < 12:
        common = seen.sum(1) >= 2
    w = weight / (weight[seen].mean() if seen.any() else 1.)
    cw = (w.min(1) * common)[:, None]
    centre = (W * cw[..., None]).sum(2) / np.maximum(cw.sum(2), 1e-9)[..., None]     # N,V,2
    W = W - centre[:, :, None]
    ok = common & (cw[:, 0] > 0)
    n, j = np.nonzero(ok)
    if len(n) < 12:
        return []
    M = W[n, :, j].transpose(1, 2, 0).reshape(2 * V, -1)           # 2V x P
    G = np.repeat(w[n, :, j].T, 2, axis=0)
    G = np.minimum(G, np.quantile(G, .9))
    fit = M.copy()
    gain = G / G.max()
    A = np.zeros((2 * V, 3))
    for _ in range(rounds):                                      # weighted rank 3 by majorisation, outliers re-weighted
        blend = gain * M + (1 - gain) * fit
        U, S, Vt = np.linalg.svd(blend, full_matrices=False)
        A = U[:, :3] * S[:3]
        fit = A @ Vt[:3]
        r = np.repeat(np.sqrt((((M - fit) ** 2).reshape(V, 2, -1)).sum(1)), 2, axis=0)
        s = 1.5 * np.median(r) + 1e-12
        gain = G / G.max() / (1 + (r / (2 * s)) ** 2)
    A = A / np.sqrt((A * A).sum() / (2 * V))
    Q = _metric(A.reshape(V, 2, 3))
    if Q is None:
        return []
    evals, evecs = np.linalg.eigh(Q)
    evals = np.maximum(evals, 1e-3 * evals[-1])
    T = evecs * np.sqrt(evals)
    out = []
    for mirror in (np.eye(3), np.diag([1., 1., -1.])):
        B = A.reshape(V, 2, 3) @ T
        i, k = B[:, 0], B[:, 1]
        scale = .5 * (np.linalg.norm(i, axis=-1) + np.linalg.norm(k, axis=-1))
        R = rotation.nearest_rotation(np.stack([i, k, np.cross(i, k) / scale[:, None]], 1) / scale[:, None, None])
        R = mirror @ R @ mirror                                     # depth reversal: same images under weak perspective
        # distance from the size of the body in the image
        spread = np.sqrt((fit.reshape(V, 2, -1) ** 2).sum(1).mean(-1))
        out.append((R, float(np.mean(_BODY_RMS_M / spread * scale)) / scale))
    return [_place(R, z, centre) for R, z in out]


def _metric(A: Array) -> Array | None:
    """Symmetric Q with a1 Q a1 = a2 Q a2 and a1 Q a2 = 0 for every view; None when it is not a metric."""
    idx = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]

    def row(a: Array, b: Array) -> list[float]:
        return [float(a[i] * b[k] + (a[k] * b[i] if i != k else 0)) for i, k in idx]

    rows, rhs = [], []
    for a in A:
        rows += [list(np.subtract(row(a[0], a[0]), row(a[1], a[1]))), row(a[0], a[1])]
        rhs += [0., 0.]
    rows.append(list(np.mean([np.add(row(a[0], a[0]), row(a[1], a[1])) for a in A], 0)))
    rhs.append(2.)
    q = np.linalg.lstsq(np.array(rows), np.array(rhs), rcond=None)[0]
    Q = np.zeros((3, 3))
    for (i, k), v in zip(idx, q, strict=True):
        Q[i, k] = Q[k, i] = v
    return Q if np.linalg.eigvalsh(Q)[-1] > 0 else None


def _place(R: Array, z: Array, centre: Array) -> Cameras:
    """Translations from the mean image position and distance (V,) m of the body: the body is at the origin."""
    c = np.median(centre, 0)                                        # V,2 normalised
    return R, np.concatenate([c * z[:, None], z[:, None]], -1)


def from_pairs(rays: Array, weight: Array, focal_px: Array, *, seed: int = 0) -> list[Cameras]:
    """Cameras up to scale from essential matrices, chained along the best pairs; [] when that fails."""
    N, V, J = weight.shape
    flat = rays.transpose(1, 0, 2, 3).reshape(V, -1, 2)
    w = weight.transpose(1, 0, 2).reshape(V, -1)
    pairs: dict[tuple[int, int], tuple[float, Array, Array, NDArray[np.int64]]] = {}
    for a in range(V):
        for b in range(a + 1, V):
            found = _pair(flat[a], flat[b], np.sqrt(w[a] * w[b]), 8. / float(np.sqrt(focal_px[a] * focal_px[b])), seed)
            if found is not None:
                pairs[a, b] = found
    if not pairs:
        return []
    # grow from the best pair; each further camera by the strongest pair to a placed one, baseline scaled by the points
    (a, b), (_, R, t, _) = max(pairs.items(), key=lambda kv: kv[1][0])
    Rs, ts = {a: np.eye(3), b: R}, {a: np.zeros(3), b: t}
    from ..fusion.triangulation import triangulate
    while len(Rs) < V:
        known = sorted(Rs)
        X = triangulate(rays[:, known], weight[:, known], np.array([Rs[k] for k in known]),
                        np.array([ts[k] for k in known]), rounds=3, scale=3.).reshape(-1, 3)
        best = None
        for c in sorted(set(range(V)) - set(known)):
            ok = np.isfinite(X).all(-1) & (w[c] > 0) & (w[c] >= np.quantile(w[c], .3))
            if ok.sum() < 12:
                continue
            placed = _resected(X[ok], flat[c][ok], 15. / float(focal_px[c]))
            if placed is not None and (best is None or placed[0] > best[0]):
                best = (placed[0], c, placed[1], placed[2])
        if best is None:
            return []
        Rs[best[1]], ts[best[1]] = best[2], best[3]
    R_all, t_all = np.array([Rs[v] for v in range(V)]), np.array([ts[v] for v in range(V)])
    return [(R_all @ R_all[0].T, t_all - (R_all @ R_all[0].T) @ t_all[0])]


def _resected(X: Array, rays: Array, threshold: float) -> tuple[int, Array, Array] | None:
    """Inliers, R and t of the camera that sees points X (N, 3) at rays (N, 2); None: there is none."""
    try:
        good, rvec, tvec, inliers = cv2.solvePnPRansac(
            X, rays, np.eye(3), np.zeros(5), flags=cv2.SOLVEPNP_SQPNP, iterationsCount=200, reprojectionError=threshold,
            confidence=.999)
    except cv2.error:                                      # its answer to points or rays that are all in one place
        return None
    if not good or inliers is None:
        return None
    return len(inliers), np.asarray(cv2.Rodrigues(rvec)[0], float), np.asarray(tvec, float).ravel()


def from_lifted(rays: Array, weight: Array, lifted: Array, sigma: Array) -> list[Cameras]:
    """Cameras from lifted poses (N, V, 17, 3) with sigma (N, V, 17), NaN where there is none; [] when that fails.

    Relative rotations averaged over the instants, translations from where the body stands before each camera.
    """
    rows = np.isfinite(lifted[..., 0, 0]).sum(1) >= 2
    if not rows.any():
        return []
    found = lifted_rig(lifted[rows], sigma[rows], rays[rows], weight[rows], BONE_PRIOR_M)
    return [] if found is None else [(found.R @ found.R[0].T, found.t - (found.R @ found.R[0].T) @ found.t[0])]


def _pair(a: Array, b: Array, w: Array, threshold: float,
          seed: int) -> tuple[float, Array, Array, NDArray[np.int64]] | None:
    ok = np.nonzero((w > 0) & (w >= (np.quantile(w[w > 0], .3) if (w > 0).any() else 0)))[0]
    if len(ok) < 15:
        return None
    cv2.setRNGSeed(seed)
    E, mask = cv2.findEssentialMat(a[ok], b[ok], np.eye(3), cv2.USAC_MAGSAC, .999, threshold)
    if E is None or E.shape != (3, 3):
        return None
    n, R, t, _ = cv2.recoverPose(E, a[ok], b[ok], np.eye(3), mask=mask.copy())
    return (float(n), np.asarray(R, float), np.asarray(t, float).ravel(), ok) if n >= 12 else None
