# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras that show movements at other times than the others: recordings that started apart, a clock that is late."""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..observation import View2D
from ..sync import in_step, motion_offsets, tracks_of_views
from .finding import Finding, Kind

__all__ = ['LATE_S', 'step_findings']

#: what is nearer, the rig's clock offsets mend, s
LATE_S = .15


def step_findings(views: Iterable[View2D]) -> list[Finding]:
    """Cameras whose movements are off against those of most others by their stamps, where that is decided."""
    tracks = tracks_of_views(views)
    if len(tracks) < 2 or in_step(tracks):
        return []
    found = motion_offsets(tracks)
    late = found.offset_s[found.decided]
    if not len(late):
        return []
    # most cameras are right: the offset that most others are near to
    near = np.array([(np.abs(late - d) <= LATE_S).sum() for d in late])
    usual = float(np.median(late[np.abs(late - late[near.argmax()]) <= LATE_S]))
    off = {c: float(d - usual) for c, d in zip(found.cameras, found.offset_s, strict=True) if np.isfinite(d)}
    others = tuple(c for c, d in off.items() if abs(d) <= LATE_S)
    return [Finding(Kind.OUT_OF_STEP, (c,), {'off': abs(d), 'side': 'later' if d > 0 else 'earlier', 'others': others})
            for c, d in off.items() if abs(d) > LATE_S]
