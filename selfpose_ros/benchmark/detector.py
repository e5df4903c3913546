# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark's cameras and the 2D network behind them: everything random comes from one stream for each clip.

The order in which numbers are drawn is the protocol: who draws one more gets other clips, and figures that cannot be
compared with earlier ones.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ['CAMERAS', 'SIDE_PX', 'detect', 'draw_cameras', 'draw_place']

Array = NDArray[np.float64]

#: cameras that are drawn for every clip; with fewer views the first ones are used
CAMERAS = 4
SIDE_PX = 1000.
#: ranges of a camera's distance and height, m, and focal length, px
_DISTANCE_M, _HEIGHT_M, _FOCAL_PX = (3., 6.), (.5, 2.5), (800., 1400.)
#: at most so long a focal length that this height, m, fills this share of the image
_TALL_M, _FILL = 2.2, .9
#: least angle between neighbours and largest roll, degrees; spread of the point looked at, m
_APART_DEG, _ROLL_DEG, _AIM_M = 25., 5., .1
#: middle of the path over the floor, m
_PLACE_M = .3
#: noise: standard deviation, px, of a joint of confidence 1; correlation from frame to frame, of the confidence, too
_NOISE_PX, _NOISE_MEMORY, _CONFIDENCE_MEMORY = 5., .7, .9
#: parts that are taken for something else together, and for which share of the time
_MISTAKEN = [(part, .06) for part in ((2, 3), (5, 6), (12, 13), (15, 16), (9, 10))] + [
    (part, .03) for part in ((1, 14), (4, 11), (0, 7, 8))]
#: for how many frames in the mean, how far off, px, and with which confidence
_MISTAKEN_FRAMES, _MISTAKEN_PX, _MISTAKEN_CONFIDENCE = 10., (20., 100.), (.05, .5)
#: share of time with left and right exchanged, mean number of frames, factor on the confidence
_SWAP, _SWAP_FRAMES, _SWAP_DOUBT = .01, 3., (.6, 1.)
_OUTSIDE_DOUBT = .2


def _looking(centre: Array, target: Array, roll: float) -> Array:
    """Rotation world -> camera: x right, y down, z towards the target."""
    z = target - centre
    z = z / np.linalg.norm(z)
    x = np.cross(z, [0, 0, 1.])
    x /= np.linalg.norm(x)
    c, s = np.cos(roll), np.sin(roll)
    return np.asarray(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.]]) @ np.stack([x, np.cross(z, x), z]))


def draw_cameras(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """R (4, 3, 3), t (4, 3) m, K (4, 3, 3) px of a rig around the origin: x_cam = R x_world + t."""
    while True:
        azimuth = np.sort(rng.uniform(0, 360, CAMERAS))
        if np.diff(np.r_[azimuth, azimuth[0] + 360]).min() >= _APART_DEG:
            break
    R, t, K = [], [], []
    for a in np.deg2rad(rng.permutation(azimuth)):
        distance, height = rng.uniform(*_DISTANCE_M), rng.uniform(*_HEIGHT_M)
        centre = np.array([distance * np.cos(a), distance * np.sin(a), height])
        target = np.array([0, 0, .9]) + rng.normal(0, _AIM_M, 3)
        longest = min(_FOCAL_PX[1], _FILL * SIDE_PX * float(np.linalg.norm(centre - target)) / _TALL_M)
        focal = rng.uniform(_FOCAL_PX[0], max(longest, _FOCAL_PX[0]))
        rotation = _looking(centre, target, np.deg2rad(rng.uniform(-_ROLL_DEG, _ROLL_DEG)))
        R.append(rotation)
        t.append(-rotation @ centre)
        K.append([[focal, 0, SIDE_PX / 2], [0, focal, SIDE_PX / 2], [0, 0, 1]])
    return np.array(R), np.array(t), np.array(K)


def draw_place(rng: np.random.Generator) -> Array:
    """(2,) m: where over the floor somebody is kept that does not travel."""
    return np.asarray(rng.uniform(-_PLACE_M, _PLACE_M, 2))


def _stretches(rng: np.random.Generator, count: int, share: float, length: float) -> NDArray[np.bool_]:
    """(count,) two-state Markov chain: True for this share of time, in stretches of this mean length."""
    leave, enter = 1 / length, share / (1 - share) / length
    state, u = bool(rng.random() < share), rng.random(count)
    out = np.zeros(count, bool)
    for i in range(count):
        out[i] = state
        state = bool(u[i] >= leave) if state else bool(u[i] < enter)
    return out


def _number(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(T,) number, from 1, of the stretch that an instant belongs to or comes after; 0 before the first."""
    return np.cumsum(np.diff(np.r_[0, mask.astype(int)]) == 1)


def _correlated(rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> Array:
    """Unit Gaussian noise with this correlation from one step of the first axis to the next."""
    out = rng.normal(size=shape)
    fresh = np.sqrt(1 - memory * memory)
    for i in range(1, shape[0]):
        out[i] = memory * out[i - 1] + fresh * out[i]
    return out


def _mistake_parts(rng: np.random.Generator, px: Array, confidence: Array) -> None:
    """Put parts of the body elsewhere for a while; in place."""
    for part, share in _MISTAKEN:
        mask = _stretches(rng, len(px), share, _MISTAKEN_FRAMES)
        number = _number(mask)
        n = int(number.max()) + 1
        for j in part:
            angle, far = rng.uniform(0, 2 * np.pi, n), rng.uniform(*_MISTAKEN_PX, n)
            low = rng.uniform(*_MISTAKEN_CONFIDENCE, n)
            px[mask, j] += np.stack([far * np.cos(angle), far * np.sin(angle)], -1)[number[mask]]
            confidence[mask, j] = low[number[mask]]


def _swap_sides(rng: np.random.Generator, px: Array, confidence: Array) -> None:
    """Exchange arms, legs or both for a few frames; in place."""
    mask = _stretches(rng, len(px), _SWAP, _SWAP_FRAMES)
    number = _number(mask)
    n = int(number.max()) + 1
    kind, doubt = rng.integers(0, 3, n)[number], rng.uniform(*_SWAP_DOUBT, n)[number]
    for part, spared in (((11, 12, 13, 14, 15, 16), 1), ((1, 2, 3, 4, 5, 6), 0)):
        rows, joints = np.flatnonzero(mask & (kind != spared)), np.array(part)
        here, there = np.ix_(rows, joints), np.ix_(rows, np.roll(joints, 3))
        px[here] = px[there]
        confidence[here] = confidence[there] * doubt[rows, None]


def detect(rng: np.random.Generator, true_px: Array, noise: float = 1.) -> tuple[Array, Array]:
    """What the network makes of true pixels (T, 17, 2) of one camera: pixels (T, 17, 2), confidence (T, 17).

    noise: factor on the protocol's noise; what is mistaken and exchanged stays.
    """
    count = len(true_px)
    confidence = .55 + .45 / (1 + np.exp(-1.6 * _correlated(rng, (count, 17), _CONFIDENCE_MEMORY)))
    px = true_px + _correlated(rng, (count, 17, 2), _NOISE_MEMORY) * (noise * _NOISE_PX / confidence)[..., None]
    _mistake_parts(rng, px, confidence)
    _swap_sides(rng, px, confidence)
    inside = ((px >= 0) & (px <= SIDE_PX - 1)).all(-1)
    return np.clip(px, 0, SIDE_PX - 1), np.where(inside, confidence, _OUTSIDE_DOUBT * confidence)
