# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The fine adjustment of a rig: left/right exchanges undone, the noise of the 2D network and of the bones measured,
principal points and lenses found on the way, as far as the images tell them.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..noise import NoiseModel
from ..radial import COEFFICIENTS
from .bones import bone_stretch, measure_bone_sigma
from .bundle import BundleResult, adjust
from .bundle_problem import BundleProblem, BundleState
from .calibrate_noise import calibrate, lag_one_correlation, noise_by_view
from .lens import exists
from .offsets import CENTRE_SHARE, better_centres, centre_share, centre_sigma, reduced
from .place import PlaceErrors, place_errors
from .poses import distinct_poses
from .swaps import undo_swaps

__all__ = ['Refined', 'refine']

Array = NDArray[np.float64]

#: loss of the fine adjustment: outliers are down-weighted by their calibrated sigma already, so it can be wide
_LOSS, _SCALE = 'gm', 8.
#: change of the cost at which the last adjustment ends, as a share of it: what is weakly seen moves by small changes
_TOLERANCE = 1e-6
#: fewer poses tell nothing of lenses and of how constant bones are
_FEWEST_POSES = 40
#: observations of one distinct pose that count
_OF_ONE_POSE = 10.
#: robust cost per observation below which errors are smaller than the least that a network is taken to have
_USUAL_COST = .3
#: rounds in which principal points and the rest are estimated, each with the other, and a change that is not worth
#: another, as a share of half the image
_ROUNDS, _SMALL_SHARE = 2, .002
#: principal points that are found further off than this share of the longer side are those of no camera (webcams and
#: phones: 2 %): something else bends the rays, people who are taken for others or half hidden
_MOST_CENTRE = .025
#: log evidence by which a model of lenses must be more likely than pinholes
_CLEARLY = 3.


@dataclass(frozen=True)
class Refined:
    """What came out.

    Attributes:
        result: without its covariance: how far the rig may be off stands in `errors`.
        problem: with what was put right and measured.  noise: of the 2D network.
        distinct: number of clearly different poses.  errors: that the rig is predicted to have.
    """

    result: BundleResult
    problem: BundleProblem
    noise: NoiseModel
    distinct: int
    errors: PlaceErrors


def refine(s: BundleState, p: BundleProblem, image_size: NDArray[np.int64], stamp: Array, confidence: Array,
           pieces: Sequence[NDArray[np.int64]], prior: NoiseModel) -> Refined:
    """The fine adjustment.

    Args:
        s, p: the state to start from, and the observations of N poses.
        image_size: (V, 2) px.  stamp: (N,) s.  confidence: (N, V, 17).  pieces: poses of each person, in order of time.
        prior: noise of the 2D network, where too little is seen to measure it.
    """
    conf = np.where(np.isfinite(p.sigma), confidence, 0.)
    N = len(stamp)
    bent = p.lens is not None and s.cameras.lens is not None
    p = _with_lenses(p) if bent else p
    r = adjust(s, p, scale=5., kind='cauchy', steps=8, covariance=False)
    named, named_conf, noise = p, conf, prior
    rho, step, distinct = 0., .04, 0
    factor = np.ones(conf.shape[:2])
    enough = N >= _FEWEST_POSES
    free = enough and not p.hold_cameras                           # cameras may get centres and lenses
    # spread of the principal points; None = they are held
    share = CENTRE_SHARE if free and (p.log_focal_sigma > 0).any() else None
    for k in range(3):
        p, index = undo_swaps(r.state, named)                      # each time from what the network said
        conf = np.take_along_axis(named_conf, index, 2)
        noise, err = calibrate(r.state, p, conf, prior, factor)
        factor = noise_by_view(r.state, err, noise.sigma(conf)) if enough else factor
        p, named = (replace(x, sigma=factor[..., None] * noise.sigma(c)) for x, c in ((p, conf), (named, named_conf)))
        if enough:
            p = replace(p, bone_sigma=measure_bone_sigma(r.state, p))
            p = replace(p, bone_stretch=bone_stretch(r.state, p, _SCALE, _LOSS))
        if k == 2 and share is not None:
            r, share = _centres(r, p, p, share, 1)
        r = adjust(r.state, p, scale=_SCALE, kind=_LOSS, steps=10 if k < 2 else 40, covariance=False,
                   tolerance=1e-5 if k < 2 else _TOLERANCE)
        if k == 2 and p.lens is not None and p.lens.distorted.any() and not exists(r.state.cameras, image_size).all():
            p = replace(p, lens=replace(p.lens, whole=True))       # the principal point has moved from a corner
            r = adjust(r.state, p, scale=_SCALE, kind=_LOSS, steps=25, covariance=False)
        rho, step = lag_one_correlation(r.state, p, stamp) if N > 4 else (0., .04)
        distinct = sum(distinct_poses(r.state.X[of]) for of in pieces)
        temper = N / max(_effective(N, rho, distinct), .5) * min(1., r.cost / _USUAL_COST)
        p, named = replace(p, temper=temper), replace(named, temper=temper)
        if k == 1 and share is not None:
            # before lenses, with lenses that are free, too: both bend the rays near the edges
            r, share = _centres(r, _with_lenses(p), p, share, _ROUNDS)
        if k == 1 and p.lens is not None and free:
            r, p = _lenses(r, p, image_size)
            named = replace(named, lens=p.lens)
    if N > 4:
        noise = replace(noise, correlation=rho, frame_s=step)
    return Refined(r, p, noise, distinct, place_errors(r.state, p, _SCALE, _LOSS, share))


