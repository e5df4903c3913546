# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras that show movements at other times than the others: recordings that started apart, a clock that is late."""
from __future__ import annotations

from collections.abc import Iterable

from ..observation import View2D
from ..sync import out_of_step
from ..tracks.alone import tracks_of_views
from .finding import Finding, Kind

__all__ = ['LATE_S', 'step_findings']

#: what is nearer, the rig's clock offsets mend, s
LATE_S = .15


def step_findings(views: Iterable[View2D]) -> list[Finding]:
    """Cameras whose movements are off against those of most others by their stamps, where that is decided."""
    late, others = out_of_step(tracks_of_views(views), LATE_S)
    return [Finding(Kind.OUT_OF_STEP, (c,), {'off': abs(d), 'side': 'later' if d > 0 else 'earlier', 'others': others})
            for c, d in late.items()]
