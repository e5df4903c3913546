# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One rendered picture after another: people of all builds and clothes, any light, clutter behind and before them."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from selfpose_ros.core.camera import project
from selfpose_ros.synthetic.figure import Cone, Ellipsoid, Look, body_parts, drawn_joints
from selfpose_ros.synthetic.renderer import Light, VirtualCamera
from selfpose_ros.synthetic.room import Room

__all__ = ['Eye', 'Picture', 'Stage', 'draw_eye', 'draw_light', 'draw_look', 'draw_stage', 'take']

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
Things = tuple[list[Cone], list[Ellipsoid]]

#: px of the whole image of a camera; only proportions matter
IMAGE = (640, 480)
#: share of pictures with the room that the demo shows, with one of other colours, and with mere clutter
_ROOMS = (.25, .35, .4)
#: a joint further behind what is seen at its pixel than this is hidden, m
_BEHIND = .22


@dataclass(frozen=True)
class Eye:
    """A camera: K (3, 3) px of `IMAGE`, R (3, 3), t (3,) m with x_cam = R x_world + t."""

    K: Array
    R: Array
    t: Array


@dataclass(frozen=True)
class Stage:
    """Who and what is there. joints: (P, 17, 3) m, world z up. looks: P. things: bodies that hide and clutter."""

    joints: Array
    looks: tuple[Look, ...]
    things: Things
    light: Light


@dataclass(frozen=True)
class Picture:
    """What a camera sees through a window.

    Attributes:
        image: (h, w, 3) uint8 BGR.
        points: (P, 17, 2) px of the window.
        inside: (P, 17) bool, in the camera's whole image, before it.
        hidden: (P, 17) bool, behind something.
    """

    image: Pixels
    points: Array
    inside: NDArray[np.bool_]
    hidden: NDArray[np.bool_]


def draw_look(rng: np.random.Generator) -> Look:
    """Somebody's build and clothes."""
    def colour() -> tuple[float, float, float]:
        hue, grey = rng.uniform(0, 1, 3), rng.uniform(.04, .96)
        b, g, r = np.clip(grey + rng.uniform(0, .6) * (hue - hue.mean()), .02, .98)
        return float(b), float(g), float(r)

    tone = rng.uniform(.36, 1.)
    skin = np.clip(tone * np.array([.60, .72, .92]) * rng.uniform(.92, 1.08, 3), 0, 1)
    hair = rng.uniform(.03, .7) * np.array([.5, .75, 1.]) if rng.random() < .85 else np.array(colour())
    if abs(hair.mean() - skin.mean()) < .18:               # a face of the hair's colour is none at this size
        hair = skin * rng.uniform(.1, .45)
    shirt = colour()
    return Look(
        skin=_triple(skin), hair=_triple(hair), shirt=shirt, sleeve=shirt if rng.random() < .6 else colour(),
        trousers=colour() if rng.random() < .85 else shirt, shoes=colour(), belt=colour(), mouth=_triple(skin * .6),
        girth=float(rng.uniform(.85, 1.3)), loose=float(rng.uniform(0, .02)),
        sleeves=float(rng.choice([.3, .62, 1., 2.], p=[.15, .3, .15, .4])),
        legs=float(rng.choice([.45, .95, 1.6, 2.], p=[.12, .13, .1, .65])))


def _triple(v: ArrayLike) -> tuple[float, float, float]:
    a, b, c = (float(x) for x in np.asarray(v))
    return a, b, c


def draw_light(rng: np.random.Generator) -> Light:
    """From anywhere above, weak or glaring, warm or cold."""
    a, z = rng.uniform(0, 2 * np.pi), rng.uniform(.25, 1.2)
    level = np.exp(rng.normal(0, .15))
    return Light((float(np.cos(a)), float(np.sin(a)), float(z)), float(level * rng.uniform(.25, .75)),
                 float(level * rng.uniform(.05, .25)), float(level * rng.uniform(.35, .6)),
                 _triple(np.exp(rng.normal(0, .06, 3))))


