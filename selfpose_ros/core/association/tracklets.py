# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Tracklets: detections of one camera that are the same person for certain, from image to image.

A tracklet ends in doubt: where another detection, or another tracklet, is nearly as near, both begin anew. Short and
pure is worth more than long and mixed, for what belongs together across a doubt is found by the other cameras.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..observation import MultiView, View2D
from ..quick import masked_median, padded
from .distance import MIN_JOINTS, person_size, pose_distance
from .matching import assign_each

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


class TrackletsByCamera:
    """The tracklets of all cameras. Views of a camera come in order of time; its numbers are never used twice.

    Those that go on stand side by side, in S places for each of K cameras: number (K, S), -1 where a place is free;
    newest joints (K, S, 17, 2) px, their speed (K, S, 2) px/s, size (K, S) px, stamp newest (K, S) s.
    """

    def __init__(self) -> None:
        self._cameras: dict[str, int] = {}
        self._number, self._newest, self._size = np.zeros((0, 0), np.int64), np.zeros((0, 0)), np.zeros((0, 0))
        self._keypoints, self._speed = np.zeros((0, 0, 17, 2)), np.zeros((0, 0, 2))
        self._next, self._now = np.zeros(0, np.int64), np.zeros(0)

    def update(self, observation: MultiView) -> dict[str, NDArray[np.int64]]:
        """Numbers (P,) of the tracklets in each view, by camera; -1 for detections with fewer than 4 joints."""
        found = self._follow(observation.views)
        return {v.camera: numbers for v, numbers in zip(observation.views, found, strict=True)}

    def _follow(self, views: Sequence[View2D]) -> list[NDArray[np.int64]]:
        if not views:
            return []
        cameras, now = self._rows(views), np.array([v.stamp for v in views])
        keypoints, confidence = padded([v.keypoints for v in views]), padded([v.confidence for v in views])
        size = person_size(keypoints, confidence)
        numbers = np.full(size.shape, -1, np.int64)
        # who can go on: in this time, and not for long after he was seen last
        gone = (now < self._now[cameras])[:, None] | (now[:, None] - self._newest[cameras] > _LOST_S)
        self._now[cameras] = now
        self._number[cameras] = np.where(gone, -1, self._number[cameras])
        places = int(np.flatnonzero((self._number[cameras] >= 0).any(0)).max(initial=-1)) + 1
        if places and size.shape[1]:
            k, s, p = self._matches(cameras, now, places, keypoints, confidence, size)
            numbers[k, p] = self._number[cameras[k], s]
        for k in np.flatnonzero(((numbers < 0) & np.isfinite(size)).any(1)):
            self._begin(cameras[k], views[k], size[k], numbers[k])
        return [n[:len(v.keypoints)] for n, v in zip(numbers, views, strict=True)]

    def _rows(self, views: Sequence[View2D]) -> NDArray[np.int64]:
        """Where the cameras stand; new ones are added."""
        for v in views:
            if v.camera not in self._cameras:
                self._cameras[v.camera] = len(self._cameras)
                self._enlarge(cameras=1)
                self._now[-1] = -np.inf
        return np.array([self._cameras[v.camera] for v in views])

    def _enlarge(self, cameras: int = 0, places: int = 0) -> None:
        def more(x: Array) -> Array:
            return np.pad(x, [(0, cameras), (0, places), (0, 0), (0, 0)][:x.ndim])
        self._number = np.pad(self._number, [(0, cameras), (0, places)], constant_values=-1)
        self._newest, self._size = more(self._newest), more(self._size)
        self._keypoints, self._speed = more(self._keypoints), more(self._speed)
        self._next, self._now = np.pad(self._next, (0, cameras)), np.pad(self._now, (0, cameras))

    def _matches(self, cameras: NDArray[np.int64], now: Array, places: int, keypoints: Array, confidence: Array,
                 size: Array) -> tuple[NDArray[np.int64], ...]:
        """Views (M,), places and detections of tracklets that go on for certain, and go on; those in doubt end."""
        here = self._number[cameras, :places] >= 0
        age = now[:, None] - self._newest[cameras, :places]
        expected = self._keypoints[cameras, :places] + (self._speed[cameras, :places] * age[..., None])[:, :, None]
        expected[~here] = np.nan
        usual = np.where(here, self._size[cameras, :places], 1.)
        far, _ = pose_distance(expected, usual, keypoints, confidence)
        ratio = np.abs(np.log(np.where(np.isfinite(size), size, 1.)[:, None] / usual[..., None]))
        cost = far + _SIZE_COST * np.minimum(ratio, 1.)
        chosen = assign_each(cost, np.minimum(_GATE + _GATE_GROWTH * age, _GATE_MOST)[..., None])
        k, s = np.nonzero(chosen >= 0)
        p = chosen[k, s]
        best = cost[k, s, p]
        cost[k, s, p] = np.inf
        rival = np.minimum(cost.min(2)[k, s], cost.min(1)[k, p])
        sure = rival >= np.maximum(_RIVAL_TIMES * best, best + _RIVAL_MORE)
        self._number[cameras[k[~sure]], s[~sure]] = -1
        k, s, p = k[sure], s[sure], p[sure]
        if len(k):
            self._advance((cameras[k], s), now[k], keypoints[k, p], expected[k, s], size[k, p])
        return k, s, p

    def _advance(self, at: tuple[NDArray[np.int64], NDArray[np.int64]], now: Array, seen: Array, expected: Array,
                 size: Array) -> None:
        """M tracklets, by camera and place, were seen at now (M,) s: joints (M, 17, 2) px and size (M,) px."""
        dt = np.maximum(now - self._newest[at], 1e-3)
        moved = seen - self._keypoints[at]
        both = np.isfinite(moved[..., 0]) & np.isfinite(moved[..., 1])
        middle = masked_median(moved.swapaxes(1, 2), both[:, None])
        blend = np.where(both.sum(1) >= MIN_JOINTS, 1 - np.exp(-dt / _SPEED_TAU_S), 0.)[:, None]
        self._speed[at] += blend * (np.where(blend > 0, middle, 0.) / dt[:, None] - self._speed[at])
        self._keypoints[at] = np.where(np.isfinite(seen), seen, expected)
        self._size[at] += np.where(np.isfinite(size), (1 - np.exp(-dt / .3)) * (size - self._size[at]), 0.)
        self._newest[at] = now

    def _begin(self, camera: int, view: View2D, size: Array, numbers: NDArray[np.int64]) -> None:
        """New ones of a view's detections without a number; numbers (P,) are filled in."""
        new = np.flatnonzero((numbers < 0) & np.isfinite(size))
        numbers[new] = self._next[camera] + np.arange(len(new))
        self._next[camera] += len(new)
        free = np.flatnonzero(self._number[camera] < 0)
        if len(free) < len(new):
            self._enlarge(places=len(new) - len(free))
            free = np.flatnonzero(self._number[camera] < 0)
        at = camera, free[:len(new)]
        self._number[at], self._size[at], self._newest[at] = numbers[new], size[new], view.stamp
        self._keypoints[at], self._speed[at] = view.keypoints[new], 0.


class Tracklets:
    """The tracklets of one camera."""

    def __init__(self) -> None:
        self._all = TrackletsByCamera()

    def update(self, view: View2D) -> NDArray[np.int64]:
        """As `TrackletsByCamera.update`, of its next view."""
        return self._all.update(MultiView(view.stamp, (view,)))[view.camera]
