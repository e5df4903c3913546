# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Bundle adjustment of cameras, a moving body and its bone lengths from 2D joints alone.

Unknown: per camera rotation, translation and log focal length; 17 joints per instant; 16 log bone lengths. What ties
the instants together, besides the cameras that stand still, is that bones keep their length and that bodies are about
symmetric and of human size: with two views this is what fixes the focal lengths, with more it makes the rig stiff.
Levenberg-Marquardt on the reduced camera system (Schur complement over the instants, each a dense 51 x 51 block);
robust weights by iterative re-weighting. Gauge: the first camera is the frame of reference.
"""
from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .. import rotation
from ..body import BONE_A, BONE_B, BONE_LOG_SIGMA, BONE_PRIOR_M, MIRROR_BONE

__all__ = ['BundleProblem', 'BundleState', 'BundleResult', 'adjust', 'linearise', 'pixels', 'residuals', 'robust_cost',
           'robust_weight']

Array = NDArray[np.float64]

_J, _B = 17, 16
#: how exactly a detector's bone keeps its length from one instant to the next, m (sigma), until it is measured
BONE_SIGMA_M = np.array([.012, .012, .012, .012, .012, .012, .02, .015, .02, .015, .015, .012, .012, .015, .012, .012])
#: left and right bones of one person differ by this much, log
SYMMETRY_LOG_SIGMA = 0.02
_GAUGE_LOG_SIGMA = 1e-3


@dataclass(frozen=True)
class BundleProblem:
    """What is given.

    Attributes:
        kp: (N, V, 17, 2) undistorted px, any number where unseen.
        sigma: (N, V, 17) px standard deviation of each observation; inf = unseen.
        centre: (V, 2) principal points, px.
        log_focal: (V,) prior of the log focal length and log_focal_sigma (V,) its spread; 0 = known, held.
        bone_mean: (16,) m prior lengths; bone_log_sigma (16,); the common scale stays at its mean.
        bone_sigma: (16,) m, how exactly a bone keeps its length from one instant to the next.
        bone_weight: 0 switches constancy of the bones off (first coarse steps).
        hold_cameras: the poses of all cameras are known and held, up to the common scale.
    """

    kp: Array
    sigma: Array
    centre: Array
    log_focal: Array
    log_focal_sigma: Array
    bone_mean: Array = field(default_factory=lambda: BONE_PRIOR_M.copy())
    bone_log_sigma: Array = field(default_factory=lambda: BONE_LOG_SIGMA.copy())
    bone_sigma: Array = field(default_factory=lambda: BONE_SIGMA_M.copy())
    bone_weight: float = 1.
    hold_cameras: bool = False

    def take(self, index: Array) -> BundleProblem:
        """The same problem on some of its instants."""
        return replace(self, kp=self.kp[index], sigma=self.sigma[index])


@dataclass
class BundleState:
    """Cameras x_cam = R x + t, points (N, 17, 3) m, bones (16,) m."""

    R: Array
    t: Array
    focal: Array
    X: Array
    bones: Array

    def copy(self) -> BundleState:
        return BundleState(*(a.copy() for a in (self.R, self.t, self.focal, self.X, self.bones)))


@dataclass(frozen=True)
class BundleResult:
    """State after adjustment; cost: robust, per observation; covariance of the camera parameters (7V, 7V) in the order
    (rotation vector rad, translation m, log focal) per camera, zero for what is held; steps taken.
    """

    state: BundleState
    cost: float
    covariance: Array
    steps: int
    robust_px: float


def robust_weight(e2: Array, scale: float, kind: str = 'gm') -> Array:
    """IRLS weight of squared normalised residuals: 'gm' Geman-McClure, 'cauchy', or 'l2'."""
    if kind == 'l2':
        return np.ones_like(e2)
    w = 1 / (1 + e2 / scale ** 2)
    return w * w if kind == 'gm' else w


def robust_cost(e2: Array, scale: float, kind: str) -> Array:
    """Loss that `robust_weight` belongs to."""
    if kind == 'l2':
        return .5 * e2
    c2 = scale ** 2
    return .5 * c2 * np.log1p(e2 / c2) if kind == 'cauchy' else .5 * c2 * e2 / (c2 + e2)


def _project(s: BundleState, centre: Array) -> tuple[Array, Array, Array]:
    """Rotated points Y, camera points C (N, V, 17, 3) and pixels (N, V, 17, 2)."""
    Y = np.matmul(s.X[:, None], np.swapaxes(s.R, 1, 2)[None])
    C = Y + s.t[:, None]
    z = np.maximum(C[..., 2:], .2)                          # a point behind a camera pulls like one close in front
    return Y, C, C[..., :2] / z * s.focal[:, None, None] + centre[:, None]


def pixels(s: BundleState, centre: Array) -> Array:
    """Projections (N, V, 17, 2) px of the state's points."""
    return _project(s, centre)[2]


