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
from .pixel_equations import PixelEquations
from .sides import PERMUTATIONS, agreed_permutation
from .skeleton import BONES
from .trajectory import ACCELERATION_SIGMA, ACCELERATION_STEP_S

__all__ = ['FilterConfig', 'Measurement', 'SkeletonFilter', 'State', 'predict_together', 'predicted', 'smooth_back',
           'spread_of', 'update_together']

Array = NDArray[np.float64]
State = tuple[Array, Array, Array, Array, Array]

_PAIRS = (*BONES, (1, 4))
_A, _B = np.array([a for a, _ in _PAIRS]), np.array([b for _, b in _PAIRS])
_K = len(_PAIRS)
#: the trunk's bones bend and are softer, by this in the weight
_STIFF = np.where(np.isin(np.arange(_K), (6, 7, 8)), 1 / 2.25, 1.)
_EYE3 = np.eye(3)
#: a joint that two views see, but that fits neither for this many ticks, was lost
_LOST_TICKS = 3
#: lifted bones that are off by more than this many sigmas are down-weighted
_LIFTED_TAIL = 3.
_J = np.arange(17)
_BELOW = np.tril_indices(3, -1)
_NOT_LOST = np.zeros(17, np.int64)
#: (17, K) patterns: which bone touches which joint, with sign and without
_BY_JOINT = (_J[:, None] == _B).astype(float) - (_J[:, None] == _A)
_TOUCHES = np.abs(_BY_JOINT)
#: where the blocks (3, 3) of each joint by itself, of parents with children and of children with parents stand in the
#: normal equations of all joints, (51, 51) one row after the other
_ROWS, _COLUMNS = np.r_[_J, _A, _B], np.r_[_J, _B, _A]
_WHERE = (51 * (3 * _ROWS[:, None, None] + np.arange(3)[:, None]) + 3 * _COLUMNS[:, None, None] + np.arange(3)).ravel()


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
    Of N people at once (`update_together`) every array has N in front.
    """

    kp: Array
    sigma: Array
    offset: Array
    bones: Array | None = None
    bone_info: Array | None = None
    correct_sides: bool = True

    def of_one(self) -> Measurement:
        """Of one person, as a measurement of N = 1 people."""
        return replace(self, kp=self.kp[None], sigma=self.sigma[None], offset=self.offset[None],
                       bones=None if self.bones is None else self.bones[None],
                       bone_info=None if self.bone_info is None else self.bone_info[None])


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
        self.bone_weight = _STIFF / sigma_m ** 2

    def start(self, x: Array, sigma_m: float = .1, speed_sigma: float = 1.) -> None:
        """Begin at joints (17, 3) m."""
        self.x, self.v = x.copy(), np.zeros((17, 3))
        self.pp = np.tile(_EYE3 * sigma_m ** 2, (17, 1, 1))
        self.pv = np.zeros((17, 3, 3))
        self.vv = np.tile(_EYE3 * speed_sigma ** 2, (17, 1, 1))
        self.residual = None

    def predict(self, dt: float) -> None:
        """Constant velocity over `dt` s, white acceleration."""
        predict_together([self], np.array([dt]))

    def pixels(self, offset: Array | None = None) -> Array:
        """Predicted pixels (V, 17, 2) at the views' own times."""
        return self.cameras.project(self.x, None if offset is None else offset[:, None, None] * self.v[None])

    def update(self, m: Measurement) -> None:
        """Take the views of one tick."""
        update_together([self], m.of_one())

    @property
    def sigma(self) -> Array:
        """(17,) m, per axis."""
        return spread_of(self.pp)


def spread_of(pp: Array) -> Array:
    """(..., 17) m: standard deviation of positions with covariances (..., 17, 3, 3), per axis."""
    return np.asarray(np.sqrt(np.maximum(np.einsum('...jii->...j', pp) / 3, 0)))


def predicted(state: State, dt: float | Array, acc2: Array) -> State:
    """A state `dt` s on at constant velocity, white acceleration of variances acc2 (17,) m^2/s^4 (see
    `ACCELERATION_STEP_S`). Of N people: every array with N in front, dt (N,).
    """
    x, v, pp, pv, vv = state
    t = np.asarray(dt, float)[..., None, None]
    q = acc2[..., None, None] * _EYE3 * (ACCELERATION_STEP_S / np.maximum(t, 1e-3))[..., None]
    u = t[..., None]
    return (x + t * v, v, pp + u * (pv + pv.swapaxes(-1, -2)) + u * u * vv + q * (u ** 4 / 4),
            pv + u * vv + q * (u ** 3 / 2), vv + q * u ** 2)


