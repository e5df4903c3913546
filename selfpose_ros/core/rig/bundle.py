# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Bundle adjustment of cameras, moving bodies and their bone lengths from 2D joints alone.

Unknown: per camera rotation, translation, log focal length and, where the prior says so, k1 and k2 of its lens; 17
joints per pose; 16 log bone lengths per person. A pose is one person at one instant: several people are more poses and
more bones, nothing else. What ties the poses together, besides the cameras that stand still, is that bones keep their
length and that bodies are about symmetric and of human size: with two views this is what fixes the focal lengths, with
more it makes the rig stiff.
Levenberg-Marquardt on the reduced camera system (Schur complement over the instants, each a dense 51 x 51 block);
robust weights by iterative re-weighting. Gauge: the first camera is the frame of reference.
"""
from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..body import BONE_A, BONE_B, BONE_LOG_SIGMA, BONE_PRIOR_M, MIRROR_BONE
from ..cameras import CameraLayout, Cameras
from ..robust import robust_cost, robust_weight
from .elimination import solve_poses
from .lens import LensPrior

__all__ = ['BundleProblem', 'BundleState', 'BundleResult', 'adjust', 'bone_prior', 'centre_equations', 'gathered',
           'held_parameters', 'linearise', 'normal_equations', 'residuals', 'robust_cost',
           'robust_weight']

Array = NDArray[np.float64]

_J, _B = 17, 16
#: how exactly a detector's bone keeps its length from one instant to the next, m (sigma), until it is measured
BONE_SIGMA_M = np.array([.012, .012, .012, .012, .012, .012, .02, .015, .02, .015, .015, .012, .012, .015, .012, .012])
#: left and right bones of one person differ by this much, log
SYMMETRY_LOG_SIGMA = 0.02
_GAUGE_LOG_SIGMA = 1e-3
#: of its own step a pose takes the whole, or one of these
_SHARES = .3, 0.
#: dampings of those poses that gain by neither: seen by cameras side by side, they are thrown far along the rays
_DAMPINGS = 1e-3, 1e-2, .1, 1.


@dataclass(frozen=True)
class BundleProblem:
    """What is given.

    Attributes:
        kp: (N, V, 17, 2) px of square pixels, any number where unseen.
        sigma: (N, V, 17) px standard deviation of each observation; inf = unseen.
        centre: (V, 2) principal points, px, as they are thought to be.
        log_focal: (V,) prior of the log focal length and log_focal_sigma (V,) its spread; 0 = known, held.
        bone_mean: (16,) m prior lengths; bone_log_sigma (16,); the common scale stays at its mean.
        bone_sigma: (16,) m, how exactly a bone keeps its length from one instant to the next.
        bone_weight: 0 switches constancy of the bones off (first coarse steps).
        hold_cameras: the poses of all cameras are known and held, up to the common scale.
        person: (N,) whose pose it is, 0 .. P-1; None = all are of one person, and bones are (16,).
        lens: prior of focal lengths and lenses, instead of that of the log focal length; None = pinholes.
        temper: how many observations count as one: their errors are alike. Priors are weighted with it, and so is the
            covariance.
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
    person: NDArray[np.int64] | None = None
    lens: LensPrior | None = None
    temper: float = 1.

    @property
    def people(self) -> int:
        """P, number of people."""
        return 1 if self.person is None else int(self.person.max(initial=0)) + 1

    @property
    def unposed(self) -> Cameras:
        """Cameras with the prior focal lengths, all in one place: for rays."""
        V = len(self.centre)
        return Cameras(np.tile(np.eye(3), (V, 1, 1)), np.zeros((V, 3)), np.exp(self.log_focal), self.centre)

    def take(self, index: NDArray[np.int64]) -> BundleProblem:
        """The same problem on some of its instants."""
        return replace(self, kp=self.kp[index], sigma=self.sigma[index],
                       person=None if self.person is None else self.person[index])


