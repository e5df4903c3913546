# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One clip through the estimator under one set of conditions, and everything that is measured on it."""
from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.causal import estimate_causally
from ..core.estimator import EstimatorConfig
from ..core.lifting import Lifter
from ..core.offline import reconstruct_offline
from ..core.result import Skeletons
from ..core.rig import NotSolved, Rig
from ..evaluation.scoring import FrameErrors, Score, compare
from ..evaluation.sigmas import sigma_samples
from ..evaluation.true_rig import with_true_cameras
from ..evaluation.world_errors import WorldErrors, true_stature_m, world_errors
from ..inference.lifter_choice import NONE, LifterChoice
from ..io.motion_capture import read_motion
from ..synthetic.clips import Clip, Conditions, make_clip
from ..synthetic.motion_capture import Motion, Piece

__all__ = ['CASES', 'Case', 'LATE', 'Outcome', 'Task', 'judge', 'reconstruct', 'run_task']

Array = NDArray[np.floating[Any]]

#: share of a clip that is left out as warm-up where the rig is wanted to be there
LATE = .5


@dataclass(frozen=True)
class Case:
    """Conditions, and how the estimator is used.

    Attributes:
        conditions: of the cameras.
        offline: two passes over the whole clip; else instant by instant, as a robot sees it.
        height: the person's height is told.
        true_cameras: the estimator is given the true cameras, see `true_rig`; else it finds them.
    """

    conditions: Conditions = field(default_factory=Conditions)
    offline: bool = True
    height: bool = False
    true_cameras: bool = False


CASES: dict[str, Case] = {
    'offline4': Case(Conditions(4)),
    'offline3': Case(Conditions(3)),
    'offline2': Case(Conditions(2)),
    'causal4': Case(Conditions(4), offline=False),
    'jitter4': Case(Conditions(4, jitter_s=.017)),
    'travel4': Case(Conditions(4, travel=True)),
    'height4': Case(Conditions(4), height=True),
    'true_offline4': Case(Conditions(4), true_cameras=True),
    'true_offline3': Case(Conditions(3), true_cameras=True),
    'true_offline2': Case(Conditions(2), true_cameras=True),
    'true_causal4': Case(Conditions(4), offline=False, true_cameras=True),
    'true_travel4': Case(Conditions(4, travel=True), true_cameras=True),
}


@dataclass(frozen=True)
class Outcome:
    """What was measured on one clip in one case.

    Attributes:
        score: of the whole clip.  late: of its second half.
        quality: of the rig, 0 without one.  reason: why there is none.
        level3_s: from the first instant to the first skeleton at level 3, NaN = never.  span_s: of the clip.
        world: errors of size, up and floor; None where they cannot be measured.
        instant: (T,) s since the first.  pa, dlt_pa: (T,) mm.  level: (T,).
        sigma: see `evaluation.sigmas.sigma_samples`.
        wall_s: time that the estimator took.
    """

    case: str
    number: int
    name: str
    score: Score
    late: Score
    quality: float
    reason: str
    level3_s: float
    span_s: float
    world: WorldErrors | None
    instant: Array
    pa: Array
    dlt_pa: Array
    level: NDArray[np.int64]
    sigma: Mapping[str, tuple[Array, Array]]
    wall_s: float


@dataclass(frozen=True)
class Task:
    """One clip in one case; can be sent to another process."""

    motion: Path
    piece: Piece
    seed: int
    case: str
    lifter: LifterChoice = LifterChoice(NONE)


@lru_cache(maxsize=1)
def _motion(path: Path) -> Motion:
    return read_motion(path)


def run_task(task: Task) -> Outcome:
    """Make the clip, reconstruct it, measure."""
    case = CASES[task.case]
    clip = make_clip(_motion(task.motion), task.piece, task.seed, case.conditions)
    config = EstimatorConfig(person_height_m=true_stature_m(clip) if case.height else 0.)
    start = time.perf_counter()
    if case.true_cameras:
        result = with_true_cameras(clip, clip.frames(), config, case.offline, task.lifter.open())
    else:
        result = reconstruct(clip, config, case.offline, task.lifter.open())
    return judge(task.case, clip, result, time.perf_counter() - start)


def reconstruct(clip: Clip, config: EstimatorConfig, offline: bool, lifter: Lifter | None = None) -> Skeletons:
    """People and rig of a clip."""
    frames = clip.frames()
    rig: Rig | NotSolved
    if offline:
        people, rig = reconstruct_offline(frames, config, lifter=lifter)
    else:
        people, rig = estimate_causally(frames, config, lifter=lifter)
    cameras = tuple(v.camera for v in frames[0].views)
    return Skeletons.of([f.stamp for f in frames], people, cameras, rig)


def judge(case: str, clip: Clip, result: Skeletons, wall_s: float) -> Outcome:
    """Everything that is measured on a result."""
    errors: FrameErrors = compare(clip, result)
    instant = clip.instant - clip.instant[0]
    first = np.flatnonzero(errors.level >= 3)
    rig = result.rig
    return Outcome(
        case, clip.number, clip.name, errors.score(), errors.score(LATE), rig.quality if isinstance(rig, Rig) else 0.,
        '' if isinstance(rig, Rig) else rig.reason, float(instant[first[0]]) if len(first) else np.nan,
        float(instant[-1]), world_errors(errors, result), instant, errors.pa, errors.dlt_pa, errors.level,
        sigma_samples(errors), wall_s)
