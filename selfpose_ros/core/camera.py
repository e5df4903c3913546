# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras: intrinsics that are known, guessed or estimated; pixels to normalised rays and back.

Camera axes are those of REP-103's optical frames: x right, y down, z forward.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import CameraError

__all__ = ['Intrinsics', 'guessed_intrinsics', 'undistort', 'project', 'undistort_px', 'FOCAL_PRIOR']

Array = NDArray[np.float64]

#: prior of an unknown camera: focal length / longer image side, and the standard deviation of its logarithm.
#: Phones, webcams and machine-vision lenses of 45 to 75 degrees along the longer side give 0.65 to 1.2.
FOCAL_PRIOR = (0.95, 0.25)

#: what `Intrinsics.checked` lets pass: focal length / longer image side, principal point / longer image side, and
#: coefficients; those of the rational model of narrow lenses reach hundreds
_FOCAL_RANGE, _FAR, _MOST_DISTORTION = (.05, 100.), 10., 1e4

#: OpenCV's five steps err by up to 2 px in the corners of a wide lens; these converge to 1e-5 px
_UNDISTORT_STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-6)


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
            raise CameraError('K must be a finite 3x3 matrix with positive focal lengths, got '
                              f'{K.tolist() if K.size <= 9 else f"{K.size} numbers"}',
                              'leave it out (or K[0] = 0 in CameraInfo) for an uncalibrated camera')
        if np.abs(K[2] - [0, 0, 1]).max() > 1e-9:
            raise CameraError(f'the last row of K must be 0 0 1, got {K[2].tolist()}',
                              'K is [fx 0 cx, 0 fy cy, 0 0 1] in pixels, row by row')
        if d.size <= 14:                                   # OpenCV knows these sizes only
            full = next(n for n in (5, 8, 12, 14) if n >= d.size)
            d = np.pad(d, (0, full - d.size))
        if d.size > 14 or not np.isfinite(d).all():
            raise CameraError('distortion must be up to 14 finite OpenCV coefficients, got '
                              + (f'{d.size} of them' if d.size > 14 else str(d.tolist())))
        K.setflags(write=False)
        d.setflags(write=False)
        object.__setattr__(self, 'K', K)
        object.__setattr__(self, 'distortion', d)

    def checked(self, image_size: tuple[int, int]) -> Intrinsics:
        """These intrinsics, if a lens may have them in an image of (w, h) px.

        Numbers that are merely finite are not enough where they come from strangers: products of them are not.

        Raises:
            CameraError: focal length, principal point or distortion are no lens's.
        """
        longer = max(image_size)
        focal = self.K[0, 0], self.K[1, 1]
        if not all(_FOCAL_RANGE[0] * longer <= f <= _FOCAL_RANGE[1] * longer for f in focal):
            raise CameraError(f'K has focal lengths of {focal[0]:g} and {focal[1]:g} px in an image of '
                              f'{image_size[0]}x{image_size[1]} px, which no lens has', 'give K in px of that image')
        if np.abs(self.K[:2, 2]).max() > _FAR * longer or abs(self.K[0, 1]) + abs(self.K[1, 0]) > max(focal):
            raise CameraError(f'K has its principal point at {self.K[0, 2]:g}, {self.K[1, 2]:g} px (skew '
                              f'{self.K[0, 1]:g}) in an image of {image_size[0]}x{image_size[1]} px',
                              'K is [fx 0 cx, 0 fy cy, 0 0 1] in pixels, row by row')
        if np.abs(self.distortion).max() > _MOST_DISTORTION:
            raise CameraError(f'a distortion coefficient is {np.abs(self.distortion).max():g}, which no lens has',
                              'calibrate the camera anew, or leave K out')
        return self

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
    """World points (..., 3) m -> pixels (..., 2) of a camera x_cam = R x + t.

    NaN behind the camera, and so far out that the distortion polynomial folds back into the image.
    """
    cam = points @ R.T + t
    z = np.where(cam[..., 2:] > 1e-6, cam[..., 2:], np.nan)
    n = cam[..., :2] / z
    if distortion is not None and np.any(distortion):
        return _distort(n, K, np.asarray(distortion, float))
    return n @ K[:2, :2].T + K[:2, 2]


def _distort(rays: Array, K: Array, distortion: Array) -> Array:
    """Ideal normalised image points (..., 2) -> pixels; NaN beyond where the model holds."""
    with np.errstate(invalid='ignore'):
        good = np.linalg.norm(rays, axis=-1) < _fold_radius(distortion.tobytes())
    out = np.full(rays.shape, np.nan)
    if good.any():
        flat = np.concatenate([rays[good], np.ones((int(good.sum()), 1))], -1)
        out[good] = cv2.projectPoints(flat, np.zeros(3), np.zeros(3), K, distortion)[0].reshape(-1, 2)
    return out


@lru_cache(maxsize=256)
def _fold_radius(distortion: bytes) -> float:
    """Normalised radius from which on the radial polynomial turns back; inf if it does not up to 76 degrees."""
    d = np.frombuffer(distortion)
    k = np.pad(d, (0, max(0, 8 - d.size)))
    r = np.linspace(0., 4., 4001)
    u = r * r
    out = r * (1 + u * (k[0] + u * (k[1] + u * k[4]))) / (1 + u * (k[5] + u * (k[6] + u * k[7])))
    back = np.flatnonzero(np.diff(out) <= 0)
    return float(r[back[0]]) if len(back) else np.inf


def undistort(pixels: Array, intrinsics: Intrinsics | None) -> Array:
    """Pixels (..., 2) as a camera without distortion, with square pixels of the known K's fx, would give them."""
    if intrinsics is None:
        return pixels
    out = undistort_px(pixels, intrinsics)
    fx, fy, cy = intrinsics.K[0, 0], intrinsics.K[1, 1], intrinsics.K[1, 2]
    if fx == fy:
        return out
    return np.stack([out[..., 0], cy + (out[..., 1] - cy) * fx / fy], -1)


def undistort_px(pixels: Array, intrinsics: Intrinsics) -> Array:
    """Pixels (..., 2) of a distorted image -> pixels of the ideal pinhole camera with the same K.

    NaN stays NaN; pixels that the lens model cannot have made (beyond where its polynomial folds) become NaN.
    """
    if not np.any(intrinsics.distortion):
        return pixels
    flat = np.asarray(pixels, float).reshape(-1, 1, 2)
    ok = np.isfinite(flat).all(-1).ravel()
    out = np.full(flat.shape, np.nan)
    if ok.any():
        K, d = intrinsics.K, intrinsics.distortion
        rays = cv2.undistortPointsIter(flat[ok], K, d, np.eye(3), np.eye(3), _UNDISTORT_STOP)
        made = np.linalg.norm(_distort(np.asarray(rays, float), K, d) - flat[ok], axis=-1, keepdims=True) < .1
        out[ok] = np.where(made, rays @ K[:2, :2].T + K[:2, 2], np.nan)
    return out.reshape(np.shape(pixels))
