# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The causal filter of one person: position and velocity of 17 joints, straight from the pixels of all views.

Each tick is a small maximum-a-posteriori problem: predicted joints with their covariance, all views' pixels with a
robust loss, constant bone lengths. Three Gauss-Newton steps on 51 unknowns; velocities follow by the cross-
covariance (iterated extended Kalman filter). Views keep their own acquisition stamps: a joint is compared where it
was at that time.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .cameras import Cameras
from .fusion.triangulation import triangulate
from .sides import PERMUTATIONS, agreed_permutation
from .skeleton import BONES
from .trajectory import ACCELERATION_SIGMA, ACCELERATION_STEP_S

__all__ = ['FilterConfig', 'Measurement', 'SkeletonFilter', 'State', 'predicted', 'smooth_back', 'spread_of']

Array = NDArray[np.float64]
State = tuple[Array, Array, Array, Array, Array]

_PAIRS = (*BONES, (1, 4))
_A, _B = np.array([a for a, _ in _PAIRS]), np.array([b for _, b in _PAIRS])
_K = len(_PAIRS)
_EYE3 = np.eye(3)
#: a joint that two views see, but that fits neither for this many ticks, was lost
_LOST_TICKS = 3
#: lifted bones that are off by more than this many sigmas are down-weighted
_LIFTED_TAIL = 3.
_DIAG = np.arange(51)
_NONE = np.zeros(1, np.int64)
#: (51, K) pattern: which bone touches which joint, with sign
_INC = np.zeros((_K, 17))
_INC[np.arange(_K), _A], _INC[np.arange(_K), _B] = -1., 1.


@dataclass(frozen=True)
class FilterConfig:
    """Attributes:
    acceleration: factor on the joints' usual acceleration.
    bone_sigma_m: constancy of a bone, m.
    outlier: Geman-McClure scale, sigmas.
    memory: share of the last residual that is expected again (errors of a 2D network are correlated in time).
    inflation: factor on the measured sigmas.
    tail: predictions that are off by more than this many sigmas are down-weighted (Cauchy).
    first_trust: weight of the prediction in the first step.
    steps: Gauss-Newton steps per tick.
    """

    acceleration: float = 3.
    bone_sigma_m: float = .008
    outlier: float = 4.
    memory: float = .5
    inflation: float = 1.
    tail: float = 2.
    first_trust: float = .1
    steps: int = 3


@dataclass(frozen=True)
class Measurement:
    """What V cameras saw of one person: kp (V, 17, 2) undistorted px (any number where unseen), sigma (V, 17) px
    (inf = unseen), offset (V,) s: acquisition time minus the tick's.

    What a lifter says of it, or None: bones (16, 3) m, child minus parent in world axes, and the inverse covariance
    bone_info (16, 3, 3) of each; zero where the views say enough. correct_sides: exchanged sides are put right.
    """

    kp: Array
    sigma: Array
    offset: Array
    bones: Array | None = None
    bone_info: Array | None = None
    correct_sides: bool = True


