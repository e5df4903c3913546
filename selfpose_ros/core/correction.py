# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lifted poses corrected by the 2D joints that they were lifted from, frame by frame, with guards.

Self-supervised correction at test time (Wang et al., TPAMI 2019; methods.md 3.5 and 7.9), in the form for any number of
views: a pose should project onto its 2D joints in all of them, keep the lengths of its bones, and stay near what the
network said. The paper takes two gradient steps on a layer's weights through a learned projector; here they are two
Gauss-Newton steps on the joints themselves through the real one, and nothing is left of them after the frame.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import rotation
from .body import BONE_A, BONE_B
from .cameras import NEAREST
from .lifting import place

__all__ = ['Corrected', 'CorrectionConfig', 'correct']

Array = NDArray[np.float64]

#: joints that a correction must leave about where they are: pelvis, hips, shoulders
_ROBUST = [0, 1, 4, 11, 14]
_INC = np.zeros((16, 17))
_INC[np.arange(16), BONE_A], _INC[np.arange(16), BONE_B] = -1., 1.
#: (289, 16): what each bone adds to each block of two joints
_BLOCKS = (_INC[:, :, None] * _INC[:, None]).reshape(16, 289).T.copy()
_EYE2, _EYE3 = np.eye(2), np.eye(3)
_JOINTS = np.arange(17)
#: a view in which fewer joints are seen says nothing
_FEWEST = 6
#: bones that are off by more than this many sigmas are down-weighted; so are lifted bones
_TAIL = 3.
#: the pelvis stays where it is: everything else is relative to it
_HELD = 1e12
#: camera translations are free, but in directions that nothing tells, m
_FREE_M = 10.


@dataclass(frozen=True)
class CorrectionConfig:
    """Attributes:
    steps: Gauss-Newton steps at most; 2 in the paper.
    least_fit: a view in which the pose as lifted fits fewer of its joints than this share is left out: what it sees is
        somebody or something else.
    accept_m: tau, mean movement of pelvis, hips and shoulders above which it is rejected, m; 0.02 in the paper.
    settled_m: eps, mean movement of those in a step below which it is the last one, m; 0.005 in the paper.
    noise: factor on the standard deviation of the 2D joints, which the lifter has used already.
    misfit: median distance of the joints of one view from the pose as lifted, sigmas: where it is larger, the 2D is
        taken to be as much noisier.
    share: of what lifted poses and bones say, with several views: their errors are alike. Measured, validation split.
    outlier: Geman-McClure scale of the 2D joints, sigmas.
    bone_sigma_m: how well the lengths of the bones are known, m.
    turn_sigma: of the cameras' rotations where there are several, rad; 0 = they are known.
    guarded: off, every correction is accepted: to see what the guards are good for.
    """

    steps: int = 2
    least_fit: float = .6
    accept_m: float = .02
    settled_m: float = .005
    noise: float = 1.5
    misfit: float = .75
    share: float = .2
    outlier: float = 4.
    bone_sigma_m: float = .02
    turn_sigma: float = .1
    guarded: bool = True


@dataclass(frozen=True)
class Corrected:
    """N poses.

    Attributes:
        joints: (N, 17, 3) m, as they were where nothing was accepted; the pelvis never moves.
        accepted: (N,) whether the correction was taken.  moved: (N,) m, mean movement of the robust joints.
        steps: (N,) that were done.
    """

    joints: Array
    accepted: NDArray[np.bool_]
    moved: Array
    fit: Array
    steps: NDArray[np.int64]


