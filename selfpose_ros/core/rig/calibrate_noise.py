# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The noise of a 2D network, measured from the residuals of a solved rig."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..cameras import NEAREST
from ..noise import NoiseModel
from ..robust import robust_weight
from ..statistics import falling
from .bundle_equations import linearise, pose_covariance
from .bundle_problem import BundleProblem, BundleState

__all__ = ['calibrate', 'lag_one_correlation', 'noise_by_view']

Array = NDArray[np.float64]

#: joints of a view that tell its noise, views of a camera that are taken together, and how many of those at most
_JOINTS_OF_A_VIEW, _OF_A_BIN, _BINS = 6, 12, 8
#: beforehand: power of the size with which noise goes, and its spread; spread of the logarithm of the noise of a bin
_POWER, _SPREAD_OF_A_BIN = (.5, .5), .1
#: loss of the residuals that tell the noise, sigmas
_ROBUST = 4.
#: what an observation tells of its noise is at least this, of 1; a prior counts as much as so many that tell all
_LEAST_LEFT, _PRIOR_COUNTS = .004, .5
#: median length of an error per axis with two variances whose ratio is this (mean 1), and of equal ones
_MEDIANS = (np.array([0., .05, .1, .2, .3, .5, 1.]), np.array([.6745, .6975, .724, .765, .790, .817, .8326]))
_MEDIAN = .8326
#: views differ by this at most, log
_MOST_LOG = 1.5


def calibrate(state: BundleState, problem: BundleProblem, confidence: Array, prior: NoiseModel,
              factor: Array | float = 1.) -> tuple[NoiseModel, Array]:
    """Noise model from residuals, and the leverage-corrected residuals (N, V, 17) px (per axis, standardised).

    factor: (N, V) of the noise of each view against that of the model, see `noise_by_view`.

    A residual is smaller than the error that caused it, because the estimate follows the observation: it is divided by
    sqrt(1 - leverage). What is followed closely tells little and counts by 1 - leverage; where two cameras see a point,
    an observation has one direction that tells anything, and the median of its error is that of one axis. Weighted
    median per confidence bin (robust), drawn to the prior where a bin tells little, then isotonic: more confidence
    never means more error.
    """
    seen = np.isfinite(problem.sigma)
    r, left, shape = _left_by_poses(state, problem)
    err = np.sqrt((r * r).sum(-1) / 2) * np.where(seen, problem.sigma, 0.) / np.sqrt(left) * shape
    ok = seen & (seen.sum(1, keepdims=True) >= 2)
    c, e, w = confidence[ok], (err / np.broadcast_to(factor, err.shape[:2])[..., None])[ok], left[ok]
    if len(c) < 200:
        return prior, err
    order = np.argsort(c, kind='stable')
    bins = np.array_split(order, int(np.clip(len(c) // 60, 4, 32)))
    knots = np.array([c[b].mean() for b in bins])
    tells = np.array([w[b].sum() for b in bins])
    floor = .1 * prior.sigma_px.min()
    log_sigma = np.log(np.maximum([_median(e[b], w[b]) / _MEDIAN for b in bins], floor))
    log_sigma = (tells * log_sigma + _PRIOR_COUNTS * np.log(prior.sigma(knots))) / (tells + _PRIOR_COUNTS)
    log_sigma = falling(log_sigma, [len(b) for b in bins])
    knots, keep = np.unique(knots, return_index=True)
    return NoiseModel(knots, np.exp(log_sigma[keep]), prior.correlation, prior.frame_s, True), err


def _left_by_poses(state: BundleState, problem: BundleProblem) -> tuple[Array, Array, Array]:
    """Residuals (N, V, 17, 2), sigmas; the share (N, V, 17) of their variance that the poses have not taken, 1 -
    leverage; and what a residual is divided by, on top of it, for the shape of what is left: (N, V, 17).
    """
    jj = np.arange(17)
    P = pose_covariance(state, problem, _ROBUST, 'gm')[:, jj, :, jj].swapaxes(0, 1)                # (N, 17, 3, 3)
    r, JX, _ = linearise(state, problem)
    JX = JX * np.sqrt(robust_weight((r * r).sum(-1), _ROBUST))[..., None, None]
    L = np.einsum('nvjka,njab,nvjlb->nvjkl', JX, P, JX, optimize=True)
    mean = (L[..., 0, 0] + L[..., 1, 1]) / 2
    apart = np.sqrt(((L[..., 0, 0] - L[..., 1, 1]) / 2) ** 2 + L[..., 0, 1] ** 2)
    left = np.clip(1 - mean, _LEAST_LEFT, 1.)
    thin, thick = (np.maximum(1 - mean + k * apart, _LEAST_LEFT) for k in (-1, 1))
    return r, left, _MEDIAN / np.interp(thin / thick, *_MEDIANS)


def _median(x: Array, weight: Array) -> float:
    order = np.argsort(x)
    total = np.cumsum(weight[order])
    return float(x[order][np.searchsorted(total, total[-1] / 2)])


def noise_by_view(state: BundleState, err: Array, sigma: Array) -> Array:
    """(N, V) factors of the noise of each view against a model that has none, about 1: a power of how large people
    appear in it, for a network that looks at a crop around somebody errs by a share of him, another by pixels of the
    whole image. Cameras have no factors of their own: joints that the network puts elsewhere, seen from one side, pass
    for noise.

    Args:
        err: (N, V, 17) px, residuals as `calibrate` returns them.  sigma: (N, V, 17) px of the model; inf = unseen.
    """
    N, V = err.shape[:2]
    size = np.log(state.cameras.focal / np.maximum(state.cameras.depth(state.X[:, :1])[..., 0], NEAREST))
    seen = np.isfinite(sigma) & (np.isfinite(sigma).sum(1, keepdims=True) >= 2)
    bins = []
    for v in range(V):
        use = np.nonzero(seen[:, v].sum(-1) >= _JOINTS_OF_A_VIEW)[0]
        use = use[np.argsort(size[use, v], kind='stable')]
        for some in np.array_split(use, max(min(len(use) // _OF_A_BIN, _BINS), 1)):
            if len(some) >= _OF_A_BIN:
                r = (err[some, v] / sigma[some, v])[seen[some, v]]
                bins.append((len(some), size[some, v].mean(), np.log(max(np.median(r), 1e-3))))
    if len(bins) < 2:
        return np.ones((N, V))
    w, x, y = np.array(bins).T
    middle = float(w @ x / w.sum())
    x, y = x - middle, y - w @ y / w.sum()
    prior = w.mean() * (_SPREAD_OF_A_BIN / _POWER[1]) ** 2
    power = (w @ (x * y) + prior * _POWER[0]) / (w @ (x * x) + prior)
    log_factor = np.clip(power, 0., 1.) * (size - middle)
    return np.asarray(np.exp(np.clip(log_factor, -_MOST_LOG, _MOST_LOG)))


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
