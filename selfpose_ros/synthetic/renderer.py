# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A camera that sees rendered people: rays against cones and ellipsoids, with light, shadow, floor and walls.

Numpy and OpenCV alone; about 10 ms for a 640x480 image.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import CameraError
from ..core.skeleton import BONES
from .figure import Cone, Ellipsoid, Look, body_parts
from .room import Room

__all__ = ['Layers', 'Light', 'VirtualCamera']

Array = NDArray[np.float64]
Float = NDArray[np.float32]

_NEIGHBOURS = np.ones((3, 3), np.uint8)
_SHADOW_SIZE, _SHADOW_M = 192, 4.5                         # px and m of the square around the person


class Layers(NamedTuple):
    """What the rays hit in the whole image; depth is infinite where they hit nothing.

    depth (H, W) m along the optical axis; normal (H, W, 3) in the camera's frame; colour (H, W, 3) BGR 0..1.
    """

    depth: Float
    normal: Float
    colour: Float


@dataclass(frozen=True)
class Light:
    """What lights people up.

    Attributes:
        towards: (3,) direction to it in the world, z above 0.
        diffuse, fill, ambient: strength of it, of the ceiling's reflection, and of what is everywhere.
        colour: BGR factors.
    """

    towards: tuple[float, float, float] = (.45, -.35, .82)
    diffuse: float = .52
    fill: float = .16
    ambient: float = .50
    colour: tuple[float, float, float] = (1., 1., 1.)

    @property
    def direction(self) -> Array:
        """`towards` as a unit vector."""
        return np.array(self.towards) / np.linalg.norm(self.towards)