def correct(joints: Array, info: Array, R: Array, t: Array, rays: Array, k: Array, lengths: Array,
            config: CorrectionConfig | None = None) -> Corrected:
    """Correct N poses, each by itself, by what V cameras saw of it at the same instant.

    Args:
        joints: (N, 17, 3) m, all known, in axes of any kind.
        info: (N, 16, 3, 3) inverse covariances of their bone vectors, m^-2, see `lifting.bone_information`.
        R, t: (N, V, 3, 3), (N, V, 3) m: x_cam = R x + t. With V > 1 they may be off, see `turn_sigma`; how far away a
            camera stands is always found anew.
        rays: (N, V, 17, 2) normalised image coordinates, any number where unseen.
        k: (N, V, 17) inverse standard deviation of rays, 0 = unseen.
        lengths: (N, 16) m of the bones.
    """
    cfg = config or CorrectionConfig()
    N, V = k.shape[:2]
    turns = V > 1 and cfg.turn_sigma > 0
    k = np.where(np.isfinite(rays).all(-1), k, 0.) / cfg.noise
    rays = np.where(k[..., None] > 0, rays, 0.)
    x, R0 = joints, R
    lifted, share = x[:, BONE_B] - x[:, BONE_A], cfg.share if V > 1 else 1.
    info, stiff = info * share, share / cfg.bone_sigma_m ** 2
    t, fit, misfit = _placed(x, R, t, rays, k, cfg)
    if V == 1:                              # views that disagree are another matter: there lifted poses are wrong
        k = k / np.maximum(misfit / cfg.misfit, 1.)[..., None]
    here = fit >= (cfg.least_fit if cfg.guarded else 1e-9)
    k = np.where(here[..., None], k, 0.)
    todo, steps = here.any(1), np.zeros(N, np.int64)
    for i in range(cfg.steps):
        scale = cfg.outlier * (2. if i == 0 else 1.)                         # wide at first
        H, g = _system(x, lifted, info, R, t, rays, k, lengths, stiff, scale, turns)
        if turns:
            _hold_cameras(H, g, R0, R, cfg.turn_sigma)
        step = np.linalg.solve(H, g[..., None])[..., 0]
        step = np.where(todo[:, None] & np.isfinite(step).all(-1, keepdims=True), step, 0.)
        dx = step[:, :51].reshape(N, 17, 3)
        x = x - dx
        t = t - step[:, 51:51 + 3 * V].reshape(N, V, 3)
        if turns:
            R = np.matmul(rotation.exp(-step[:, 51 + 3 * V:].reshape(N, V, 3)), R)
        steps += todo
        todo = todo & (np.linalg.norm(dx[:, _ROBUST], axis=-1).mean(-1) >= cfg.settled_m)
        if not todo.any():
            break
    moved = np.linalg.norm((x - joints)[:, _ROBUST], axis=-1).mean(-1)
    accepted = here.any(1)
    if cfg.guarded:
        accepted = accepted & (moved < cfg.accept_m)
    return Corrected(np.where(accepted[:, None, None], x, joints), accepted, moved, fit, steps)


