# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Identities in the images of one camera, by continuity of position, size and pose."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..observation import View2D
from ..quick import masked_median, padded
from ..skeleton import MIRROR, SWAP_GROUPS
from .distance import MIN_JOINTS, person_size, pose_distance
from .matching import assign_each

__all__ = ['CameraTracker', 'Track', 'update_trackers']

Array = NDArray[np.float64]

_GATE = .30                             # body sizes between expectation and detection, right after the last view
_GATE_GROWTH = .35                      # and how it grows with every second without one
_GATE_MOST = .55
_SIZE_COST = .25                        # per unit of the sizes' log ratio
_HINT = .05                             # a detector's own identity counts this much
_SPEED_TAU_S, _COAST_TAU_S = .15, .6
#: who was seen fewer times than this is waited for only so long, or until the next view, s
_SURE_AFTER, _UNSURE_S = 3, .2


@dataclass
class Track:
    """One person in one camera.

    Attributes:
        identity: from 0, never used twice.
        keypoints: (17, 2) px of the newest view, gaps moved along with the body, NaN = never seen.
        speed: (2,) px/s of the body.
        size: px, see `person_size`, smoothed.
        first, newest: stamps of the first and newest detection, s.
        seen: number of detections.
        hint: the identity that the detector gave last, -1 = none.
    """

    identity: int
    keypoints: Array
    speed: Array
    size: float
    first: float
    newest: float
    seen: int = 1
    hint: int = -1


