# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lifted poses of a clip of one person, corrected by their 2D joints as at run time."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.correction import CorrectionConfig
from selfpose_ros.core.fusion.corrected import RunningLengths, correct_views

__all__ = ['Corrections', 'corrected']

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Corrections:
    """Of T instants and V views.

    Attributes:
        single: (T, V, 17, 3) m, each view by itself, in its camera's axes.  accepted: (T, V).
        fused: (T, 17, 3) m, of all views together, in axes of its own.  accepted_fused: (T,).
    """

    single: Array
    fused: Array
    accepted: NDArray[np.bool_]
    accepted_fused: NDArray[np.bool_]


def corrected(joints: Array, sigma: Array, rays: Array, k: Array, config: CorrectionConfig) -> Corrections:
    """Correct the lifted poses of a clip of one person.

    Args:
        joints, sigma, rays, k: (T, V, 17, ...) as in `lifting.Lifted`. Lengths of bones are running means of what was
            lifted until then.
    """
    running = RunningLengths()
    lengths = np.stack([running.add(0, pose) for pose in joints])
    T, V = joints.shape[:2]

    def apart(x: Array) -> Array:
        return x.reshape(T * V, 1, *x.shape[2:])
    one, *_ = correct_views(apart(joints), apart(sigma), apart(rays), apart(k), np.repeat(lengths, V, 0), config)
    if V == 1:
        return Corrections(one.joints.reshape(T, V, 17, 3), one.joints, one.accepted[:, None], one.accepted)
    both, *_ = correct_views(joints, sigma, rays, k, lengths, config)
    return Corrections(one.joints.reshape(T, V, 17, 3), both.joints, one.accepted.reshape(T, V), both.accepted)
