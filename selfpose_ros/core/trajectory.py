# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Zero-phase estimate of a person's whole trajectory, and of the cameras with it: the off-line second pass.

Maximum a posteriori over all joints of all instants at once. What is known beside the images: bones keep their length
(soft), joints do not accelerate much (soft, heavy-tailed so that a kick stays a kick), the error of a 2D joint is
correlated from one frame to the next, and some observations are plain wrong (Geman-McClure; left and right may be
exchanged). One Gauss-Newton step is one elimination of a banded matrix (half-bandwidth 102: blocks of 51, coupled
over two); cameras and bone lengths are its border, so that the rig profits from all that, too.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .banded import Bands, inverse_diagonal, second_difference, solved
from .body import MIRROR_BONE
from .rig.bundle_equations import linearise
from .rig.bundle_problem import BundleProblem, BundleState
from .rig.swaps import renamed
from .robust import robust_cost, robust_weight
from .sides import PERMUTATIONS, permutations_in_time
from .skeleton import BONES

__all__ = ['ACCELERATION_SIGMA', 'ACCELERATION_STEP_S', 'MotionModel', 'Trajectory', 'estimate_trajectory']

Array = NDArray[np.float64]

_N3 = 51
#: bones plus the distance of the hips: the pelvis is rigid, whatever the thighs do
_PAIRS = (*BONES, (1, 4))
_A, _B = np.array([a for a, _ in _PAIRS]), np.array([b for _, b in _PAIRS])
_MIRROR_PAIR = np.r_[MIRROR_BONE, len(BONES)]
#: root mean square acceleration of everyday to athletic motion by joint, m/s^2, over steps of 40 ms (motion capture,
#: training split); over shorter steps it is larger: acceleration is taken for white, its density stays
ACCELERATION_STEP_S = .04
ACCELERATION_SIGMA = np.array([2.7, 2.8, 5.1, 6.6, 2.8, 5.1, 6.6, 2.3, 2.4, 2.6, 2.7, 3.1, 5.2, 7.3, 3.1, 5.2, 7.3])


@dataclass(frozen=True)
class MotionModel:
    """How bodies move and detectors err.

    Attributes:
        acceleration: factor on `ACCELERATION_SIGMA`.
        tail: accelerations beyond this many sigmas count less and less (Cauchy).
        correlation: of a 2D joint's error from one frame to the next.
        outlier: Geman-McClure scale of a 2D residual, sigmas.
    """

    acceleration: float = 1.
    tail: float = 1.5
    correlation: float = .5
    outlier: float = 6.


@dataclass(frozen=True)
class Trajectory:
    """State as adjusted; sigma (N, 17) m with the cameras held; the observations as they were used."""

    state: BundleState
    sigma: Array
    problem: BundleProblem


class _Bands(Bands):
    """Of 17 joints."""

    def __init__(self, n: int) -> None:
        super().__init__(n, _N3)

    def add_next(self, off: Array) -> None:
        """Off (N-1, 17, 3, 3): rows of block n+1, columns of block n, joint by joint."""
        view = self.view.reshape(2 * _N3 + 1, self.n, 17, 3)
        for a in range(3):
            for b in range(3):
                view[_N3 + a - b, :-1, :, b] += off[:, :, a, b]


def estimate_trajectory(
    problem: BundleProblem, state: BundleState, stamp: Array, model: MotionModel | None = None, *,
    rounds: int = 8, correct_sides: bool = False,
) -> Trajectory:
    """Gauss-Newton with re-weighting from `state` (its X must be finite).

    Args:
        problem: observations at (N,) instants; sigmas calibrated.
        stamp: (N,) s, strictly increasing, N >= 3.
        correct_sides: put right what is exchanged left and right in the observations, see `sides.permutations_in_time`.
    """
    model = model or MotionModel()
    s, p = state, problem
    pair_len = np.r_[s.bones, np.median(np.linalg.norm(s.X[:, 1] - s.X[:, 4], axis=-1))]
    coef = second_difference(stamp)
    work = _Work(model, coef, pair_len, problem.bone_sigma)
    for i in range(rounds):
        if correct_sides and i in (1, 3):
            order, _ = permutations_in_time(s.cameras.project(s.X), problem.kp, problem.sigma, stamp,
                                            work.turning(s.X))
            p, _ = renamed(problem, order)
        s = work.step(s, p)
    return Trajectory(s, work.uncertainty(s, p), p)


