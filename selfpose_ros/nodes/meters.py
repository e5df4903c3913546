# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Rates, ages and percentiles over the last seconds, for the diagnostics. Safe to feed from any thread."""
from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np

__all__ = ['Meter', 'received_share']


class Meter:
    """Events of the last `window_s` seconds, each with a value (or none).

    Args:
        window_s: how far back, s.
        clock: monotonic seconds.
    """

    def __init__(self, window_s: float = 5., clock: Callable[[], float] = time.monotonic) -> None:
        self._window, self._clock, self._lock = window_s, clock, threading.Lock()
        self._events: deque[tuple[float, float]] = deque(maxlen=4096)
        self._begin: float | None = None
        self.total = 0

    def add(self, value: float = math.nan) -> None:
        """Something happened now."""
        with self._lock:
            now = self._clock()
            if self._begin is None:
                self._begin = now
            self.total += 1
            self._events.append((now, value))

    def values(self) -> list[float]:
        """The values of the window, oldest first."""
        with self._lock:
            oldest = self._clock() - self._window
            while self._events and self._events[0][0] < oldest:
                self._events.popleft()
            return [v for _, v in self._events]

    def rate_hz(self) -> float:
        """Events per second over the window, or since the first event of all if that is not as long ago."""
        n = len(self.values())
        if self._begin is None or n < 2:
            return n / self._window
        return n / max(min(self._window, self._clock() - self._begin), 1e-3)

    def percentile(self, q: float) -> float:
        """Percentile of the window's values; NaN without any."""
        values = [v for v in self.values() if not math.isnan(v)]
        return float(np.percentile(values, q)) if values else math.nan


def received_share(stamps: list[float]) -> float:
    """Share of a camera's images that arrived, told from the stamps of those that did, s; NaN = too few to tell.

    The shortest step between two stamps is taken for the camera's period.
    """
    steps = np.diff(np.array(stamps, float))
    steps = steps[steps > 1e-4]
    if len(steps) < 10:
        return math.nan
    return float(min(1., len(steps) * np.sort(steps)[:2].mean() / steps.sum()))
