# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a bundle adjustment is given, what it moves, and what it makes least: the cost.

Unknown: per camera rotation, translation, log focal length and, where the prior says so, k1 and k2 of its lens; 17
joints per pose; 16 log bone lengths per person. A pose is one person at one instant: several people are more poses and
more bones, nothing else. What ties the poses together, besides the cameras that stand still, is that bones keep their
length and that bodies are about symmetric and of human size: with two views this is what fixes the focal lengths, with
more it makes the rig stiff.
"""
from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..body import BONE_A, BONE_B, BONE_LOG_SIGMA, BONE_PRIOR_M, MIRROR_BONE
from ..cameras import Cameras
from ..robust import robust_cost
from .lens import LensPrior

__all__ = ['BundleProblem', 'BundleState', 'bone_prior', 'bone_vectors', 'cost_of', 'pose_costs', 'pose_lengths',
           'prior_cost', 'residuals']

Array = NDArray[np.float64]

_B = len(BONE_PRIOR_M)
#: how exactly a detector's bone keeps its length from one instant to the next, m (sigma), until it is measured
BONE_SIGMA_M = np.array([.012, .012, .012, .012, .012, .012, .02, .015, .02, .015, .015, .012, .012, .015, .012, .012])
#: left and right bones of one person differ by this much, log
SYMMETRY_LOG_SIGMA = 0.02
_GAUGE_LOG_SIGMA = 1e-3


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
        bone_stretch: (N, 16) by how much noise lengthens the bones of these poses, as a share, see `bones`; None = not.
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
    bone_stretch: Array | None = None
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

    def by_person(self) -> list[tuple[int, slice | NDArray[np.int64]]]:
        """Each person and the poses that are his."""
        if self.person is None:
            return [(0, slice(None))]
        return [(q, np.nonzero(self.person == q)[0]) for q in range(self.people)]

    def take(self, index: NDArray[np.int64]) -> BundleProblem:
        """The same problem on some of its instants."""
        return replace(self, kp=self.kp[index], sigma=self.sigma[index],
                       bone_stretch=None if self.bone_stretch is None else self.bone_stretch[index],
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


def residuals(s: BundleState, p: BundleProblem) -> Array:
    """Squared normalised residuals (N, V, 17); 0 where unseen."""
    inv = np.where(np.isfinite(p.sigma), 1 / p.sigma, 0.)
    return (((s.cameras.project(s.X) - p.kp) * inv[..., None]) ** 2).sum(-1)


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


def pose_lengths(s: BundleState, p: BundleProblem) -> Array:
    """Bone lengths as noise shows them: (N, 16) of every pose, or (16,) of all."""
    own = s.bones if p.person is None else s.bones[p.person]
    return own if p.bone_stretch is None else own * (1 + p.bone_stretch)


def bone_vectors(X: Array) -> tuple[Array, Array]:
    """Lengths (N, 16), m, and directions (N, 16, 3) of the bones of X (N, 17, 3)."""
    d = X[:, BONE_B] - X[:, BONE_A]
    n = np.sqrt((d * d).sum(-1)) + 1e-9
    return n, d / n[..., None]


def pose_costs(s: BundleState, p: BundleProblem, scale: float, kind: str) -> Array:
    """(N,) what each pose costs."""
    c = robust_cost(residuals(s, p), scale, kind).sum((1, 2))
    if p.bone_weight:
        n, _ = bone_vectors(s.X)
        c += p.bone_weight * robust_cost(((n - pose_lengths(s, p)) / p.bone_sigma) ** 2, 3., 'cauchy').sum(1)
    return np.asarray(c)


def prior_cost(s: BundleState, p: BundleProblem, prior: tuple[Array, Array]) -> float:
    """Of the bones' lengths, see `bone_prior`, and of focal lengths and lenses."""
    d = np.log(s.bones).ravel() - prior[0]
    c = .5 * d @ prior[1] @ d
    if p.lens is not None:
        return float(c + p.temper * p.lens.cost(s.cameras))
    free = p.log_focal_sigma > 0
    c += .5 * p.temper * (((np.log(s.cameras.focal) - p.log_focal)[free] / p.log_focal_sigma[free]) ** 2).sum()
    return float(c)


def cost_of(s: BundleState, p: BundleProblem, scale: float, kind: str, prior: tuple[Array, Array]) -> float:
    """What the adjustment makes least: poses and prior, see `pose_costs`, `prior_cost`."""
    return float(pose_costs(s, p, scale, kind).sum()) + prior_cost(s, p, prior)
