# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How far the result is from the truth. Joints in metres, errors in millimetres."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.rig import Rig
from ..core.skeleton import JOINTS

__all__ = ['SCORED', 'Alignment', 'align', 'pa_mm', 'rig_errors']

Array = NDArray[np.float64]

#: all but the spine, whose place is a matter of taste
SCORED: tuple[int, ...] = tuple(j for j, name in enumerate(JOINTS) if name != 'spine')
#: fewer known joints do not fix an alignment
_LEAST = 6


@dataclass(frozen=True)
class Alignment:
    """truth = scale R estimate + t."""

    R: Array
    t: Array
    scale: float = 1.

    def apply(self, points: ArrayLike) -> Array:
        """Estimated points (..., 3) -> the truth's frame."""
        return np.asarray(self.scale * np.asarray(points, float) @ self.R.T + self.t)

    def undo(self, points: ArrayLike) -> Array:
        """True points (..., 3) -> the estimate's frame."""
        return np.asarray((np.asarray(points, float) - self.t) @ self.R / self.scale)


def align(estimate: ArrayLike, truth: ArrayLike, scale: bool = False) -> Alignment | None:
    """Best proper rotation, translation (and scale) between points (N, 3); NaN rows are left out.

    None: too few points.
    """
    a, b = np.asarray(estimate, float).reshape(-1, 3), np.asarray(truth, float).reshape(-1, 3)
    ok = np.isfinite(a).all(1) & np.isfinite(b).all(1)
    if ok.sum() < _LEAST:
        return None
    ca, cb = a[ok].mean(0), b[ok].mean(0)
    u, d, vt = np.linalg.svd((b[ok] - cb).T @ (a[ok] - ca))
    sign = np.array([1., 1., np.sign(np.linalg.det(u @ vt))])
    R = u @ (sign[:, None] * vt)
    spread = ((a[ok] - ca) ** 2).sum()
    s = float((d * sign).sum() / spread) if scale and spread > 0 else 1.
    return Alignment(R, cb - s * R @ ca, s)


def pa_mm(estimate: ArrayLike, truth: ArrayLike) -> float:
    """Mean distance of the scored joints after the best similarity (PA-MPJPE), mm; NaN: too few known joints.

    Both (17, 3) m.
    """
    a, b = np.asarray(estimate, float)[list(SCORED)], np.asarray(truth, float)[list(SCORED)]
    best = align(a, b, scale=True)
    if best is None:
        return float('nan')
    return float(1e3 * np.nanmean(np.linalg.norm(best.apply(a) - b, axis=-1)))


def rig_errors(estimate: Rig, truth: Rig) -> tuple[float, float]:
    """Worst error of a rotation between two cameras, degrees, and worst relative error of a focal length.

    Cameras that only one of the rigs has are left out; fewer than two in common give NaN.
    """
    common: Sequence[str] = [c for c in truth.cameras if c in estimate.cameras]
    if len(common) < 2:
        return float('nan'), float('nan')
    e, t = [estimate.cameras.index(c) for c in common], [truth.cameras.index(c) for c in common]
    worst = 0.
    for i in range(len(common)):
        for k in range(i):
            difference = (estimate.R[e[i]] @ estimate.R[e[k]].T) @ (truth.R[t[i]] @ truth.R[t[k]].T).T
            cosine = np.clip((np.trace(difference) - 1) / 2, -1, 1)
            worst = max(worst, float(np.degrees(np.arccos(cosine))))
    focal = np.sqrt(estimate.K[e, 0, 0] * estimate.K[e, 1, 1]) / np.sqrt(truth.K[t, 0, 0] * truth.K[t, 1, 1])
    return worst, float(np.abs(focal - 1).max())
