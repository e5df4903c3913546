# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras: intrinsics that are known, guessed or estimated; pixels to normalised rays and back.

Camera axes are those of REP-103's optical frames: x right, y down, z forward.
"""
from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import CameraError

__all__ = ['Intrinsics', 'guessed_intrinsics', 'project', 'undistort_px', 'FOCAL_PRIOR']

Array = NDArray[np.float64]

#: prior of an unknown camera: focal length / longer image side, and the standard deviation of its logarithm.
#: Phones, webcams and machine-vision lenses of 45 to 75 degrees along the longer side give 0.65 to 1.2.
FOCAL_PRIOR = (0.95, 0.25)


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole intrinsics in pixels with plumb-bob distortion (k1, k2, p1, p2, k3).

    Attributes:
        K: (3, 3) px.
        distortion: (5,) coefficients; zeros for none.
        source: 'known' (from CameraInfo or an archive), 'guessed' (prior) or 'estimated' (self-calibrated).
    """

    K: Array
    distortion: Array = field(default_factory=lambda: np.zeros(5))
    source: str = 'known'

    def __post_init__(self) -> None:
        K = np.array(self.K, float)
        d = np.zeros(5) if self.distortion is None else np.array(self.distortion, float).ravel()
        if K.shape != (3, 3) or not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
            raise CameraError(f'K must be a finite 3x3 matrix with positive focal lengths, got {K.tolist()}; leave it '
                              'out (or K[0] = 0 in CameraInfo) for an uncalibrated camera')
        if d.size < 5:
            d = np.pad(d, (0, 5 - d.size))
        if d.size > 14 or not np.isfinite(d).all():
            raise CameraError(f'distortion must be up to 14 finite OpenCV coefficients, got {d.tolist()}')
        K.setflags(write=False)
        d.setflags(write=False)
        object.__setattr__(self, 'K', K)
        object.__setattr__(self, 'distortion', d)

    @property
    def focal_px(self) -> float:
        """Geometric mean of the two focal lengths, px."""
        return float(np.sqrt(self.K[0, 0] * self.K[1, 1]))


def guessed_intrinsics(image_size: ArrayLike) -> Intrinsics:
    """Prior intrinsics of an unknown camera with (w, h) px: see `FOCAL_PRIOR`, principal point in the centre."""
    w, h = (float(x) for x in np.asarray(image_size, float).ravel()[:2])
    f = FOCAL_PRIOR[0] * max(w, h)
    return Intrinsics(np.array([[f, 0, w / 2], [0, f, h / 2], [0, 0, 1.]]), np.zeros(5), 'guessed')


def project(points: Array, K: Array, R: Array, t: Array, distortion: Array | None = None) -> Array:
    """World points (..., 3) m -> pixels (..., 2) of a camera x_cam = R x + t; NaN behind the camera."""
    cam = points @ R.T + t
    z = np.where(cam[..., 2:] > 1e-6, cam[..., 2:], np.nan)
    n = cam[..., :2] / z
    if distortion is not None and np.any(distortion):
        flat = np.concatenate([n, np.ones_like(z)], -1).reshape(-1, 3)
        px, _ = cv2.projectPoints(np.nan_to_num(flat), np.zeros(3), np.zeros(3), K, distortion)
        return np.where(np.isfinite(n), px.reshape(n.shape), np.nan)
    return n @ K[:2, :2].T + K[:2, 2]


def undistort_px(pixels: Array, intrinsics: Intrinsics) -> Array:
    """Pixels (..., 2) of a distorted image -> pixels of the ideal pinhole camera with the same K; NaN stays NaN."""
    if not np.any(intrinsics.distortion):
        return pixels
    flat = np.asarray(pixels, float).reshape(-1, 1, 2)
    ok = np.isfinite(flat).all(-1).ravel()
    out = np.full(flat.shape, np.nan)
    if ok.any():
        out[ok] = cv2.undistortPoints(flat[ok], intrinsics.K, intrinsics.distortion, P=intrinsics.K)
    return out.reshape(np.shape(pixels))
