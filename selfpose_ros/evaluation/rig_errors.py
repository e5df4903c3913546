# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Errors of a rig against the true cameras: rotations, fields of view, and where the cameras stand.

A rig whose principal points are assumed cannot find the true optical axes: what it can find are cameras that look along
the ray through the assumed point, and its rotations are compared with theirs.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core import rotation
from ..core.camera import Intrinsics, undistort_px
from ..core.rig import Rig
from ..synthetic.clips import Truth
from .alignment import residual_mm

__all__ = ['NO_RIG', 'RigErrors', 'rig_errors', 'worst_errors']

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RigErrors:
    """Errors; all NaN without a rig of all cameras.

    Attributes:
        rot: worst rotation relative to the first camera, degrees.  focal: median relative error of the focal lengths.
        ae, ae_max: mean and worst relative rotation over all pairs of cameras, the principal points that the rig
            assumes accounted for, degrees.
        fov: mean error of the field of view along the longer side of the image, degrees.
        te, s_te: mean error of the camera centres after a rigid motion, and after a similarity, m; the latter
            is NaN with two cameras.
        quality: as claimed; 0 without a rig.
    """

    rot: float = np.nan
    focal: float = np.nan
    ae: float = np.nan
    ae_max: float = np.nan
    fov: float = np.nan
    te: float = np.nan
    s_te: float = np.nan
    quality: float = 0.


NO_RIG = RigErrors()


def rig_errors(truth: Truth, rig: Rig, order: list[int]) -> RigErrors:
    """Compare a rig with the truth; `order` are the rig's cameras in the order of the truth."""
    R, K, size = rig.R[order], rig.K[order], rig.image_size[order]
    true_K = truth.K.astype(float)
    worst = rotation.angle_deg(R @ R[0].T, truth.R @ truth.R[0].T).max()
    focal, true_focal = K[:, 0, 0], true_K[:, 0, 0]
    axes = _axes_through(truth, K[:, :2, 2])
    apart = _pairs_deg(R, axes)
    half = size.max(1) / 2
    fov = 2 * np.rad2deg(np.abs(np.arctan(half / focal) - np.arctan(half / true_focal)))
    at, true_at = (-np.einsum('vji,vj->vi', *pose) for pose in ((R, rig.t[order]), (truth.R, truth.t)))
    return RigErrors(float(worst), float(np.median(np.abs(focal / true_focal - 1))), float(apart.mean()),
                     float(apart.max()), float(fov.mean()), residual_mm(at, true_at, False) / 1e3,
                     residual_mm(at, true_at) / 1e3 if len(R) > 2 else np.nan, rig.quality)


def worst_errors(rig: Rig, truth: Rig) -> tuple[float, float]:
    """Worst error of a rotation between two cameras, degrees, and worst relative error of a focal length.

    Cameras that only one of the rigs has are left out; fewer than two in common give NaN.
    """
    common = [c for c in truth.cameras if c in rig.cameras]
    if len(common) < 2:
        return float('nan'), float('nan')
    e, t = [rig.cameras.index(c) for c in common], [truth.cameras.index(c) for c in common]
    focal = np.sqrt(rig.K[e, 0, 0] * rig.K[e, 1, 1]) / np.sqrt(truth.K[t, 0, 0] * truth.K[t, 1, 1])
    return float(_pairs_deg(rig.R[e], truth.R[t]).max()), float(np.abs(focal - 1).max())


def _pairs_deg(R: Array, true_R: Array) -> Array:
    """Errors of the rotations between all pairs of cameras (V, 3, 3), degrees."""
    a, b = np.triu_indices(len(R), 1)
    return np.asarray(rotation.angle_deg(R[a] @ R[b].swapaxes(-1, -2), true_R[a] @ true_R[b].swapaxes(-1, -2)))


def _axes_through(truth: Truth, pixels: Array) -> Array:
    """(V, 3, 3) the true rotations, each turned so that the optical axis is the ray through a pixel (V, 2)."""
    out = []
    for v, (K, R) in enumerate(zip(truth.K.astype(float), truth.R.astype(float), strict=True)):
        lens = truth.distortion[v] if v < len(truth.distortion) else np.zeros(5)
        ideal = undistort_px(pixels[v], Intrinsics(K, lens))
        ray = np.append((ideal - K[:2, 2]) / [K[0, 0], K[1, 1]], 1.)
        out.append(rotation.ray_rotation(ray).T @ R)
    return np.array(out)
