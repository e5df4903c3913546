# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One person of a result over time, as programs for motion want it: one file each, one frame of coordinates."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.angle_trajectory import angle_trajectory
from ..core.angles import AngleTracker, JointAngles
from ..core.kinematics import Body
from ..core.observation import Skeleton3D
from ..core.result import Skeletons

__all__ = ['Track', 'angles_of', 'each_person', 'rate_of', 'track_of']

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """A person at all instants of a recording.

    Attributes:
        stamp: (T,) s.
        joints: (T, 17, 3) m, NaN = not known. When the person is known in the world at some time (level 3), the
            instants before are not known; when never, the origin is the pelvis.
        sigma: (T, 17) m.  level: (T,), 0 = not there.  joint_names: see `core.result.Skeletons`.
    """

    person: int
    stamp: Array
    joints: Array
    sigma: Array
    level: NDArray[np.int64]
    joint_names: tuple[str, ...]


def track_of(result: Skeletons, person: int) -> Track:
    """One person, by identity."""
    there = (result.person == person) & (person > 0)
    column, rows, some = there.argmax(1), np.arange(len(result.stamp)), there.any(1)
    joints = np.where(some[:, None, None], result.joints[rows, column], np.nan)
    sigma = np.where(some[:, None], result.sigma[rows, column], np.nan)
    level = np.where(some, result.level[rows, column], 0)
    if (level == 3).any():
        joints = np.where((level == 3)[:, None, None], joints, np.nan)
    return Track(person, result.stamp, joints, sigma, level, result.joint_names)


def each_person(path: Path, result: Skeletons, write: Callable[[Path, Track], None]) -> list[Path]:
    """Write a file for each person: the first one's is `path`, the others' are NAME_person<id>; returns them."""
    files = []
    for n, person in enumerate([int(p) for p in np.unique(result.person) if p] or [0]):
        file = path if n == 0 else path.with_name(f'{path.stem}_person{person}{path.suffix}')
        write(file, track_of(result, person))
        files.append(file)
    return files


def rate_of(stamp: Array) -> float:
    """Frames a second, 0 = not known."""
    steps = np.diff(stamp)
    return 1 / float(np.median(steps)) if steps.size and np.median(steps) > 0 else 0.


def angles_of(track: Track) -> tuple[list[JointAngles | None], Body]:
    """Joint angles at every instant (None = not known), and the measures of the body.

    They are those of one body: its measures are averaged first, the angles found with them and smoothed both ways.
    """
    tracker = AngleTracker()
    for skeleton in _skeletons(track):
        if skeleton is not None:
            tracker.update(skeleton)
    return angle_trajectory(list(_skeletons(track)), tracker.body), tracker.body


def _skeletons(track: Track) -> Iterator[Skeleton3D | None]:
    for stamp, joints, sigma, level in zip(track.stamp, track.joints, track.sigma, track.level, strict=True):
        known = np.isfinite(joints).all(-1)
        yield None if not known.any() else Skeleton3D(
            max(track.person, 1), float(stamp), joints, sigma, known * 1., known.astype(np.int64), int(level))