class _Work:
    def __init__(self, model: MotionModel, coef: list[Array], pair_len: Array, bone_sigma: Array) -> None:
        self.model, self.coef, self.L = model, coef, pair_len
        step = 2 / np.sqrt(-coef[1] * 2)                                 # mean step around each instant, s
        self.acc = np.repeat(ACCELERATION_SIGMA * model.acceleration, 3) * np.sqrt(ACCELERATION_STEP_S / step)[:, None]
        self.bone = np.r_[bone_sigma, bone_sigma[[0, 3]].max()]

    def system(self, s: BundleState, p: BundleProblem) -> tuple[Array, Array]:
        """Normal equations: bands of the matrix, and the gradient (N, 51)."""
        N = len(p.kp)
        r, JX, _ = linearise(s, p)
        w = robust_weight((r * r).sum(-1), self.model.outlier) * (np.isfinite(p.sigma))
        root = np.sqrt(w)[..., None]
        r, a = r * root, JX * root[..., None]
        rho = np.zeros(w.shape)
        rho[1:] = self.model.correlation * np.sqrt(w[1:] * w[:-1])
        gain = 1 / np.sqrt(1 - rho ** 2)
        before = lambda x: np.concatenate([np.zeros_like(x[:1]), x[:-1]])      # noqa: E731
        rs = (rho * gain)[..., None]
        e = r * gain[..., None] - before(r) * rs                                # whitened residual
        a0, a1 = a * gain[..., None, None], -before(a) * rs[..., None]          # by this instant, by the one before
        jj = np.arange(17)
        D = np.einsum('nvjka,nvjkb->njab', a0, a0, optimize=True)
        D[:-1] += np.einsum('nvjka,nvjkb->njab', a1[1:], a1[1:], optimize=True)
        off = np.einsum('nvjka,nvjkb->njab', a0[1:], a1[1:], optimize=True)
        g = np.einsum('nvjka,nvjk->nja', a0, e, optimize=True)
        g[:-1] += np.einsum('nvjka,nvjk->nja', a1[1:], e[1:], optimize=True)
        H = np.zeros((N, 17, 3, 17, 3))
        H[:, jj, :, jj] = D.transpose(1, 0, 2, 3)
        H, g = H.reshape(N, _N3, _N3), g.reshape(N, _N3)
        d = s.X[:, _B] - s.X[:, _A]
        n = np.sqrt((d * d).sum(-1)) + 1e-9
        u = d / n[..., None]
        rb = (n - self.L) / self.bone
        wb = np.sqrt(robust_weight(rb * rb, 3., 'cauchy'))
        kb = wb / self.bone
        K = len(_PAIRS)
        Bm = np.zeros((N, K, 17, 3))
        kk = np.arange(K)
        Bm[:, kk, _B] += u * kb[..., None]
        Bm[:, kk, _A] -= u * kb[..., None]
        Bm = Bm.reshape(N, K, _N3)
        Bt = Bm.swapaxes(1, 2)
        H = H + np.matmul(Bt, Bm)
        g = g + np.matmul(Bt, (rb * wb)[..., None])[..., 0]
        bands = _Bands(N)
        bands.add_diagonal_blocks(H)
        bands.add_next(off)
        X = s.X.reshape(N, _N3)
        acc = sum(c[:, None] * X[i:N - 2 + i] for i, c in enumerate(self.coef)) / self.acc
        tail = ((acc ** 2).reshape(N - 2, 17, 3)).sum(-1) / self.model.tail ** 2
        q = np.repeat(1 / (1 + tail), 3, axis=1) / self.acc ** 2
        bands.add_stencil(self.coef, q)
        force = q * self.acc * acc
        for i, c in enumerate(self.coef):
            g[i:N - 2 + i] += c[:, None] * force
        bands.ab[0] += 1e-3
        return bands.ab, g

    def turning(self, X: Array) -> Array:
        """What it costs (N-1, 4) to turn the body X (N, 17, 3) by each of `PERMUTATIONS` from one instant to the
        next, by the accelerations that come and go with it; below 0 where the body itself jumps from side to side.
        """
        N = len(X)
        out = np.zeros((N - 1, 4))
        usual = self._effort(*(X[i:N - 2 + i] for i in range(3)))
        for k, order in enumerate(PERMUTATIONS[1:], 1):
            Y = X[:, order]
            out[:-1, k] += self._effort(X[:-2], Y[1:-1], Y[2:]) - usual           # turned after the first of three
            out[1:, k] += self._effort(X[:-2], X[1:-1], Y[2:]) - usual            # after the second
        return out

    def _effort(self, *of: Array) -> Array:
        """Cost (N-2,) of the accelerations of three successive bodies (N-2, 17, 3) each."""
        acc = sum(c[:, None, None] * x for c, x in zip(self.coef, of, strict=True)) / self.acc.reshape(-1, 17, 3)
        return robust_cost((acc ** 2).sum(-1), self.model.tail, 'cauchy').sum(-1)

    def step(self, s: BundleState, p: BundleProblem) -> BundleState:
        n = np.median(np.linalg.norm(s.X[:, _B] - s.X[:, _A], axis=-1), 0)
        self.L = .5 * (n + n[_MIRROR_PAIR])                         # bones follow the present lengths, left = right
        ab, g = self.system(s, p)
        dx = -solved(ab, g)
        return replace(s, X=s.X + np.clip(dx, -.5, .5).reshape(s.X.shape), bones=self.L[:-1])

    def uncertainty(self, s: BundleState, p: BundleProblem) -> Array:
        """Posterior standard deviation per joint (N, 17) with the cameras held."""
        var = inverse_diagonal(self.system(s, p)[0], len(s.X), _N3)
        return np.sqrt(np.maximum(var, 0).reshape(*s.X.shape).mean(-1))
