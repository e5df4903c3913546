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


class Tracklets:
    """The tracklets of one camera. Views come in order of time; numbers are never used twice.

    Those that go on, T of them, stand side by side: number (T,), newest joints (T, 17, 2) px, their speed (T, 2) px/s,
    size (T,) px, stamp newest (T,) s.
    """

    def __init__(self) -> None:
        self.number, self.newest, self.size = np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
        self.keypoints, self.speed = np.zeros((0, 17, 2)), np.zeros((0, 2))
        self._next = 0
        self._newest = -np.inf

    def update(self, view: View2D) -> NDArray[np.int64]:
        """Number (P,) of the tracklet of every detection in the view; -1 for those with fewer than 4 joints."""
        return _follow([self], [view])[0]

    def at(self, now: float) -> None:
        """Only those that can go on at `now` s."""
        if now < self._newest:
            self._keep(np.zeros(len(self.number), bool))      # time began anew
        self._newest = now
        lost = now - self.newest > _LOST_S
        if lost.any():
            self._keep(~lost)

    def expected(self, now: float) -> Array:
        """(T, 17, 2) px."""
        return np.asarray(self.keypoints + (self.speed * (now - self.newest)[:, None])[:, None])

    def choose(self, far: Array, size: Array, now: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Tracklets that go on for certain and their detections, by distances (T, P) in body sizes; those in doubt
        end. size (P,) px.
        """
        age = now - self.newest
        ratio = np.abs(np.log(np.where(np.isfinite(size), size, 1.)[None] / self.size[:, None]))
        cost = far + _SIZE_COST * np.minimum(ratio, 1.)
        chosen = assign(cost, np.minimum(_GATE + _GATE_GROWTH * age, _GATE_MOST)[:, None] + np.zeros_like(cost))
        i = np.flatnonzero(chosen >= 0)
        p, k = chosen[i], np.arange(len(i))
        best, others, theirs = cost[i, p], cost[i], cost[:, p].T
        others[k, p] = theirs[k, i] = np.inf
        sure = np.minimum(others.min(1), theirs.min(1)) >= np.maximum(_RIVAL_TIMES * best, best + _RIVAL_MORE)
        if not sure.all():
            stays = np.ones(len(chosen), bool)
            stays[i[~sure]] = False
            self._keep(stays)
            i, p = (np.cumsum(stays) - 1)[i[sure]], p[sure]
        return i, p

    def _keep(self, which: NDArray[np.bool_]) -> None:
        self.number, self.newest, self.size = self.number[which], self.newest[which], self.size[which]
        self.keypoints, self.speed = self.keypoints[which], self.speed[which]

    def begin(self, view: View2D, size: Array, numbers: NDArray[np.int64]) -> None:
        """New ones of the detections without a number; numbers (P,) are filled in."""
        new = np.flatnonzero((numbers < 0) & np.isfinite(size))
        if not len(new):
            return
        numbers[new] = self._next + np.arange(len(new))
        self._next += len(new)
        self.number = np.r_[self.number, numbers[new]]
        self.newest, self.size = np.r_[self.newest, np.full(len(new), view.stamp)], np.r_[self.size, size[new]]
        self.keypoints = np.concatenate([self.keypoints, view.keypoints[new]])
        self.speed = np.concatenate([self.speed, np.zeros((len(new), 2))])


class TrackletsByCamera:
    """The tracklets of every camera."""

    def __init__(self) -> None:
        self._cameras: dict[str, Tracklets] = {}

    def update(self, observation: MultiView) -> dict[str, NDArray[np.int64]]:
        """Numbers (P,) of the tracklets in each view, by camera."""
        followed = [self._cameras.setdefault(v.camera, Tracklets()) for v in observation.views]
        found = _follow(followed, observation.views)
        return {v.camera: numbers for v, numbers in zip(observation.views, found, strict=True)}


def _follow(cameras: Sequence[Tracklets], views: Sequence[View2D]) -> list[NDArray[np.int64]]:
    """`Tracklets.update` of several cameras, each with its view: one comparison for all."""
    if not views:
        return []
    ends = np.cumsum([len(v.keypoints) for v in views])
    sizes = np.split(person_size(np.concatenate([v.keypoints for v in views]),
                                 np.concatenate([v.confidence for v in views])), ends[:-1])
    numbers = [np.full(len(size), -1, np.int64) for size in sizes]
    for track, view in zip(cameras, views, strict=True):
        track.at(view.stamp)
    some = [n for n, track in enumerate(cameras) if len(track.number) and len(sizes[n])]
    if some:
        expected = [cameras[n].expected(views[n].stamp) for n in some]
        far, _ = pose_distance(padded(expected), padded([cameras[n].size for n in some]),
                               padded([views[n].keypoints for n in some]), padded([views[n].confidence for n in some]))
        goes = []
        for k, n in enumerate(some):
            track, size = cameras[n], sizes[n]
            own = far[k, :len(track.number), :len(size)]
            before = track.number
            i, p = track.choose(own, size, views[n].stamp)
            if len(track.number) < len(before):
                expected[k] = expected[k][np.isin(before, track.number)]
            numbers[n][p] = track.number[i]
            goes.append((track, views[n], i, p, expected[k][i], size[p]))
        _advance(goes)
    for n, track in enumerate(cameras):
        track.begin(views[n], sizes[n], numbers[n])
    return numbers


def _advance(goes: Sequence[tuple[Tracklets, View2D, NDArray[np.int64], NDArray[np.int64], Array, Array]]) -> None:
    """Tracklets (i) that go on with detections (p) of a view; in place."""
    seen = np.concatenate([view.keypoints[p] for _, view, _, p, _, _ in goes])
    if not len(seen):
        return
    before = np.concatenate([track.keypoints[i] for track, _, i, *_ in goes])
    speed = np.concatenate([track.speed[i] for track, _, i, *_ in goes])
    size = np.concatenate([track.size[i] for track, _, i, *_ in goes])
    dt = np.maximum(np.concatenate([view.stamp - track.newest[i] for track, view, i, *_ in goes]), 1e-3)
    expected, now = np.concatenate([e for *_, e, _ in goes]), np.concatenate([s for *_, s in goes])
    moved = seen - before
    both = np.isfinite(moved).all(-1)
    middle = masked_median(moved.swapaxes(1, 2), both[:, None])
    blend = np.where(both.sum(1) >= MIN_JOINTS, 1 - np.exp(-dt / _SPEED_TAU_S), 0.)[:, None]
    speed = speed + blend * (np.where(blend > 0, middle, 0.) / dt[:, None] - speed)
    keypoints = np.where(np.isfinite(seen), seen, expected)
    size = size + np.where(np.isfinite(now), (1 - np.exp(-dt / .3)) * (now - size), 0.)
    first = 0
    for track, view, i, *_ in goes:
        end = first + len(i)
        track.speed[i], track.keypoints[i] = speed[first:end], keypoints[first:end]
        track.size[i], track.newest[i] = size[first:end], view.stamp
        first = end
