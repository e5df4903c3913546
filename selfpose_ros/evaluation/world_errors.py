# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where up, the floor and the metre of a result are wrong.

The world frame of a result differs from the truth's by a rigid motion that nothing in the data fixes; one alignment of
the whole clip removes it, and what is left over is measured.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.body import BONE_A, BONE_B, stature_m
from ..core.result import Skeletons
from ..core.rig import Rig
from ..synthetic.clips import Clip
from .alignment import align
from .scoring import FrameErrors

__all__ = ['LEAST_FRAMES', 'WorldErrors', 'true_stature_m', 'world_errors']

Array = NDArray[np.floating[Any]]

#: clips with fewer frames are not aligned
LEAST_FRAMES = 5


@dataclass(frozen=True)
class WorldErrors:
    """Where the world frame of a result is wrong.

    Attributes:
        size: metres of the result / true metres, minus 1.  size_sigma: as predicted.
        up_deg: angle between the result's up and the true one.  up_sigma_deg: as predicted.
        floor_m: true height of the result's floor below the person.
    """

    size: float
    size_sigma: float
    up_deg: float
    up_sigma_deg: float
    floor_m: float


def true_stature_m(clip: Clip) -> float:
    """Standing height that goes with the true bones, by the proportions that the estimator uses; of the 17 joints."""
    d = clip.truth.joints[:, BONE_B].astype(float) - clip.truth.joints[:, BONE_A]
    return stature_m(np.median(np.linalg.norm(d, axis=-1), axis=0))


def world_errors(errors: FrameErrors, result: Skeletons) -> WorldErrors | None:
    """Errors of the world frame, or None: no rig, or next to nothing at level 3."""
    use = errors.trusted
    if not isinstance(result.rig, Rig) or use.any(1).sum() < LEAST_FRAMES:
        return None
    best = align(errors.joints[use], errors.true[use])
    up = best.R[:, 2]
    below = np.nanmedian(np.nanmean(errors.joints[use.any(1)], 1), 0) * [1., 1., 0.]
    return WorldErrors(1 / best.scale - 1, result.rig.scale_sigma, float(np.rad2deg(np.arccos(np.clip(up[2], -1, 1)))),
                       result.rig.gravity_sigma_deg, float(best.apply(below[None])[0, 2]))
