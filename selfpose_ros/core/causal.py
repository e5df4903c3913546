# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A whole recording through the causal estimator: what a robot sees, with the rig that it goes with."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from .estimator import Estimator, EstimatorConfig
from .lifting import Lifter
from .observation import MultiView, Skeleton3D
from .rig import NotSolved, Rig

__all__ = ['estimate_causally']


def estimate_causally(
    frames: Sequence[MultiView], config: EstimatorConfig | None = None,
    progress: Callable[[int], None] | None = None, *, lifter: Lifter | None = None,
) -> tuple[list[list[Skeleton3D]], Rig | NotSolved]:
    """The people at every instant, and the newest rig that was trusted or the reason why none ever was.

    Level 3 is a claim about a rig, and one is returned: people who were seen by an earlier one, in another world frame,
    come with level 2.

    Args:
        frames: in order of time.  progress: called with the number of instants done.  lifter: see `Estimator`.
    """
    estimator = Estimator(config, lifter=lifter)
    people: list[list[Skeleton3D]] = []
    worlds: list[int] = []
    rig: Rig | None = None
    try:
        for frame in frames:
            people.append(estimator.update(frame))
            now = estimator.rig
            worlds.append(estimator.world if now is not None else 0)
            rig = now or rig
            if progress is not None:
                progress(len(people))
        status = estimator.status
    finally:
        estimator.close()
    newest = max(worlds, default=0)
    for i, world in enumerate(worlds):
        if world != newest or rig is None:
            people[i] = [replace(s, level=min(s.level, 2)) for s in people[i]]
    return people, rig or NotSolved(status.rig_reason or status.sentence)