class SkeletonFilter:
    """State: mean position and velocity (17, 3), covariance blocks pp, pv, vv (17, 3, 3)."""

    def __init__(self, cameras: Cameras, bones: Array, hip_m: float, config: FilterConfig | None = None) -> None:
        """Bones (16,) m, hip_m: distance of the hips, m."""
        self.config = config or FilterConfig()
        self.set_rig(cameras)
        self.lengths = np.r_[bones, hip_m]
        self.set_bone_sigma(self.config.bone_sigma_m)
        self.acc2 = (ACCELERATION_SIGMA * self.config.acceleration) ** 2
        self.x = np.zeros((17, 3))
        self.v = np.zeros((17, 3))
        self.pp = np.zeros((17, 3, 3))
        self.pv = np.zeros((17, 3, 3))
        self.vv = np.zeros((17, 3, 3))
        self.lost = np.zeros(17, np.int64)
        self.pred = self.state

    @property
    def state(self) -> State:
        """Position, velocity (17, 3) and covariance blocks pp, pv, vv (17, 3, 3)."""
        return self.x, self.v, self.pp, self.pv, self.vv

    def set_rig(self, cameras: Cameras) -> None:
        """Go on with other cameras of the same world."""
        self.cameras = cameras
        self.residual: Array | None = None
        V = len(cameras)
        self.used, self.e2, self.r = np.zeros((V, 17)), np.zeros((V, 17)), np.zeros((V, 17, 2))

    def set_bone_sigma(self, sigma_m: float) -> None:
        """How exactly bones keep their length, m; the trunk's bend and are softer."""
        self.config = replace(self.config, bone_sigma_m=sigma_m)
        self.bone_weight = np.full(_K, 1 / sigma_m ** 2)
        self.bone_weight[[6, 7, 8]] /= 2.25

    def start(self, x: Array, sigma_m: float = .1, speed_sigma: float = 1.) -> None:
        """Begin at joints (17, 3) m."""
        self.x, self.v = x.copy(), np.zeros((17, 3))
        self.pp = np.tile(_EYE3 * sigma_m ** 2, (17, 1, 1))
        self.pv = np.zeros((17, 3, 3))
        self.vv = np.tile(_EYE3 * speed_sigma ** 2, (17, 1, 1))
        self.residual = None

    def predict(self, dt: float) -> None:
        """Constant velocity over `dt` s, white acceleration."""
        self.x, self.v, self.pp, self.pv, self.vv = predicted(self.state, dt, self.acc2)
        self.pred = self.state

    def pixels(self, offset: Array | None = None) -> Array:
        """Predicted pixels (V, 17, 2) at the views' own times."""
        return self.cameras.project(self.x, None if offset is None else offset[:, None, None] * self.v[None])

    def update(self, m: Measurement) -> None:
        """Take the views of one tick."""
        cfg = self.config
        shift = m.offset[:, None, None] * self.v[None] if np.any(m.offset) else None
        kp, sigma = m.kp, m.sigma
        best = agreed_permutation(self.pixels(m.offset), kp, sigma) if m.correct_sides else _NONE
        if best.any():
            index = PERMUTATIONS[best]
            kp, sigma = np.take_along_axis(kp, index[..., None], 1), np.take_along_axis(sigma, index, 1)
        seen = np.isfinite(sigma)
        k = np.where(seen, 1 / (sigma * cfg.inflation), 0.)
        unbiased = kp
        if self.residual is not None and cfg.memory:
            kp = kp - cfg.memory * self.residual
        prior = np.linalg.inv(self.pp)
        x0, x = self.x, self.x.copy()
        H = np.zeros((51, 51))
        for i in range(cfg.steps):
            scale = cfg.outlier * (2. if i == 0 else 1.)                # wide at first: a fast joint is no outlier
            H, g, r = self._system(x, shift, kp, k, scale)
            if m.bones is not None and m.bone_info is not None:
                _add_lifted(H, g, x, m.bones, m.bone_info)
            H4 = H.reshape(17, 3, 17, 3)
            j = np.arange(17)
            # people accelerate in bursts: a joint that all views see elsewhere is believed (Cauchy prior)
            pull = np.matmul(prior, (x - x0)[..., None])[..., 0]
            trust = 1 / (1 + np.einsum('ji,ji->j', pull, x - x0) / (3. * cfg.tail ** 2))
            if i == 0:
                trust = np.full(17, cfg.first_trust)
            H4[j, :, j] += trust[:, None, None] * prior
            g += trust[:, None] * pull
            x = x - np.linalg.solve(H, g.reshape(51)).reshape(17, 3)
        inflate = (1 / trust)[:, None, None]
        self.pp, self.pv, self.vv, prior = self.pp * inflate, self.pv * inflate, self.vv * inflate, prior / inflate
        self.pred = (x0, self.v, self.pp, self.pv, self.vv)
        cov = np.linalg.inv(H).reshape(17, 3, 17, 3)[np.arange(17), :, np.arange(17)]
        gain = np.matmul(self.pv.swapaxes(1, 2), prior)                  # vp pp^-1
        self.v = self.v + np.matmul(gain, (x - x0)[..., None])[..., 0]
        self.vv = self.vv - np.matmul(np.matmul(gain, self.pp - cov), gain.swapaxes(1, 2))
        self.pv = np.matmul(cov, gain.swapaxes(1, 2))
        self.x, self.pp = x, cov
        # what the images say against the skeleton, before anything was expected of it
        off = np.where(seen[..., None], unbiased - r, 0.)
        self.r = off * k[..., None]
        self.residual = np.where((self.used > .25)[..., None], off, 0.)
        self._find_again(kp, k, seen)

    def _find_again(self, kp: Array, k: Array, seen: NDArray[np.bool_]) -> None:
        """Joints that coasted away while they were hidden: views that agree with each other outvote the prediction."""
        alone = ((self.used > .25).sum(0) < 2) & (seen.sum(0) >= 2)
        self.lost = np.where(alone, self.lost + 1, 0)
        j = np.nonzero(self.lost >= _LOST_TICKS)[0]
        if not len(j):
            return
        cameras = self.cameras
        weight = np.asarray((k[:, j] * cameras.focal[:, None]) ** 2, float)
        X = triangulate(cameras.rays(kp[:, j])[None], weight[None], cameras.R, cameras.t, rounds=4, scale=4.)[0]
        px = cameras.project(X)
        e2 = (((px - kp[:, j]) * k[:, j][..., None]) ** 2).sum(-1)
        agree = ((e2 < 9.) & seen[:, j]).sum(0) >= np.maximum(2, .6 * seen[:, j].sum(0))
        j, X = j[agree], X[agree]
        self.x[j], self.v[j] = X, 0.
        self.pp[j], self.pv[j], self.vv[j] = _EYE3 * .05 ** 2, 0., _EYE3
        self.lost[j] = 0

    def _system(self, x: Array, shift: Array | None, kp: Array, k: Array, scale: float) -> tuple[Array, Array, Array]:
        px, J = self.cameras.project_linear(x, shift)
        r = (px - kp) * k[..., None]
        e2 = (r * r).sum(-1)
        w = 1 / (1 + e2 / scale ** 2)
        self.used, self.e2 = w * w * (k > 0), e2
        J *= (w * k)[..., None, None]
        Jt = J.transpose(1, 0, 2, 3).reshape(17, -1, 3)
        rt = (r * w[..., None]).transpose(1, 0, 2).reshape(17, -1, 1)
        JT = Jt.swapaxes(1, 2)
        blocks, g = np.matmul(JT, Jt), np.matmul(JT, rt)[..., 0]
        d = x[_B] - x[_A]
        length = np.sqrt((d * d).sum(-1)) + 1e-9
        u = d / length[:, None]
        rb = length - self.lengths
        wb = self.bone_weight / (1 + rb * rb * self.bone_weight / 9.)
        Bm = (_INC[:, :, None] * u[:, None, :]).reshape(_K, 51)
        H = (Bm.T * wb) @ Bm
        H4 = H.reshape(17, 3, 17, 3)
        j = np.arange(17)
        H4[j, :, j] += blocks
        g = g + ((Bm.T * wb) @ rb).reshape(17, 3)
        return H, g, px

    @property
    def sigma(self) -> Array:
        """(17,) m, per axis."""
        return spread_of(self.state)