@dataclass
class BundleState:
    """Cameras, points X (N, 17, 3) m, bones (16,) m, or (P, 16) m with several people."""

    cameras: Cameras
    X: Array
    bones: Array

    def scaled(self, k: float) -> BundleState:
        """In another unit of length; the pictures stay."""
        return BundleState(self.cameras.scaled(k), self.X * k, self.bones * k)


@dataclass(frozen=True)
class BundleResult:
    """State after adjustment; cost: robust, per observation; covariance of the camera parameters in the order of
    `CameraLayout`, zero for what is held; steps taken.
    """

    state: BundleState
    cost: float
    covariance: Array
    steps: int
    robust_px: float


def residuals(s: BundleState, p: BundleProblem) -> Array:
    """Squared normalised residuals (N, V, 17); 0 where unseen."""
    inv = np.where(np.isfinite(p.sigma), 1 / p.sigma, 0.)
    return (((s.cameras.project(s.X) - p.kp) * inv[..., None]) ** 2).sum(-1)


def linearise(s: BundleState, p: BundleProblem) -> tuple[Array, Array, Array]:
    """Residuals r (N, V, 17, 2) in standard deviations, and their derivatives with respect to the points
    JX (N, V, 17, 2, 3) and to each camera's parameters Jc (N, V, 17, 2, EACH), see `CameraLayout`; 0 where unseen.
    """
    px, JX, Jc = s.cameras.project_jacobian(s.X)
    k = np.where(np.isfinite(p.sigma), 1 / p.sigma, 0.)
    JX *= k[..., None, None]
    Jc *= k[..., None, None]
    return (px - p.kp) * k[..., None], JX, Jc


def bone_prior(p: BundleProblem) -> tuple[Array, Array]:
    """Mean (P * 16,) and precision (P * 16, P * 16) of the log bone lengths.

    The scale common to all people is a gauge and pinned: left free it would shrink, so that the bones' residuals, in
    metres, get cheaper.
    """
    pair = np.zeros((_B, _B))
    for k, m in enumerate(MIRROR_BONE):
        if m > k:
            d = np.zeros(_B)
            d[k], d[m] = 1, -1
            pair += np.outer(d, d) / SYMMETRY_LOG_SIGMA ** 2
    w = 1 / p.bone_log_sigma ** 2
    P = p.people
    w = np.tile(w / w.sum(), P) / P
    own = np.diag(1 / p.bone_log_sigma ** 2) + pair
    return np.tile(np.log(p.bone_mean), P), np.kron(np.eye(P), own) + np.outer(w, w) / _GAUGE_LOG_SIGMA ** 2


def _lengths(s: BundleState, p: BundleProblem) -> Array:
    """Bone lengths (N, 16) of every pose, or (16,) of all."""
    return s.bones if p.person is None else s.bones[p.person]


def _bones(X: Array) -> tuple[Array, Array]:
    d = X[:, BONE_B] - X[:, BONE_A]
    n = np.sqrt((d * d).sum(-1)) + 1e-9
    return n, d / n[..., None]


def _pose_costs(s: BundleState, p: BundleProblem, scale: float, kind: str) -> Array:
    """(N,) what each pose costs."""
    c = robust_cost(residuals(s, p), scale, kind).sum((1, 2))
    if p.bone_weight:
        n, _ = _bones(s.X)
        c += p.bone_weight * robust_cost(((n - _lengths(s, p)) / p.bone_sigma) ** 2, 3., 'cauchy').sum(1)
    return np.asarray(c)


def _prior_cost(s: BundleState, p: BundleProblem, prior: tuple[Array, Array]) -> float:
    d = np.log(s.bones).ravel() - prior[0]
    c = .5 * d @ prior[1] @ d
    if p.lens is not None:
        return float(c + p.temper * p.lens.cost(s.cameras))
    free = p.log_focal_sigma > 0
    c += .5 * p.temper * (((np.log(s.cameras.focal) - p.log_focal)[free] / p.log_focal_sigma[free]) ** 2).sum()
    return float(c)


