# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Joints and skeletons drawn into images, for anybody who wants to look at results.

All functions draw into the uint8 BGR image that they are given and return it. Left is cyan, right is orange (the
person's own), the trunk white.
"""
from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.camera import project
from ..core.skeleton import BONES, JOINTS
from .errors import IoError

__all__ = ['COLOURS', 'bone_colour', 'draw_bones', 'draw_keypoints', 'draw_skeleton', 'draw_text', 'joint_colour']

Array = NDArray[np.float64]
Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

#: BGR of the person's left, right and middle
COLOURS: dict[str, Colour] = {'l': (232, 190, 58), 'r': (60, 150, 255), 'm': (240, 240, 240)}
_SHIFT = 4                                                 # fractional bits of OpenCV's coordinates
_FAR = 1 << 14                                             # px: beyond it OpenCV's fixed-point numbers overflow


def joint_colour(joint: int) -> Colour:
    """BGR of one of the 17 joints."""
    side = JOINTS[joint][0] if JOINTS[joint][1] == '_' else 'm'
    return COLOURS[side]


def bone_colour(parent: int, joint: int) -> Colour:
    """BGR of a bone: that of the limb it belongs to; hips and shoulders are part of the limb."""
    return joint_colour(joint)


def _fixed(point: Array) -> tuple[int, int]:
    x, y = np.round(np.asarray(point) * (1 << _SHIFT)).astype(int)
    return int(x), int(y)


def _drawable(points: Array) -> NDArray[np.bool_]:
    with np.errstate(invalid='ignore'):
        return np.asarray(np.isfinite(points).all(-1) & (np.abs(points) < _FAR).all(-1))


def _pixels(points: ArrayLike, what: str) -> Array:
    px = np.asarray(points, float)
    if px.shape != (17, 2):
        raise IoError(f'overlay: expected {what} (17, 2) px, got {px.shape}',
                      'map other joint sets with core.skeleton.joint_map')
    return px


def draw_bones(image: Image, points: ArrayLike, thickness: int = 2, colour: Colour | None = None,
               outline: bool = True) -> Image:
    """Lines between the joints (17, 2) px that are not NaN; a dark edge keeps them visible on any ground.

    Raises:
        IoError: other shapes.
    """
    px = _pixels(points, 'points')
    ok = _drawable(px)
    bones = [(a, b) for a, b in BONES if ok[a] and ok[b]]
    for dark in ((True, False) if outline else (False,)):
        for a, b in bones:
            cv2.line(image, _fixed(px[a]), _fixed(px[b]), (20, 20, 20) if dark else colour or bone_colour(a, b),
                     thickness + 2 if dark else thickness, cv2.LINE_AA, _SHIFT)
    return image


def draw_keypoints(image: Image, keypoints: ArrayLike, confidence: ArrayLike, radius: float = 3.5) -> Image:
    """What a 2D network found: (17, 2) px, NaN = not seen, and (17,) in 0..1; unsure joints: smaller, hollow.

    Raises:
        IoError: other shapes.
    """
    px, conf = _pixels(keypoints, 'keypoints'), np.asarray(confidence, float)
    if conf.shape != (17,):
        raise IoError(f'overlay: expected a confidence for each of the 17 joints, got {conf.shape}')
    for j in np.flatnonzero(_drawable(px) & (conf > 0)):
        size = round(radius * (.6 + .4 * float(conf[j])) * (1 << _SHIFT))
        cv2.circle(image, _fixed(px[j]), size + (1 << _SHIFT), (20, 20, 20), cv2.FILLED, cv2.LINE_AA, _SHIFT)
        fill = cv2.FILLED if conf[j] >= .5 else 1
        cv2.circle(image, _fixed(px[j]), size, joint_colour(int(j)), fill, cv2.LINE_AA, _SHIFT)
    return image


def draw_skeleton(image: Image, joints: ArrayLike, K: ArrayLike, R: ArrayLike, t: ArrayLike,
                  distortion: ArrayLike | None = None, thickness: int = 2, colour: Colour | None = None) -> Image:
    """A 3D skeleton (17, 3) m in the world, seen by a camera with x_cam = R x_world + t; NaN = not known.

    colour: of all bones, BGR; None = those of the sides.

    Raises:
        IoError: other shapes.
    """
    points = np.asarray(joints, float)
    if points.shape != (17, 3):
        raise IoError(f'overlay: expected joints (17, 3) m, got {points.shape}')
    px = project(points, np.asarray(K, float), np.asarray(R, float), np.asarray(t, float),
                 None if distortion is None else np.asarray(distortion, float))
    return draw_bones(image, px, thickness, colour)


def draw_text(image: Image, text: str, at: tuple[int, int], size: float = 18., colour: Colour = (235, 235, 235),
              bold: bool = False, anchor: str = 'left') -> int:
    """Plain text, baseline at `at` px, `size` px high; anchor left, middle or right. Returns its width, px.

    Raises:
        IoError: another anchor.
    """
    share = {'left': 0., 'middle': .5, 'right': 1.}
    if anchor not in share:
        raise IoError(f'overlay: anchor {anchor!r} is unknown', f'use {", ".join(share)}')
    font, scale = (cv2.FONT_HERSHEY_DUPLEX if bold else cv2.FONT_HERSHEY_SIMPLEX), size / 30.
    width = cv2.getTextSize(text, font, scale, 1)[0][0]
    cv2.putText(image, text, (round(at[0] - share[anchor] * width), at[1]), font, scale, colour, 1, cv2.LINE_AA)
    return int(width)
