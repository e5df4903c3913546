# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras whose stamps are not of the others' clock, from a second clock that all share: the time of recording."""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .finding import Finding, Kind

__all__ = ['OTHER_CLOCK_S', 'clock_findings', 'clock_finding', 'time_range']

Array = NDArray[np.float64]

#: no way from camera to recorder takes so much longer than another's; what is nearer, the rig's clock offsets mend, s
OTHER_CLOCK_S = 1.
#: fewer stamps show a moment, not a clock
_FEWEST = 12
#: a clock is off by the same all the time: share of the offset within which the middle half of the delays lies
_STEADY = .25


def clock_findings(times: Mapping[str, tuple[Array, Array]]) -> list[Finding]:
    """Cameras whose stamps are off against those of most others.

    Args:
        times: by camera: stamps (N,) s, and the times at which a common clock saw these views come (N,) s.
    """
    delay: dict[str, float] = {}
    spread: dict[str, float] = {}
    for camera, (stamp, came) in times.items():
        if len(stamp) >= _FEWEST:
            low, middle, high = np.quantile(np.asarray(came) - np.asarray(stamp), (.25, .5, .75))
            delay[camera], spread[camera] = float(middle), float(high - low)
    if len(delay) < 2:
        return []
    near = {c: [d for d in delay.values() if abs(d - delay[c]) <= OTHER_CLOCK_S] for c in delay}
    # most cameras are right; of two halves, the one whose stamps are those of the common clock
    best = max(delay, key=lambda c: (len(near[c]), -abs(delay[c])))
    usual = float(np.median(near[best]))
    others = tuple(c for c in delay if abs(delay[c] - usual) <= OTHER_CLOCK_S)
    found = []
    for camera in delay:
        off = usual - delay[camera]
        if camera not in others and spread[camera] <= _STEADY * abs(off):
            found.append(clock_finding(camera, off, _ends(times[camera][0]), others,
                                       _ends(np.concatenate([times[c][0] for c in others])),
                                       'the times of recording'))
    return found


def clock_finding(camera: str, off_s: float, ends: tuple[float, float], others: tuple[str, ...],
                  other_ends: tuple[float, float], witness: str) -> Finding:
    """The stamps of a camera, from ends[0] to ends[1] s, are `off_s` after those of the others, by some witness."""
    return Finding(Kind.OTHER_CLOCK, (camera,), {
        'off': abs(off_s), 'side': 'ahead of' if off_s > 0 else 'behind', 'range': time_range(*ends),
        'others': others, 'other_range': time_range(*other_ends), 'witness': witness})


def time_range(first: float, last: float) -> str:
    """For messages."""
    return f'{first:.1f} to {last:.1f} s'


def _ends(stamp: Array) -> tuple[float, float]:
    # a single stray stamp is no range
    low, high = np.quantile(stamp, (.01, .99)) if len(stamp) > 200 else (np.min(stamp), np.max(stamp))
    return float(low), float(high)
