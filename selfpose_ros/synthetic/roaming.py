# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One person who goes about a room as the motion capture has it: one body, and feet that stood there stand here."""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .crowd import turned
from .motion_capture import Motion
from .one_body import bodies, passed

__all__ = ['roaming']

Array = NDArray[np.float64]

#: frames over which one sequence passes into the next; the shortest and the longest piece of a sequence: a way that
#: leads far off is left in time
_FADE, _SHORTEST, _LONGEST = 10, 40, 150
#: beginnings of a sequence that are tried, sequences that are tried to come back into the room; headings beside that
#: in which the one before ended, rad; how fast somebody turns to these, rad a frame
_TRIED, _BACK, _HEADINGS, _TURNS = 12, 5, np.deg2rad(np.arange(-180, 180, 20)), .13
#: half the side of the room, m; what counts as a metre between the poses that pass into each other: a metre out of the
#: room at its end or all the time, a turn by so much, rad
_ROOM_M, _TURN = 2., 6.


def roaming(rng: np.random.Generator, motion: Motion, T: int) -> Array:
    """Sequences of one body one after another, (T, 17, 3) m: each begins where the one before ended, about as that
    stood and faced there, and is turned so that the person stays in the room.
    """
    long, body = np.diff(motion.start) >= _SHORTEST, bodies(motion)
    s = int(rng.choice(np.flatnonzero(long)))
    own = np.flatnonzero(long & (body == body[s]))
    out = _turning(next(_pieces(rng, motion, s)), rng.uniform(0, 2 * np.pi), 0.)
    out[..., :2] -= out[:, 0, :2].mean(0)
    while len(out) < T:
        end, found = out[-_FADE:], list[tuple[float, Array]]()
        outside = np.linalg.norm(end[0, 0, :2]) > _ROOM_M                # somebody who stands there comes back
        for piece in (p for s in rng.choice(own, _BACK if outside else 1) for p in _pieces(rng, motion, int(s))):
            for turn in _HEADINGS:
                way = _turning(piece, _facing(end[0]) - _facing(piece[0]), turn)
                way[..., :2] += end[0, 0, :2]
                beyond = np.maximum(np.linalg.norm(way[:, 0, :2], axis=-1) - _ROOM_M, 0.)
                apart = float(np.linalg.norm(way[:_FADE] - end, axis=-1).mean())
                found.append((apart + float(beyond.mean() + beyond[-1]) + abs(turn) / _TURN, way))
        out = passed(out, min(found, key=lambda f: f[0])[1], _FADE)
    return out[:T]


def _pieces(rng: np.random.Generator, motion: Motion, sequence: int) -> Iterator[Array]:
    """Of a sequence, each from the origin on."""
    first, end = int(motion.start[sequence]), int(motion.start[sequence + 1])
    for begin in first + rng.integers(max(end - first - _LONGEST, 0) + 1, size=_TRIED):
        piece = motion.joints[begin:min(begin + _LONGEST, end)].astype(float)
        piece[..., :2] -= piece[0, 0, :2]
        yield piece


def _turning(piece: Array, yaw: float, turn: float) -> Array:
    """A piece whose person is turned by yaw at first, by yaw + turn soon; its way is so from the first frame on."""
    share = np.clip(np.arange(len(piece)) * _TURNS / max(abs(turn), 1e-9), 0, 1)
    way = turned(piece[:, :1], yaw + turn)
    out = turned(piece - piece[:, :1], yaw + turn * share * share * (3 - 2 * share))
    return out + way


def _facing(X: Array) -> float:
    """Heading of joints (17, 3), rad."""
    across = X[4] - X[1]
    return float(np.arctan2(-across[0], across[1]))