def spread_of(state: State) -> Array:
    """(17,) m: standard deviation of the positions of a state, per axis."""
    return np.asarray(np.sqrt(np.maximum(np.einsum('jii->j', state[2]) / 3, 0)))


def predicted(state: State, dt: float, acc2: Array) -> State:
    """A state `dt` s on at constant velocity, white acceleration of variances acc2 (17,) m^2/s^4 (see
    `ACCELERATION_STEP_S`).
    """
    x, v, pp, pv, vv = state
    q = acc2[:, None, None] * _EYE3 * (ACCELERATION_STEP_S / max(dt, 1e-3))
    return (x + dt * v, v, pp + dt * (pv + pv.swapaxes(1, 2)) + dt * dt * vv + q * (dt ** 4 / 4),
            pv + dt * vv + q * (dt ** 3 / 2), vv + q * dt ** 2)


def _add_lifted(H: Array, g: Array, x: Array, bones: Array, info: Array) -> None:
    """Bones that a lifter saw, as measurements of the vector from parent to child; in place."""
    r = x[_B[:16]] - x[_A[:16]] - bones
    pull = np.matmul(info, r[..., None])[..., 0]
    w = 1 / (1 + np.einsum('ki,ki->k', pull, r) / _LIFTED_TAIL ** 2)     # lifters take front for back at times (Cauchy)
    rows = (info * w[:, None, None]).reshape(16, 9).T[:, :, None] * _INC[:16]            # axis by axis
    H += np.matmul(_INC[:16].T, rows).reshape(3, 3, 17, 17).transpose(2, 0, 3, 1).reshape(51, 51)
    g += _INC[:16].T @ (pull * w[:, None])


def smooth_back(steps: Sequence[tuple[float, State, State]]) -> tuple[Array, Array, Array]:
    """What the oldest state looks like in the light of the later ones (Rauch, Tung and Striebel 1965).

    Args:
        steps: (dt that led here s, predicted, updated) of successive ticks, oldest first.

    Returns:
        Position, velocity (17, 3) and standard deviation per axis (17,) at the oldest tick.
    """
    m, P = _joined(steps[-1][2])
    for k in range(len(steps) - 2, -1, -1):
        dt, pred, _ = steps[k + 1]
        mp, Pp = _joined(pred)
        mk, Pk = _joined(steps[k][2])
        F = np.eye(6)
        F[:3, 3:] = dt * _EYE3
        G = np.linalg.solve(Pp + 1e-12 * np.eye(6), F @ Pk).swapaxes(1, 2)        # Pk F' Pp^-1, all symmetric
        m, P = mk + np.einsum('jab,jb->ja', G, m - mp), Pk + G @ (P - Pp) @ G.swapaxes(1, 2)
    return m[:, :3], m[:, 3:], np.sqrt(np.maximum(np.einsum('jii->j', P[:, :3, :3]) / 3, 0.))


def _joined(s: State) -> tuple[Array, Array]:
    x, v, pp, pv, vv = s
    P = np.empty((17, 6, 6))
    P[:, :3, :3], P[:, :3, 3:], P[:, 3:, :3], P[:, 3:, 3:] = pp, pv, pv.swapaxes(1, 2), vv
    return np.concatenate([x, v], 1), P