def draw_stage(rng: np.random.Generator, poses: Sequence[ArrayLike], spread_m: float = 1.8) -> Stage:
    """Put people (17, 3) m on the floor: the first one about the middle, the others around."""
    people = []
    for i, pose in enumerate(poses):
        joints = np.asarray(pose, float)
        middle = joints[0] * [1, 1, 0]
        turn, size = rng.uniform(0, 2 * np.pi), rng.uniform(.86, 1.14)
        c, s = np.cos(turn), np.sin(turn)
        joints = size * (joints - middle) @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        place = np.zeros(2)
        if i:
            angle = rng.uniform(0, 2 * np.pi)
            place = rng.uniform(.8, spread_m) * np.array([np.cos(angle), np.sin(angle)])
        people.append(drawn_joints(joints + [*place, 0]))
    return Stage(np.reshape(people, (-1, 17, 3)), tuple(draw_look(rng) for _ in people),
                 _things(rng, people[0] if people else np.zeros((17, 3))), draw_light(rng))


def _things(rng: np.random.Generator, joints: Array) -> Things:
    """Posts, balls and blocks around a person; some are before him for any camera."""
    cones: list[Cone] = []
    balls: list[Ellipsoid] = []
    for _ in range(int(rng.choice([0, 1, 2, 4], p=[.55, .25, .15, .05]))):
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(.55, 2.)
        foot = np.array([away * np.cos(angle), away * np.sin(angle), 0]) + joints[0] * [1, 1, 0]
        colour = _triple(rng.uniform(.05, .95, 3))
        if rng.random() < .6:
            top = foot + [*rng.normal(0, .15, 2), rng.uniform(.4, 1.6)]
            r = rng.uniform(.03, .16)
            cones.append(Cone(foot, top, r, r * rng.uniform(.6, 1.4), colour))
        else:
            semi = rng.uniform(.08, .35, 3)
            balls.append(Ellipsoid(foot + [0, 0, rng.uniform(.1, 1.2)], np.diag(semi), colour))
    return cones, balls


def draw_eye(rng: np.random.Generator, target: ArrayLike, least_m: float = 1.7, most_m: float = 6.5) -> Eye:
    """A camera that looks about there, from knee height to under the ceiling, held nearly upright."""
    w, h = IMAGE
    focal = w * np.exp(rng.uniform(np.log(.65), np.log(1.35)))
    azimuth, away = rng.uniform(0, 2 * np.pi), rng.uniform(least_m, most_m)
    centre = np.asarray(target, float) * [1, 1, 0] + [away * np.cos(azimuth), away * np.sin(azimuth),
                                                      rng.uniform(.4, 2.9)]
    aim = np.asarray(target, float) + rng.normal(0, .12 * away, 3) * [1, 1, .6]
    z = aim - centre
    z /= np.linalg.norm(z)
    x = np.cross(z, [0, 0, 1.])
    x /= np.linalg.norm(x)
    roll = np.deg2rad(rng.normal(0, 4))
    y = np.cross(z, x)
    x, y = np.cos(roll) * x + np.sin(roll) * y, np.cos(roll) * y - np.sin(roll) * x
    R = np.stack([x, y, z])
    return Eye(np.array([[focal, 0, w / 2], [0, focal, h / 2], [0, 0, 1.]]), R, -R @ centre)


def take(rng: np.random.Generator, stage: Stage, eye: Eye, window: ArrayLike, size: tuple[int, int]) -> Picture:
    """The picture in a window of the camera's image.

    Args:
        window: (2, 3) matrix, px of `IMAGE` -> px of the window, without rotation.
        size: (w, h) px of the window.
    """
    window = np.asarray(window, float)
    w, h = size
    # coarser or finer than wanted, then brought to size, as crops of real images are
    finer = np.exp(rng.uniform(np.log(.75), np.log(1.35)))
    dense = max(32, round(w * finer)), max(32, round(h * finer))
    scale = np.array(dense) / size
    K = np.vstack([window, [0, 0, 1]]) @ eye.K
    K[:2] *= scale[:, None]
    backdrop = _backdrop(rng, K, eye, dense)
    camera = VirtualCamera(K, eye.R, eye.t, dense, int(rng.integers(1 << 31)), float(rng.uniform(0, 6)), stage.light,
                           backdrop)
    image = camera.image(list(stage.joints), stage.looks, stage.things)
    points = project(stage.joints, eye.K, eye.R, eye.t)
    depth = stage.joints @ eye.R[2] + eye.t[2]
    inside = (depth > .3) & ((points >= 0) & (points <= np.array(IMAGE) - 1)).all(-1)
    points = points @ window[:, :2].T + window[:, 2]
    hidden = _hidden(camera, stage, points * scale, depth)
    image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if finer > 1 else cv2.INTER_LINEAR),
                       np.uint8)
    # nothing is there outside the camera's image
    edge = np.array([[0, 0], [IMAGE[0], IMAGE[1]]]) @ window[:, :2].T + window[:, 2]
    low, high = np.clip(np.round(edge), 0, [w, h]).astype(int)
    blank = np.zeros_like(image)
    blank[low[1]:high[1], low[0]:high[0]] = image[low[1]:high[1], low[0]:high[0]]
    return Picture(blank, points, inside, hidden)


