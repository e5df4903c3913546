# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The people that are followed once views can be fused: each with a filter, matched to detections in every camera."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..body import BONE_PRIOR_M
from ..lifting import LiftedViews, Lifter
from ..observation import Skeleton3D, View2D
from ..person_view import Detections, PersonView, Row
from ..quick import median
from ..rig_model import RigModel
from .identities import Identities
from .matching import group_views, match_people
from .output import COAST_S, SkeletonOutput
from .person import Person
from .person_fusion import BONES_GUESSED_M, BONES_MEASURED_M, PersonFusion

__all__ = ['People']

Array = NDArray[np.float64]

#: somebody nobody sees any more is forgotten after this, s
_FORGET_S = 1.
#: somebody new who is not seen again within this was none, s
_DOUBT_S = .2
#: somebody lost is found again within this distance, and what he can have walked since, m, m/s; where no view shows
#: more than one body and one is followed, within this one
_STRAY_M, _FAST_M_S, _ALONE_M = .5, 3., 1.5
#: ticks in which somebody new must be seen by two cameras before he is shown
_CONFIRM = 3
#: a detection whose median joint is further from the prediction, in body sizes, is somebody else
_GATE = .35


class People:
    """Everybody, in the frame of one rig model."""

    def __init__(self, most: int, lag_s: float = 0., lifter: Lifter | None = None, correction: bool = False,
                 identities: Identities | None = None) -> None:
        """Follow at most `most` people; results are `lag_s` old, in the light of what came since (0 = newest).

        correction: see `EstimatorConfig`.  identities: where those of new people are taken from; None = from 1.
        """
        self.most, self.lag_s = most, lag_s
        self.lifted = LiftedViews(lifter) if lifter is not None else None
        self._output = SkeletonOutput(lag_s, correction and lifter is not None)
        self.everybody: list[Person] = []
        self._identities = identities or Identities()
        #: identity of the main person, who outlives any rig, and when a camera showed him last, s
        self._main, self._main_seen = 0, -np.inf
        #: cameras that were moved: their views are matched, but measure nothing
        self.left_out: frozenset[str] = frozenset()
        self.model: RigModel | None = None
        self._alone = False                             # one body in the views, one person followed: the newest tick

    def clear(self) -> None:
        """Nobody is followed any more; the main person keeps his identity as long as a camera shows him."""
        self.everybody.clear()

    def without_rig(self) -> None:
        """As `clear`; cameras are anywhere again."""
        self.clear()
        self.left_out, self.model = frozenset(), None

    def main_in_sight(self, now: float) -> None:
        """A camera shows the main person, whether or not he is followed in 3D."""
        if now - self._main_seen > _FORGET_S:
            self._main = 0
        self._main_seen = now

    def clock_jumped(self, by_s: float) -> None:
        """Stamps go on from another time; filters cannot."""
        self.clear()
        self._main_seen += by_s

    def expect_depths(self, detections: Detections) -> None:
        """Views with depths are poses by themselves: from the first of them on, without a lifter, too."""
        if self.lifted is None and any(v.depth is not None for v in detections):
            self.lifted = LiftedViews(None)

    @property
    def _fusion(self) -> PersonFusion:
        assert self.model is not None
        return PersonFusion(self.model, self.lifted, self.left_out, bool(self.lag_s))

    def adopt(self, model: RigModel, rows: Sequence[tuple[float, Row]], moved: bool) -> None:
        """Take a new rig. The main person's filter is run again over the newest rows, others are carried along.

        Args:
            rows: newest views of the main person, oldest first.
            moved: the world frame is another one: people other than the main one are carried into it by what the
                cameras saw of them.
        """
        old, self.model = self.model, model
        fusion = self._fusion
        main = self._shown_by(rows)
        fresh = fusion.replay(rows) if rows else None
        if fresh is not None:
            fresh.identity = main.identity if main else self._main_identity(fresh.stamp)
            fresh.confirmed = True
        others = [p for p in self.everybody if fresh is None or p is not main]
        if moved:
            others = [p for p in others if fusion.carry(p, old)]
        for p in others:
            p.filter.set_rig(model.geometry)
            p.past.clear()
        self.everybody = [*([fresh] if fresh is not None else []), *others]
        self._note_main()

    def _shown_by(self, rows: Sequence[tuple[float, Row]]) -> Person | None:
        """Who of those who are followed is seen in the rows: of several, not always the first."""
        for p in self.everybody:
            for row in (r for stamp, r in rows if stamp == p.stamp):
                if any(p.row[c].same(row[c]) for c in row if c in p.row):
                    return p
        return self.everybody[0] if self.everybody else None

    def _main_identity(self, now: float) -> int:
        """That of the main person, unless he has been out of all cameras' sight: then of somebody new."""
        if not self._main or now - self._main_seen > _FORGET_S:
            self._main = self._identities.take()
        self._main_seen = max(self._main_seen, now)
        return self._main

    def _note_main(self) -> None:
        if self.everybody and self.everybody[0].confirmed:
            self._main = self.everybody[0].identity
            self._main_seen = max(self._main_seen, self.everybody[0].seen)

    def update(self, detections: Detections, main: Row) -> list[Skeleton3D]:
        """Advance everybody to the instant of the detections.

        Args:
            main: views of the main person as chosen before a rig was known; to start the first one.
        """
        m, fusion = self.model, self._fusion
        assert m is not None
        now = detections.stamp
        views = [v for v in detections.views if v.camera in m.cameras]
        # over a pause nobody is predicted: who was not seen for long is found anew
        self.everybody = [p for p in self.everybody if now - p.seen <= (_FORGET_S if p.confirmed else _DOUBT_S)]
        for p, found in zip(self.everybody, self._match(views, now), strict=True):
            fusion.step(p, now, detections.row(found))
            p.confirmed |= p.ticks >= _CONFIRM
        if not self.everybody and main:
            first = fusion.start(now, main, m.bones, BONES_MEASURED_M)
            if first is not None:
                first.identity, first.confirmed = self._main_identity(now), True
                self.everybody.append(first)
                fusion.step(first, now, main)
        elif len(self.everybody) < self.most or any(len(p.row) < 2 for p in self.everybody):
            self._newcomers(detections, views)
        self._note_main()
        shown = [p for p in self.everybody if p.confirmed and now - p.seen <= COAST_S]
        return self._output.of(shown, now, m, self.lifted, self.left_out)

    def _match(self, views: list[View2D], now: float) -> list[dict[str, int]]:
        found: list[dict[str, int]] = [{} for _ in self.everybody]
        if not self.everybody:
            return found
        m = self.model
        assert m is not None
        index = {c: v for v, c in enumerate(m.cameras)}
        predicted = []
        for p in self.everybody:
            x, f = p.filter.x + (now - p.stamp) * p.filter.v, p.filter
            predicted.append(f.cameras.project(x))
        P = np.stack(predicted)                                          # N,V,17,2
        alone = self._alone = len(self.everybody) == 1 and all(len(v.keypoints) <= 1 for v in views)
        around = P[0] - P[0].mean(1, keepdims=True)
        size = 3.4 * np.sqrt((around * around).sum((1, 2)) / 17)         # of the first person in each view, px
        for view in views:
            if not len(view.keypoints):
                continue
            at = P[:, index[view.camera]]
            if alone:
                if _near(at[0], view.keypoints[0], float(size[index[view.camera]])):
                    found[0][view.camera] = 0
                continue
            for n, k in enumerate(match_people(at, view, _GATE)):
                if k >= 0:
                    found[n][view.camera] = int(k)
        return found

    def _newcomers(self, detections: Detections, views: list[View2D]) -> None:
        m, now = self.model, detections.stamp
        assert m is not None
        taken = {(c, v.index) for p in self.everybody for c, v in p.row.items()}
        free = [[k for k in range(len(v.keypoints)) if (v.camera, k) not in taken] for v in views]
        if self.lifted is not None and len(m.cameras) == 1:
            for view, ks in zip(views, free, strict=True):
                for k in ks:
                    self._newcomer({view.camera: detections.people[view.camera][k]}, now)
            return
        if sum(bool(f) for f in free) < 2:
            return
        index = {c: v for v, c in enumerate(m.cameras)}
        K = np.zeros((len(m.cameras), 3, 3))
        K[:, 0, 0] = K[:, 1, 1] = m.focal
        K[:, :2, 2], K[:, 2, 2] = m.centre, 1.
        P = K @ np.concatenate([m.R, m.t[..., None]], -1)
        for group in group_views(views, P[[index[v.camera] for v in views]], free):
            self._newcomer({views[i].camera: detections.people[views[i].camera][k] for i, k in group.items()}, now)

    def _newcomer(self, row: dict[str, PersonView], now: float) -> None:
        m, fusion = self.model, self._fusion
        assert m is not None
        size = float(np.mean(m.bones / BONE_PRIOR_M))
        found = fusion.start(now, row, BONE_PRIOR_M * size, BONES_GUESSED_M)
        if found is None:
            return
        lost = self._lost_near(found, len(row), now)
        if lost is not None:
            # not somebody new: his filter went astray, or he went on while nobody saw him
            lost.filter, lost.stamp = fusion.restarted(lost, found.filter.x, .15), now
            lost.past.clear()
            fusion.step(lost, now, row)
            return
        if len(self.everybody) >= self.most:
            return
        found.identity = self._identities.take()
        fusion.step(found, now, row)
        self.everybody.append(found)

    def _lost_near(self, found: Person, views: int, now: float) -> Person | None:
        """Who of those that hardly a camera shows any more, where he was expected, can be the one who was found."""
        middle = found.filter.x[0]
        lost = [(float(np.linalg.norm(p.filter.x[0] - middle)), p) for p in self.everybody
                if p.confirmed and len(p.row) < min(2, views)]
        reach = _ALONE_M if self._alone else _STRAY_M
        near = [(d, p) for d, p in lost if d < reach + _FAST_M_S * (now - p.seen)]
        return min(near, key=lambda q: q[0])[1] if near else None


def _near(predicted: Array, kp: Array, size: float) -> bool:
    seen = np.isfinite(kp[:, 0])
    if seen.sum() < 4:
        return bool(seen.any())
    d = predicted[seen] - kp[seen]
    return bool(median(np.sqrt((d * d).sum(1))) < _GATE * max(size, 20.))