def residuals(s: BundleState, p: BundleProblem) -> Array:
    """Squared normalised residuals (N, V, 17); 0 where unseen."""
    _, _, px = _project(s, p.centre)
    inv = np.where(np.isfinite(p.sigma), 1 / p.sigma, 0.)
    return (((px - p.kp) * inv[..., None]) ** 2).sum(-1)


def linearise(s: BundleState, p: BundleProblem) -> tuple[Array, Array, Array]:
    """Residuals r (N, V, 17, 2) in standard deviations, and their derivatives with respect to the points
    JX (N, V, 17, 2, 3) and to a camera's (rotation vector, translation, log focal) Jc (N, V, 17, 2, 7); 0 where unseen.
    """
    N, V = p.kp.shape[:2]
    Y, C, px = _project(s, p.centre)
    k = np.where(np.isfinite(p.sigma), 1 / p.sigma, 0.)
    r = (px - p.kp) * k[..., None]
    z = np.maximum(C[..., 2], .2)
    fz = s.focal[:, None] / z * k
    A = np.zeros((N, V, _J, 2, 3))
    A[..., 0, 0] = A[..., 1, 1] = fz
    A[..., 0, 2] = -fz * C[..., 0] / z
    A[..., 1, 2] = -fz * C[..., 1] / z
    A *= (C[..., 2] > .2)[..., None, None]
    Jc = np.empty((N, V, _J, 2, 7))
    Jc[..., :3] = np.cross(Y[..., None, :], A)               # A @ -[Y]x
    Jc[..., 3:6] = A
    Jc[..., 6] = (px - p.centre[:, None]) * k[..., None]
    return r, np.matmul(A, s.R[:, None]), Jc


def _bone_prior(p: BundleProblem) -> tuple[Array, Array]:
    """Mean (16,) and precision (16, 16) of the log bone lengths.

    The common scale is a gauge and pinned: left free it would shrink, so that the bones' residuals, in metres, get
    cheaper.
    """
    pair = np.zeros((_B, _B))
    for k, m in enumerate(MIRROR_BONE):
        if m > k:
            d = np.zeros(_B)
            d[k], d[m] = 1, -1
            pair += np.outer(d, d) / SYMMETRY_LOG_SIGMA ** 2
    w = 1 / p.bone_log_sigma ** 2
    w = w / w.sum()
    return np.log(p.bone_mean), np.diag(1 / p.bone_log_sigma ** 2) + np.outer(w, w) / _GAUGE_LOG_SIGMA ** 2 + pair


def _bones(X: Array) -> tuple[Array, Array]:
    d = X[:, BONE_B] - X[:, BONE_A]
    n = np.sqrt((d * d).sum(-1)) + 1e-9
    return n, d / n[..., None]


def _cost(s: BundleState, p: BundleProblem, scale: float, kind: str, prior: tuple[Array, Array]) -> float:
    c = robust_cost(residuals(s, p), scale, kind).sum()
    if p.bone_weight:
        n, _ = _bones(s.X)
        c += p.bone_weight * robust_cost(((n - s.bones) / p.bone_sigma) ** 2, 3., 'cauchy').sum()
    d = np.log(s.bones) - prior[0]
    c += .5 * d @ prior[1] @ d
    free = p.log_focal_sigma > 0
    c += .5 * (((np.log(s.focal) - p.log_focal)[free] / p.log_focal_sigma[free]) ** 2).sum()
    return float(c)


