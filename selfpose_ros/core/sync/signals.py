# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What moves in one camera's view of one person, as signals on a common grid of time."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..windows import moving_mean

__all__ = ['GRID_HZ', 'Motion', 'Track2D', 'track_motions']

Array = NDArray[np.float64]

#: instants a second at which signals are compared: everyday movements end below 6 Hz
GRID_HZ = 25.
#: what changes more slowly tells pose and place rather than time, s; noise is averaged over so many instants
_SLOW_S, _SMOOTH = 1.6, 3
#: joints below this confidence are left out; a hole longer than this is one, s
_CONFIDENCE, _HOLE_S = .3, .2
#: movements larger than this many times the usual one are cut: exchanged sides, joints of somebody else
_MOST = 8.
#: hips and shoulders: the body's place; fewer joints tell no size
_TORSO, _JOINTS = (1, 4, 11, 14), 8
#: somebody seen for less has no signal, s; tracks of a camera beyond this number, the longest first, have none
_SHORTEST_S, _MOST_TRACKS = 2., 12


@dataclass(frozen=True)
class Track2D:
    """One person in one camera: stamp (T,) s, increasing; kp (T, 17, 2) px, NaN = not seen; confidence (T, 17)."""

    stamp: Array
    kp: Array
    confidence: Array


@dataclass(frozen=True)
class Motion:
    """Movements of joints against the body, in units of its size in the image, at (first + n) / GRID_HZ s.

    Attributes:
        first: number of the first instant of the grid.
        x: (T, 17, 2), 0 where not seen.  seen: (T, 17) 0 or 1.
        px: (T, 17, 2) where the joints are in the image, any number where not seen.  size: (T,) px of the body there.
    """

    first: int
    x: Array
    seen: Array
    px: Array
    size: Array


def track_motions(tracks: Mapping[str, Sequence[Track2D]]) -> dict[str, list[Motion]]:
    """The signals of those tracks of every camera that are long enough."""
    out = {}
    for camera, some in tracks.items():
        long = sorted((t for t in some if len(t.stamp) > 4 and t.stamp[-1] - t.stamp[0] >= _SHORTEST_S),
                      key=lambda t: t.stamp[0] - t.stamp[-1])[:_MOST_TRACKS]
        found = [_motion(t) for t in long]
        out[camera] = [m for m in found if m.seen.any()]
    return out


def _motion(track: Track2D) -> Motion:
    first, last = int(np.ceil(track.stamp[0] * GRID_HZ)), int(np.floor(track.stamp[-1] * GRID_HZ))
    grid = np.arange(first, last + 1) / GRID_HZ
    x, seen = np.zeros((len(grid), 17, 2)), np.zeros((len(grid), 17))
    good = np.isfinite(track.kp).all(-1) & (track.confidence > _CONFIDENCE)
    for j in range(17):
        k = np.flatnonzero(good[:, j])
        if len(k) < 2:
            continue
        t = track.stamp[k]
        for axis in range(2):
            x[:, j, axis] = np.interp(grid, t, track.kp[k, j, axis])
        i = np.clip(np.searchsorted(t, grid), 1, len(t) - 1)
        seen[:, j] = (t[i] - t[i - 1] < _HOLE_S) & (grid >= t[0]) & (grid <= t[-1])
    seen *= seen[:, _TORSO].all(1)[:, None]
    seen *= (seen.sum(1) >= _JOINTS)[:, None]
    px = x
    x = (x - x[:, _TORSO].mean(1, keepdims=True)) * seen[..., None]
    size = _size(x, seen)
    x = x / size[:, None, None]
    slow = int(_SLOW_S * GRID_HZ) // 2 * 2 + 1
    x = (_mean(x, seen, _SMOOTH) - _mean(x, seen, slow)) * seen[..., None]
    if seen.any():
        usual = np.sqrt(np.median(x[seen > 0] ** 2))
        far = np.linalg.norm(x, axis=-1, keepdims=True)
        x = x * np.minimum(1., _MOST * usual / np.maximum(far, 1e-12))
    return Motion(first, x, seen, px, size)


def _size(x: Array, seen: Array) -> Array:
    """(T,) root mean square distance of the joints from the body's place, over two seconds."""
    known = seen.any(1).astype(float)
    size = np.sqrt((x * x).sum((1, 2)) / np.maximum(seen.sum(1), 1.))
    n = int(2 * GRID_HZ) // 2 * 2 + 1
    size = moving_mean(size * known, n) / np.maximum(moving_mean(known, n), 1e-3)
    return np.asarray(np.maximum(size, 1e-6))


def _mean(x: Array, seen: Array, n: int) -> Array:
    """Moving average over n instants of what was seen."""
    weight = moving_mean(seen, n)[..., None]
    return np.asarray(moving_mean(x, n) / np.maximum(weight, 1e-3))
