# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A drawing of the reconstructed world: floor, cameras, people, seen from a viewpoint of one's own."""
from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.camera import project
from ..core.rig import Rig
from ..core.skeleton import BONES
from ..io.overlay import _SHIFT, Colour, Image, _drawable, _fixed, bone_colour, draw_text, joint_colour

__all__ = ['Viewpoint']

Array = NDArray[np.float64]

_GROUND: Colour = (34, 28, 24)
_GRID: Colour = (72, 62, 54)
_TRUTH: Colour = (150, 150, 150)
#: thickness of a drawn bone, m, by its lower joint; thinner than a body, so that the truth behind it stays visible
_THICK = {1: .06, 2: .075, 3: .06, 4: .06, 5: .075, 6: .06, 7: .085, 8: .085, 9: .06, 10: .075, 11: .06, 12: .06,
          13: .05, 14: .06, 15: .06, 16: .05}


class Viewpoint:
    """An eye that looks at `target` m from `distance` m away, `azimuth` and `elevation` in degrees, z up.

    Args:
        size: (w, h) px of the drawing.
        field_deg: angle of view along the shorter side.
    """

    def __init__(self, target: ArrayLike, distance: float, azimuth: float, elevation: float, size: tuple[int, int],
                 field_deg: float = 40.) -> None:
        self.size = size
        a, e = np.deg2rad([azimuth, elevation])
        away = np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])
        x = np.array([-np.sin(a), np.cos(a), 0.])
        self.R = np.stack([x, np.cross(-away, x), -away])
        self.eye = np.asarray(target, float) + distance * away
        self.t = -self.R @ self.eye
        focal = min(size) / 2 / np.tan(np.deg2rad(field_deg) / 2)
        self.K = np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1.]])

    def pixels(self, points: ArrayLike) -> Array:
        """World points (..., 3) m -> (..., 2) px, NaN behind the eye."""
        return project(np.asarray(points, float), self.K, self.R, self.t)

    def canvas(self, floor_m: float = 4.) -> Image:
        """A new drawing with the floor's grid (1 m)."""
        w, h = self.size
        image = np.empty((h, w, 3), np.uint8)
        image[:] = _GROUND
        ticks = np.arange(-floor_m, floor_m + .5)
        for k in ticks:
            bold = 2 if abs(k) < .25 else 1
            self._line(image, [[k, -floor_m, 0], [k, floor_m, 0]], _GRID, bold)
            self._line(image, [[-floor_m, k, 0], [floor_m, k, 0]], _GRID, bold)
        for axis, colour in enumerate(((90, 90, 230), (90, 200, 90), (230, 140, 90))):
            self._line(image, [np.zeros(3), .5 * np.eye(3)[axis]], colour, 2)
        return image

    def _line(self, image: Image, points: ArrayLike, colour: Colour, thickness: int) -> None:
        # pieces: a long line may start behind the eye
        ends = np.asarray(points, float)
        px = self.pixels(ends[0] + np.linspace(0, 1, 9)[:, None] * (ends[1] - ends[0]))
        ok = _drawable(px)
        for i in np.flatnonzero(ok[:-1] & ok[1:]):
            cv2.line(image, _fixed(px[i]), _fixed(px[i + 1]), colour, thickness, cv2.LINE_AA, _SHIFT)

    def cameras(self, image: Image, rig: Rig, colours: Sequence[Colour], size_m: float = .35,
                names: bool = True) -> None:
        """Pyramids of the rig's cameras, one colour each."""
        for v, name in enumerate(rig.cameras):
            w, h = rig.image_size[v]
            corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], float)
            rays = np.concatenate([(corners - rig.K[v, :2, 2]) / np.diag(rig.K[v])[:2], np.ones((4, 1))], -1)
            world = (size_m * rays - rig.t[v]) @ rig.R[v]
            for k in range(4):
                self._line(image, [rig.centres[v], world[k]], colours[v], 1)
                self._line(image, [world[k], world[(k + 1) % 4]], colours[v], 2 if k == 0 else 1)
            at = self.pixels(rig.centres[v])
            if names and _drawable(at):
                draw_text(image, name, (round(at[0]), round(at[1]) - 12), 15, colours[v], anchor='middle')

    def shadow(self, image: Image, joints: Array) -> None:
        """The skeleton on the floor below it, dark."""
        flat = joints * [1, 1, 0]
        for a, b in BONES:
            self._line(image, flat[[a, b]], (18, 15, 13), 5)

    def ghost(self, image: Image, joints: Array, colour: Colour = _TRUTH) -> None:
        """Thin lines (17, 3) m: the truth."""
        for a, b in BONES:
            self._line(image, joints[[a, b]], colour, 1)

    def person(self, image: Image, joints: Array, sigma: Array | None = None, colour: Colour | None = None) -> None:
        """Bones (17, 3) m as shaded rods, far ones first; rings of two sigma (17,) m where these are large.

        colour: of all of it, BGR; None = those of the sides.
        """
        px = self.pixels(joints)
        ok = _drawable(px)
        depth = joints @ self.R[2] + self.t[2]
        focal = self.K[0, 0]
        order = sorted((bone for bone in BONES if ok[list(bone)].all()), key=lambda ab: -depth[list(ab)].mean())
        for a, b in order:
            thick = max(2, round(focal * _THICK[b] / depth[[a, b]].mean()))
            base = np.array(colour or bone_colour(a, b), float)
            for grow, gain, shift in ((3, .12, 0.), (0, .72, 0.), (-thick * .45, 1., -.18 * thick)):
                if thick + grow < 1:
                    continue
                tone = tuple(float(c) for c in base * gain)
                off = np.array([shift, shift])
                cv2.line(image, _fixed(px[a] + off), _fixed(px[b] + off), tone, max(1, round(thick + grow)),
                         cv2.LINE_AA, _SHIFT)
        for j in np.flatnonzero(ok):
            radius = max(3., focal * .035 / depth[j])
            cv2.circle(image, _fixed(px[j]), round(radius * (1 << _SHIFT)), (25, 22, 20), cv2.FILLED, cv2.LINE_AA,
                       _SHIFT)
            cv2.circle(image, _fixed(px[j]), round((radius - 1) * (1 << _SHIFT)), colour or joint_colour(int(j)),
                       cv2.FILLED, cv2.LINE_AA, _SHIFT)
            if sigma is not None and np.isfinite(sigma[j]) and 2 * sigma[j] > .05:
                cv2.circle(image, _fixed(px[j]), round(focal * 2 * sigma[j] / depth[j] * (1 << _SHIFT)),
                           colour or joint_colour(int(j)), 1, cv2.LINE_AA, _SHIFT)
