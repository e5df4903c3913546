# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a user may set of the estimator."""
from __future__ import annotations

from dataclasses import dataclass

from .convention import Convention

__all__ = ['EstimatorConfig']


@dataclass(frozen=True)
class EstimatorConfig:
    """What a user may set. Metric scale: the baseline if it is given, else the height, else the adult prior.

    Attributes:
        person_height_m: standing height of the person that is seen, m; 0 = unknown.
        baseline_m: distance between the centres of the cameras named in `baseline_cameras`, m; 0 = unknown.
        baseline_cameras: the two cameras of `baseline_m`; empty = the first two by name.
        max_people: no more people than this are followed: the nearest to where the cameras look.
        rig_solver: 'inline' (deterministic: replay, offline), 'thread', or 'process' (a live node).
        solve_first_s: first attempt at the rig after this much footage, s; 0 = with the first instant.
        lag_s: results are this much older, in the light of what came since (fixed-lag smoother), s; 0 = newest.
        min_quality: a rig with a lower predicted quality is refused.
        correction: below level 3, lifted poses are corrected by the 2D joints of all views, instant by instant
            (`fusion.corrected`), and count in what is shown. Needs a lifter; without effect with `lag_s`.
        reentry_s: somebody who comes back within this has the identity that he had, s.
        same_lens: groups of cameras that have equal lenses (one type, one zoom): they share focal length, as a share of
            the image, and distortion.
        convention: moves the joints of the 2D network to where limbs turn; None = they are used as they are.
    """

    person_height_m: float = 0.
    baseline_m: float = 0.
    baseline_cameras: tuple[str, ...] = ()
    max_people: int = 6
    rig_solver: str = 'inline'
    solve_first_s: float = 0.
    lag_s: float = 0.
    min_quality: float = 0.3
    correction: bool = False
    reentry_s: float = 15.
    same_lens: tuple[tuple[str, ...], ...] = ()
    convention: Convention | None = None

    def baseline_pair(self, cameras: tuple[str, ...]) -> tuple[int, int]:
        """Which of some cameras `baseline_m` lies between: those that are named, or the first two."""
        names = self.baseline_cameras
        if len(names) == 2 and all(n in cameras for n in names):
            return cameras.index(names[0]), cameras.index(names[1])
        return 0, min(1, len(cameras) - 1)
