# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Estimated points laid over true ones by the best similarity, rigid or not, and what is left."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core import rotation
from ..core.skeleton import JOINTS

__all__ = ['Alignment', 'LEAST_JOINTS', 'SCORED', 'align', 'align_known', 'aligned', 'pa_mm', 'residual_mm']

Array = NDArray[np.floating[Any]]

#: all but the spine, whose place is a matter of taste
SCORED: tuple[int, ...] = tuple(j for j, name in enumerate(JOINTS) if name != 'spine')
#: fewer known joints do not fix an alignment
LEAST_JOINTS = 6


@dataclass(frozen=True)
class Alignment:
    """truth = scale R estimate + t, of one set of points or of a batch (...).

    Attributes:
        R: (..., 3, 3).  t: (..., 3).  scale: (...).
    """

    R: Array
    t: Array
    scale: Any = 1.

    def apply(self, points: ArrayLike) -> Array:
        """Estimated points (..., N, 3) -> the truth's frame."""
        turned = np.asarray(points, float) @ np.swapaxes(self.R, -1, -2)
        return np.asarray(np.asarray(self.scale)[..., None, None] * turned + self.t[..., None, :])

    def undo(self, points: ArrayLike) -> Array:
        """True points (..., N, 3) -> the estimate's frame."""
        return np.asarray((np.asarray(points, float) - self.t[..., None, :]) @ self.R
                          / np.asarray(self.scale)[..., None, None])


def align(points: ArrayLike, true: ArrayLike, with_scale: bool = True) -> Alignment:
    """Least squares between points (..., N, 3), all finite."""
    s, R, t = rotation.similarity_alignment(np.asarray(points, float), np.asarray(true, float), with_scale=with_scale)
    return Alignment(R, t, s)


def align_known(points: ArrayLike, true: ArrayLike, with_scale: bool = True) -> Alignment | None:
    """Between points (N, 3) of which rows with NaN are left out; None: fewer than `LEAST_JOINTS` are left."""
    a, b = np.asarray(points, float), np.asarray(true, float)
    known = np.isfinite(a).all(-1) & np.isfinite(b).all(-1)
    return align(a[known], b[known], with_scale) if known.sum() >= LEAST_JOINTS else None


def aligned(points: ArrayLike, true: ArrayLike, with_scale: bool = True, reflection: bool = False) -> Array:
    """Points (..., N, 3) moved onto `true`; with `reflection` their mirror image, where it fits better."""
    p, g = np.asarray(points, float), np.asarray(true, float)
    moved = align(p, g, with_scale).apply(p)
    if not reflection:
        return moved
    mirrored = aligned(p * [1., 1., -1.], g, with_scale)
    off, off_mirrored = (((x - g) ** 2).sum((-1, -2), keepdims=True) for x in (moved, mirrored))
    return np.where(off_mirrored < off, mirrored, moved)


def residual_mm(points: Array, true: Array, with_scale: bool = True) -> float:
    """Mean distance of points (N, 3) m after one alignment of all of them, mm."""
    return float(1e3 * np.linalg.norm(aligned(points, true, with_scale) - true, axis=-1).mean())


def pa_mm(estimate: ArrayLike, true: ArrayLike) -> float:
    """PA-MPJPE of the scored joints of one person (17, 3) m, mm; NaN: too few known joints."""
    a, b = (np.asarray(x, float)[list(SCORED)] for x in (estimate, true))
    known = np.isfinite(a).all(-1) & np.isfinite(b).all(-1)
    return residual_mm(a[known], b[known]) if known.sum() >= LEAST_JOINTS else float('nan')
