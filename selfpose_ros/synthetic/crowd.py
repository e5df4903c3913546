# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Several people at once in a room, from motion capture: they walk, pass close, leave by a door and come back."""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.camera import project
from ..core.observation import MultiView, View2D
from ..core.rig import Rig
from ..core.windows import gaussian_mean
from .errors import SyntheticError
from .motion_capture import Motion
from .one_body import bodies, passed
from .rigs import ring_rig
from .views import frames_of, hidden_joints, observe

__all__ = ['CrowdScene', 'crowd_scene', 'faded', 'performance', 'placed', 'seen_scene', 'turned']

Array = NDArray[np.float64]

#: half the side of the room, m; how far outside the door is, m; chance that somebody leaves; for how long, s
_ROOM_M, _DOOR_M, _LEAVES, _AWAY_S = 2.2, 7., .35, (4., 8.)
#: frames over which one sequence passes into the next
_FADE = 10
#: people do not come nearer than this, m
_APART_M = .4
#: chance of a poster in one view, and share of images with a false person
_POSTER, _GHOSTS = .3, .02


@dataclass(frozen=True)
class CrowdScene:
    """A scene and its truth.

    Attributes:
        frames: what the cameras report, without identities.
        joints: (T, P, 17, 3) m at `stamp` (T,) s.
        visible: (T, V, P, 17) inside the image and behind nobody.
        rig: the true cameras.
    """

    frames: tuple[MultiView, ...]
    stamp: Array
    joints: Array
    visible: NDArray[np.bool_]
    rig: Rig


def crowd_scene(motion: Motion, people: int, views: int = 4, seed: int = 1, number: int = 0,
                seconds: float = 20.) -> CrowdScene:
    """One scene; everything random comes from seed, number and people."""
    rng = np.random.default_rng([seed, number, people, 31])
    rig = ring_rig(views, int(rng.integers(1 << 31)), (4., 7.), (1., 3.), room_radius_m=_ROOM_M)
    T = int(seconds * motion.fps)
    places = _apart(np.stack([_way(rng, T, motion.fps, rig) for _ in range(people)], 1))
    X = np.stack([placed(performance(rng, motion, T), places[:, p]) for p in range(people)], 1)
    return seen_scene(rng, motion, X, rig, _GHOSTS, poster=rng.random() < _POSTER)


def seen_scene(rng: np.random.Generator, motion: Motion, X: Array, rig: Rig, ghosts: float,
               poster: bool = False) -> CrowdScene:
    """People X (T, P, 17, 3) m as the cameras report them; ghosts: share of images with a false person; poster: one
    camera shows a picture of somebody.
    """
    T, people, views = *X.shape[:2], len(rig.cameras)
    frames = frames_of(observe(X, rig, motion.fps, int(rng.integers(1 << 31)), noise_px=5., ghosts=ghosts))
    if poster:
        frames = _with_poster(rng, frames, rig.cameras[int(rng.integers(views))], motion)
    visible = np.empty((T, views, people, 17), bool)
    for v in range(views):
        px = project(X, rig.K[v], rig.R[v], rig.t[v])
        with np.errstate(invalid='ignore'):
            inside = (px >= 0).all(-1) & (px < rig.image_size[v]).all(-1)
        visible[:, v] = inside & ~hidden_joints(X, px, rig, v)
    return CrowdScene(tuple(frames), np.arange(T) / motion.fps, X, visible, rig)


def performance(rng: np.random.Generator, motion: Motion, T: int) -> Array:
    """T frames of sequences of one body, one after another, on one spot and with the same heading: (T, 17, 3) m.

    Raises:
        SyntheticError: no sequence is long enough to pass into another.
    """
    frames = np.diff(motion.start)
    long = frames >= 3 * _FADE
    if not long.any():
        raise SyntheticError(f'all sequences of the motion are shorter than {3 * _FADE} frames', 'give longer ones')
    s = int(rng.choice(len(frames), p=frames * long / (frames * long).sum()))
    of = bodies(motion)
    own = np.flatnonzero(long & (of == of[s]))
    out = np.zeros((0, 17, 3))
    while len(out) < T:
        piece = motion.joints[motion.start[s]:motion.start[s + 1]].astype(float)
        across = piece[:, 4] - piece[:, 1]                          # of the hips; forward is a quarter turn on
        yaw = gaussian_mean(np.unwrap(np.arctan2(-across[:, 0], across[:, 1])), 12)
        piece[..., :2] -= piece[:, :1, :2]
        piece = turned(piece, -yaw)
        out = passed(out, piece, _FADE)
        s = int(rng.choice(own))
    return out[:T] * rng.uniform(.93, 1.07)


