# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Identities in the images of one camera, by continuity of position, size and pose."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..observation import View2D
from ..quick import masked_median
from ..skeleton import MIRROR, SWAP_GROUPS
from .distance import MIN_JOINTS, person_size, pose_distance
from .matching import assign

__all__ = ['CameraTracker', 'Track']

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
        now = view.stamp
        if self._newest is not None and now < self._newest - self.lost_after_s:
            self._tracks.clear()                           # time began anew
        before, self._newest = self._newest, now
        self._tracks = [t for t in self._tracks if now - t.newest <= (
            self.lost_after_s if t.seen >= _SURE_AFTER or t.newest == before else _UNSURE_S)]
        ids = np.full(len(view.keypoints), -1, np.int64)
        size = person_size(view.keypoints, view.confidence)
        if self._tracks and len(ids):
            ids = self._match(view, size)
        for p in np.flatnonzero((ids < 0) & np.isfinite(size)):
            self._tracks.append(Track(self._next, view.keypoints[p].copy(), np.zeros(2), float(size[p]), now, now,
                                      hint=int(view.person[p])))
            ids[p] = self._next
            self._next += 1
        return ids

    def _match(self, view: View2D, size: Array) -> NDArray[np.int64]:
        now, tracks = view.stamp, self._tracks
        age = np.array([max(now - t.newest, 0.) for t in tracks])
        coast = _COAST_TAU_S * (1 - np.exp(-age / _COAST_TAU_S))                 # people do not walk on for ever
        expected = np.stack([t.keypoints for t in tracks]) \
            + (np.stack([t.speed for t in tracks]) * coast[:, None])[:, None]
        known = np.array([t.size for t in tracks])
        far, swapped = pose_distance(expected, known, view.keypoints, view.confidence)
        with np.errstate(invalid='ignore'):
            ratio = np.abs(np.log(size[None] / known[:, None]))
        cost = far + _SIZE_COST * np.minimum(np.nan_to_num(ratio, nan=1.), 1.)
        hint = np.array([t.hint for t in tracks])
        cost = cost - _HINT * ((hint[:, None] == view.person[None]) & (hint[:, None] >= 0))
        gate = np.minimum(_GATE + _GATE_GROWTH * age, _GATE_MOST)
        chosen = assign(cost, gate[:, None])
        ids = np.full(len(size), -1, np.int64)
        go_on = np.flatnonzero(chosen >= 0)
        if len(go_on):
            at = chosen[go_on]
            ids[at] = [tracks[i].identity for i in go_on]
            self._advance([tracks[i] for i in go_on], view, at, expected[go_on], swapped[go_on, at], size[at])
        return ids

    @staticmethod
    def _advance(tracks: Sequence[Track], view: View2D, at: NDArray[np.int64], expected: Array,
                 swapped: NDArray[np.bool_], size: Array) -> None:
        """M tracks go on with the detections `at` (M,).

        expected: joints (M, 17, 2) px.  swapped: (M, 2) whether arms and legs are exchanged.  size: (M,) px.
        """
        order = np.tile(np.arange(17), (len(tracks), 1))
        for exchanged, group in zip(swapped.T, SWAP_GROUPS.values(), strict=True):
            # keep the sides that were known
            order[np.ix_(exchanged, list(group))] = np.array(MIRROR)[list(group)]
        seen = np.take_along_axis(view.keypoints[at], order[..., None], 1)
        dt = np.maximum(view.stamp - np.array([t.newest for t in tracks]), 1e-3)
        moved = seen - np.array([t.keypoints for t in tracks])
        both = np.isfinite(moved).all(-1)
        speed = np.array([t.speed for t in tracks])
        middle = masked_median(moved.swapaxes(1, 2), both[:, None]) / dt[:, None]
        speed = np.where((both.sum(1) >= MIN_JOINTS)[:, None],
                         speed + (1 - np.exp(-dt / _SPEED_TAU_S))[:, None] * (middle - speed), speed)
        keypoints = np.where(np.isfinite(seen), seen, expected)
        known = np.array([t.size for t in tracks])
        size = known + np.where(np.isfinite(size), (1 - np.exp(-dt / .3)) * (size - known), 0.)
        for m, t in enumerate(tracks):
            t.speed, t.keypoints, t.size = speed[m], keypoints[m], float(size[m])
            t.newest, t.seen, t.hint = view.stamp, t.seen + 1, int(view.person[at[m]])
