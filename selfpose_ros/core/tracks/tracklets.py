# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Tracklets: detections of one camera that are the same person for certain, from image to image.

A tracklet ends in doubt: where another detection, or another tracklet, is nearly as near, both begin anew. Short and
pure is worth more than long and mixed, for what belongs together across a doubt is found by the other cameras.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..observation import MultiView, View2D
from ..quick import median
from .distance import MIN_JOINTS, person_size, pose_distance
from .matching import assign

__all__ = ['Tracklets', 'TrackletsByCamera']

Array = NDArray[np.float64]

#: body sizes between expectation and detection, right after the last view; how it grows each second; at most
_GATE, _GATE_GROWTH, _GATE_MOST = .25, .5, .4
#: a rival that is nearer than this many times the distance of the best, or than that plus so much, makes it doubtful
_RIVAL_TIMES, _RIVAL_MORE = 1.6, .06
#: somebody not seen for this long is a new tracklet when he comes back, s
_LOST_S = .5
#: unequal sizes cost this much per unit of their log ratio, body sizes
_SIZE_COST = .25
_SPEED_TAU_S = .15


@dataclass
class _Open:
    """A tracklet that goes on: newest joints (17, 2) px, their speed (2,) px/s, size px, stamp s."""

    number: int
    keypoints: Array
    speed: Array
    size: float
    newest: float


class Tracklets:
    """The tracklets of one camera. Views come in order of time; numbers are never used twice."""

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._next = 0
        self._newest = -np.inf

    def update(self, view: View2D) -> NDArray[np.int64]:
        """Number (P,) of the tracklet of every detection in the view; -1 for those with fewer than 4 joints."""
        now = view.stamp
        if now < self._newest:
            self._open.clear()                                # time began anew
        self._newest = now
        self._open = [t for t in self._open if now - t.newest <= _LOST_S]
        size = person_size(view.keypoints, view.confidence)
        numbers = np.full(len(size), -1, np.int64)
        if self._open and len(size) and not self._one_goes_on(view, size, numbers):
            self._go_on(view, size, numbers)
        for p in np.flatnonzero((numbers < 0) & np.isfinite(size)):
            numbers[p] = self._next
            self._open.append(_Open(self._next, view.keypoints[p].copy(), np.zeros(2), float(size[p]), now))
            self._next += 1
        return numbers

    def _one_goes_on(self, view: View2D, size: Array, numbers: NDArray[np.int64]) -> bool:
        """The rule: one tracklet, one detection, where it was expected; there is nothing to choose."""
        if len(self._open) != 1 or len(size) != 1 or not np.isfinite(size[0]):
            return False
        track = self._open[0]
        expected = track.keypoints + track.speed * (view.stamp - track.newest)
        off = expected - view.keypoints[0]
        far = np.sqrt((off * off).sum(1))
        far = far[np.isfinite(far)]
        if len(far) < MIN_JOINTS or median(far) > .5 * _GATE * track.size:
            return False
        numbers[0] = track.number
        _advance(track, view, 0, expected, float(size[0]))
        return True

    def _go_on(self, view: View2D, size: Array, numbers: NDArray[np.int64]) -> None:
        now, tracks = view.stamp, self._open
        age = np.array([now - t.newest for t in tracks])
        expected = np.stack([t.keypoints + t.speed * a for t, a in zip(tracks, age, strict=True)])
        known = np.array([t.size for t in tracks])
        far, _ = pose_distance(expected, known, view.keypoints, view.confidence)
        ratio = np.abs(np.log(np.where(np.isfinite(size), size, 1.)[None] / known[:, None]))
        cost = far + _SIZE_COST * np.minimum(ratio, 1.)
        gate = np.minimum(_GATE + _GATE_GROWTH * age, _GATE_MOST)[:, None]
        chosen = assign(cost, np.broadcast_to(gate, cost.shape))
        closed = set()
        for i, p in enumerate(chosen):
            if p < 0:
                continue
            limit = max(_RIVAL_TIMES * cost[i, p], cost[i, p] + _RIVAL_MORE)
            if (np.delete(cost[i], p) < limit).any() or (np.delete(cost[:, p], i) < limit).any():
                closed.add(i)
                continue
            numbers[p] = tracks[i].number
            _advance(tracks[i], view, int(p), expected[i], float(size[p]))
        self._open = [t for i, t in enumerate(tracks) if i not in closed]


class TrackletsByCamera:
    """The tracklets of every camera."""

    def __init__(self) -> None:
        self._cameras: dict[str, Tracklets] = {}

    def update(self, observation: MultiView) -> dict[str, NDArray[np.int64]]:
        """Numbers (P,) of the tracklets in each view, by camera."""
        return {v.camera: self._cameras.setdefault(v.camera, Tracklets()).update(v) for v in observation.views}


def _advance(track: _Open, view: View2D, p: int, expected: Array, size: float) -> None:
    seen = view.keypoints[p]
    dt = max(view.stamp - track.newest, 1e-3)
    moved = seen - track.keypoints
    both = np.isfinite(moved).all(-1)
    if both.sum() >= MIN_JOINTS:
        blend = 1 - np.exp(-dt / _SPEED_TAU_S)
        track.speed = track.speed + blend * (median(moved[both]) / dt - track.speed)
    track.keypoints = np.where(np.isfinite(seen), seen, expected)
    if np.isfinite(size):
        track.size += (1 - np.exp(-dt / .3)) * (size - track.size)
    track.newest = view.stamp
