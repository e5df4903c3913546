# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Stamps of files that are plainly in milliseconds, microseconds or nanoseconds -> seconds."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ['StampUnit', 'unit_of']

#: in one s. The rates below make the steps of no two of them overlap
_UNITS = {'milliseconds': 1e3, 'microseconds': 1e6, 'nanoseconds': 1e9}
#: frames a second of what records people; a step of more seconds than this many is no frame rate in seconds
_RATES_HZ, _SLOW_S = (4., 250.), 3.
#: fewer steps show nothing; this share of them lies near the usual one
_FEWEST, _REGULAR = 12, .6
#: of what may be dates in seconds since 1970 (2001 to 2096) with pauses of up to so many seconds, nobody can say
_DATES_S, _PAUSE_S = (1e9, 4e9), 1000.


@dataclass(frozen=True)
class StampUnit:
    """Attributes:
    name: in the plural.  per_s: how many make a second.
    step: between two instants, usually.
    """

    name: str
    per_s: float
    step: float

    @property
    def note(self) -> str:
        """What was done, in a sentence."""
        return (f'stamps lie {self.step:.{0 if self.step >= 1000 else 3}f} apart: taken for {self.name} '
                f'({self.per_s / self.step:.3g} images a second), divided by {self.per_s:.0f}; write them in seconds')


def unit_of(stamps: NDArray[np.float64]) -> StampUnit | None:
    """The unit of stamps (T, V), NaN = none, if it is plainly not the second; None = it is, or nobody can say.

    Plainly: the usual steps of all cameras are a frame rate in that unit, and in seconds would be none; and the stamps
    cannot be dates in seconds.
    """
    steps = [_usual_step(column[np.isfinite(column)]) for column in stamps.T if np.isfinite(column).sum() > 1]
    if not steps or None in steps:
        return None
    low, high = min(s for s in steps if s), max(s for s in steps if s)
    dates = _DATES_S[0] <= np.nanmin(stamps) and np.nanmax(stamps) <= _DATES_S[1] and low < _PAUSE_S
    if low < _SLOW_S or high > 4 * low or dates:
        return None
    for name, per_s in _UNITS.items():
        if _RATES_HZ[0] <= per_s / high and per_s / low <= _RATES_HZ[1]:
            return StampUnit(name, per_s, float(np.median([s for s in steps if s])))
    return None


def _usual_step(stamps: NDArray[np.float64]) -> float | None:
    """Between stamps that differ; None = they are too few, or keep no rhythm."""
    step = np.diff(stamps)
    step = step[step != 0]                                  # rows of several people
    if len(step) < _FEWEST:
        return None
    usual = float(np.median(step))
    near = (step > .5 * usual) & (step < 1.5 * usual)
    return usual if usual > 0 and near.mean() >= _REGULAR else None