def _normal_equations(
    s: BundleState, p: BundleProblem, scale: float, kind: str, prior: tuple[Array, Array],
) -> tuple[Array, Array, Array, Array, Array]:
    """Hxx (N,51,51), Hxc (N,51,C), Hcc (C,C), gx (N,51), gc (C,), C = 7V + 16."""
    N, V = p.kp.shape[:2]
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
    nc = 7 * V + _B
    Hxc = np.zeros((N, 3 * _J, nc))
    cross = np.matmul(JX.swapaxes(-1, -2), Jc)                # N,V,J,3,7
    Hxc[:, :, :7 * V] = cross.transpose(0, 2, 3, 1, 4).reshape(N, 3 * _J, 7 * V)
    Hcc, gc = np.zeros((nc, nc)), np.zeros(nc)
    flat = Jc.transpose(1, 0, 2, 3, 4).reshape(V, -1, 7)
    res = r.transpose(1, 0, 2, 3).reshape(V, -1, 1)
    small, gs = np.matmul(flat.swapaxes(1, 2), flat), np.matmul(flat.swapaxes(1, 2), res)[..., 0]
    for v in range(V):
        Hcc[7 * v:7 * v + 7, 7 * v:7 * v + 7] = small[v]
        gc[7 * v:7 * v + 7] = gs[v]
    i = 7 * np.arange(V) + 6
    free = p.log_focal_sigma > 0
    Hcc[i[free], i[free]] += 1 / p.log_focal_sigma[free] ** 2
    gc[i[free]] += (np.log(s.focal) - p.log_focal)[free] / p.log_focal_sigma[free] ** 2
    L = slice(7 * V, nc)
    d = np.log(s.bones) - prior[0]
    Hcc[L, L] += prior[1]
    gc[L] += prior[1] @ d
    if p.bone_weight:
        n, u = _bones(s.X)
        rb = (n - s.bones) / p.bone_sigma
        wb = np.sqrt(p.bone_weight * robust_weight(rb * rb, 3., 'cauchy'))
        kb = wb / p.bone_sigma
        B = np.zeros((N, _B, _J, 3))
        b = np.arange(_B)
        B[:, b, BONE_B] = u * kb[..., None]
        B[:, b, BONE_A] = -u * kb[..., None]
        B = B.reshape(N, _B, 3 * _J)
        JL = -s.bones * kb                                    # d residual / d log length, (N, 16)
        Bt = B.swapaxes(1, 2)
        Hxx += np.matmul(Bt, B)
        gx += np.matmul(Bt, (rb * wb)[..., None])[..., 0]
        Hxc[:, :, L] = Bt * JL[:, None]
        Hcc[range(7 * V, nc), range(7 * V, nc)] += (JL * JL).sum(0)
        gc[L] += (JL * rb * wb).sum(0)
    return Hxx, Hxc, Hcc, gx, gc


def _held(p: BundleProblem) -> NDArray[np.bool_]:
    """Camera parameters that do not move: the first camera's pose (or all of them), known focal lengths."""
    V = p.kp.shape[1]
    held = np.zeros(7 * V + _B, bool)
    cameras = held[:7 * V].reshape(V, 7)
    cameras[:V if p.hold_cameras else 1, :6] = True
    cameras[:, 6] = p.log_focal_sigma <= 0
    return held


