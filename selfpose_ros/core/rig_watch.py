# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras of a trusted rig that were moved: found, left out, and placed anew against the skeleton of the others."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .history import History, tracks_from_rows
from .person_view import Detections, PersonView
from .quick import masked_median
from .rig.drift import DriftMonitor, Resection, odd_one_out, resect
from .rig_model import RigModel
from .saved_rig import FITS
from .tracks.person import Person

__all__ = ['Finding', 'RigWatch']

Array = NDArray[np.float64]

#: a rig from fewer instants is still getting better: what does not fit is its own error, not a camera that moved
_WATCHED_ROWS = 100
#: the same in time, where the instants are those of several people, s
_WATCHED_S = 6.
#: a moved camera that does not come to rest for this long is placed where it was last, s; unless it fits as badly as
#: this, or several people are in sight: then it is somebody else whom it sees
_GIVE_UP_S, _MISFIT = 12., 3.
#: a moved camera is placed anew after it has seen the skeleton for this long, s
_RESECT_S = 4.
#: a camera is compared by so many joints of somebody
_COMPARED = 6


@dataclass(frozen=True)
class Finding:
    """Of one instant.

    Attributes:
        model: with the cameras that were placed anew.  placed: their names.
        moved: cameras that have just been found to have moved.  alone: without them fewer than two are left.
        doubted: cameras do not agree, and no single one explains it: the rig itself is to be solved again.
    """

    model: RigModel
    placed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    alone: bool = False
    doubted: bool = False


class RigWatch:
    """Compares each camera with the people that are followed."""

    def __init__(self) -> None:
        self._drift = DriftMonitor()
        self._moved: dict[str, Resection] = {}
        self._newest, self._retry = -np.inf, -np.inf

    @property
    def left_out(self) -> frozenset[str]:
        """Cameras that were moved and are not placed yet."""
        return frozenset(self._moved)

    def solved(self) -> None:
        """There is a new solution: what is normal for each camera is learned anew."""
        self._drift.reset()

    def update(self, detections: Detections, model: RigModel, people: Sequence[Person],
               history: History) -> Finding | None:
        """What follows from this instant's views; None where there is nothing to compare them with."""
        now = detections.stamp
        if not people or _fresh(model) or people[0].seen != now:
            return None
        p, placed, shift = people[0], [], dict[str, Array]()
        off = _off([q for q in people if q.seen == now])
        # a camera that was moved shows everybody elsewhere; one that shows somebody else, one person
        size = np.where(np.isnan(off), np.inf, np.abs(off)).max(-1)
        compared, nearest = np.isfinite(size).any(0), size.argmin(0)
        index = {c: v for v, c in enumerate(model.cameras)}
        for camera, seen in detections.people.items():
            v = index.get(camera)
            if v is None or not seen:
                continue
            if camera in self._moved:
                view = p.row.get(camera, seen[0] if len(seen) == 1 else None)
                pose = None if view is None else self._pose(view, v, model, p, len(people) > 1)
                if pose is not None:
                    model = model.with_camera(v, *pose)
                    placed.append(camera)
                    self._drift.forget(camera)
                    del self._moved[camera]
            elif compared[v]:
                shift[camera] = off[nearest[v], v]
            elif camera in p.row:
                continue
            elif len(people) == 1 and len(seen) == 1:
                shift[camera] = np.array([10., 0.])                 # its only person is nowhere near where he is
        moved = self._drift.update(min(now - self._newest, .2), shift)
        self._newest = now
        here = [c for c in model.cameras if c not in self._moved]
        if moved and len(here) > 2:
            odd = _odd_one(here, model, history, now)
            if odd is None:                              # no single camera explains it: the rig itself is to be mended
                self._drift.settle()
                return Finding(model, tuple(placed), doubted=True)
            moved = [odd]
        alone = bool(moved) and len(set(here) - set(moved)) < 2
        if moved and not alone:
            self._moved |= {c: Resection() for c in moved}
            self._drift.settle()
        return Finding(model, tuple(placed), tuple(moved), alone)

    def _pose(self, view: PersonView, v: int, model: RigModel, p: Person,
              several: bool) -> tuple[Array, Array] | None:
        """Pose of a moved camera, once it has rested and seen enough; several: it may see somebody else."""
        sure = p.filter.sigma < .08
        sigma = np.where(sure, model.noise.sigma(view.confidence), np.inf)
        late = view.stamp - model.clock_offset_s[v] - p.stamp
        rows = self._moved[view.camera]
        rows.add(view.stamp, p.filter.x + late * p.filter.v, np.nan_to_num(view.keypoints), sigma)
        if rows.span_s < _RESECT_S or len(rows.rows) < 20 or view.stamp < self._retry:
            return None
        R, t, e = resect(list(rows.rows), model.geometry.take([v]))
        if e > FITS and (several or e > _MISFIT * FITS or rows.waited_s < _GIVE_UP_S):
            self._retry = view.stamp + 1.                           # still moving, perhaps
            if rows.waited_s >= _GIVE_UP_S:
                self._moved[view.camera] = Resection()
            return None
        return R, t


def _off(people: Sequence[Person]) -> Array:
    """(N, V, 2) by how many standard deviations each camera shows each person beside his skeleton, median of the
    joints; NaN where it shows fewer than 6 of them.
    """
    r = np.array([q.filter.r for q in people]).swapaxes(-1, -2)
    seen = r.any(-2)
    return np.where(seen.sum(-1)[..., None] >= _COMPARED, masked_median(r, seen[..., None, :]), np.nan)


def _fresh(model: RigModel) -> bool:
    """The rig is still getting better."""
    s = model.solution
    if s is not None and s.tracks.person is not None:
        return float(np.ptp(s.tracks.stamp)) < _WATCHED_S
    return 0 < model.frames < _WATCHED_ROWS


def _odd_one(here: list[str], model: RigModel, history: History, now: float) -> str | None:
    """Of three cameras or more, the one that does not fit the others, from the newest second."""
    rows = [(s, r) for s, r in history.newest(30, model.lenses) if s > now - 1.2]
    here = [c for c in here if any(c in r for _, r in rows)]
    if len(here) < 3:
        return None
    tracks = tracks_from_rows(rows, tuple(here), np.array([history.image_size[c] for c in here]), (None,) * len(here))
    seen = np.isfinite(tracks.kp).all(-1) & (tracks.confidence > 0)
    sigma = np.where(seen, model.noise.sigma(np.where(seen, tracks.confidence, 0.)), np.inf)
    odd = odd_one_out(np.nan_to_num(tracks.kp), sigma, model.geometry.take([model.cameras.index(c) for c in here]))
    return here[odd] if odd >= 0 else None
