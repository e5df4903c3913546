# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The past that a temporal lifter looks at: poses as far apart in time as when it learned, at any rate of cameras."""
from __future__ import annotations

from collections import deque
from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

__all__ = ['PAUSE_S', 'PastPoses', 'window']

Array = NDArray[np.float64]

#: frames with a longer time than this between them do not belong together, s
PAUSE_S = .5
#: times between which there is nothing to choose, s
_SAME_S = 1e-6
#: frames that are kept for each one of the network, and people in cameras of whom they are kept
_MOST_FRAMES, _MOST_PEOPLE = 32, 200


def window(stamp: Array, now: NDArray[np.int64], frames: int, interval_s: float) -> NDArray[np.int64]:
    """Frames that stand for `now`, `now - interval_s`, `now - 2 interval_s`, ...: the nearest in time of each.

    Before the first frame, and before a pause of more than `PAUSE_S`, the first one after it is repeated. A frame newer
    than `now` is never taken.

    Args:
        stamp: (T,) s, rising.
        now: (N,) numbers of frames.

    Returns:
        (N, frames) numbers of frames, the newest last.
    """
    first = np.concatenate([[0], 1 + np.flatnonzero(np.diff(stamp) > PAUSE_S)])
    begin = first[np.searchsorted(first, now, 'right') - 1]
    wanted = stamp[now][:, None] - interval_s * np.arange(frames - 1, -1, -1)
    after = np.minimum(np.searchsorted(stamp, wanted), len(stamp) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(wanted - stamp[before] < stamp[after] - wanted - _SAME_S, before, after)
    return np.clip(nearest, begin[:, None], now[:, None])


class PastPoses:
    """The past of each person in each camera, for a temporal lifter; nothing for a frame lifter.

    Args:
        frames: that the network sees.
        interval_s: between them, s.
    """

    def __init__(self, frames: int, interval_s: float = 0.) -> None:
        self.frames, self._interval_s = frames, interval_s
        #: how far back it looks, s
        self.reach_s = (frames - 1) * interval_s
        self._poses: dict[Hashable, deque[tuple[float, Array, Array]]] = {}

    def add(self, key: Hashable, stamp: float, kp: Array, conf: Array) -> None:
        """The newest pose (17, 2) px, (17,) of somebody in one camera."""
        if self.frames < 2:
            return
        past = self._poses.setdefault(key, deque(maxlen=_MOST_FRAMES * self.frames))
        if past and not 0 < stamp - past[-1][0] <= PAUSE_S:
            past.clear()
        past.append((stamp, kp, conf))
        while len(past) > 1 and stamp - past[1][0] > self.reach_s:    # the last one that may be the nearest stays
            past.popleft()
        if len(self._poses) > _MOST_PEOPLE:                     # who is gone
            oldest = sorted(self._poses, key=lambda k: self._poses[k][-1][0])
            for k in oldest[:_MOST_PEOPLE // 2]:
                del self._poses[k]

    def of(self, key: Hashable, stamp: float, kp: Array, conf: Array) -> tuple[Array, Array]:
        """(T, 17, 2), (T, 17): the pose of this instant with its past, see `window`."""
        poses = [p for p in self._poses.get(key, ()) if p[0] < stamp] + [(stamp, kp, conf)]
        at = window(np.array([t for t, *_ in poses]), np.array([len(poses) - 1]), self.frames, self._interval_s)[0]
        return np.array([poses[i][1] for i in at]), np.array([poses[i][2] for i in at])