def adjust(
    state: BundleState, p: BundleProblem, *, scale: float = 3., kind: str = 'gm', steps: int = 20,
    tolerance: float = 1e-4, move_bones: bool = True, points_only: bool = False, covariance: bool = True,
) -> BundleResult:
    """Levenberg-Marquardt from `state` until the cost falls by less than `tolerance` of itself or `steps` are used.

    Args:
        scale: of the robust loss, in standard deviations of the observation.
        move_bones: adjust the bone lengths, too.  points_only: hold cameras and bones.
        covariance: work it out; else it is zero.
    """
    s, prior, held = _rescale(state, p) if move_bones and not points_only else state.copy(), _bone_prior(p), _held(p)
    if not move_bones:
        held[-_B:] = True
    if points_only:
        held[:] = True
    go = ~held
    V = p.kp.shape[1]
    lam, cost = 1e-3, _cost(s, p, scale, kind, prior)
    used = 0
    for used in range(1, steps + 1):  # noqa: B007
        Hxx, Hxc, Hcc, gx, gc = _normal_equations(s, p, scale, kind, prior)
        Hxc, Hcc_go, gc_go = Hxc[:, :, go], Hcc[np.ix_(go, go)], gc[go]
        diag = np.einsum('nii->ni', Hxx)
        floor = 1e-3 * np.mean(diag) + 1e-9                   # joints that nobody sees must not make the block singular
        done = False
        while True:
            M = Hxx.copy()
            np.einsum('nii->ni', M)[:] = diag * (1 + lam) + lam * floor + 1e-6
            sol = np.linalg.solve(M, np.concatenate([gx[..., None], Hxc], -1))
            S = Hcc_go - np.einsum('nia,nib->ab', Hxc, sol[..., 1:], optimize=True)
            b = gc_go - np.einsum('nia,ni->a', Hxc, sol[..., 0], optimize=True)
            D = S.copy()
            D[np.diag_indices_from(D)] += lam * np.diag(Hcc_go) + 1e-9
            dc = np.zeros(7 * V + _B)
            dc[go] = -np.linalg.solve(D, b)
            dx = -(sol[..., 0] + np.einsum('nia,a->ni', sol[..., 1:], dc[go]))
            new = _rescale(_step(s, dc, dx, V), p) if move_bones and not points_only else _step(s, dc, dx, V)
            new_cost = _cost(new, p, scale, kind, prior)
            if np.isfinite(new_cost) and new_cost < cost:
                done = cost - new_cost < tolerance * cost
                s, cost, lam = new, new_cost, max(lam * .2, 1e-7)
                break
            lam *= 8
            if lam > 1e5:
                done = True
                break
        if done:
            break
    n = max(int(np.isfinite(p.sigma).sum()), 1)
    cov = np.zeros((7 * V, 7 * V))
    if covariance and go[:7 * V].any():
        cov = _covariance(_normal_equations(s, p, scale, kind, prior), go, V)
    e = np.sqrt(residuals(s, p)[np.isfinite(p.sigma)] / 2)
    return BundleResult(s, cost / n, cov, used, float(np.median(e)) if e.size else np.nan)


def _covariance(equations: tuple[Array, Array, Array, Array, Array], go: NDArray[np.bool_], V: int) -> Array:
    """(7V, 7V) of the camera parameters, zero where they are held. Undamped: damping passes for information."""
    Hxx, Hxc, Hcc, _, _ = equations
    Hxc = Hxc[:, :, go]
    M = Hxx.copy()
    np.einsum('nii->ni', M)[:] += 1e-6                        # joints that nobody sees
    S = Hcc[np.ix_(go, go)] - np.einsum('nia,nib->ab', Hxc, np.linalg.solve(M, Hxc), optimize=True)
    keep = go[:7 * V]
    cov = np.zeros((7 * V, 7 * V))
    cov[np.ix_(keep, keep)] = np.linalg.pinv(S, hermitian=True)[:keep.sum(), :keep.sum()]
    return cov


def _rescale(s: BundleState, p: BundleProblem) -> BundleState:
    """Scale is a gauge of the images: it is set in closed form where the prior of the bones wants it."""
    w = 1 / p.bone_log_sigma ** 2
    k = float(np.exp(w @ np.log(p.bone_mean / s.bones) / w.sum()))
    return BundleState(s.R, s.t * k, s.focal, s.X * k, s.bones * k)


def _step(s: BundleState, dc: Array, dx: Array, V: int) -> BundleState:
    c = dc[:7 * V].reshape(V, 7)
    return BundleState(
        rotation.exp(c[:, :3]) @ s.R, s.t + c[:, 3:6], s.focal * np.exp(np.clip(c[:, 6], -.5, .5)),
        s.X + np.clip(dx, -1., 1.).reshape(s.X.shape), s.bones * np.exp(np.clip(dc[7 * V:], -.5, .5)))
