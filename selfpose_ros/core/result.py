# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The result for a whole recording: its people over time, with the rig they were seen by."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .errors import ObservationError
from .observation import Skeleton3D
from .rig import NotSolved, Rig
from .skeleton import JOINTS

__all__ = ['Skeletons']

Array = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Skeletons:
    """The people of one recording; a column p holds one person while they are there.

    Attributes:
        stamp: (T,) s.
        joints: (T, P, 17, 3) m, NaN = not known. `selfpose_world` at level 3, origin in the pelvis below.
        sigma: (T, P, 17) m.  confidence: (T, P, 17) in 0..1.  views: (T, P, 17) cameras that measured the joint.
        level: (T, P), 0 = nobody.  person: (T, P) identity from 1, 0 = nobody.
        cameras: (V,) names.
        rig: the rig, or the reason why there is none.
        place_sigma: (T, P) m per axis, the part of sigma that all joints of somebody have in common; 0 where nobody.
        joint_names: of the 17 joints; files for other programs take any number of others, too.
    """

    stamp: Array
    joints: Array
    sigma: Array
    confidence: Array
    views: Whole
    level: Whole
    person: Whole
    cameras: tuple[str, ...]
    rig: Rig | NotSolved
    joint_names: tuple[str, ...] = JOINTS
    place_sigma: Array = field(default_factory=lambda: np.zeros((1, 1)))

    @property
    def own_sigma(self) -> Array:
        """(T, P, 17) m, what is left of sigma apart from where the whole body is."""
        return np.sqrt(np.maximum(self.sigma ** 2 - self.place_sigma[..., None] ** 2, 0.))

    @classmethod
    def of(cls, stamps: Sequence[float], people: Sequence[Sequence[Skeleton3D]], cameras: Sequence[str],
           rig: Rig | NotSolved) -> Skeletons:
        """From the people at each of T instants, as the estimator gives them.

        Raises:
            ObservationError: not one list of people for each stamp.
        """
        if len(stamps) != len(people):
            raise ObservationError(f'result: {len(stamps)} stamps but {len(people)} lists of people',
                                   'give one for each')
        columns = _columns(people)
        T, P = len(stamps), max([1, *(c + 1 for c in columns.values())])
        level, person = np.zeros((T, P), np.int64), np.zeros((T, P), np.int64)
        joints, sigma = np.full((T, P, 17, 3), np.nan), np.full((T, P, 17), np.nan)
        place = np.zeros((T, P))
        confidence, views = np.zeros((T, P, 17)), np.zeros((T, P, 17), np.int64)
        for i, instant in enumerate(people):
            for s in instant:
                at = i, columns[s.person]
                joints[at], sigma[at], confidence[at], views[at] = s.joints, s.sigma, s.confidence, s.views
                level[at], person[at], place[at] = s.level, s.person, s.place_sigma
        return cls(np.array(stamps, float), joints, sigma, confidence, views, level, person, tuple(cameras), rig,
                   place_sigma=place)

    @property
    def best_level(self) -> Whole:
        """(T,) best level among the people of each instant."""
        return np.asarray(self.level.max(1))

    @property
    def cover(self) -> float:
        """Share of the instants with somebody whose joints are known."""
        return float(np.isfinite(self.joints).any((1, 2, 3)).mean()) if len(self.stamp) else 0.


def _columns(people: Sequence[Sequence[Skeleton3D]]) -> dict[int, int]:
    """Column of each identity: a person keeps one, and takes over that of somebody who has left for good."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for i, instant in enumerate(people):
        for s in instant:
            first.setdefault(s.person, i)
            last[s.person] = i
    columns: dict[int, int] = {}
    free_from: list[int] = []
    for person in sorted(first, key=lambda p: (first[p], p)):
        column = next((c for c, i in enumerate(free_from) if i < first[person]), len(free_from))
        free_from[column:column + 1] = [last[person]]
        columns[person] = column
    return columns