def _stacked(filters: Sequence[SkeletonFilter]) -> State:
    """States of N people, every array with N in front."""
    if len(filters) == 1:
        f = filters[0]
        return f.x[None], f.v[None], f.pp[None], f.pv[None], f.vv[None]
    return (np.array([f.x for f in filters]), np.array([f.v for f in filters]), np.array([f.pp for f in filters]),
            np.array([f.pv for f in filters]), np.array([f.vv for f in filters]))


def predict_together(filters: Sequence[SkeletonFilter], dt: Array) -> None:
    """`SkeletonFilter.predict` of N people, each by its own dt (N,) s."""
    x, v, pp, pv, vv = predicted(_stacked(filters), dt, np.array([f.acc2 for f in filters]))
    for n, f in enumerate(filters):
        f.x, f.v, f.pp, f.pv, f.vv = x[n], v[n], pp[n], pv[n], vv[n]
        f.pred = f.state


def update_together(filters: Sequence[SkeletonFilter], m: Measurement) -> None:
    """`SkeletonFilter.update` of N people with one rig: the same steps, side by side, at a fraction of the cost.

    Configurations may differ in `memory` and in what is known of bones alone.
    """
    first = filters[0]
    cfg, cameras, N = first.config, first.cameras, len(filters)
    x0, v, pp, pv, vv = _stacked(filters)
    views = PixelEquations(cameras, v, m.offset)
    at, kp, sigma = views.project(x0), m.kp, m.sigma
    if m.correct_sides:
        best = agreed_permutation(views.by_camera(at.px), kp, sigma)
        if best.any():
            index = PERMUTATIONS[best]
            kp, sigma = np.take_along_axis(kp, index[..., None], 2), np.take_along_axis(sigma, index, 2)
    seen = np.isfinite(sigma)
    k_views = np.where(seen, 1 / (sigma * cfg.inflation), 0.)
    k = views.in_rows(k_views)
    expected = kp
    if any(f.residual is not None and f.config.memory for f in filters):
        expected = kp - np.array([np.zeros_like(kp[0]) if f.residual is None else f.config.memory * f.residual
                                  for f in filters])
    wanted = views.in_rows(expected)
    prior = np.linalg.inv(pp)
    bones = _Bones.of(filters, m)
    x, trust = x0, np.full((N, 17), cfg.first_trust)
    H, w, e2 = np.empty(0), k, k
    for i in range(cfg.steps):
        scale = cfg.outlier * (2. if i == 0 else 1.)                # wide at first: a fast joint is no outlier
        at = views.project(x) if i else at
        off = at.px - wanted
        r = off * k
        e2 = r[0] * r[0] + r[1] * r[1]
        w = 1 / (1 + e2 / scale ** 2)
        weight = w * k
        blocks, g = views.system(at, weight * weight, off)
        stiff, pull_b = bones.equations(x)
        g += _BY_JOINT @ pull_b
        if i:
            # people accelerate in bursts: a prediction that all views contradict is down-weighted (Cauchy prior)
            moved = x - x0
            pull = np.matmul(prior, moved[..., None])[..., 0]
            trust = 1 / (1 + (pull * moved).sum(-1) / (3. * cfg.tail ** 2))
            g += trust[..., None] * pull
        blocks += trust[..., None, None] * prior
        H = _assembled(blocks, stiff)
        step = _solved(H, g.reshape(N, 51))
        x = x - step.reshape(N, 17, 3)
    used = np.where(k > 0, w * w, 0.)
    inflate = (1 / trust)[..., None, None]
    pp, pv, vv, prior = pp * inflate, pv * inflate, vv * inflate, prior / inflate
    cov = _covariances(H)
    gain = np.matmul(pv.swapaxes(-1, -2), prior)                     # vp pp^-1
    back = gain.swapaxes(-1, -2)
    speed = v + np.matmul(gain, (x - x0)[..., None])[..., 0]
    vv_now = vv - np.matmul(np.matmul(gain, pp - cov), back)
    pv_now = np.matmul(cov, back)
    # what the images say against the skeleton, before anything was expected of it
    against = np.where(k > 0, views.in_rows(kp) - at.px, 0.)
    weighed, residual = views.by_camera(against * k), views.by_camera(np.where(used > .25, against, 0.))
    used, e2 = views.by_camera(used), views.by_camera(e2)
    for n, f in enumerate(filters):
        f.pred = (x0[n], v[n], pp[n], pv[n], vv[n])
        f.x, f.v, f.pp, f.pv, f.vv = x[n], speed[n], cov[n], pv_now[n], vv_now[n]
        f.used, f.e2, f.r, f.residual = used[n], e2[n], weighed[n], residual[n]
    alone = ((used > .25).sum(1) < 2) & (seen.sum(1) >= 2)
    for n, (f, some) in enumerate(zip(filters, alone.any(1).tolist(), strict=True)):
        f.lost = np.where(alone[n], f.lost + 1, 0) if some else _NOT_LOST
        if some:
            _find_again(f, expected[n], k_views[n], seen[n])


