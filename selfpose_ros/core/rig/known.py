# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras that are known: what is left to measure are the body's bones and the noise of the 2D network."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..body import BONE_PRIOR_M
from .refinement import refine
from .solver import NOWHERE_TWICE, Solution, SolverConfig, Tracks, evenly, points, problem_of, usable_rows
from .value import NotSolved
from .world import body_forward_score

__all__ = ['solve_with_known_cameras']

Array = NDArray[np.float64]


def solve_with_known_cameras(tracks: Tracks, R: Array, t: Array,
                             config: SolverConfig | None = None) -> Solution | NotSolved:
    """The solver's fine adjustment with all cameras held: bones, noise, and the body at the instants that are used.

    Args:
        tracks: with known intrinsics for every camera.
        R, t: (V, 3, 3) and (V, 3), x_cam = R x + t in any frame and unit, in the order of `tracks.cameras`.

    Returns:
        A solution with the relative poses of R and t, in the frame of the first camera and at the scale of the average
        body as every `Solution`; its covariance is zero. `NotSolved` where no instant shows half of a body twice.
    """
    config = config or SolverConfig()
    rows = evenly(usable_rows(tracks), config.frames)
    if len(rows) < 1:
        return NOWHERE_TWICE
    tracks = tracks.rows(rows)
    p = replace(problem_of(tracks, tracks.prior), hold_cameras=True)
    turn = R @ R[0].T
    cameras = replace(p.unposed, R=turn, t=t - turn @ t[0])
    found = refine(points(p, cameras, BONE_PRIOR_M), p, tracks.image_size, tracks.stamp, tracks.confidence,
                   tracks.pieces, tracks.prior)
    r = found.result
    return Solution(r.state, tracks, found.errors.covariance, np.zeros(len(R)), found.noise, r.cost, r.robust_px,
                    body_forward_score(r.state.X), 0, found.problem.bone_sigma)