def _way(rng: np.random.Generator, T: int, fps: float, rig: Rig) -> Array:
    """(T, 2) m: from point to point in the room with pauses, and perhaps out of the door and in again."""
    at = rng.uniform(-_ROOM_M, _ROOM_M, 2)
    out: list[Array] = []
    while len(out) < T:
        goal, speed = rng.uniform(-_ROOM_M, _ROOM_M, 2), rng.uniform(.4, 1.4)
        n = max(int(np.linalg.norm(goal - at) / speed * fps), 1)
        out += [*np.linspace(at, goal, n), *np.repeat(goal[None], int(rng.uniform(0., 2.) * fps), 0)]
        at = goal
    way = gaussian_mean(np.array(out[:T]), .3 * fps)
    if rng.random() < _LEAVES:
        angle = np.sort(np.arctan2(rig.centres[:, 1], rig.centres[:, 0]))
        gap = np.diff(np.r_[angle, angle[0] + 2 * np.pi])
        door = angle[gap.argmax()] + gap.max() / 2
        away, time = rng.uniform(*_AWAY_S), np.arange(T) / fps
        begin = rng.uniform(2., max(T / fps - away - 3., 3.))
        share = np.clip(np.minimum(time - begin, begin + away - time) / (.4 * away), 0., 1.)[:, None]
        share = share * share * (3 - 2 * share)
        way = (1 - share) * way + share * _DOOR_M * np.array([np.cos(door), np.sin(door)])
    return np.asarray(way)


def _apart(places: Array) -> Array:
    """Ways (T, P, 2) m on which nobody comes much nearer than allowed to another."""
    i = np.arange(places.shape[1])
    for _ in range(8):
        d = places[:, :, None] - places[:, None]
        r = np.linalg.norm(d, axis=-1)
        r[:, i, i] = np.inf
        push = (np.maximum(_APART_M + .1 - r, 0.)[..., None] * d / np.maximum(r, .05)[..., None]).sum(2)
        places = places + gaussian_mean(push, 5)
    return places


def placed(poses: Array, way: Array) -> Array:
    """Poses (T, 17, 3) on one spot, along a way (T, 2) m that they face."""
    step = gaussian_mean(np.gradient(way, axis=0), 8)
    moving = np.linalg.norm(step, axis=1) > 2e-3
    yaw = np.unwrap(np.arctan2(step[:, 1], step[:, 0])[moving]) if moving.any() else np.zeros(1)
    at = np.flatnonzero(moving) if moving.any() else np.zeros(1)
    out = turned(poses, gaussian_mean(np.interp(np.arange(len(way)), at, yaw), 8))
    out[..., :2] += way[:, None]
    return out


def faded(before: Array, piece: Array, frames: int) -> Array:
    """Poses, and after them others (., J, 3), over so many frames a mean of both; `before` may be empty."""
    if not len(before):
        return piece
    w = ((np.arange(frames) + .5) / frames)[:, None, None]
    return np.concatenate([before[:-frames], (1 - w) * before[-frames:] + w * piece[:frames], piece[frames:]])


def turned(X: Array, yaw: ArrayLike) -> Array:
    """Poses (T, J, 3) turned about z by an angle, or by one each (T,), rad."""
    c, s = np.cos(yaw)[..., None], np.sin(yaw)[..., None]
    return np.stack([c * X[..., 0] - s * X[..., 1], s * X[..., 0] + c * X[..., 1], X[..., 2]], -1)


def _with_poster(rng: np.random.Generator, frames: list[MultiView], camera: str, motion: Motion) -> list[MultiView]:
    """One view shows a still pose of nobody in most images."""
    pose = motion.joints[int(rng.integers(len(motion.joints)))]
    shape = (pose - pose[:1])[:, [1, 2]] * [1., -1.] * rng.uniform(90., 260.)
    confidence = rng.uniform(.5, .9, (1, 17))

    def changed(v: View2D) -> View2D:
        if v.camera != camera or rng.random() < .1:
            return v
        middle = np.array(v.image_size) * place
        kp = np.clip(shape + middle + rng.normal(0., 2., (17, 2)), 0., np.array(v.image_size) - 1.)
        return replace(v, keypoints=np.concatenate([v.keypoints, kp[None]]), person=np.append(v.person, -1),
                       confidence=np.concatenate([v.confidence, confidence]))
    place = rng.uniform(.2, .8, 2)
    return [replace(f, views=tuple(changed(v) for v in f.views)) for f in frames]
