# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Of many recordings, or long ones, the pieces that are worth learning from: so many minutes, the liveliest.

Somebody who sits for an hour tells as much as in a minute of it. Recordings are read one after the other, and of each
no more is kept than belongs to the liveliest pieces of all so far: time and memory of an update are bounded by that.
"""
from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..data.recordings import Recorded
from ..pseudo_labels.measured_noise import body_size

__all__ = ['PIECE_S', 'Reservoir', 'liveliness']

#: recordings are cut into pieces of about this length, s: long enough to calibrate, learn and compare
PIECE_S = 60.
#: knees, ankles, elbows and wrists tell of movement; no faster ones, lengths of a body's size a second
_LIMBS, _FASTEST = [2, 3, 5, 6, 12, 13, 15, 16], 8.


def liveliness(recording: Recorded) -> float:
    """Mean speed of limbs in the images, in sizes of the body (`body_size`) a second; 0 where nobody is seen."""
    size = body_size(recording.kp)[:-1, :, None]
    with np.errstate(invalid='ignore', divide='ignore'):
        way = np.linalg.norm(np.diff(recording.kp[:, :, _LIMBS], axis=0), axis=-1) / size
        speed = np.minimum(way / np.diff(recording.stamp)[:, None, None], _FASTEST)
    known = speed[np.isfinite(way)]
    return float(known.mean()) if len(known) else 0.


@dataclass
class Reservoir:
    """Keeps the liveliest pieces.

    Attributes:
        minutes: all of them together are no longer; the liveliest one is kept in any case.
        offered_s: length of all that was offered.
    """

    minutes: float
    offered_s: float = 0.
    _heap: list[tuple[float, int, float, Recorded, Any]] = field(default_factory=list)
    _count: int = 0

    def add(self, recording: Recorded, source: Any) -> None:
        """Offer the pieces of a recording; `source` comes back with those that stay."""
        span = float(np.ptp(recording.stamp))
        pieces = max(1, round(span / PIECE_S))
        self.offered_s += span
        number = np.minimum((recording.stamp - recording.stamp[0]) / max(span, 1e-9) * pieces, pieces - 1).astype(int)
        for k in range(pieces):
            at = np.flatnonzero(number == k)
            if not len(at):
                continue
            piece = recording.at(slice(at[0], at[-1] + 1))
            if pieces > 1:
                first, last = piece.stamp[[0, -1]] - recording.stamp[0]
                piece = replace(piece, name=f'{recording.name} {first:.0f} to {last:.0f} s')
            heapq.heappush(self._heap, (liveliness(piece), -self._count, float(np.ptp(piece.stamp)), piece, source))
            self._count += 1
            while len(self._heap) > 1 and self.kept_s > 60 * self.minutes:
                heapq.heappop(self._heap)

    @property
    def kept_s(self) -> float:
        """Length of what is kept, s."""
        return sum(length for _, _, length, _, _ in self._heap)

    def kept(self) -> list[tuple[Recorded, Any]]:
        """Pieces with their sources, in the order in which they were offered."""
        return [(piece, source) for _, _, _, piece, source in sorted(self._heap, key=lambda item: -item[1])]