def _centres(r: BundleResult, free: BundleProblem, p: BundleProblem, share: float,
             rounds: int) -> tuple[BundleResult, float | None]:
    """The rig with its principal points, and their spread beforehand; None = they are held in the middle, as they would
    be further off than those of cameras are.

    free: the problem with what cameras may have.  p: with what they have.  share: the spread thought so far.
    """
    for _ in range(rounds):
        e = reduced(r.state, free, _SCALE, _LOSS, share, offsets=False)
        share = centre_share(e, free.temper, share)
        cameras = better_centres(e.with_centres(centre_sigma(free, share), free.temper), r.state.cameras)
        moved = np.abs(cameras.centre - r.state.cameras.centre).max() / p.centre.max()
        if (np.abs(cameras.centre - p.centre) > centre_sigma(free, _MOST_CENTRE)[:, None]).any():
            cameras = replace(cameras, centre=p.centre)
            held = adjust(replace(r.state, cameras=cameras), p, scale=_SCALE, kind=_LOSS, steps=10, covariance=False)
            return held, None
        r = adjust(replace(r.state, cameras=cameras), p, scale=_SCALE, kind=_LOSS, steps=6, covariance=False)
        if moved < _SMALL_SHARE:
            break
    return r, share


def _effective(n: int, rho: float, distinct: int) -> float:
    """Number of poses whose errors are independent: those of neighbouring instants are correlated, and a body that
    stands still shows the same again and again.
    """
    return min(n * (1 - rho) / (1 + rho) + rho, _OF_ONE_POSE * distinct)


def _with_lenses(p: BundleProblem) -> BundleProblem:
    return p if p.lens is None else replace(p, lens=p.lens.with_distortion())


def _pinholes(r: BundleResult) -> BundleState:
    return replace(r.state, cameras=r.state.cameras.pinholes)


def _lenses(r: BundleResult, p: BundleProblem,
            image_size: NDArray[np.int64]) -> tuple[BundleResult, BundleProblem]:
    """The rig with the lenses that the images tell, or with pinholes where they tell none: by evidence (Laplace's
    approximation: what the fit gains against the volume of lenses that fit as well).
    """
    assert p.lens is not None
    straight, bent = replace(p, lens=replace(p.lens, distorted=np.zeros_like(p.lens.distorted))), _with_lenses(p)
    assert bent.lens is not None
    if not bent.lens.distorted.any():
        return r, p
    a = r
    if r.state.cameras.lens is not None:
        a = adjust(_pinholes(r), straight, scale=_SCALE, kind=_LOSS, steps=10, covariance=False)
    b = adjust(r.state, bent, scale=_SCALE, kind=_LOSS, steps=15)
    if not exists(b.state.cameras, image_size).all():
        bent = replace(bent, lens=replace(bent.lens, whole=True))
        b = adjust(a.state, bent, scale=_SCALE, kind=_LOSS, steps=15)
        if not exists(b.state.cameras, image_size).all():
            return a, straight
    gain = (a.cost - b.cost) * np.isfinite(p.sigma).sum() / p.temper
    return (b, bent) if gain + _log_volume(b, bent) > _CLEARLY else (a, straight)


def _log_volume(r: BundleResult, p: BundleProblem) -> float:
    """Log of the share of the lenses of the prior that fit as well as these: half the difference of the log
    determinants of the covariances.
    """
    assert p.lens is not None
    layout, mean = r.state.cameras.layout, p.lens.means
    which = np.zeros((COEFFICIENTS * len(mean), layout.size))
    for row, weight in enumerate(mean):
        for k in range(COEFFICIENTS):
            layout.split(which[COEFFICIENTS * row + k])[:, layout.LENS.start + k] = weight
    cov = which @ (r.covariance * p.temper) @ which.T
    return float(.5 * np.linalg.slogdet(cov)[1]) - p.lens.log_volume
