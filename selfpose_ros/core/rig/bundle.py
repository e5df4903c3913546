# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Bundle adjustment of cameras, moving bodies and their bone lengths from 2D joints alone.

Levenberg-Marquardt on the reduced camera system (Schur complement over the instants, each a dense 51 x 51 block);
robust weights by iterative re-weighting. Gauge: the first camera is the frame of reference.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..body import BONE_PRIOR_M
from ..cameras import CameraLayout
from .bundle_equations import gathered, held_parameters, normal_equations
from .bundle_problem import BundleProblem, BundleState, bone_prior, cost_of, pose_costs, prior_cost, residuals
from .elimination import solve_poses

__all__ = ['BundleResult', 'adjust']

Array = NDArray[np.float64]

_B = len(BONE_PRIOR_M)
#: of its own step a pose takes the whole, or one of these
_SHARES = .3, 0.
#: dampings of those poses that gain by neither: seen by cameras side by side, they are thrown far along the rays
_DAMPINGS = 1e-3, 1e-2, .1, 1.


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
    lam, cost = 1e-3, cost_of(s, p, scale, kind, prior)
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
    costs = pose_costs(best, p, scale, kind)
    stuck = np.zeros(len(costs), bool)
    for share in _SHARES:
        other = _step(s, dc, -(share * own + along))
        there = pose_costs(other, p, scale, kind)
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
            there = pose_costs(other, some, scale, kind)
            better = there < costs[index]
            best.X[index[better]], costs[index[better]] = other.X[better], there[better]
    return best, float(costs.sum()) + prior_cost(best, p, prior)


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
