# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""From 2D tracks of one person in cameras that stand still to a rig with its uncertainty, or the reason why not: a
first guess (`first_guess`), adjusted finely (`refinement`), and whether that is a rig.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..cameras import NEAREST
from ..noise import NoiseModel
from .bundle_problem import BundleProblem, BundleState
from .first_guess import FirstGuess, bones_for, first_guess
from .lens import FOCAL_RANGE, exists
from .observed import NOWHERE_TWICE, Tracks, evenly, points, problem_of, usable_rows
from .refinement import Refined, refine
from .solution import Solution
from .solver_config import SolverConfig
from .start import Start
from .value import NotSolved
from .world import body_forward_score

__all__ = ['NOWHERE_TWICE', 'FirstGuess', 'Solution', 'SolverConfig', 'Tracks', 'evenly', 'finish', 'first_guess',
           'misfits', 'points', 'problem_of', 'solve', 'usable_rows']

Array = NDArray[np.float64]

#: residuals of more than this share of the body are no noise
_DISAGREE = .06
#: robust cost per observation that calibrated noise does not reach (0.4 to 1.0 on motion capture and real recordings)
_MISFIT = 1.3


def misfits(s: BundleState, p: BundleProblem) -> Array:
    """Median residual of a joint, by camera that sees any, as a share of the body's size in a view."""
    d = np.linalg.norm(s.cameras.project(s.X) - p.kp, axis=-1)
    seen = np.isfinite(p.sigma)
    kp = np.where(seen[..., None], p.kp, np.nan)
    size = 3.4 * np.sqrt(np.nanmean(np.nanvar(kp[seen.sum(-1) >= 8], axis=-2).sum(-1)))
    return np.array([np.median(d[:, v][seen[:, v]]) for v in range(d.shape[1]) if seen[:, v].any()]) / size


def _disagreement(s: BundleState, p: BundleProblem) -> float:
    """The worst camera's misfit: what a network's noise cannot be."""
    return float(misfits(s, p).max())


def solve(tracks: Tracks, config: SolverConfig | None = None, *, start: Start | None = None,
          noise: NoiseModel | None = None) -> Solution | NotSolved:
    """Find the rig. Deterministic.

    Args:
        start: the same cameras as they are thought to be, tried beside the fresh guesses.
        noise: of the 2D network, from an earlier solution; None = prior.
    """
    guess = first_guess(tracks, config, start=start, noise=noise)
    return guess if isinstance(guess, NotSolved) else finish(tracks, guess, config)


def finish(tracks: Tracks, guess: FirstGuess, config: SolverConfig | None = None) -> Solution | NotSolved:
    """The fine adjustment of a guess, to as many poses as the configuration says, and whether it is a rig."""
    config = config or SolverConfig()
    rows = usable_rows(tracks)
    if not len(rows):
        return NOWHERE_TWICE
    tracks = tracks.rows(evenly(rows, config.frames))
    p = problem_of(tracks, guess.noise, config.same_lens)
    s = points(p, guess.cameras, bones_for(p, guess.bones))
    found = refine(s, p, tracks.image_size, tracks.stamp, tracks.confidence, tracks.pieces, tracks.prior)
    return _judge(found, tracks, config, guess.rival_deg, guess.doubt)


def _judge(found: Refined, tracks: Tracks, config: SolverConfig, rival_deg: float,
           doubt: float) -> Solution | NotSolved:
    r, p, distinct, N = found.result, found.problem, found.distinct, len(tracks.stamp)
    errors = found.errors.times(doubt)
    sigma = errors.rotation_deg.copy()
    sigma[1:] = np.maximum(sigma[1:], rival_deg / 2)
    forward = body_forward_score(r.state.X)
    numbers = {'frames': float(N), 'distinct_poses': float(distinct), 'rotation_sigma_deg': float(sigma.max()),
               'reprojection_px': r.robust_px, 'cost': r.cost}
    off = _disagreement(r.state, p)
    if off > (_DISAGREE / 2 if config.crowd else _DISAGREE):
        return NotSolved(f'the cameras do not agree on one person (joints are off by {100 * off:.0f} % of the body): '
                         'different people, or a camera that moves?', {**numbers, 'disagreement': off}, one_camera=True)
    if config.crowd and r.cost > _MISFIT and N >= 5:
        # small residuals, but larger than the noise of the network: some of the views show somebody else
        return NotSolved(f'several people are in sight, and who is who in the views is uncertain (joints are off by '
                         f'{100 * off:.0f} % of the body, but {r.cost / _MISFIT:.1f} times as much as noise explains): '
                         'let one of them walk, or be alone, for some seconds', {**numbers, 'disagreement': off},
                         one_camera=True)
    if forward < 0:
        return NotSolved('the body found would bend its knees backwards (a mirrored world): keep moving',
                         {**numbers, 'forward_m': forward}, one_camera=True)
    if (r.state.cameras.depth(r.state.X) < NEAREST).mean() > .1:
        return NotSolved('the cameras found would have the person behind them: more movement is needed', numbers,
                         one_camera=True)
    strange = ~exists(r.state.cameras, tracks.image_size) & (p.log_focal_sigma > 0)
    if strange.any():
        v = int(strange.argmax())
        share = r.state.cameras.focal[v] / tracks.image_size[v].max()
        what = (f'a focal length of {share:.2f} times the longer side of its image, which no camera has '
                f'({FOCAL_RANGE[0]:g} to {FOCAL_RANGE[1]:g})' if not FOCAL_RANGE[0] < share < FOCAL_RANGE[1] else
                'a lens that shows the corners of its image twice')
        return NotSolved(f'camera {tracks.cameras[v]} would have {what}: walk through the whole room, towards the '
                         'cameras and away from them', {**numbers, 'focal_share': float(share)}, one_camera=True)
    if distinct < 2 and N >= 50:
        return NotSolved('the person has hardly moved: walk or turn about', numbers)
    if sigma.max() > config.max_rotation_sigma_deg:
        return NotSolved(f'the rotation of camera {tracks.cameras[int(sigma.argmax())]} is uncertain by '
                         f'{sigma.max():.0f} degrees: more movement, or a larger angle between the cameras', numbers,
                         one_camera=True)
    return Solution(r.state, tracks, errors.covariance, sigma, found.noise, r.cost, r.robust_px, forward, distinct,
                    p.bone_sigma, log_focal_sigma=errors.log_focal, centre_sigma=errors.centre)
