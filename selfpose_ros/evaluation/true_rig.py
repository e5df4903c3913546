# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The fair yardstick: the true cameras through the same estimator, which rejects and smooths alike.

Triangulation frame by frame, which neither rejects nor smooths, says little of how good self-calibration is.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..core.camera import Intrinsics
from ..core.estimator import Estimator, EstimatorConfig
from ..core.lifting import Lifter
from ..core.model import model_from_solution
from ..core.observation import MultiView
from ..core.offline import FRAMES, follow, history_of, trajectories
from ..core.result import Skeletons
from ..core.rig import NotSolved, Rig
from ..core.rig.known import solve_with_known_cameras
from ..core.rig.solver import SolverConfig
from ..synthetic.clips import Clip, Truth

__all__ = ['with_true_cameras', 'with_true_rig']


def with_true_cameras(clip: Clip, frames: list[MultiView], config: EstimatorConfig, offline: bool,
                      lifter: Lifter | None = None) -> Skeletons:
    """People as the estimator has them when it is given the true cameras from the first frame on.

    Bones and the noise of the 2D joints are measured on the whole clip, causal or not.

    Args:
        frames: of the clip, without intrinsics; cameras in the order of the truth.
    """
    cameras = tuple(v.camera for v in frames[0].views)
    intrinsics = dict(zip(cameras, _intrinsics(clip.truth), strict=True))
    frames = [replace(f, views=tuple(replace(v, intrinsics=intrinsics[v.camera]) for v in f.views)) for f in frames]
    stamps, truth = [f.stamp for f in frames], clip.truth
    tracks = history_of(frames).tracks()
    order = [cameras.index(c) for c in tracks.cameras]
    R, t = truth.R[order].astype(float), truth.t[order].astype(float)
    solution = solve_with_known_cameras(tracks, R, t, SolverConfig(frames=FRAMES))
    if isinstance(solution, NotSolved):
        return Skeletons.of(stamps, [[] for _ in frames], cameras, solution)
    centres = -np.einsum('vji,vj->vi', R, t)
    model = model_from_solution(solution, 3, baseline_m=float(np.linalg.norm(centres[1] - centres[0])))
    followed, people = follow(frames, model, config, lifter, _silent)
    if offline:
        people = trajectories(followed, frames, model, _silent)
    return Skeletons.of(stamps, people, cameras, model.rig())


def with_true_rig(frames: Sequence[MultiView], rig: Rig, config: EstimatorConfig | None = None,
                  lifter: Lifter | None = None) -> Skeletons:
    """People as the causal estimator has them when it begins with the true rig and keeps it: what is wrong is the work
    of following people, not of calibrating.

    The rig is taken up as a saved one is: it is at level 3 once the views agree with it.
    """
    estimator = Estimator(replace(config or EstimatorConfig(), solve_first_s=np.inf), rig=rig, lifter=lifter)
    try:
        people = [estimator.update(f) for f in frames]
    finally:
        estimator.close()
    return Skeletons.of([f.stamp for f in frames], people, rig.cameras, rig)


def _intrinsics(truth: Truth) -> list[Intrinsics]:
    lenses = truth.distortion if len(truth.distortion) else np.zeros((len(truth.K), 5))
    return [Intrinsics(K.astype(float), d) for K, d in zip(truth.K, lenses, strict=True)]


def _silent(what: str, share: float) -> None:
    """No progress is shown."""
