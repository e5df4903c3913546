# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The people that are followed once views can be fused: born of several views, each with a filter, and lost again.

Somebody is born of detections of two cameras or more that are one body, and shown when cameras have agreed on him for a
few ticks. Whom one camera sees is not shown at level 3 for long, and, without a lifter, not followed for long: one view
does not place him. Identities outlive that, see `recognition`.
"""
from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from ..lifting import LiftedViews, Lifter
from ..observation import Skeleton3D, View2D
from ..person_view import Detections, Row
from ..rig_model import RigModel
from .claims import ALONE_S, claim, is_alone
from .identities import Identities
from .newcomers import newcomers, shared_centre
from .output import COAST_S, SkeletonOutput
from .person import Person
from .person_fusion import BONES_MEASURED_M, PersonFusion
from .recognition import Recognition

__all__ = ['People', 'REENTRY_S']

Array = NDArray[np.float64]

#: somebody who comes back after more than this is somebody new, s
REENTRY_S = 15.
#: somebody nobody sees any more is not followed after this, s; nor whom one camera sees, where there is no lifter
_FORGET_S, _FORGET_ALONE_S = 1., 1.
#: one person is alone again when there was no other for this long, s
_ALONE_AGAIN_S = 5.
#: somebody new who is not seen again within this, nor at the next instant, was none, s
_DOUBT_S = .2
#: somebody lost is found again within this distance, and what he can have walked since, m, m/s; where no view shows
#: more than one body and one is followed, within this one
_STRAY_M, _FAST_M_S, _ALONE_M = .5, 2., 1.5
#: ticks in which two cameras must agree on somebody new before he is shown
_CONFIRM = 3
#: somebody new on whom so many agree in one instant is shown at once: that is more than two in each of three
_CERTAIN_VIEWS = 9
#: ticks as above, where his tracklets were different people's before
_CONFIRM_DOUBTFUL = 30
#: whom no two cameras have seen for longer can be somebody who is found elsewhere, s
_LOST_S = .1
#: two skeletons whose joints are nearer on average are one person, m
_SAME_M = .2
#: cameras place somebody within so many standard deviations, and in any case within, m
_SURE_SIGMAS, _ELSEWHERE_M = 3., 1.
#: of more people than are followed, another one is taken who is nearer to the middle of the room by this, m
_NEARER_M = .5


class People:
    """Everybody, in the frame of one rig model."""

    def __init__(self, most: int, lag_s: float = 0., lifter: Lifter | None = None, correction: bool = False,
                 identities: Identities | None = None, reentry_s: float = REENTRY_S) -> None:
        """Follow at most `most` people, those nearest to the middle of the volume that the cameras share.

        Args:
            lag_s: results are this old, in the light of what came since (0 = newest), s.
            correction: see `EstimatorConfig`.
            identities: where those of new people are taken from; None = from 1.
            reentry_s: somebody who comes back within this gets the identity that he had, s.
        """
        self.most, self.lag_s = most, lag_s
        self._correction = correction
        self.lift_with(lifter)
        self.everybody: list[Person] = []
        self._ids = Recognition(reentry_s, identities or Identities())
        self._tentative = 0
        #: cameras that were moved: their views are matched, but measure nothing
        self.left_out: frozenset[str] = frozenset()
        self.model: RigModel | None = None
        self._several = -np.inf                             # newest instant with several people or bodies, s
        self._before = -np.inf                              # the instant before, s

    def lift_with(self, lifter: Lifter | None) -> None:
        """Poses are those of this network from now on; whoever is followed goes on."""
        self.lifted = LiftedViews(lifter) if lifter is not None else None
        self._output = SkeletonOutput(self.lag_s, self._correction and lifter is not None)

    def clear(self) -> None:
        """Nobody is followed any more; identities are kept."""
        for p in self.everybody:
            self._lose(p)
        self.everybody.clear()

    def begin_anew(self, model: RigModel) -> None:
        """With another rig, found from everybody: who is who was not settled before. Identities are kept."""
        self.clear()
        self._ids.unsettle()
        self.model = model

    def without_rig(self) -> None:
        """As `clear`; cameras are anywhere again."""
        self.clear()
        self._ids.moved(self.model, None)
        self.left_out, self.model = frozenset(), None

    def clock_jumped(self, by_s: float) -> None:
        """Stamps go on from another time; filters cannot."""
        self.clear()
        self._ids.shift(by_s)
        self._several += by_s
        self._before += by_s

    def see(self, detections: Detections) -> None:
        """The detections of an instant, with or without a rig: tracklets keep identities, views may have depths (which
        are poses by themselves).
        """
        if self.lifted is None and any(v.depth is not None for v in detections):
            self.lifted = LiftedViews(None)
        self._ids.in_sight(detections, detections.stamp)

    @property
    def _fusion(self) -> PersonFusion:
        assert self.model is not None
        return PersonFusion(self.model, self.lifted, self.left_out, bool(self.lag_s))

    def adopt(self, model: RigModel, rows: Sequence[tuple[float, Row]], moved: bool) -> None:
        """Take a new rig. The filter of the person in the rows is run again over them, others are carried along: so is
        who was seen by one camera alone there, which would not show again how far away he is.

        Args:
            rows: newest views of one person, oldest first.
            moved: the world frame is another one: the others are carried into it by what the cameras saw of them.
        """
        old, self.model = self.model, model
        fusion = self._fusion
        if moved:
            self._ids.moved(old, model)
        known = self._shown_by(rows) if rows else None
        alone = all(sum(c in model.cameras for c in row) < 2 for _, row in rows)
        fresh = fusion.replay(rows) if rows and (moved or known is None or not alone) else None
        others = list(self.everybody)
        if fresh is not None:
            if known is not None:
                others.remove(known)
            fresh.identity = known.identity if known is not None and known.confirmed else self._identity(fresh)
            fresh.confirmed = True
            self._ids.seen(fresh, fresh.row, fresh.seen)
        if moved:
            for p in others:
                if not fusion.carry(p, old):
                    self._lose(p)
                    p.filter.x[:] = np.nan
            others = [p for p in others if np.isfinite(p.filter.x).all()]
        for p in others:
            p.filter.set_rig(model.geometry)
            p.past.clear()
        self.everybody = [*([fresh] if fresh is not None else []), *others]

    def _shown_by(self, rows: Sequence[tuple[float, Row]]) -> Person | None:
        """Who of those who are followed is seen in the rows: of several, not always the first."""
        for p in self.everybody:
            for row in (r for stamp, r in rows if stamp == p.stamp):
                if any(p.row[c].same(row[c]) for c in row if c in p.row):
                    return p
        identity = self._ids.row_of(rows[-1][1], rows[-1][0])
        return next((p for p in self.everybody if p.identity == identity), None)

    def _identity(self, p: Person, others: Collection[int] = ()) -> int:
        """Of somebody who has none: by his tracklets, by where he is, or a new one; those of `others` are not his."""
        found, _ = self._recognised(p, others)
        for q in [q for q in self._lost(p) if q.identity == found]:
            self.everybody.remove(q)                            # he is found elsewhere
        return found or self._ids.new()

    def _recognised(self, p: Person, others: Collection[int] = ()) -> tuple[int, bool]:
        """The identity that somebody had, 0 = none, and whether that is settled; see `Recognition.of_returned`."""
        known = self._known(p, others)
        if known:
            return known, True
        lost = self._lost(p)
        here = {*others, *(q.identity for q in self.everybody if q.confirmed and q not in lost)}
        return self._ids.of_returned(p, p.stamp, lost, here)

    def _lost(self, p: Person) -> list[Person]:
        """Those who are followed, but of whom two cameras show nothing now: p may be one of them."""
        return [q for q in self.everybody if q.confirmed and q is not p and q.alone_s(p.stamp) > _LOST_S]

    def _known(self, p: Person, others: Collection[int] = ()) -> int:
        """The identity that the tracklets of somebody new belong to, 0 = none."""
        lost = self._lost(p)
        taken = {*others, *(q.identity for q in self.everybody if q not in lost)}
        return self._ids.of_tracklets(p, p.stamp, lost, taken)

    def _lose(self, p: Person) -> None:
        if p.confirmed:
            self._ids.left(p)

    def update(self, detections: Detections, main: Row) -> list[Skeleton3D]:
        """Advance everybody to the instant of the detections.

        Args:
            main: views of the main person as chosen before a rig was known; to start the first one.
        """
        m, fusion = self.model, self._fusion
        assert m is not None
        now = detections.stamp
        views = [v for v in detections.views if v.camera in m.cameras]
        self._ids.clean(now)
        if len(self.everybody) > 1 or any(len(v.keypoints) > 1 for v in views):
            self._several = now
        one_view = self._one_view_is_enough(m, now)
        self._forget(now, one_view)
        claimed = claim(self.everybody, views, detections, m)
        fusion.steps(self.everybody, now, [detections.row(found) for found in claimed])
        self._drop_doubles()
        if not self.everybody and main and (m.lifted or all(len(v.keypoints) <= 1 for v in views)):
            self._begin_with(main, now)
        elif not m.lifted or len(m.cameras) == 1 or now > self._several:
            # else cameras are placed by one person's poses, too roughly to tell the others apart
            self._newcomers(detections, views)
        self._confirm(now)
        for p in self.everybody:
            if p.confirmed:
                # without a rig that is trusted, cameras need not agree
                self._ids.seen(p, p.row if m.level < 3 else p.agreed if len(p.agreed) > 1 else (), now)
        self.everybody.sort(key=lambda p: not p.confirmed)
        shown = [p for p in self.everybody if p.confirmed and now - p.seen <= COAST_S
                 and (one_view or p.alone_s(now) <= ALONE_S)]
        self._before = now
        return self._output.of(shown, now, m, self.lifted, self.left_out)

    def _one_view_is_enough(self, m: RigModel, now: float) -> bool:
        """Whether somebody is followed on by one view and a lifter. Where several people are about and cameras have
        places, it is soon somebody else's.
        """
        return self.lifted is not None and (
            m.level < 3 or len(m.cameras) == 1 or now - self._several > _ALONE_AGAIN_S)

    def _forget(self, now: float, one_view: bool) -> None:
        """Over a pause nobody is predicted: who was not seen for long is found anew.

        Where instants are far apart, or some are left out because the first ones of somebody new take long, whoever is
        new had no chance to be seen again before this one.
        """
        kept = []
        for p in self.everybody:
            away = now - p.seen
            if away > (_FORGET_S if p.confirmed or p.seen >= self._before else _DOUBT_S) \
                    or (not one_view and p.alone_s(now) > _FORGET_ALONE_S):
                self._lose(p)
            else:
                kept.append(p)
        self.everybody = kept

    def _begin_with(self, row: Row, now: float) -> None:
        m, fusion = self.model, self._fusion
        assert m is not None
        first = fusion.start(now, row, m.bones, BONES_MEASURED_M)
        if first is not None:
            fusion.step(first, now, row)
            first.identity, first.confirmed = self._identity(first), True
            self.everybody.append(first)

    def _drop_doubles(self) -> None:
        """Two filters that came to follow one person: the one with fewer views goes, the older identity stays."""
        if len(self.everybody) < 2:
            return
        # the rule: each is near himself alone. Joints are no nearer on average than their middles
        X = np.array([p.filter.x for p in self.everybody]).mean(1)
        between = X[:, None] - X
        if np.count_nonzero((between * between).sum(-1) <= _SAME_M ** 2) == len(X):
            return
        for p in sorted(self.everybody, key=lambda p: (p.confirmed, len(p.row), p.ticks)):
            for q in self.everybody:
                if q is p or _apart(p.filter.x, q.filter.x) > _SAME_M:
                    continue
                if len(p.row) > 1 and len(q.row) > 1 and set(p.row) & set(q.row):
                    continue                                    # two bodies, however near: cameras show both
                if p.confirmed:
                    # the older one of the two, but where he went astray to somebody who is followed for some time
                    theirs = self._ids.row_of(q.row, q.stamp)
                    q.identity = theirs if theirs in (p.identity, q.identity) else min(p.identity, q.identity)
                self.everybody = [r for r in self.everybody if r is not p]
                break

    def _newcomers(self, detections: Detections, views: list[View2D]) -> None:
        m, now, fusion = self.model, detections.stamp, self._fusion
        assert m is not None
        placed = [p for p in self.everybody if p.alone_s(now) <= ALONE_S]
        taken = {(c, v.index) for p in placed if p.confirmed for c, v in p.row.items()}
        single = self.lifted is not None and len(m.cameras) == 1
        if single:
            taken = {(c, v.index) for p in self.everybody for c, v in p.row.items()}
        alone = is_alone(self.everybody, views)
        new: list[tuple[Person, Row]] = []
        for found, row in newcomers(fusion, views, detections, taken, single):
            known = self._astray(found, row, now, alone)
            if known is None:
                known = self._placed_by_others(found, row, placed)
                row = row if known is None else {**known.row, **row}
            if known is not None:
                # not somebody new: he went astray, or on while nobody saw him, or the rig put him elsewhere
                known.filter, known.stamp = fusion.restarted(known, found.filter.x, .15), now
                known.past.clear()
                fusion.step(known, now, row)
                continue
            if any(_apart(found.filter.x, p.filter.x) < _SAME_M for p in placed):
                continue
            self._tentative -= 1
            found.identity = self._tentative
            new.append((found, row))
        if new:
            fusion.steps([p for p, _ in new], now, [row for _, row in new])
        self.everybody += [p for p, _ in new]

    def _astray(self, found: Person, row: Row, now: float, alone: bool) -> Person | None:
        """Who of those that hardly a camera shows any more, where he was expected, is found for certain."""
        lost = [p for p in self.everybody if p.confirmed and len(p.row) < min(2, len(row))]
        for p in lost:                                          # one camera shows him, and the others found him
            far = float(np.linalg.norm(p.filter.x[0] - found.filter.x[0]))
            if any(c in row and v.same(row[c]) for c, v in p.row.items()) \
                    and far < _STRAY_M + _FAST_M_S * p.alone_s(now):
                return p
        if alone and lost and np.linalg.norm(lost[0].filter.x[0] - found.filter.x[0]) \
                < _ALONE_M + _FAST_M_S * (now - lost[0].seen):
            return lost[0]
        return None

    def _placed_by_others(self, found: Person, row: Row, placed: Sequence[Person]) -> Person | None:
        """Who of those who are followed is this body, seen by cameras that do not show him where he is expected, as the
        errors of the rig put him elsewhere: of two people so near, some camera that is free would show both.
        """
        m = self.model
        assert m is not None
        others = [p for p in placed if p.confirmed and len(p.row) > 1 and not set(p.row) & set(row)]
        if m.place is None or not others:
            return None
        everybody = [found, *others]
        seen = np.array([[c in r for c in m.cameras] for r in (row, *(p.row for p in others))])
        sigma = m.place.sigma(m.geometry, np.array([p.filter.x.mean(0) for p in everybody]), seen)
        far = np.array([_apart(found.filter.x, p.filter.x) for p in others])
        within = far < np.minimum(_SURE_SIGMAS * np.sqrt(3) * np.hypot(sigma[0], sigma[1:]), _ELSEWHERE_M)
        return others[int(np.where(within, far, np.inf).argmin())] if within.any() else None

    def _confirm(self, now: float) -> None:
        """Somebody new is shown after a few ticks; at once, where his tracklets are those of somebody known."""
        m = self.model
        assert m is not None
        single = len(m.cameras) == 1
        doubtful = [p for p in self.everybody if not p.confirmed]
        before = self._ids.of_unsettled(doubtful, {q.identity for q in self.everybody if q.confirmed})
        for p, identity in zip(doubtful, before, strict=True):
            known = self._known(p)
            need = (1 if known else _CONFIRM_DOUBTFUL if self._ids.contradict(p.row, now)
                    else 1 if len(p.agreed) >= _CERTAIN_VIEWS else _CONFIRM)
            if (p.ticks if single else p.pairs) < need:
                continue
            if not (identity or single or self._recognised(p, before)[1]):
                continue                                        # more ticks may tell him from somebody else who left
            if not self._has_room(p):
                self.everybody.remove(p)
                continue
            p.identity, p.confirmed = identity or self._identity(p, before), True

    def _has_room(self, new: Person) -> bool:
        """Whether somebody new is followed: of too many, those nearest to the middle of the shared volume are."""
        others = [p for p in self.everybody if p.confirmed]
        if len(others) < self.most:
            return True
        assert self.model is not None
        middle = shared_centre(self.model)

        def far(p: Person) -> float:
            return float(np.linalg.norm((p.filter.x[0] - middle)[:2]))
        last = max(others, key=far)
        if far(new) > far(last) - _NEARER_M:
            return False
        self._lose(last)
        self.everybody.remove(last)
        return True


def _apart(a: Array, b: Array) -> float:
    """Mean distance of the joints (17, 3) of two skeletons, m."""
    return float(np.linalg.norm(a - b, axis=1).mean())
