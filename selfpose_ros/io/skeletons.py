# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Results as npz: the people of one recording over time, with the rig they were seen by.

The npz: `stamp (T,)` s; `joints (T, P, 17, 3)` m, NaN = not known; `sigma`, `confidence`, `views (T, P, 17)`; `level`,
`person (T, P)`, 0 where nobody; `place_sigma (T, P)` m, the part of sigma that all joints have in common; `joint_names
(17,)`; `camera_names (V,)`, `image_size (V, 2)` px, `K (V, 3, 3)` px, `distortion (V, D)`, `R (V, 3, 3)`, `t (V, 3)` m
with x_cam = R x_world + t, NaN where there is no rig; `clock_offset_s (V,)` s, a camera's stamps minus those of the
rig's first camera for the same instant, NaN where there is no rig; `rotation_sigma_deg`, `focal_sigma` (relative),
`centre_sigma_m (V,)`, predicted errors, as it; `rig_quality`, `rig_reason`, `scale_source`, `scale_sigma`,
`gravity_sigma_deg`.
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.result import Skeletons
from ..core.rig import NotSolved, Rig
from .npz import NpzReader, write_npz

__all__ = ['read_skeletons', 'write_skeletons']

Array = NDArray[np.float64]

#: predicted errors of each camera
_SIGMAS = ('rotation_sigma_deg', 'focal_sigma', 'centre_sigma_m')


def _rig_arrays(cameras: Sequence[str], rig: Rig | NotSolved) -> dict[str, Array]:
    """Rig in the order of the recording's cameras, NaN for those that it lacks."""
    V, D = len(cameras), rig.distortion.shape[1] if isinstance(rig, Rig) else 5
    out = {'K': np.full((V, 3, 3), np.nan), 'distortion': np.full((V, D), np.nan), 'R': np.full((V, 3, 3), np.nan),
           't': np.full((V, 3), np.nan), 'image_size': np.full((V, 2), np.nan), 'clock_offset_s': np.full(V, np.nan),
           **{name: np.full(V, np.nan) for name in _SIGMAS}}
    if isinstance(rig, Rig):
        for v, camera in enumerate(cameras):
            if camera in rig.cameras:
                for name, value in out.items():
                    value[v] = getattr(rig, name)[rig.cameras.index(camera)]
    return out


def write_skeletons(path: Path, result: Skeletons) -> None:
    """Write the npz, whole or not at all.

    Raises:
        IoError: the file cannot be written.
    """
    rig = result.rig
    quality, reason, source, sigma, gravity = 0., '', '', np.nan, np.nan
    if isinstance(rig, Rig):
        quality, source, sigma, gravity = rig.quality, rig.scale_source, rig.scale_sigma, rig.gravity_sigma_deg
    else:
        reason = rig.reason
    write_npz(
        path, stamp=result.stamp, joints=result.joints.astype(np.float32), sigma=result.sigma.astype(np.float32),
        confidence=result.confidence.astype(np.float32), views=result.views.astype(np.int16),
        place_sigma=np.broadcast_to(result.place_sigma, result.level.shape).astype(np.float32),
        level=result.level.astype(np.int16), person=result.person, joint_names=np.array(result.joint_names),
        camera_names=np.array(result.cameras), **_rig_arrays(result.cameras, rig),
        rig_quality=np.array(quality), rig_reason=np.array(reason), scale_source=np.array(source),
        scale_sigma=np.array(sigma), gravity_sigma_deg=np.array(gravity))


def read_skeletons(path: Path) -> Skeletons:
    """Read the npz that `write_skeletons` wrote. A rig that lacks a camera comes back with the others only.

    Raises:
        IoError: missing or damaged file, or not such a result.
    """
    with NpzReader(path) as z:
        stamp = z.array('stamp', 'T')
        joints = z.array('joints', 'T P 17 3')
        sigma, confidence = z.array('sigma', 'T P 17'), z.array('confidence', 'T P 17')
        views = z.array('views', 'T P 17').astype(np.int64)
        level, person = z.array('level', 'T P').astype(np.int64), z.array('person', 'T P').astype(np.int64)
        place = z.array('place_sigma', 'T P') if 'place_sigma' in z else np.zeros(level.shape)
        cameras = tuple(str(c) for c in z.array('camera_names', 'V', text=True))
        K, R, t = z.array('K', 'V 3 3'), z.array('R', 'V 3 3'), z.array('t', 'V 3')
        distortion, size = z.array('distortion', 'V D'), z.array('image_size', 'V 2')
        gravity = float(z.array('gravity_sigma_deg', '')) if 'gravity_sigma_deg' in z else np.nan
        late = z.array('clock_offset_s', 'V') if 'clock_offset_s' in z else np.zeros(len(R))
        sigmas = {name: z.array(name, 'V') if name in z else np.zeros(len(R)) for name in _SIGMAS}
        quality, sigma_scale = float(z.array('rig_quality', '')), float(z.array('scale_sigma', ''))
        source, reason = str(z.array('scale_source', '', text=True)), str(z.array('rig_reason', '', text=True))
    known = np.isfinite(R).all((1, 2))
    rig: Rig | NotSolved = NotSolved(reason)
    if known.any():
        names = tuple(c for c, there in zip(cameras, known, strict=True) if there)
        rig = Rig(names, K[known], distortion[known], size[known].astype(np.int64), R[known], t[known], quality,
                  source, sigma_scale, gravity_sigma_deg=gravity, clock_offset_s=np.nan_to_num(late[known]),
                  **{name: np.nan_to_num(value[known]) for name, value in sigmas.items()})
    return Skeletons(stamp, joints, sigma, confidence, views, level, person, cameras, rig, place_sigma=place)