def _cost(s: BundleState, p: BundleProblem, scale: float, kind: str, prior: tuple[Array, Array]) -> float:
    return float(_pose_costs(s, p, scale, kind).sum()) + _prior_cost(s, p, prior)


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
        n, u = _bones(s.X)
        lengths = _lengths(s, p)
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
        for q, of in _by_person(p):
            own = slice(layout.size + _B * q, layout.size + _B * (q + 1))
            Hcc[own, own] += np.diag((JL[of] * JL[of]).sum(0))
            gc[own] += (JL[of] * rb[of] * wb[of]).sum(0)
    return Hxx, Hxc, Hcc, gx, gc


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


def _by_person(p: BundleProblem) -> list[tuple[int, slice | NDArray[np.int64]]]:
    """Each person and the poses that are his."""
    if p.person is None:
        return [(0, slice(None))]
    return [(q, np.nonzero(p.person == q)[0]) for q in range(p.people)]


def gathered(p: BundleProblem, layout: CameraLayout, kept: NDArray[np.int64], A: Array, B: Array) -> Array:
    """Sum over the poses of A' B, A (N, 51, K), B (N, 51, K) or (N, 51), in the places of all C parameters: (C, C) or
    (C,). kept: (K,) which of the cameras' parameters and the bones of one person the columns are.

    A pose concerns the cameras and the bones of its own person alone, so that many people cost as much as many poses
    of one.
    """
    nc = layout.size + _B * p.people
    out = np.zeros((nc,) * (B.ndim - 1))
    for q, of in _by_person(p):
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
    s, prior, held = _rescale(state, p) if move_bones and not points_only else state, bone_prior(p), held_parameters(p)
    if not move_bones:
        held[-_B * p.people:] = True
    if points_only:
        held[:] = True
    go = ~held
    layout = s.cameras.layout
    cameras = layout.size
    own = np.zeros((p.kp.shape[0], 1), np.int64) if p.person is None else p.person[:, None]
    kept = np.nonzero(go[:cameras + _B])[0]                   # of the parameters that concern a pose; alike for all
    at = np.where(kept < cameras, kept, kept + _B * own)      # where they stand among all: (N, K)
    lam, cost = 1e-3, _cost(s, p, scale, kind, prior)
    used = 0
    for used in range(1, steps + 1):  # noqa: B007
        Hxx, Hxc, Hcc, gx, gc = normal_equations(s, p, scale, kind, prior)
        Hxc = Hxc[:, :, kept]
        Hcc_go, gc_go = Hcc[np.ix_(go, go)], gc[go]
        # joints that nobody sees must not make the block singular
        floor = 1e-3 * float(np.mean(np.einsum('nii->ni', Hxx))) + 1e-9
        done = False
        while True:
            M = _damped(Hxx, lam, floor)
            sol = solve_poses(M, np.concatenate([gx[..., None], Hxc], -1))
            S = Hcc_go - gathered(p, layout, kept, Hxc, sol[..., 1:])[np.ix_(go, go)]
            b = gc_go - gathered(p, layout, kept, Hxc, sol[..., 0])[go]
            D = S.copy()
            D[np.diag_indices_from(D)] += lam * np.diag(Hcc_go) + 1e-9
            dc = np.zeros(len(go))
            dc[go] = -np.linalg.solve(D, b)
            new, new_cost = _best_step(s, p, dc, sol[..., 0], np.einsum('nia,na->ni', sol[..., 1:], dc[at]),
                                       (Hxx, gx, floor), scale, kind, prior)
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
    cov = np.zeros((cameras, cameras))
    if covariance and go[:cameras].any():
        cov = _covariance(normal_equations(s, p, scale, kind, prior), p, go, layout)
    e = np.sqrt(residuals(s, p)[np.isfinite(p.sigma)] / 2)
    return BundleResult(s, cost / n, cov, used, float(np.median(e)) if e.size else np.nan)


