# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Problems of adjustment whose solution is given."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.body import BONE_A, BONE_B, BONE_LOG_SIGMA, BONE_PRIOR_M
from selfpose_ros.core.camera import project
from selfpose_ros.core.cameras import Cameras
from selfpose_ros.core.rig import Rig
from selfpose_ros.core.rig.bundle import adjust
from selfpose_ros.core.rig.bundle_problem import BundleProblem, BundleState
from selfpose_ros.synthetic import ring_rig, walker

Array = NDArray[np.float64]


def exact(views: int = 3, instants: int = 4, seed: int = 1, *, sigma_px: float = 2., fps: float = 2.,
          known: bool = False) -> tuple[Rig, BundleProblem, BundleState]:
    """A problem without noise, in the first camera's frame and with its true solution; body of adult mean size."""
    rig = ring_rig(views, seed)
    X = walker(instants / fps, fps, seed, 'mixed')[:instants]
    kp = np.stack([project(X, rig.K[v], rig.R[v], rig.t[v]) for v in range(views)], 1)
    R = rig.R @ rig.R[0].T
    t = rig.t - R @ rig.t[0]
    Xc = X @ rig.R[0].T + rig.t[0]
    bones = np.linalg.norm(Xc[0, BONE_B] - Xc[0, BONE_A], axis=-1)
    w = BONE_LOG_SIGMA ** -2.
    k = float(np.exp(w @ np.log(BONE_PRIOR_M / bones) / w.sum()))
    f = rig.K[:, 0, 0].copy()
    guess = f if known else np.full(views, 950.)
    p = BundleProblem(kp, np.full(kp.shape[:3], sigma_px), rig.image_size / 2., np.log(guess),
                      np.full(views, 0. if known else .25))
    return rig, p, BundleState(Cameras(R, t * k, f, rig.image_size / 2.), Xc * k, bones * k)


def noisy(sigma_px: Array | float, views: int = 4, instants: int = 60, seed: int = 2, rho: float = 0.,
          fps: float = 10.) -> tuple[BundleProblem, BundleState]:
    """Images with this noise (AR(1) over time), and the state adjusted to them."""
    _, p, s = exact(views, instants, seed, sigma_px=5., fps=fps)
    rng = np.random.default_rng(seed)
    e = rng.normal(size=p.kp.shape)
    for n in range(1, instants):
        e[n] = rho * e[n - 1] + np.sqrt(1 - rho ** 2) * e[n]
    p = replace(p, kp=p.kp + e * np.broadcast_to(sigma_px, p.sigma.shape)[..., None])
    return p, adjust(s, p, scale=5., kind='cauchy', steps=10).state


def near_and_far(seed: int, instants: int = 100, px: float = 5.) -> tuple[BundleProblem, BundleState]:
    """Somebody 3.5 to 14 m before three cameras that stand 3 m apart and look the same way; true state."""
    rng = np.random.default_rng(seed)
    X = walker(12., 25., seed, 'mixed')[::3][:instants]
    X = X - X[:, :1].mean(1, keepdims=True)
    away = np.stack([rng.uniform(-2, 2, instants), np.zeros(instants), rng.uniform(3.5, 14, instants)], -1)
    X = np.stack([X[..., 0], -X[..., 2], X[..., 1]], -1) + away[:, None]
    c, s = np.cos([0., -.35, -.7]), np.sin([0., -.35, -.7])
    z = np.zeros(3)
    R = np.stack([np.stack([c, z, -s], -1), np.stack([z, z + 1, z], -1), np.stack([s, z, c], -1)], 1)
    centre = np.array([[-3., 0, 0], [0, 0, 0], [3., 0, 0]])
    turn = np.array([[np.cos(.35), 0, -np.sin(.35)], [0, 1, 0], [np.sin(.35), 0, np.cos(.35)]])
    X, centre = (X - centre[0]) @ turn.T, (centre - centre[0]) @ turn.T
    cameras = Cameras(R, -np.einsum('vij,vj->vi', R, centre), np.full(3, 900.), np.full((3, 2), 500.))
    bones = np.linalg.norm(X[0, BONE_B] - X[0, BONE_A], axis=-1)
    w = BONE_LOG_SIGMA ** -2.
    state = BundleState(cameras, X, bones).scaled(float(np.exp(w @ np.log(BONE_PRIOR_M / bones) / w.sum())))
    kp = state.cameras.project(state.X) + px * rng.normal(size=(instants, 3, 17, 2))
    return BundleProblem(kp, np.full(kp.shape[:3], px), cameras.centre, np.log(cameras.focal), np.full(3, .5)), state
