# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""When a rig is solved again: often at first, rarely once it has settled, later and later while solves break."""
from __future__ import annotations

import numpy as np

__all__ = ['SETTLED_ROWS', 'SolvePace']

#: a rig is solved again when there are this many times as many instants as at the last solve: in the first seconds,
#: when each of them tells much, and later
_AT_FIRST, GROWTH = 1.25, 1.4
#: and, once it has settled, every so many seconds
_MAINTENANCE_S = 30.
#: after a solve that broke the next one waits for this long, doubled each time, s
_RETRY_S = 2.
#: instants after which the world frame stays where it is; a rig has settled after twice as many
SETTLED_ROWS = 300
#: instants until a solve that should be soon, at least and at most
_SOON_ROWS = 5, 60


class SolvePace:
    """Counts in instants that were ever seen, and in time of the stream."""

    def __init__(self) -> None:
        self._rows, self._time = 1, -np.inf
        self._begun = 0                                             # instants that the newest solve had
        self._faults = 0

    def due(self, now: float, seen: int) -> bool:
        """It is time for a solve."""
        return seen >= self._rows and now >= self._time

    def began(self, now: float, seen: int) -> None:
        """A solve of all that was seen so far."""
        self._begun = seen
        if seen > 2 * SETTLED_ROWS:
            self._rows, self._time = seen + 1, now + _MAINTENANCE_S
        else:
            self._rows = max(seen + 1, int(np.ceil(seen * (_AT_FIRST if seen < SETTLED_ROWS else GROWTH))))

    def broke(self, now: float, seen: int) -> None:
        """A solve came to nothing by a fault of its own."""
        self._faults += 1
        self._rows = seen + 1
        self._time = now + min(_RETRY_S * 2. ** (self._faults - 1), _MAINTENANCE_S)

    def worked(self) -> None:
        """A solve came to a result."""
        self._faults = 0

    def at_once(self, seen: int) -> None:
        """The next one with the next instant."""
        self._rows, self._time = seen + 1, -np.inf

    def soon(self) -> None:
        """The next one with a tenth more instants than the last, at most some seconds of them."""
        more = min(max(_SOON_ROWS[0], self._begun // 10), _SOON_ROWS[1])
        self._rows, self._time = min(self._rows, self._begun + more), -np.inf

    def from_rows(self, rows: int) -> None:
        """The next one with this many instants."""
        self._rows = rows