class VirtualCamera:
    """An ideal pinhole camera in a room.

    Args:
        K: (3, 3) px.  R, t: (3, 3), (3,) m with x_cam = R x_world + t.  size: (w, h) px.
        seed: of the sensor's noise; the room is the same for all cameras of a scene.
        noise: standard deviation of a pixel's noise, grey levels.
        light: on people; that on the room is in its colours.
        background: (H, W, 3) uint8 BGR instead of the room, and (H, W) the share of floor in each pixel, on which
            shadows fall.

    Raises:
        CameraError: the image is too small to show anything, or the background has another size.
    """

    def __init__(self, K: ArrayLike, R: ArrayLike, t: ArrayLike, size: tuple[int, int], seed: int = 0,
                 noise: float = 2., light: Light | None = None,
                 background: tuple[NDArray[np.uint8], Float] | None = None) -> None:
        self.K, self.R, self.t = np.array(K, float), np.array(R, float), np.array(t, float)
        self.size = int(size[0]), int(size[1])
        if min(self.size) < 32:
            raise CameraError(f'renderer: an image of {size[0]}x{size[1]} px shows nothing',
                              'use at least 32 px a side')
        w, h = self.size
        self._x = ((np.arange(w) - self.K[0, 2]) / self.K[0, 0]).astype(np.float32)
        self._y = ((np.arange(h) - self.K[1, 2]) / self.K[1, 1]).astype(np.float32)
        if background is not None and (background[0].shape != (h, w, 3) or background[1].shape != (h, w)):
            raise CameraError(f'renderer: a background of shape {background[0].shape} for an image of {w}x{h} px',
                              f'give ({h}, {w}, 3) and ({h}, {w})')
        self._background, self._floor = background or _empty_room(
            *(a.tobytes() for a in (self.K, self.R, self.t)), self.size)
        self._light = light or Light()
        self._rng = np.random.default_rng([seed, 31])
        # one field of noise, shifted from image to image: drawing a new one costs as much as the person
        field = np.round(self._rng.normal(0, noise, (h + 64, w + 64, 3)))
        self._plus, self._minus = np.maximum(field, 0).astype(np.uint8), np.maximum(-field, 0).astype(np.uint8)

    def image(self, people: Sequence[ArrayLike], looks: Sequence[Look] | None = None,
              things: tuple[Sequence[Cone], Sequence[Ellipsoid]] = ((), ())) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 BGR image of people given as joints (17, 3) m in the world, and of things around them."""
        parts = [body_parts(j, looks[i] if looks else None) for i, j in enumerate(people)]
        parts.append((list(things[0]), list(things[1])))
        canvas = self._background.copy()
        for j in people:
            self._cast_shadow(canvas, np.asarray(j, float))
        layers = self.trace((c for cones, _ in parts for c in cones), (b for _, balls in parts for b in balls))
        hit = np.isfinite(layers.depth)
        if hit.any():
            rows, cols = np.flatnonzero(hit.any(1)), np.flatnonzero(hit.any(0))
            box = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
            shade = np.minimum(self._shade(layers.normal[box]) * layers.colour[box] * 255, 255).astype(np.uint8)
            canvas[box] = np.where(hit[box][..., None], shade, canvas[box])
            wide = (slice(max(rows[0] - 3, 0), rows[-1] + 4), slice(max(cols[0] - 3, 0), cols[-1] + 4))
            near = cv2.dilate(hit[wide].astype(np.uint8), _NEIGHBOURS)[..., None] > 0
            # a lens is not sharp to the pixel
            canvas[wide] = np.where(near, cv2.GaussianBlur(canvas[wide], (0, 0), .6), canvas[wide])
        dy, dx = self._rng.integers(0, 64, 2)
        shift = slice(dy, dy + self.size[1]), slice(dx, dx + self.size[0])
        return np.asarray(cv2.subtract(cv2.add(canvas, self._plus[shift]), self._minus[shift]), np.uint8)

    def trace(self, cones: Iterable[Cone], balls: Iterable[Ellipsoid]) -> Layers:
        """Nearest hits of all pixels' rays."""
        w, h = self.size
        out = Layers(np.full((h, w), np.inf, np.float32), np.zeros((h, w, 3), np.float32),
                     np.zeros((h, w, 3), np.float32))
        for cone in cones:
            a, b = self.R @ cone.a + self.t, self.R @ cone.b + self.t
            self._trace_cone(out, a, b, cone.radius_a, cone.radius_b, cone.colour)
            for centre, radius in ((a, cone.radius_a), (b, cone.radius_b)):
                self._trace_ball(out, centre, np.eye(3) * radius, cone.colour)
        for ball in balls:
            self._trace_ball(out, self.R @ ball.centre + self.t, self.R @ ball.axes, ball.colour)
        return out

    def _box(self, centres: Array, radii: Array) -> tuple[slice, slice] | None:
        """Rows and columns that spheres (N, 3), (N,) in the camera's frame can touch; None: outside the image."""
        near = centres[:, 2] - radii
        if near.min() < .05:
            return None
        px = centres[:, :2] / centres[:, 2:] * np.diag(self.K)[:2] + self.K[:2, 2]
        reach = (radii / near * max(self.K[0, 0], self.K[1, 1]) * 1.1 + 1)[:, None]
        low = np.maximum(np.floor((px - reach).min(0)), 0).astype(int)
        high = np.minimum(np.ceil((px + reach).max(0)) + 1, self.size).astype(int)
        if (low >= high).any():
            return None
        return slice(low[1], high[1]), slice(low[0], high[0])

    def _trace_ball(self, out: Layers, centre: Array, axes: Array, colour: tuple[float, float, float]) -> None:
        """Ray s (x, y, 1) against (p - centre)' G (p - centre) = 1."""
        box = self._box(centre[None], np.array([np.linalg.norm(axes, axis=0).max()]))
        if box is None:
            return
        inverse = axes / (axes * axes).sum(0) ** 2         # the semi-axes are perpendicular to each other
        G, o = inverse @ axes.T, -centre
        x, y = self._x[box[1]][None, :], self._y[box[0]][:, None]
        # quadratic A s^2 + 2 B s + C = 0; A is quadratic in x and y, B linear
        A = (G[0, 0] * x * x + (2 * G[0, 2]) * x + G[2, 2]) + (G[1, 1] * y * y + (2 * G[1, 2]) * y)
        A = A + (2 * G[0, 1]) * (x * y)
        g = G @ o
        B = (g[0] * x + g[2]) + g[1] * y
        root = B * B - A * np.float32(o @ g - 1)
        s = (-B - np.sqrt(np.maximum(root, 0))) / A
        new = (root > 0) & (s < out.depth[box])
        if not new.any():
            return
        p = _points(s, x, y, new) + o
        self._write(out, box, new, s[new], p @ G, colour)

    def _trace_cone(self, out: Layers, a: Array, b: Array, ra: float, rb: float,
                    colour: tuple[float, float, float]) -> None:
        """The part between two spheres: radius (ra - u sin) / cos, sin = (ra - rb) / L."""
        length = float(np.linalg.norm(b - a))
        if length <= abs(ra - rb) + 1e-6:                  # one sphere holds the other
            return
        box = self._box(np.stack([a, b]), np.array([ra, rb]))
        if box is None:
            return
        n, sin = (b - a) / length, (ra - rb) / length
        cos2 = 1 - sin * sin
        x, y = self._x[box[1]][None, :], self._y[box[0]][:, None]
        dn = (n[0] * x + n[2]) + n[1] * y                  # ray direction along the axis
        A = cos2 * ((x * x + 1) + y * y) - dn * dn
        od = (-a[0] * x - a[2]) - a[1] * y
        on = float(-a @ n)
        B = cos2 * od + (ra * sin - on) * dn
        C = cos2 * float(a @ a) - on * on + 2 * ra * sin * on - ra * ra
        root = B * B - A * np.float32(C)
        A = np.where(np.abs(A) > 1e-9, A, np.float32(1e-9))
        reach = np.sqrt(np.maximum(root, 0))
        low, high = ra * sin, length + rb * sin            # where the spheres take over
        s = (-B - reach) / A
        u = on + s * dn
        on_cone = (u > low) & (u < high) & (s > 0)
        if A.min() < 0:                                    # rays steeper than the cone: its other root is in front
            other = (-B + reach) / A
            u = on + other * dn
            take = (A < 0) & (u > low) & (u < high) & (other > 0) & ~(on_cone & (s < other))
            s, on_cone = np.where(take, other, s), on_cone | take
        new = on_cone & (root > 0) & (s < out.depth[box])
        if not new.any():
            return
        p = _points(s, x, y, new) - a
        self._write(out, box, new, s[new], cos2 * p - (p @ n - ra * sin)[:, None] * n, colour)

    @staticmethod
    def _write(out: Layers, box: tuple[slice, slice], new: NDArray[np.bool_], depth: Float, normal: Array,
               colour: tuple[float, float, float]) -> None:
        out.depth[box][new] = depth
        out.normal[box][new] = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
        out.colour[box][new] = colour

    def _shade(self, normal: Float) -> Float:
        source = self._light
        light, up = (self.R @ source.direction).astype(np.float32), self.R[:, 2].astype(np.float32)
        lit = np.maximum(normal @ light, 0) * source.diffuse + (normal @ up) * source.fill + source.ambient
        rim = .82 + .18 * np.minimum(-normal[..., 2] * 1.6, 1)       # edges turn away: a little darker
        return np.asarray((lit * rim)[..., None] * np.array(source.colour, np.float32), np.float32)

    def _cast_shadow(self, canvas: NDArray[np.uint8], joints: Array) -> None:
        """Darken the floor where the body keeps the light away."""
        light = self._light.direction
        floor = joints[:, :2] - joints[:, 2:] * (light[:2] / light[2])
        middle = floor.mean(0)
        scale = _SHADOW_SIZE / _SHADOW_M
        at = np.round(((floor - middle) * scale + _SHADOW_SIZE / 2) * 16).astype(int)
        mask = np.zeros((_SHADOW_SIZE, _SHADOW_SIZE), np.uint8)
        for a, b in (*BONES, (11, 1), (14, 4)):
            thick = .26 if {a, b} <= {0, 7, 8, 1, 4, 11, 14} else .17 if 10 in (a, b) else .12
            cv2.line(mask, at[a].tolist(), at[b].tolist(), (255,), max(1, round(thick * scale)),
                     cv2.LINE_AA, 4)
        soft = cv2.GaussianBlur(mask, (0, 0), .05 * scale)
        points = np.concatenate([floor, np.zeros((len(floor), 1))], -1) @ self.R.T + self.t
        box = self._box(points, np.full(len(points), .4))
        if box is None:
            return
        # shadow pixel -> floor -> image -> box
        to_floor = np.array([[1 / scale, 0, middle[0] - _SHADOW_M / 2], [0, 1 / scale, middle[1] - _SHADOW_M / 2],
                             [0, 0, 1.]])
        K = self.K.copy()
        K[:2, 2] -= box[1].start, box[0].start
        H = K @ np.stack([self.R[:, 0], self.R[:, 1], self.t], -1) @ to_floor
        part = canvas[box]
        seen = cv2.warpPerspective(soft, H, (part.shape[1], part.shape[0])).astype(np.float32) * self._floor[box]
        part[:] = part * (1 - seen[..., None] * np.float32(.55 / 255))


@lru_cache(maxsize=16)
def _empty_room(K: bytes, R: bytes, t: bytes, size: tuple[int, int]) -> tuple[NDArray[np.uint8], Float]:
    """Picture of the empty room and share of floor in it; kept, because it costs as much as 30 people."""
    matrices = np.frombuffer(K).reshape(3, 3), np.frombuffer(R).reshape(3, 3)
    colour, floor = Room().image(*matrices, np.frombuffer(t), size)
    return np.round(colour * 255).astype(np.uint8), floor


def _points(s: Float, x: Float, y: Float, where: NDArray[np.bool_]) -> Array:
    """(N, 3) points s (x, y, 1) of the pixels in the mask."""
    rows, cols = np.nonzero(where)
    depth = s[rows, cols]
    return np.stack([depth * x[0, cols], depth * y[rows, 0], depth], -1)
