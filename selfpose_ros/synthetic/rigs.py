# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Virtual rigs around the origin that look at a person: one of the benchmark's protocol, many at once, or a ring.

Camera axes: x right, y down, z forward; x_cam = R x_world + t.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import ObservationError
from ..core.rig import Rig
from .errors import SyntheticError

__all__ = ['RigRange', 'Rigs', 'draw_cameras', 'draw_rigs', 'look_at', 'project', 'ring_rig']

Array = NDArray[np.float64]
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
            raise SyntheticError(f'rigs of {self.drawn} cameras at least {self.apart_deg:g} degrees apart: they hardly '
                                 'fit on a circle', 'take fewer cameras or a smaller angle')

    def longest_focal_px(self, centre: Array, target: Array) -> Array:
        """(...) px: the longest focal length of cameras at (..., 3) m that look at (..., 3) m."""
        away = centre - target
        reach = self.fill * self.side_px * np.sqrt(away[..., None, :] @ away[..., None])[..., 0, 0] / self.tall_m
        return np.maximum(np.minimum(self.focal_px[1], reach), self.focal_px[0])


@dataclass(frozen=True)
class Rigs:
    """C rigs of V cameras.

    Attributes:
        R: (C, V, 3, 3).  t: (C, V, 3) m.  K: (C, V, 3, 3) px.  side_px: of the square image.
    """

    R: Float
    t: Float
    K: Float
    side_px: float


def look_at(centre: Array, target: Array, roll: ArrayLike) -> Array:
    """Rotations (..., 3, 3) world -> camera at (..., 3) m: z towards a target, x level but for the roll, rad."""
    def unit(v: Array) -> Array:
        return np.asarray(v / np.sqrt(v[..., None, :] @ v[..., None])[..., 0])

    z = unit(target - centre)
    x = unit(np.cross(z, [0, 0, 1.]))
    turn = np.zeros((*z.shape, 3))
    turn[..., 0, 0] = turn[..., 1, 1] = np.cos(roll)
    turn[..., 1, 0] = np.sin(roll)
    turn[..., 0, 1], turn[..., 2, 2] = -turn[..., 1, 0], 1.
    return np.asarray(turn @ np.stack([x, np.cross(z, x), z], -2))


def _pinhole(focal: ArrayLike, size: tuple[float, float]) -> Array:
    """(..., 3, 3) px, centre in the middle of the image (w, h)."""
    K = np.zeros((*np.shape(focal), 3, 3))
    K[..., 0, 0] = K[..., 1, 1] = focal
    K[..., :2, 2], K[..., 2, 2] = np.array(size) / 2, 1
    return K


def draw_cameras(rng: np.random.Generator, limits: RigRange | None = None) -> tuple[Array, Array, Array]:
    """R (V, 3, 3), t (V, 3) m, K (V, 3, 3) px of one rig, with the random numbers of the benchmark's protocol."""
    limits = limits or RigRange()
    while True:
        azimuth = np.sort(rng.uniform(0, 360, limits.drawn))
        if limits.drawn == 1 or np.diff(np.r_[azimuth, azimuth[0] + 360]).min() >= limits.apart_deg:
            break
    R, t, focal = [], [], []
    for a in np.deg2rad(rng.permutation(azimuth)):
        distance, height = rng.uniform(*limits.distance_m), rng.uniform(*limits.height_m)
        centre = np.array([distance * np.cos(a), distance * np.sin(a), height])
        target = np.array([0, 0, limits.aim_m]) + rng.normal(0, limits.aim_spread_m, 3)
        focal.append(rng.uniform(limits.focal_px[0], limits.longest_focal_px(centre, target)))
        rotation = look_at(centre, target, np.deg2rad(rng.uniform(-limits.roll_deg, limits.roll_deg)))
        R.append(rotation)
        t.append(-rotation @ centre)
    return np.array(R), np.array(t), _pinhole(focal, (limits.side_px, limits.side_px))