def _placed(x: Array, R: Array, t: Array, rays: Array, k: Array, cfg: CorrectionConfig) -> tuple[Array, Array, Array]:
    """Translations (N, V, 3) from which each camera sees the pose best; then, (N, V) each, the share of its joints that
    fit, and the median distance of those that are seen, sigmas.
    """
    C = np.matmul(x[:, None], R.swapaxes(-1, -2))
    at, _ = place(C - C[:, :, :1], rays, k * k)
    enough = np.isfinite(at).all(-1) & ((k > 0).sum(-1) >= _FEWEST)
    t = np.where(enough[..., None], at - C[:, :, 0], t)
    C = C + t[:, :, None]
    r = (C[..., :2] / np.maximum(C[..., 2:], NEAREST) - rays) * k[..., None]
    e2 = (r * r).sum(-1)
    ranked = np.sort(np.where(k > 0, e2, np.inf), axis=-1)
    middle = np.take_along_axis(ranked, ((k > 0).sum(-1, keepdims=True) // 2).clip(max=16), -1)[..., 0]
    w = 1 / (1 + e2 / cfg.outlier ** 2)
    fit = (w * w * (k > 0)).sum(-1) / np.maximum((k > 0).sum(-1), 1)
    return t, np.where(enough, fit, 0.), np.sqrt(np.where(enough & np.isfinite(middle), middle, 0.))


def _system(x: Array, lifted: Array, info: Array, R: Array, t: Array, rays: Array, k: Array, lengths: Array,
            stiff: float, scale: float, turns: bool) -> tuple[Array, Array]:
    """Normal equations (N, D, D), (N, D): joints 51, translations 3 V, and with `turns` rotations 3 V."""
    N, V = k.shape[:2]
    C = np.matmul(x[:, None], R.swapaxes(-1, -2))
    turned, C = C, C + t[:, :, None]
    z = np.maximum(C[..., 2], NEAREST)
    n = C[..., :2] / z[..., None]
    r = (n - rays) * k[..., None]
    w = 1 / (1 + (r * r).sum(-1) / scale ** 2)                               # N,V,17
    # rows of the projection in camera axes: (1, 0, -n_x) / z and (0, 1, -n_y) / z
    P = np.concatenate([np.broadcast_to(_EYE2, (N, V, 17, 2, 2)), -n[..., None]], -1) * (k * w / z)[..., None, None]
    r = r * w[..., None]
    J = np.matmul(P, R[:, :, None])                                          # by the joint, N,V,17,2,3
    D = 51 + (6 if turns else 3) * V
    H, g = np.zeros((N, D, D)), np.zeros((N, D))
    Jt = J.swapaxes(-1, -2)
    own, pull = np.matmul(Jt, J).sum(1), np.matmul(Jt, r[..., None])[..., 0].sum(1)       # N,17,3,3; N,17,3
    # bones: lengths and lifted vectors
    d = x[:, BONE_B] - x[:, BONE_A]
    size = np.sqrt((d * d).sum(-1)) + 1e-9
    u = d / size[..., None]
    off = size - lengths
    wb = stiff / (1 + off * off * stiff / _TAIL ** 2)
    away = d - lifted
    back = np.matmul(info, away[..., None])[..., 0]
    wl = 1 / (1 + (back * away).sum(-1) / _TAIL ** 2)
    B = wb[..., None, None] * (u[..., :, None] * u[..., None, :]) + wl[..., None, None] * info
    b = (wb * off)[..., None] * u + wl[..., None] * back
    HX = np.matmul(_BLOCKS, B.reshape(N, 16, 9)).reshape(N, 17, 17, 3, 3)
    HX[:, _JOINTS, _JOINTS] += own
    HX[:, 0, 0] += _HELD * _EYE3
    H[:, :51, :51] = HX.transpose(0, 1, 3, 2, 4).reshape(N, 51, 51)
    g[:, :51] = (pull + np.matmul(_INC.T, b)).reshape(N, 51)
    # cameras: translation, and rotation about their own axes
    M = P
    if turns:
        # d(exp(w) a) = -[a]x w
        M = np.concatenate([P, np.matmul(P, -rotation.cross_matrix(turned))], -1)                     # N,V,17,2,6
    Mt = M.swapaxes(-1, -2)
    cc = np.matmul(Mt, M).sum(2)                                             # N,V,m,m
    cx = np.matmul(Mt, J)                                                    # N,V,17,m,3
    gc = np.matmul(Mt, r[..., None])[..., 0].sum(2)                          # N,V,m
    for v in range(V):
        at = np.arange(51 + 3 * v, 54 + 3 * v)
        at = np.concatenate([at, at + 3 * V]) if turns else at
        H[:, at, :51] = cx[:, v].transpose(0, 2, 1, 3).reshape(N, -1, 51)
        H[:, :51, at] = H[:, at, :51].swapaxes(-1, -2)
        H[:, at[:, None], at] = cc[:, v]
        g[:, at] = gc[:, v]
    i = np.arange(51, 51 + 3 * V)
    H[:, i, i] += _FREE_M ** -2
    return H, g


def _hold_cameras(H: Array, g: Array, R0: Array, R: Array, sigma: float) -> None:
    """Rotations stay near where they were, R0 (N, V, 3, 3); in place."""
    V = R.shape[1]
    first = 51 + 3 * V
    weight = sigma ** -2.
    i = np.arange(first, first + 3 * V)
    H[:, i, i] += weight
    g[:, first:] += weight * rotation.log(np.matmul(R, R0.swapaxes(-1, -2))).reshape(len(R), -1)
