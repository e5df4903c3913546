# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Virtual rigs around the origin, many at once, drawn as the benchmark protocol draws its own."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError

__all__ = ['RigRange', 'Rigs', 'draw_rigs', 'project']

Float = NDArray[np.float32]


@dataclass(frozen=True)
class RigRange:
    """What rigs may look like; the defaults are those of the benchmark protocol.

    Attributes:
        distance_m, height_m, focal_px: least and largest, uniform.
        side_px: of the square image.
        tall_m, fill: at most so long a focal length that this height fills this share of the image.
        apart_deg: least angle between neighbours.  roll_deg: largest roll.
        aim_m: height of the point looked at; aim_spread_m: its standard deviation.
        drawn: cameras that share the circle; of these the first ones are used.
    """

    distance_m: tuple[float, float] = (3., 6.)
    height_m: tuple[float, float] = (.5, 2.5)
    focal_px: tuple[float, float] = (800., 1400.)
    side_px: float = 1000.
    tall_m: float = 2.2
    fill: float = .9
    apart_deg: float = 25.
    roll_deg: float = 5.
    aim_m: float = .9
    aim_spread_m: float = .1
    drawn: int = 4

    def __post_init__(self) -> None:
        if self.drawn < 1 or self.drawn * self.apart_deg >= 300:
            raise TrainingError(f'rigs of {self.drawn} cameras at least {self.apart_deg:g} degrees apart: they hardly '
                                'fit on a circle; take fewer cameras or a smaller angle')


@dataclass(frozen=True)
class Rigs:
    """C rigs of V cameras: x_cam = R x_world + t, camera axes x right, y down, z forward.

    Attributes:
        R: (C, V, 3, 3).  t: (C, V, 3) m.  K: (C, V, 3, 3) px.  side_px: of the square image.
    """

    R: Float
    t: Float
    K: Float
    side_px: float


def draw_rigs(rng: np.random.Generator, count: int, views: int, limits: RigRange | None = None) -> Rigs:
    """`count` rigs of `views` cameras each; the distribution is that of `selfpose_ros.benchmark.detector`."""
    limits = limits or RigRange()
    drawn = max(limits.drawn, views)
    azimuth = np.sort(rng.uniform(0, 360, (count, drawn)), 1)
    while drawn > 1:
        gap = np.diff(np.concatenate([azimuth, azimuth[:, :1] + 360], 1), axis=1).min(1)
        bad = np.flatnonzero(gap < limits.apart_deg)
        if not len(bad):
            break
        azimuth[bad] = np.sort(rng.uniform(0, 360, (len(bad), drawn)), 1)
    azimuth = np.deg2rad(rng.permuted(azimuth, axis=1)[:, :views])
    shape = (count, views)
    distance, height = rng.uniform(*limits.distance_m, shape), rng.uniform(*limits.height_m, shape)
    centre = np.stack([distance * np.cos(azimuth), distance * np.sin(azimuth), height], -1)
    target = np.array([0, 0, limits.aim_m]) + rng.normal(0, limits.aim_spread_m, (*shape, 3))
    reach = limits.fill * limits.side_px * np.linalg.norm(centre - target, axis=-1) / limits.tall_m
    low = limits.focal_px[0]
    focal = rng.uniform(low, np.maximum(np.minimum(limits.focal_px[1], reach), low))
    R = _looking(centre, target, np.deg2rad(rng.uniform(-limits.roll_deg, limits.roll_deg, shape)))
    K = np.zeros((*shape, 3, 3))
    K[..., 0, 0] = K[..., 1, 1] = focal
    K[..., :2, 2], K[..., 2, 2] = limits.side_px / 2, 1
    t = -np.einsum('cvij,cvj->cvi', R, centre)
    return Rigs(R.astype(np.float32), t.astype(np.float32), K.astype(np.float32), limits.side_px)


def _looking(centre: NDArray[np.float64], target: NDArray[np.float64], roll: NDArray[np.float64],
             ) -> NDArray[np.float64]:
    """Rotations (..., 3, 3) world -> camera, z towards the target, x level before the roll, rad."""
    z = target - centre
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    x = np.cross(z, [0, 0, 1.])
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    y = np.cross(z, x)
    c, s = np.cos(roll)[..., None], np.sin(roll)[..., None]
    return np.stack([c * x - s * y, s * x + c * y, z], -2)


def project(X: Float, R: Float, t: Float, K: Float) -> Float:
    """Pixels (F, V, 17, 2) of X (F, 17, 3) m in cameras R (F, V, 3, 3), t (F, V, 3), K (F, V, 3, 3).

    Written out, as half a million small matrix products take numpy several times as long. Joints at or behind the
    camera come out as NaN.
    """
    P, c = K @ R, np.einsum('fvij,fvj->fvi', K, t)
    columns = [np.ascontiguousarray(X[:, None, :, k]) for k in range(3)]
    h = []
    for row in range(3):
        a = columns[0] * P[:, :, row, 0, None]
        a += columns[1] * P[:, :, row, 1, None]
        a += columns[2] * P[:, :, row, 2, None]
        a += c[:, :, row, None]
        h.append(a)
    h[2][h[2] <= 1e-3] = np.nan
    out = np.empty((*h[0].shape, 2), np.float32)
    np.divide(h[0], h[2], out=out[..., 0])
    np.divide(h[1], h[2], out=out[..., 1])
    return out
