# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The room around the person: what a camera sees of floor and walls. World: z up, metres, floor at z = 0."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['Room']

Array = NDArray[np.float64]
Float = NDArray[np.float32]

#: doors, windows and boards: wall (0..3 = +x, +y, -x, -y), middle, width, low and high edge in m, BGR
_BOARDS = (
    (0, -2.6, 1.0, 0., 2.1, (.36, .45, .52)), (0, 1.4, 2.4, 1.0, 2.3, (.80, .76, .70)),
    (1, -1.8, 2.6, .9, 2.2, (.78, .74, .68)), (1, 2.6, 1.2, 0., 1.9, (.42, .40, .40)),
    (2, 0.4, 3.0, 1.1, 2.2, (.44, .50, .44)), (3, -2.2, 1.4, 1.2, 2.0, (.40, .44, .62)),
    (3, 1.8, 1.8, 0., .9, (.34, .42, .50)),
)


@dataclass(frozen=True)
class Room:
    """A box with planks on the floor. half_m: half its length and width.  height_m: of the ceiling."""

    half_m: float = 7.5
    height_m: float = 3.4

    def image(self, K: Array, R: Array, t: Array, size: tuple[int, int]) -> tuple[Float, Float]:
        """(H, W, 3) BGR 0..1 of the empty room, and (H, W) 1 where the floor is seen; 2x2 rays a pixel."""
        w, h = size
        u, v = np.meshgrid((np.arange(2 * w) - .5) / 2, (np.arange(2 * h) - .5) / 2)
        rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], -1) @ R
        centre = -R.T @ t
        with np.errstate(divide='ignore', invalid='ignore'):
            walls = [(np.sign(rays[..., k]) * self.half_m - centre[k]) / rays[..., k] for k in (0, 1)]
            level = np.where(rays[..., 2] < 0, -centre[2], self.height_m - centre[2]) / rays[..., 2]
        every = np.stack([*walls, level])
        every[~np.isfinite(every) | (every <= 0)] = np.inf
        which, reach = every.argmin(0), every.min(0)
        points = centre + rays * reach[..., None]
        floor = (which == 2) & (rays[..., 2] < 0)
        colour = np.empty((2 * h, 2 * w, 3))
        colour[which == 2] = (.86, .87, .88)
        colour[floor] = _planks(points[floor])
        for wall in range(4):
            axis, sign = wall % 2, 1 if wall < 2 else -1
            mask = (which == axis) & (np.sign(rays[..., axis]) == sign)
            colour[mask] = _wall(wall, points[mask][:, 1 - axis], points[mask][:, 2])
        small = cv2.resize(colour.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        seen = cv2.resize(floor.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.float32), np.asarray(seen, np.float32)


def _grain(*cells: Array) -> Array:
    """A number in 0..1 for each cell of a grid, the same at every call."""
    value = sum(c * k for c, k in zip(cells, (12.9898, 78.233, 37.719), strict=False))
    return np.asarray(np.modf(np.abs(np.sin(value) * 43758.5453))[0])


def _planks(p: Array) -> Array:
    row = np.floor(p[:, 1] / .18)
    shift = p[:, 0] + 1.4 * _grain(row)
    plank = np.floor(shift / 1.4)
    tone = .84 + .20 * _grain(row, plank)
    streak = .02 * np.sin(40 * p[:, 1] + 6 * np.sin(1.7 * p[:, 0] + 9 * _grain(plank, row)))
    gap = (np.modf(np.abs(p[:, 1] / .18))[0] < .05) | (np.abs(shift / 1.4 - np.round(shift / 1.4)) < .004)
    light = (tone + streak) * np.where(gap, .72, 1.) * (1.04 - .028 * np.hypot(p[:, 0], p[:, 1]))
    return np.asarray(light[:, None] * np.array([.46, .60, .74]))


def _wall(wall: int, along: Array, z: Array) -> Array:
    base = np.array([.80, .82, .83]) * (.86, .94, .90, .82)[wall]
    colour = np.tile(base, (len(z), 1)) * (.92 + .03 * z[:, None])
    colour[z < 1.0] *= .90
    for at, middle, width, low, high, tint in _BOARDS:
        if at != wall:
            continue
        inside = (np.abs(along - middle) < width / 2) & (z > low) & (z < high)
        frame = inside & ~((np.abs(along - middle) < width / 2 - .05) & (z > low + .05) & (z < high - .05))
        colour[inside] = tint
        colour[frame] = np.array(tint) * .6
    colour[z < .10] = (.55, .57, .58)
    return np.asarray(colour)