def _find_again(f: SkeletonFilter, kp: Array, k: Array, seen: NDArray[np.bool_]) -> None:
    """Joints that coasted away while they were hidden: views that agree with each other outvote the prediction."""
    j = np.nonzero(f.lost >= _LOST_TICKS)[0]
    if not len(j):
        return
    cameras = f.cameras
    weight = np.asarray((k[:, j] * cameras.focal[:, None]) ** 2, float)
    X = triangulate(cameras.rays(kp[:, j])[None], weight[None], cameras.R, cameras.t, rounds=4, scale=4.)[0]
    px = cameras.project(X)
    e2 = (((px - kp[:, j]) * k[:, j][..., None]) ** 2).sum(-1)
    agree = ((e2 < 9.) & seen[:, j]).sum(0) >= np.maximum(2, .6 * seen[:, j].sum(0))
    j, X = j[agree], X[agree]
    f.x[j], f.v[j] = X, 0.
    f.pp[j], f.pv[j], f.vv[j] = _EYE3 * .05 ** 2, 0., _EYE3
    f.lost[j] = 0


@dataclass(frozen=True)
class _Bones:
    """What is known of the bones of N people: lengths (N, K) m, weight (N, K) 1/m^2; and what a lifter saw of the first
    16, the vectors from parent to child (N, 16, 3) m with inverse covariances (N, 16, 3, 3), or None.
    """

    lengths: Array
    weight: Array
    lifted: Array | None
    lifted_info: Array | None

    @classmethod
    def of(cls, filters: Sequence[SkeletonFilter], m: Measurement) -> _Bones:
        return cls(np.array([f.lengths for f in filters]), np.array([f.bone_weight for f in filters]), m.bones,
                   m.bone_info)

    def equations(self, x: Array) -> tuple[Array, Array]:
        """Normal equations of the vectors from parent to child of joints x (N, 17, 3): (N, K, 3, 3) and (N, K, 3)."""
        d = x[:, _B] - x[:, _A]
        length = np.sqrt((d * d).sum(-1)) + 1e-9
        u = d / length[..., None]
        r = length - self.lengths
        w = self.weight / (1 + r * r * self.weight / 9.)
        along = u * w[..., None]
        stiff, pull = along[..., None] * u[..., None, :], along * r[..., None]
        if self.lifted is not None and self.lifted_info is not None:
            off = d[:, :16] - self.lifted
            force = np.matmul(self.lifted_info, off[..., None])[..., 0]
            # lifters take front for back at times (Cauchy)
            w = 1 / (1 + (force * off).sum(-1) / _LIFTED_TAIL ** 2)
            stiff[:, :16] += self.lifted_info * w[..., None, None]
            pull[:, :16] += force * w[..., None]
        return stiff, pull


def _assembled(blocks: Array, stiff: Array) -> Array:
    """Normal equations (N, 51, 51) of joints with blocks (N, 17, 3, 3) of their own, held by bones (N, K, 3, 3)."""
    N = len(blocks)
    bones = stiff.reshape(N, _K, 9)
    H = np.zeros((N, 51 * 51))
    H[:, _WHERE] = np.concatenate([blocks.reshape(N, 17, 9) + _TOUCHES @ bones, -bones, -bones], 1).reshape(N, -1)
    return H.reshape(N, 51, 51)


def _solved(H: Array, g: Array) -> Array:
    """Solutions (N, 51) of N systems H (N, 51, 51)."""
    return np.linalg.solve(H, g[..., None])[..., 0]


def _covariances(H: Array) -> Array:
    """Diagonal blocks (N, 17, 3, 3) of the inverses of H (N, 51, 51)."""
    out = np.linalg.inv(H).reshape(len(H), 17, 3, 17, 3)[:, _J, :, _J].swapaxes(0, 1)
    out[..., _BELOW[0], _BELOW[1]] = out[..., _BELOW[1], _BELOW[0]]            # symmetric to the last bit
    return out


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
