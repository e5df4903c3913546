# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The clock that several videos share while they are played."""
from __future__ import annotations

import math
import threading
import time

__all__ = ['Pace']

#: from the last preparations to the first image, s
_LEAD_S = .01


class Pace:
    """The clock that all cameras share: time in the videos -> when to publish, and with which stamp.

    Stamps are wall-clock time, as a camera driver's; the pace is kept with the clock that cannot jump.
    """

    def __init__(self, rate: float, players: int) -> None:
        self.slipped_s = 0.
        self._rate, self._players, self._ready, self._pass = rate, players, 0, 0
        self._steady, self._wall_ns = -math.inf, 0         # of time 0 in the videos of this pass
        self._longest = 0.
        self._lock = threading.Condition()

    def due_s(self, video_s: float) -> float:
        """When an image at this time of the video is due, on the clock of `time.monotonic`."""
        return self._steady + video_s / self._rate

    def stamp_ns(self, video_s: float) -> int:
        """Its stamp, ns."""
        return self._wall_ns + round(video_s / self._rate * 1e9)

    def wait(self, video_s: float, stop: threading.Event) -> int:
        """Wait until an image at this time of the video is due, or `stop` is set; returns its stamp, ns.

        Another camera may let everything slip meanwhile; a stamp is never in the future.
        """
        while True:
            with self._lock:
                due, stamp = self.due_s(video_s), self.stamp_ns(video_s)
            ahead = due - time.monotonic()
            if ahead <= 0 or stop.wait(ahead):
                return stamp

    def slip(self, late_s: float) -> None:
        """Let everything happen later by this much: the machine cannot keep up."""
        with self._lock:
            self._steady += late_s
            self._wall_ns += round(late_s * 1e9)
            self.slipped_s += late_s

    def start(self, previous_end_s: float, stop: threading.Event) -> None:
        """Wait until all players are ready to play from the beginning of their videos.

        The first time that is time 0; later it is the end of the longest video, or now, should preparations take
        longer than that: a gap in time between two passes loses no image.

        Args:
            previous_end_s: where this player's video ended, s; 0 the first time.
        """
        with self._lock:
            current = self._pass
            self._longest = max(self._longest, previous_end_s)
            self._ready += 1
            self._turn()
            while self._pass == current and not stop.is_set():
                self._lock.wait(.1)

    def leave(self) -> None:
        """This player plays no more; the others need not wait for it."""
        with self._lock:
            self._players -= 1
            self._turn()

    def _turn(self) -> None:
        if self._ready and self._ready >= self._players:
            now = time.monotonic()
            steady = max(self.due_s(self._longest), now + _LEAD_S)
            first = math.isinf(self._steady)
            self._wall_ns = (time.time_ns() if first else self._wall_ns) + round(
                (steady - (now if first else self._steady)) * 1e9)
            self._steady = steady
            self._longest, self._ready = 0., 0
            self._pass += 1
            self._lock.notify_all()
