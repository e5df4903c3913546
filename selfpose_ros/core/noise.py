# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a 2D network's errors are like, learned from the residuals of a solved rig.

A confidence is only a number until it is known what error goes with it: networks differ by an order of magnitude, and
some (MediaPipe) say little about their outliers. `calibrate` measures it per recording.
"""
from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from .body import BONE_A, BONE_B, MIRROR_BONE
from .rig.bundle import BONE_SIGMA_M, BundleProblem, BundleState, adjust, linearise, robust_weight

__all__ = ['NoiseModel', 'calibrate', 'lag_one_correlation', 'measure_bone_sigma']

Array = NDArray[np.float64]

#: px per pixel of image side and unit confidence, before anything is known: about 5 px in a 1000 px image
_PRIOR_SHARE = 0.005


@dataclass(frozen=True)
class NoiseModel:
    """Standard deviation of a 2D joint, px, as a function of its confidence.

    Attributes:
        confidence, sigma_px: (K,) knots, interpolated in the logarithm; sigma does not rise with confidence.
        correlation: of the error from one frame to the next at frame_s seconds.
        measured: False for the prior.
    """

    confidence: Array
    sigma_px: Array
    correlation: float = .6
    frame_s: float = .04
    measured: bool = False

    @classmethod
    def prior(cls, image_size: ArrayLike) -> NoiseModel:
        """Before anything is known: a fixed share of the image's side, growing with falling confidence."""
        side = float(np.mean(np.max(np.atleast_2d(image_size), axis=1)))
        c = np.array([.02, .1, .3, .5, .7, 1.])
        return cls(c, _PRIOR_SHARE * side / c)

    def sigma(self, confidence: Array) -> Array:
        """(...) confidences -> px; inf where the confidence is 0."""
        s = np.exp(np.interp(confidence, self.confidence, self._log_sigma))
        return np.where(confidence > 0, s, np.inf)

    @cached_property
    def _log_sigma(self) -> Array:
        with np.errstate(divide='ignore'):
            return np.asarray(np.log(self.sigma_px))

    def correlation_at(self, step_s: float) -> float:
        """Correlation of the error between frames that are `step_s` apart."""
        return float(self.correlation ** max(step_s / max(self.frame_s, 1e-3), .05))


def calibrate(state: BundleState, problem: BundleProblem, confidence: Array,
              prior: NoiseModel) -> tuple[NoiseModel, Array]:
    """Noise model from residuals, and the leverage-corrected residuals (N, V, 17) px (per axis, standardised).

    A residual is smaller than the error that caused it, because the estimate follows the observation: it is divided by
    sqrt(1 - leverage). Median per confidence bin (robust), then isotonic: more confidence never means more error.
    """
    r, JX, _ = linearise(state, problem)
    seen = np.isfinite(problem.sigma)
    px = np.sqrt((r * r).sum(-1) / 2) * np.where(seen, problem.sigma, 0.)
    JX = JX * np.sqrt(robust_weight((r * r).sum(-1), 4.))[..., None, None]
    H = np.einsum('nvjka,nvjkb->njab', JX, JX, optimize=True)
    # bones and motion hold a point, too: a weak pull keeps unseen directions finite
    cov = np.linalg.inv(H + (np.trace(H, axis1=-2, axis2=-1)[..., None, None] * .02 + 1e-6) * np.eye(3))
    leverage = np.clip(np.einsum('nvjka,njab,nvjkb->nvj', JX, cov, JX, optimize=True) / 2, 0, .9)
    err = px / np.sqrt(1 - leverage)
    ok = seen & (seen.sum(1, keepdims=True) >= 2)
    c, e = confidence[ok], err[ok]
    if len(c) < 200:
        return prior, err
    order = np.argsort(c, kind='stable')
    bins = np.array_split(order, int(np.clip(len(c) // 60, 4, 32)))
    knots = np.array([c[b].mean() for b in bins])
    # the median of |e| of a 2D Gaussian, per axis, is 0.8326 sigma
    sigma = np.array([np.median(e[b]) for b in bins]) / .8326
    floor = .1 * prior.sigma_px.min()
    log_sigma = isotonic_regression(np.log(np.maximum(sigma, floor)), weights=[len(b) for b in bins],
                                    increasing=False).x
    knots, keep = np.unique(knots, return_index=True)
    return NoiseModel(knots, np.exp(log_sigma[keep]), prior.correlation, prior.frame_s, True), err


def measure_bone_sigma(state: BundleState, problem: BundleProblem) -> Array:
    """(16,) m: how much bones really change their length between instants, beyond what the 2D noise explains.

    Motion capture keeps them exactly; a detector that puts the hip where the trousers fold does not. Lengths come from
    points adjusted without bones, cameras held; robust spread, expected noise of both ends taken off.
    """
    free = adjust(state, replace(problem, bone_weight=0.), steps=4, points_only=True).state
    r, JX, _ = linearise(free, problem)
    JX = JX * np.sqrt(robust_weight((r * r).sum(-1), 4.))[..., None, None]
    H = np.einsum('nvjka,nvjkb->njab', JX, JX, optimize=True)
    cov = np.linalg.inv(H + 25. * np.eye(3))
    d = free.X[:, BONE_B] - free.X[:, BONE_A]
    n = np.linalg.norm(d, axis=-1)
    u = d / n[..., None].clip(1e-6)
    noise = np.einsum('nka,nkab,nkb->nk', u, cov[:, BONE_A] + cov[:, BONE_B], u)
    good = noise < .05 ** 2                                              # lengths that the views really measure
    out = BONE_SIGMA_M.copy()
    for k in range(16):
        if good[:, k].sum() >= 30:
            off = n[good[:, k], k]
            of = np.zeros(len(off), np.int64) if problem.person is None else problem.person[good[:, k]]
            for q in np.unique(of):                                      # each person has lengths of his own
                off[of == q] -= np.median(off[of == q])
            spread = 1.4826 * np.median(np.abs(off))
            out[k] = np.sqrt(max(spread ** 2 - np.median(noise[good[:, k], k]), 0.))
    return np.clip(np.maximum(out, out[MIRROR_BONE]), .010, .04)


def lag_one_correlation(state: BundleState, problem: BundleProblem, stamp: Array) -> tuple[float, float]:
    """Correlation of good residuals between neighbouring instants, and the median step between those, s."""
    r, _, _ = linearise(state, problem)
    good = (robust_weight((r * r).sum(-1), 4.) > .5) & np.isfinite(problem.sigma)
    alike = np.ones(len(good) - 1, bool) if problem.person is None else np.diff(problem.person) == 0
    both = good[1:] & good[:-1] & alike[:, None, None]
    step = float(np.median(np.diff(stamp)[alike])) if alike.any() else .04
    if both.sum() < 300:
        return .6, .04
    a, b = r[1:][both], r[:-1][both]
    return float(np.clip((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()), 0., .9)), step