def _damped(Hxx: Array, lam: float, floor: float) -> Array:
    M = Hxx.copy()
    np.einsum('nii->ni', M)[:] = np.einsum('nii->ni', Hxx) * (1 + lam) + lam * floor + 1e-6
    return M


def _best_step(s: BundleState, p: BundleProblem, dc: Array, own: Array, along: Array,
               equations: tuple[Array, Array, float], scale: float, kind: str,
               prior: tuple[Array, Array]) -> tuple[BundleState, float]:
    """A step of cameras and bones, and of each pose as much of its own step as it gains by: a robust loss has several
    minima, and a joint between two of them must not hold up the cameras.

    Args:
        own, along: (N, 51) minus the steps of the poses with cameras and bones that are held, and with theirs.
        equations: Hxx (N, 51, 51), gx (N, 51) and floor of the damping, for poses that gain by no share of their step.
    """
    best = _step(s, dc, -(own + along))
    costs = _pose_costs(best, p, scale, kind)
    stuck = np.zeros(len(costs), bool)
    for share in _SHARES:
        other = _step(s, dc, -(share * own + along))
        there = _pose_costs(other, p, scale, kind)
        better = there < costs
        best.X[better], costs[better] = other.X[better], there[better]
        stuck = better                                        # in the end: by those that would rather stay
    index = np.nonzero(stuck)[0]
    if len(index):
        Hxx, gx, floor = equations
        some = p.take(index)
        for lam in _DAMPINGS:
            own = solve_poses(_damped(Hxx[index], lam, floor), gx[index, :, None])[..., 0]
            other = _step(replace(s, X=s.X[index]), dc, -(own + along[index]))
            there = _pose_costs(other, some, scale, kind)
            better = there < costs[index]
            best.X[index[better]], costs[index[better]] = other.X[better], there[better]
    return best, float(costs.sum()) + _prior_cost(best, p, prior)


def _covariance(equations: tuple[Array, Array, Array, Array, Array], p: BundleProblem, go: NDArray[np.bool_],
                layout: CameraLayout) -> Array:
    """Of the cameras' parameters; zero where they are held. Undamped: damping passes for information."""
    Hxx, Hxc, Hcc, _, _ = equations
    cameras = layout.size
    M = Hxx.copy()
    np.einsum('nii->ni', M)[:] += 1e-6                        # joints that nobody sees
    kept = np.nonzero(go[:cameras + _B])[0]
    Hxc = Hxc[:, :, kept]
    S = (Hcc - gathered(p, layout, kept, Hxc, solve_poses(M, Hxc)))[np.ix_(go, go)]
    keep = go[:cameras]
    cov = np.zeros((cameras, cameras))
    cov[np.ix_(keep, keep)] = np.linalg.pinv(S, hermitian=True)[:keep.sum(), :keep.sum()]
    return cov


def _rescale(s: BundleState, p: BundleProblem) -> BundleState:
    """Scale is a gauge of the images: it is set in closed form where the prior of the bones wants it."""
    w = 1 / p.bone_log_sigma ** 2
    return s.scaled(float(np.exp(np.mean(np.log(p.bone_mean / s.bones) @ w) / w.sum())))


def _step(s: BundleState, dc: Array, dx: Array) -> BundleState:
    layout = s.cameras.layout
    c = layout.split(dc).copy()
    c[:, layout.FOCAL] = np.clip(c[:, layout.FOCAL], -.5, .5)
    c[:, layout.LENS] = np.clip(c[:, layout.LENS], -.2, .2)
    return BundleState(s.cameras.moved(c), s.X + np.clip(dx, -1., 1.).reshape(s.X.shape),
                       s.bones * np.exp(np.clip(dc[layout.size:], -.5, .5)).reshape(s.bones.shape))
