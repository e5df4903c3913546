# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The rig: cameras that stand still in one world frame, or the reason why there is none."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cameras import Cameras
from ..errors import RigError

__all__ = ['NotSolved', 'Rig', 'SolveFailed']

Array = NDArray[np.float64]

#: a number for each camera, zeros where it is not given
_PER_CAMERA = ('rotation_sigma_deg', 'clock_offset_s', 'focal_sigma', 'centre_sigma_m')


def _width(distortion: Any) -> int:
    """Number of coefficients: one of those that OpenCV's models have, or 5, to compare with."""
    shape = np.shape(distortion)
    return shape[1] if len(shape) == 2 and shape[1] in (5, 8, 12, 14) else 5


@dataclass(frozen=True)
class Rig:
    """A solved rig. Convention: x_cam = R x_world + t; world z up, metres, origin on the floor.

    Attributes:
        cameras: (V,) names.
        K: (V, 3, 3) px.  distortion: (V, D), OpenCV's coefficients, 5 of them or as many as the lenses that are known
            have.  image_size: (V, 2) px.
        R: (V, 3, 3) rotations world -> camera, det +1.  t: (V, 3) m.
        quality: 0..1, predicted share of accuracy left of a perfectly calibrated rig; see `rig.quality`.
        rotation_sigma_deg: (V,) predicted error of each camera's rotation relative to the first, degrees.
        focal_sigma: (V,) predicted relative error of each focal length; 0 = known.
        centre_sigma_m: (V,) predicted error of where each camera stands, m, apart from scale and from where the whole
            rig is (root of the summed variances of the axes).
        scale_source: 'known height' | 'known baseline' | 'adult prior' | 'N flights and adult prior'.
        scale_sigma: relative standard deviation of the metric scale.
        gravity_sigma_deg: predicted error of the up direction, degrees.
        reprojection_px: robust reprojection error of the frames it was solved from, px.
        clock_offset_s: (V,) estimated offset of each camera's stamps against the first camera, s.
        frames: number of instants it was solved from.
        stamp: time of the newest of them, s.
    """

    cameras: tuple[str, ...]
    K: Array
    distortion: Array
    image_size: NDArray[np.int64]
    R: Array
    t: Array
    quality: float
    scale_source: str = 'adult prior'
    scale_sigma: float = 0.08
    rotation_sigma_deg: Array = field(default_factory=lambda: np.zeros(0))
    gravity_sigma_deg: float = np.nan
    reprojection_px: float = np.nan
    clock_offset_s: Array = field(default_factory=lambda: np.zeros(0))
    frames: int = 0
    stamp: float = np.nan
    focal_sigma: Array = field(default_factory=lambda: np.zeros(0))
    centre_sigma_m: Array = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        n = len(self.cameras)
        for name, shape in (('K', (n, 3, 3)), ('distortion', (n, _width(self.distortion))), ('image_size', (n, 2)),
                            ('R', (n, 3, 3)), ('t', (n, 3)), *((name, (n,)) for name in _PER_CAMERA)):
            a = np.array(getattr(self, name), np.int64 if name == 'image_size' else float)
            if a.size == 0 and name in _PER_CAMERA:
                a = np.zeros(n)
            if a.shape != shape or not np.isfinite(a).all():
                raise RigError(f'{name} must be finite with shape {shape}, got {a.shape}', place='rig')
            a.setflags(write=False)
            object.__setattr__(self, name, a)
        eye = self.R @ np.swapaxes(self.R, 1, 2)
        if n and (np.abs(eye - np.eye(3)).max() > 1e-5 or np.linalg.det(self.R).min() < 0):
            raise RigError('R must hold rotations with determinant +1', place='rig')

    @property
    def geometry(self) -> Cameras:
        """The cameras as one value that projects to undistorted pixels, square ones with K's fx."""
        return Cameras(self.R, self.t, self.K[:, 0, 0], self.K[:, :2, 2])

    @property
    def centres(self) -> Array:
        """(V, 3) camera centres in the world, m."""
        return -np.einsum('vji,vj->vi', self.R, self.t)

    def only(self, cameras: Sequence[str]) -> Rig:
        """The same rig with some of its cameras, in their order."""
        i = [self.cameras.index(c) for c in cameras]
        return replace(self, cameras=tuple(cameras), **{
            n: getattr(self, n)[i] for n in ('K', 'distortion', 'image_size', 'R', 't', *_PER_CAMERA)})

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for YAML and JSON."""
        out: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            out[name] = value.tolist() if isinstance(value, np.ndarray) else list(value) if name == 'cameras' else value
        return out

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Rig:
        """Inverse of `to_dict`.

        Raises:
            RigError: a field is missing or unknown, or the values are no rig.
        """
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        lacking = sorted({'cameras', 'K', 'distortion', 'image_size', 'R', 't', 'quality'} - set(values))
        if unknown or lacking:
            raise RigError(f'unknown fields {unknown}, missing fields {lacking}', 'save it again with this version',
                           place='rig')
        data = dict(values)
        data['cameras'] = tuple(str(c) for c in data['cameras'])
        for name in ('K', 'distortion', 'R', 't', *_PER_CAMERA):
            if name in data:
                data[name] = np.array(data[name], float)
        data['image_size'] = np.array(data['image_size'], np.int64)
        return cls(**data)


@dataclass(frozen=True)
class NotSolved:
    """There is no rig, and why. Never published as a rig.

    Attributes:
        reason: one sentence: what is missing and what to do.
        numbers: the figures that decided.
        one_camera: a single camera may be the reason; without it the others may have a rig.
    """

    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    one_camera: bool = False

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True)
class SolveFailed(NotSolved):
    """The solve itself broke: a defect, or no memory. It says nothing of the views, and is tried again."""