def draw_rigs(rng: np.random.Generator, count: int, views: int, limits: RigRange | None = None) -> Rigs:
    """`count` rigs of `views` cameras each; the distribution is that of `draw_cameras`, the numbers are others."""
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
    focal = rng.uniform(limits.focal_px[0], limits.longest_focal_px(centre, target))
    R = look_at(centre, target, np.deg2rad(rng.uniform(-limits.roll_deg, limits.roll_deg, shape)))
    K = _pinhole(focal, (limits.side_px, limits.side_px))
    t = -np.einsum('cvij,cvj->cvi', R, centre)
    return Rigs(R.astype(np.float32), t.astype(np.float32), K.astype(np.float32), limits.side_px)


def ring_rig(
    n: int = 4, seed: int = 0, distance_m: tuple[float, float] = (3., 6.),
    height_m: tuple[float, float] = (.8, 2.5), focal_px: tuple[float, float] = (800., 1400.),
    image_size: tuple[int, int] = (1000, 1000), *,
    min_separation_deg: float = 25., roll_deg: float = 5., room_radius_m: float = 1.2,
    distortion: ArrayLike = (0., 0., 0., 0., 0.),
) -> Rig:
    """True rig of cameras 'cam1'... on a ring around the origin that look at (0, 0, 0.9 m).

    Args:
        n: cameras.  seed: everything random comes from it.
        distance_m, height_m, focal_px: ranges that each camera's horizontal distance, height and focal length are
            drawn from. A focal length is made shorter where somebody 2 m tall within `room_radius_m` would leave
            the view.
        image_size: (w, h) px.
        min_separation_deg: least angle between neighbours, at most half of what n cameras leave.
        roll_deg: cameras are rolled by up to this.
        distortion: plumb-bob coefficients of every camera.

    Returns:
        A rig with quality 1 and known scale: the truth.

    Raises:
        ObservationError: n below 1, or cameras inside the room.
    """
    if n < 1 or distance_m[0] <= room_radius_m:
        raise ObservationError(f'ring_rig: {n} cameras from {distance_m[0]} m on',
                               f'at least one camera is needed, outside the room of {room_radius_m} m radius')
    rng = np.random.default_rng([int(seed), 21])
    gap = np.deg2rad(min(min_separation_deg, 360. / n / 2))
    free = 2 * np.pi - n * gap                             # uniform with least gaps: spread what the gaps leave
    angles = np.sort(rng.uniform(0, free, n)) + gap * np.arange(n) + rng.uniform(0, 2 * np.pi)
    focal, R, t = [], [], []
    for a in rng.permutation(angles):
        d, z = rng.uniform(*distance_m), rng.uniform(*height_m)
        centre = np.array([d * np.cos(a), d * np.sin(a), z])
        target, roll = np.array([0, 0, .9]) + rng.normal(0, .05, 3), np.deg2rad(rng.uniform(-1, 1) * roll_deg)
        rot = look_at(centre, target, roll)
        focal.append(min(rng.uniform(*focal_px), _widest_focal(centre, rot, image_size, room_radius_m)))
        R.append(rot)
        t.append(-rot @ centre)
    return Rig(cameras=tuple(f'cam{i + 1}' for i in range(n)), K=_pinhole(focal, image_size), R=np.array(R),
               t=np.array(t), distortion=np.tile(np.asarray(distortion, float), (n, 1)),
               image_size=np.tile(image_size, (n, 1)), quality=1., scale_source='known baseline', scale_sigma=0.,
               gravity_sigma_deg=0., reprojection_px=0.)


def _widest_focal(centre: Array, R: Array, image_size: tuple[int, int], radius_m: float) -> float:
    """Longest focal length, px, that keeps a 2 m tall cylinder around the origin within 95 % of the image."""
    a = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.stack([radius_m * np.cos(a), radius_m * np.sin(a), 0 * a], -1)
    cam = (np.concatenate([ring, ring + [0, 0, 2.]]) - centre) @ R.T
    side = np.abs(cam[:, :2] / cam[:, 2:]).max(0)
    return float((.475 * np.asarray(image_size, float) / side).min())


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
