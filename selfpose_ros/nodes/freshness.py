# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How old a thing is when it is handed on, and how long a stream may be silent: judged by what is really there."""
from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from .meters import Meter

__all__ = ['A_FEW', 'Freshness', 'Rhythm', 'received_at']

#: so many late things within a meter's window are worth a word; fewer are counted
A_FEW = 3
#: of a limit: stamps that are no further behind the host's clock than this are of the same clock
_AGREE = .5
#: stamps may be ahead of the host's clock by this, s
_AHEAD_S = .1
#: clocks that did not agree for this long do not agree, s
_GIVE_UP_S = 60.
#: the host's clock was set anew when it moved by this against the steady one, s
_STEP_S = .5
#: the middleware's own time of a message's arrival is used if it is so far back at most, s
_LONGEST_QUEUE_S = 60.


def received_at(info: Mapping[str, Any]) -> float:
    """Monotonic time, s, at which a message reached this process, from what rclpy hands to a callback beside it.

    It has waited since, in the middleware's queue, for a callback: under load that is most of its age.
    """
    stamp = info.get('received_timestamp') or 0
    waited = 1e-9 * (time.time_ns() - stamp) if stamp else 0.
    return time.monotonic() - min(max(waited, 0.), _LONGEST_QUEUE_S)


class Freshness:
    """Ages of what carries the stamps of one or more cameras.

    While the clocks of cameras and host agree, the age is that since the stamp. Else (cameras whose clocks nobody set,
    a bag from last year) it is that since the arrival here, which leaves out only the way here.

    Args:
        limit_s: what is older counts as late; 0 = nothing does.
        clock: monotonic seconds.

    Attributes:
        late: one event per thing that was too old, value = its age, s.
    """

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit_s, self.late = limit_s, Meter(clock=clock)
        self._clock = clock
        self._agreed: float | None = None                  # steady time of the last stamp that agreed
        self._shift: float | None = None                   # of the host's clock against the steady one

    def observe(self, stamp: float, received: float, now_s: float | None) -> None:
        """An item arrived at the steady time `received`; `now_s` is the clock of the stamps, None = not running."""
        steady = self._clock()
        if now_s is None:
            self._agreed = None
            return
        shift = now_s - steady
        if self._shift is None or abs(shift - self._shift) > _STEP_S:
            self._agreed = None
        self._shift = shift
        behind = now_s - (steady - received) - stamp
        if -_AHEAD_S <= behind <= _AGREE * (self.limit_s or 1.):
            self._agreed = steady
        elif self._agreed is not None and steady - self._agreed > _GIVE_UP_S:
            self._agreed = None

    @property
    def agree(self) -> bool:
        """Whether the stamps are those of the host's clock."""
        return self._agreed is not None

    def age_s(self, stamp: float, received: float, now_s: float | None) -> float:
        """Of something with this stamp that arrived at the steady time `received`, s."""
        here = self._clock() - received
        return here if now_s is None or self._agreed is None else max(now_s - stamp, here)

    def is_late(self, stamp: float, received: float, now_s: float | None, kept: float = 0.) -> bool:
        """Whether it is too old to be handed on as new; counted.

        Args:
            kept: share of the limit that is kept for what is still to be done, on a machine that has other work, too.
        """
        age = self.age_s(stamp, received, now_s)
        if not 0 < (1 - kept) * self.limit_s < age:
            return False
        self.late.add(age)
        return True


class Rhythm:
    """When the messages of one stream come, and so how long it may be silent.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._steps: deque[float] = deque(maxlen=7)        # a median over them: one pause is no period
        self._last: float | None = None

    def beat(self) -> None:
        """A message came."""
        now = self._clock()
        if self._last is not None:
            self._steps.append(now - self._last)
        self._last = now

    @property
    def age_s(self) -> float:
        """Since the newest message came, s; inf = none ever came."""
        return math.inf if self._last is None else self._clock() - self._last

    def silent(self, stale_after_s: float) -> bool:
        """Whether the stream stopped: nothing for `stale_after_s`, and for three of its own periods, up to a minute."""
        own = median(self._steps) if self._steps else 0.
        return self.age_s > max(stale_after_s, min(3 * own, 60.))
