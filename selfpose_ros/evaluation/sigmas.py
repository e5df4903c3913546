# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Calibration of the predicted sigmas: errors that are left after an alignment, beside what was predicted for them.

The world frame of a result differs from the truth's by a rigid motion that nothing in the data fixes; one alignment of
the whole clip removes it.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .alignment import LEAST_JOINTS, align, aligned
from .scoring import FrameErrors
from .world_errors import LEAST_FRAMES

__all__ = ['ALIGNMENTS', 'sigma_samples']

Array = NDArray[np.floating[Any]]

#: how a result is laid over the truth before its errors are compared with sigma: what is removed with it
ALIGNMENTS = {'rigid': 'place and heading of the clip', 'clip': 'place, heading and size of the clip',
              'frame': 'place, heading and size of every frame'}


def sigma_samples(errors: FrameErrors) -> Mapping[str, tuple[Array, Array]]:
    """For each of `ALIGNMENTS` predicted sigma (N,) m and what was left (N, 3) m; empty without level 3."""
    use = errors.trusted
    if use.any(1).sum() < LEAST_FRAMES:
        return {}
    out = {}
    sigma = errors.sigma[use].astype(np.float32)
    for name in ('rigid', 'clip'):
        best = align(errors.joints[use], errors.true[use], with_scale=name == 'clip')
        left = best.apply(errors.joints[use]) - errors.true[use]
        # a result in units of its own has its sigma in them, too
        out[name] = best.scale * sigma, left.astype(np.float32)
    parts = [(k, use[k]) for k in np.flatnonzero(use.sum(1) >= LEAST_JOINTS)]
    if parts:
        left = np.concatenate([aligned(errors.joints[k, j], errors.true[k, j]) - errors.true[k, j]
                               for k, j in parts])
        sigma = np.concatenate([errors.sigma[k, j] for k, j in parts])
        out['frame'] = sigma.astype(np.float32), left.astype(np.float32)
    return out