def _hidden(camera: VirtualCamera, stage: Stage, px: Array, depth: Array) -> NDArray[np.bool_]:
    """Joints behind a thing or another person; a person's own body hides nothing here, it shows where the joint is."""
    out = np.zeros(depth.shape, bool)
    bodies = [body_parts(j, look) for j, look in zip(stage.joints, stage.looks, strict=True)]
    for p in range(len(out)):
        others = [stage.things, *(b for i, b in enumerate(bodies) if i != p)]
        cones, balls = ([x for o in others for x in o[k]] for k in (0, 1))
        if not cones and not balls:
            continue
        before = camera.trace(cones, balls).depth          # type: ignore[arg-type]
        h, w = before.shape
        at = np.round(np.nan_to_num(px[p], nan=-1.)).astype(int)
        seen = (at >= 0).all(-1) & (at[:, 0] < w) & (at[:, 1] < h)
        out[p, seen] = before[at[seen, 1], at[seen, 0]] < depth[p, seen] - _BEHIND
    return out


def _backdrop(rng: np.random.Generator, K: Array, eye: Eye, size: tuple[int, int]) -> tuple[Pixels, Float]:
    """What is behind everybody, and where shadows fall."""
    kind = rng.choice(3, p=_ROOMS)
    if kind == 2:
        floor = np.full(size[::-1], float(rng.random() < .5), np.float32)
        return clutter(rng, size), floor
    colour, floor = Room().image(K, eye.R, eye.t, size)
    if kind == 1:                                          # other paint
        tint = np.exp(rng.normal(0, .3, 3)) * rng.uniform(.5, 1.1)
        colour = np.clip((colour - .5) * rng.uniform(.6, 1.6) + .5, 0, 1) * tint
        if rng.random() < .5:
            mixed = rng.uniform(.2, .6)
            colour = (1 - mixed) * colour + mixed * clutter(rng, size) / 255.
    return np.clip(np.round(colour * 255), 0, 255).astype(np.uint8), floor


def clutter(rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    """(h, w, 3) uint8: gradients, clouds, and shapes of any kind and colour, limbs among them."""
    w, h = size
    corners = rng.uniform(0, 255, (2, 2, 3)).astype(np.float32)
    image = cv2.resize(corners * rng.uniform(.2, 1) + rng.uniform(0, 100), size, interpolation=cv2.INTER_CUBIC)
    for cells in (4, 12, 40):
        grain = rng.normal(0, rng.uniform(0, 22), (max(2, cells * h // w), cells, 3 if rng.random() < .5 else 1))
        cloud = cv2.resize(grain.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        image = image + (cloud if cloud.ndim == 3 else cloud[..., None])
    image = np.clip(image, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 18))):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        at = (rng.uniform(-.1, 1.1, 2) * size).astype(int)
        kind, far = rng.random(), rng.uniform(.04, .5) * max(size)
        if kind < .3:
            cv2.fillPoly(image, [np.round(at + rng.normal(0, far / 2, (int(rng.integers(3, 7)), 2))).astype(np.int32)],
                         colour, cv2.LINE_AA)
        elif kind < .5:
            other = np.round(at + rng.normal(0, far, 2)).astype(int)
            cv2.rectangle(image, at.tolist(), other.tolist(), colour, int(rng.choice([-1, 1, 3])))
        elif kind < .65:
            axes = np.maximum(1, np.round(rng.uniform(.1, .6, 2) * far)).astype(int)
            cv2.ellipse(image, at.tolist(), axes.tolist(), float(rng.uniform(0, 180)), 0, 360, colour,
                        int(rng.choice([-1, 2])), cv2.LINE_AA)
        else:                                              # a bent stick looks like a limb
            path = np.round(at + np.cumsum(rng.normal(0, far / 3, (3, 2)), 0)).astype(np.int32)
            cv2.polylines(image, [path], False, colour, int(rng.integers(1, max(3, w // 12))), cv2.LINE_AA)
    blur = rng.uniform(0, 1.6)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), blur) if blur > .3 else image, np.uint8)
