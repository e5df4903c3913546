# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Whether the estimator knows how good it is, and where up, the floor and the metre are.

The world frame of a result differs from the truth's by a rigid motion that nobody can know; one alignment of the whole
clip removes it, and what is left over is measured.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import rotation
from ..core.body import BONE_A, BONE_B, stature_m
from ..core.rig import Rig
from ..io.skeletons import Skeletons
from ..synthetic.clips import Clip
from .scoring import FrameErrors, aligned

__all__ = ['ALIGNMENTS', 'WorldErrors', 'sigma_samples', 'true_stature_m', 'world_errors']

Array = NDArray[np.floating[Any]]

#: how a result is laid over the truth before its errors are compared with sigma: what is removed with it
ALIGNMENTS = {'rigid': 'place and heading of the clip', 'clip': 'place, heading and size of the clip',
              'frame': 'place, heading and size of every frame'}
#: frames with fewer joints are not aligned one by one, clips with fewer frames not at all
_JOINTS, _FRAMES = 6, 5


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


def _trusted(errors: FrameErrors) -> NDArray[np.bool_]:
    """(T, J) joints at level 3, where the frame of reference is one and the same."""
    return (errors.level >= 3)[:, None] & np.isfinite(errors.joints).all(-1) & np.isfinite(errors.true).all(-1)


def world_errors(errors: FrameErrors, result: Skeletons) -> WorldErrors | None:
    """Errors of the world frame, or None: no rig, or next to nothing at level 3."""
    use = _trusted(errors)
    if not isinstance(result.rig, Rig) or use.any(1).sum() < _FRAMES:
        return None
    s, R, t = rotation.similarity_alignment(errors.joints[use], errors.true[use])
    up = R[:, 2]
    below = np.nanmedian(np.nanmean(errors.joints[use.any(1)], 1), 0) * [1., 1., 0.]
    return WorldErrors(1 / s - 1, result.rig.scale_sigma, float(np.rad2deg(np.arccos(np.clip(up[2], -1, 1)))),
                       result.rig.gravity_sigma_deg, float((s * R @ below + t)[2]))


def sigma_samples(errors: FrameErrors) -> Mapping[str, tuple[Array, Array]]:
    """For each of `ALIGNMENTS` predicted sigma (N,) m and what was left (N, 3) m; empty without level 3."""
    use = _trusted(errors)
    if use.any(1).sum() < _FRAMES:
        return {}
    out = {}
    sigma = errors.sigma[use].astype(np.float32)
    for name in ('rigid', 'clip'):
        s, R, t = rotation.similarity_alignment(errors.joints[use], errors.true[use], with_scale=name == 'clip')
        left = s * errors.joints[use] @ R.T + t - errors.true[use]
        # a result in units of its own has its sigma in them, too
        out[name] = s * sigma, left.astype(np.float32)
    parts = [(k, use[k]) for k in np.flatnonzero(use.sum(1) >= _JOINTS)]
    if parts:
        left = np.concatenate([aligned(errors.joints[k, j], errors.true[k, j]) - errors.true[k, j]
                               for k, j in parts])
        sigma = np.concatenate([errors.sigma[k, j] for k, j in parts])
        out['frame'] = sigma.astype(np.float32), left.astype(np.float32)
    return out
