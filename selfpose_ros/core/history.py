# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What was seen of the person that calibrates the rig, kept small however long it runs."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .camera import Intrinsics
from .noise import Accuracy
from .person_view import Lenses, Row, through
from .resample import move_in_time
from .rig.largest import saw_enough
from .rig.solver import Tracks

__all__ = ['History', 'tracks_from_rows']

Array = NDArray[np.float64]

#: a detection with fewer joints says nothing
_FEWEST = 4


@dataclass(frozen=True)
class _Row:
    stamp: float
    views: Row

    def without(self, camera: str) -> _Row:
        return _Row(self.stamp, {c: v for c, v in self.views.items() if c != camera})


class History:
    """Rows of views of one person. When full, every second of the older half goes."""

    def __init__(self, most_rows: int = 900) -> None:
        self.most_rows = most_rows
        self._rows: list[_Row] = []
        self.image_size: dict[str, tuple[int, int]] = {}
        self.intrinsics: dict[str, Intrinsics | None] = {}
        self.accuracy: dict[str, Accuracy | None] = {}      # of the confidences, see `View2D`
        self.seen = 0                                       # rows ever added

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras that ever saw the person, sorted."""
        return tuple(sorted(self.image_size))

    @property
    def span_s(self) -> float:
        return self._rows[-1].stamp - self._rows[0].stamp if self._rows else 0.

    def often_seen(self) -> tuple[str, ...]:
        """Cameras that saw the person often enough to be placed: the others must not keep these from a rig."""
        count = np.array([self.views_of(c) for c in self.cameras], np.int64)
        return tuple(c for c, enough in zip(self.cameras, saw_enough(count, len(self._rows)), strict=True) if enough)

    def views_of(self, camera: str) -> int:
        """Rows in which a camera saw the person."""
        return sum(camera in r.views for r in self._rows)

    def add(self, stamp: float, row: Row) -> None:
        """The person's views at an instant, s; lifted poses are kept with them."""
        kept = {}
        for camera, view in row.items():
            if np.isfinite(view.raw[:, 0]).sum() < _FEWEST:
                continue
            if self.image_size.get(camera, view.image_size) != view.image_size:
                self.drop(camera)                           # the camera changed its resolution: old pixels mean nothing
            kept[camera] = view
            self.image_size[camera], self.intrinsics[camera] = view.image_size, view.intrinsics
            self.accuracy[camera] = view.accuracy
        if not kept:
            return
        self._rows.append(_Row(stamp, kept))
        self.seen += 1
        if len(self._rows) > self.most_rows:
            half = len(self._rows) // 2
            self._rows = self._rows[:half:2] + self._rows[half:]

    def drop(self, camera: str, before: float = np.inf) -> None:
        """Forget what a camera saw before a time (it was moved)."""
        self._rows = [r if r.stamp >= before else r.without(camera) for r in self._rows]
        self._rows = [r for r in self._rows if r.views]
        if before == np.inf:
            self.image_size.pop(camera, None)
            self.intrinsics.pop(camera, None)
            self.accuracy.pop(camera, None)

    def clear(self) -> None:
        self._rows.clear()
        self.image_size.clear()
        self.intrinsics.clear()
        self.accuracy.clear()

    def newest(self, n: int, lenses: Lenses | None = None) -> list[tuple[float, Row]]:
        """The newest rows, oldest first: stamp and views, undistorted by the lenses of a rig."""
        return [(r.stamp, through(r.views, lenses or {})) for r in self._rows[-n:]]

    def tracks(self, cameras: tuple[str, ...] | None = None, since: float = -np.inf) -> Tracks:
        """All rows as arrays for a solve, views brought to the rows' stamps; pixels as they were given."""
        cams = cameras or self.cameras
        rows = [r for r in self._rows if r.stamp >= since]
        tracks = tracks_from_rows([(r.stamp, through(r.views, {})) for r in rows], cams,
                                  np.array([self.image_size[c] for c in cams]),
                                  tuple(self.intrinsics.get(c) for c in cams))
        return replace(tracks, accuracy=tuple(self.accuracy.get(c) for c in cams))


def tracks_from_rows(rows: Sequence[tuple[float, Row]], cameras: tuple[str, ...],
                     image_size: NDArray[np.int64], intrinsics: tuple[Intrinsics | None, ...]) -> Tracks:
    """Rows to arrays; a view taken at another time than its row is interpolated between its own neighbours."""
    N, V = len(rows), len(cameras)
    kp, conf = np.full((N, V, 17, 2), np.nan), np.zeros((N, V, 17))
    at = np.full((N, V), np.nan)
    for n, (_, views) in enumerate(rows):
        for v, c in enumerate(cameras):
            if c in views:
                at[n, v], kp[n, v], conf[n, v] = views[c].stamp, views[c].keypoints, views[c].confidence
    stamp = np.array([s for s, _ in rows], float)
    for v in range(V):
        have = np.nonzero(np.isfinite(at[:, v]))[0]
        if len(have) > 2 and np.nanmax(np.abs(at[:, v] - stamp)) > 1e-3:
            kp[have, v], conf[have, v] = move_in_time(at[have, v], kp[have, v], conf[have, v], stamp[have])
    lifted = [(n, v, views[c].lifted) for n, (_, views) in enumerate(rows) for v, c in enumerate(cameras) if c in views]
    if not any(pose for _, _, pose in lifted):
        return Tracks(cameras, stamp, kp, conf, image_size, intrinsics)
    joints, sigma = np.full((N, V, 17, 3), np.nan), np.full((N, V, 17), np.nan)
    for n, v, pose in lifted:
        if pose is not None:
            joints[n, v], sigma[n, v] = pose
    return Tracks(cameras, stamp, kp, conf, image_size, intrinsics, joints, sigma)
