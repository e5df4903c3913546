# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras that are out of step with the others, where they have no rig together: told of, and left out."""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..sync import Track2D, out_of_step
from .sightings import Sightings
from .solver import Tracks

__all__ = ['LATE_S', 'late_cameras', 'out_of_step_text']

#: what is nearer, the rig's clock offsets mend, s
LATE_S = .15
#: a shorter time, or fewer instants, tell nothing, s
_SHORTEST_S, _FEWEST = 4., 60


def late_cameras(views: Tracks | Sightings) -> dict[str, float]:
    """By camera how much later its movements come than those of most others, s; those in step are left out."""
    stamp = views.stamp
    if len(stamp) < _FEWEST or np.ptp(stamp) < _SHORTEST_S or np.median(np.diff(np.unique(stamp))) > .12:
        return {}
    tracks: dict[str, list[Track2D]] = {}
    for v, camera in enumerate(views.cameras):
        some = tracks.setdefault(camera, [])
        if isinstance(views, Tracks):
            for of in views.pieces:
                seen = of[np.isfinite(views.kp[of, v]).any((1, 2))]
                some.append(Track2D(stamp[seen], views.kp[seen, v], views.confidence[seen, v]))
            continue
        for k in range(int(views.tracklet[:, v].max(initial=-1)) + 1):
            n, i = np.nonzero(views.tracklet[:, v] == k)
            some.append(Track2D(stamp[n], views.kp[n, v, i], views.confidence[n, v, i]))
    return out_of_step({c: [t for t in some if len(t.stamp)] for c, some in tracks.items()}, LATE_S)[0]


def out_of_step_text(late: Mapping[str, float]) -> str:
    """For messages."""
    told = ', '.join(f'{c} {abs(d):.2f} s {"later" if d > 0 else "earlier"}' for c, d in sorted(late.items()))
    return f'movements come at other times than in the other cameras: {told}'