class CameraTracker:
    """Follows the people of one camera. Views come in order of time.

    A person keeps the identity through occlusion for `lost_after_s`; somebody who comes back later is new.
    """

    def __init__(self, lost_after_s: float = 1.) -> None:
        self.lost_after_s = lost_after_s
        self._tracks: list[Track] = []
        self._next = 0
        self._newest: float | None = None

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The people that are not lost."""
        return tuple(self._tracks)

    def update(self, view: View2D) -> NDArray[np.int64]:
        """Identity of every person in the view, (P,): -1 for detections with fewer than 4 joints."""
        return update_trackers([self], [view])[0]

    def _begin(self, now: float) -> None:
        """Forget who is lost by `now`, the stamp of the next view, s."""
        if self._newest is not None and now < self._newest - self.lost_after_s:
            self._tracks.clear()                           # time began anew
        before, self._newest = self._newest, now
        self._tracks = [t for t in self._tracks if now - t.newest <= (
            self.lost_after_s if t.seen >= _SURE_AFTER or t.newest == before else _UNSURE_S)]

    def _welcome(self, view: View2D, ids: NDArray[np.int64], size: Array) -> None:
        """New tracks for detections without an identity, which are given one in `ids`."""
        for p in np.flatnonzero((ids < 0) & np.isfinite(size)):
            self._tracks.append(Track(self._next, view.keypoints[p].copy(), np.zeros(2), float(size[p]), view.stamp,
                                      view.stamp, hint=int(view.person[p])))
            ids[p] = self._next
            self._next += 1


def update_trackers(trackers: Sequence[CameraTracker], views: Sequence[View2D]) -> list[NDArray[np.int64]]:
    """`CameraTracker.update` of V different cameras, each with its view: all compared in one go."""
    for tracker, view in zip(trackers, views, strict=True):
        tracker._begin(view.stamp)
    count = [len(v.keypoints) for v in views]
    ids = [np.full(n, -1, np.int64) for n in count]
    if not sum(count):
        return ids
    ends = np.cumsum(count)[:-1]
    sizes = np.split(person_size(np.concatenate([v.keypoints for v in views]),
                                 np.concatenate([v.confidence for v in views])), ends)
    both = [n for n, tracker in enumerate(trackers) if tracker._tracks and count[n]]
    if both:
        _match([trackers[n]._tracks for n in both], [views[n] for n in both], [sizes[n] for n in both],
               [ids[n] for n in both])
    for tracker, view, own, size in zip(trackers, views, ids, sizes, strict=True):
        tracker._welcome(view, own, size)
    return ids


def _match(tracks: Sequence[Sequence[Track]], views: Sequence[View2D], sizes: Sequence[Array],
           ids: Sequence[NDArray[np.int64]]) -> None:
    """Tracks of V cameras go on with detections, whose identities are written to `ids`; no list is empty."""
    everybody = [t for some in tracks for t in some]
    ends = np.cumsum([len(some) for some in tracks])[:-1]
    now = np.repeat([v.stamp for v in views], [len(some) for some in tracks])
    age = np.maximum(now - np.array([t.newest for t in everybody]), 0.)
    coast = _COAST_TAU_S * (1 - np.exp(-age / _COAST_TAU_S))                     # people do not walk on for ever
    expected = np.array([t.keypoints for t in everybody]) \
        + (np.array([t.speed for t in everybody]) * coast[:, None])[:, None]
    known = padded(np.split(np.array([t.size for t in everybody]), ends))
    seen, confidence = padded([v.keypoints for v in views]), np.nan_to_num(padded([v.confidence for v in views]))
    far, swapped = pose_distance(padded(np.split(expected, ends)), np.nan_to_num(known, nan=1.), seen, confidence)
    with np.errstate(invalid='ignore'):
        ratio = np.abs(np.log(padded(sizes)[:, None] / known[:, :, None]))
    cost = far + _SIZE_COST * np.minimum(np.nan_to_num(ratio, nan=1.), 1.)
    hint = padded(np.split(np.array([t.hint for t in everybody], float), ends))[:, :, None]
    cost = cost - _HINT * ((hint == padded([v.person.astype(float) for v in views])[:, None]) & (hint >= 0))
    gate = padded(np.split(np.minimum(_GATE + _GATE_GROWTH * age, _GATE_MOST), ends))
    chosen = assign_each(cost, np.nan_to_num(gate, nan=_GATE)[:, :, None])
    first = np.r_[0, ends]
    camera, row = np.nonzero(chosen >= 0)
    if not len(camera):
        return
    at = chosen[camera, row]
    on = first[camera] + row
    going = [everybody[i] for i in on]
    for v, p, t in zip(camera, at, going, strict=True):
        ids[v][p] = t.identity
    _advance(going, now[on], seen[camera, at], expected[on], swapped[camera, row, at], padded(sizes)[camera, at],
             [int(views[v].person[p]) for v, p in zip(camera, at, strict=True)])


def _advance(tracks: Sequence[Track], now: Array, keypoints: Array, expected: Array, swapped: NDArray[np.bool_],
             size: Array, hint: Sequence[int]) -> None:
    """M tracks go on with the detections keypoints (M, 17, 2) px at times now (M,) s.

    expected: joints (M, 17, 2) px.  swapped: (M, 2) whether arms and legs are exchanged.  size: (M,) px.
    hint: identities that the detectors gave.
    """
    order = np.tile(np.arange(17), (len(tracks), 1))
    for exchanged, group in zip(swapped.T, SWAP_GROUPS.values(), strict=True):
        # keep the sides that were known
        order[np.ix_(exchanged, list(group))] = np.array(MIRROR)[list(group)]
    seen = np.take_along_axis(keypoints, order[..., None], 1)
    dt = np.maximum(now - np.array([t.newest for t in tracks]), 1e-3)
    moved = seen - np.array([t.keypoints for t in tracks])
    both = np.isfinite(moved).all(-1)
    speed = np.array([t.speed for t in tracks])
    middle = masked_median(moved.swapaxes(1, 2), both[:, None]) / dt[:, None]
    speed = np.where((both.sum(1) >= MIN_JOINTS)[:, None],
                     speed + (1 - np.exp(-dt / _SPEED_TAU_S))[:, None] * (middle - speed), speed)
    joints = np.where(np.isfinite(seen), seen, expected)
    known = np.array([t.size for t in tracks])
    size = known + np.where(np.isfinite(size), (1 - np.exp(-dt / .3)) * (size - known), 0.)
    for m, t in enumerate(tracks):
        t.speed, t.keypoints, t.size = speed[m], joints[m], float(size[m])
        t.newest, t.seen, t.hint = float(now[m]), t.seen + 1, hint[m]
