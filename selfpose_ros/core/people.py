# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The people that are followed once views can be fused: each with a filter, matched to detections in every camera."""
from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .association import group_views, match_people
from .body import BONE_PRIOR_M
from .camera import ideal_px
from .filtering import FilterConfig, Measurement, SkeletonFilter, State, smooth_back
from .fusion.corrected import RunningLengths, between
from .fusion.lifted import body_in_world, bone_vectors
from .fusion.triangulation import triangulate
from .lifting import Lifted, LiftedViews, Lifter
from .model import RigModel
from .observation import MultiView, Skeleton3D, View2D
from .quick import median
from .skeleton import BONES
from .uncertainty import place_sigma, uncertainty

__all__ = ['People', 'Person', 'Row', 'measurement_of', 'row_of', 'with_memory']

Array = NDArray[np.float64]
Row = Mapping[str, tuple[float, Array, Array]]

_PAIR_A, _PAIR_B = np.array([*(a for a, _ in BONES), 1]), np.array([*(b for _, b in BONES), 4])

#: somebody nobody sees any more is shown on for this long, and forgotten after that
_COAST_S, _FORGET_S = .4, 1.
#: somebody new who is not seen again within this was none, s
_DOUBT_S = .2
#: somebody lost is found again within this distance, and what he can have walked since, m, m/s; where no view shows
#: more than one body and one is followed, within this one
_STRAY_M, _FAST_M_S, _ALONE_M = .5, 3., 1.5
#: ticks in which somebody new must be seen by two cameras before he is believed
_CONFIRM = 3
#: what a lifter says counts once in this time, s: its errors last. With lifted poses alone; with a rig that is not
#: trusted, or two views, which leave depth open; with a rig. Measured, validation split
_LIFTER_ALONE_S, _LIFTER_FEW_S, _LIFTER_MANY_S = .12, .3, 1.
#: how well the bones of somebody are known of whom there are lifted poses alone, m
_LIFTED_BONE_M = .04
#: a detection whose median joint is further from the prediction, in body sizes, is somebody else
_GATE = .35


@dataclass
class Person:
    """One followed person.

    Attributes:
        views: index of the detection in each camera of the newest tick.
        row: the views of the newest tick.
        pair_seen: newest instant at which two cameras saw him, s.  lifted: at which the lifter was asked, s.
        past: newest ticks (stamp, step, predicted, updated, cameras per joint) for the smoother.
    """

    identity: int
    filter: SkeletonFilter
    stamp: float
    seen: float
    ticks: int = 0
    views: dict[str, int] = field(default_factory=dict)
    row: Row = field(default_factory=dict)
    confirmed: bool = False
    pair_seen: float = -np.inf
    lifted: float = -np.inf
    past: deque[tuple[float, float, State, State, NDArray[np.int64]]] = field(default_factory=deque)


class People:
    """Everybody, in the frame of one rig model."""

    def __init__(self, most: int, lag_s: float = 0., lifter: Lifter | None = None, correction: bool = False) -> None:
        """Follow at most `most` people; results are `lag_s` old, in the light of what came since (0 = newest).

        correction: see `EstimatorConfig`.
        """
        self.most, self.lag_s = most, lag_s
        self._lengths = RunningLengths() if correction and lifter is not None and not lag_s else None
        self.lifted = LiftedViews(lifter) if lifter is not None else None
        self.everybody: list[Person] = []
        self._next = 1
        #: identity of the main person, who outlives any rig, and when a camera showed him last, s
        self._main, self._main_seen = 0, -np.inf
        #: cameras that were moved: their views are matched, but say nothing about where people are
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

    def tell(self, observation: MultiView) -> None:
        """Views whose 2D network told depths are poses by themselves; without a lifter, too."""
        if any(v.depth is not None for v in observation.views):
            if self.lifted is None:
                self.lifted = LiftedViews(None)
            self.lifted.tell(observation.views)

    def adopt(self, model: RigModel, rows: list[tuple[float, Row]], moved: bool,
              lifted: Sequence[Mapping[str, Lifted]] = ()) -> None:
        """Take a new rig. The main person's filter is run again over the newest rows, others are carried along.

        Args:
            rows: newest views of the main person, oldest first.
            moved: the world frame is another one: people other than the main one are carried into it by what the
                cameras saw of them.
            lifted: what a lifter made of the rows' views.
        """
        if self.lifted is not None:
            self.lifted.know(rows, lifted)
        old, self.model = self.model, model
        main = self._shown_by(rows)
        fresh = self._replay(rows) if rows else None
        if fresh is not None:
            fresh.identity = main.identity if main else self._main_identity(fresh.stamp)
            fresh.confirmed = True
        others = [p for p in self.everybody if fresh is None or p is not main]
        if moved:
            others = [p for p in others if self._carry(p, old)]
        for p in others:
            p.filter.set_rig(model.geometry)
            p.past.clear()
        self.everybody = [*([fresh] if fresh is not None else []), *others]
        self._note_main()

    def _shown_by(self, rows: Sequence[tuple[float, Row]]) -> Person | None:
        """Who of those who are followed is seen in the rows: of several, not always the first."""
        for p in self.everybody:
            for row in (r for stamp, r in rows if stamp == p.stamp):
                if any(np.array_equal(p.row[c][1], row[c][1], equal_nan=True) for c in row if c in p.row):
                    return p
        return self.everybody[0] if self.everybody else None

    def _carry(self, p: Person, old: RigModel | None) -> bool:
        """Somebody into another world frame, in place: by his newest views, else as a camera of both sees him."""
        m = self.model
        assert m is not None
        again = self._start(p.stamp, p.row, p.filter.lengths[:16], .08) if p.row else None
        if again is not None:
            p.filter = again.filter
            return True
        both = [c for c in m.cameras if old is not None and c in old.cameras]
        if old is None or not both:
            return False
        c = next((c for c in both if c in p.views), both[0])
        a, b = old.cameras.index(c), m.cameras.index(c)
        X = (p.filter.x @ old.R[a].T + old.t[a] - m.t[b]) @ m.R[b]
        f = SkeletonFilter(m.geometry, p.filter.lengths[:16], float(p.filter.lengths[16]),
                           p.filter.config)
        f.start(X, .3)
        p.filter = f
        return True

    def _main_identity(self, now: float) -> int:
        """That of the main person, unless he has been out of all cameras' sight: then of somebody new."""
        if not self._main or now - self._main_seen > _FORGET_S:
            self._main = self._take_identity()
        self._main_seen = max(self._main_seen, now)
        return self._main

    def _note_main(self) -> None:
        if self.everybody and self.everybody[0].confirmed:
            self._main = self.everybody[0].identity
            self._main_seen = max(self._main_seen, self.everybody[0].seen)

    def _take_identity(self) -> int:
        self._next += 1
        return self._next - 1

    def _measurement(self, now: float, row: Row) -> Measurement:
        assert self.model is not None
        return measurement_of(self.model, now, row, self.left_out)

    def _start(self, now: float, row: Row, bones: Array, bone_sigma: float) -> Person | None:
        m = self.model
        assert m is not None
        obs = self._measurement(now, row)
        rays, w = m.geometry.rays(obs.kp), m.geometry.ray_weight(obs.sigma)
        X = triangulate(rays[None], w[None], m.R, m.t, rounds=4, scale=5.)[0]
        if self.lifted is not None and (m.lifted or np.isfinite(X).all(-1).sum() < 6):
            X = self._lifted_body(row, rays, w, bones, X)
        known = np.isfinite(X).all(-1)
        if known.sum() < 6:
            return None
        X = np.where(known[:, None], X, np.median(X[known], 0))
        f = SkeletonFilter(m.geometry, bones, 2 * float(bones[0]),
                           FilterConfig(bone_sigma_m=max(bone_sigma, _LIFTED_BONE_M) if m.lifted else bone_sigma))
        f.start(X, .15)
        return Person(0, f, now, now)

    def _lifted_body(self, row: Row, rays: Array, weight: Array, bones: Array, else_: Array) -> Array:
        """Joints (17, 3) m in the world from the lifted poses of a row; `else_` where they place nobody."""
        m = self.model
        assert m is not None and self.lifted is not None
        known = self.lifted.of(row, m.pinholes)
        if not known:
            return else_
        v, joints, sigma = _stacked(known, m)
        found = body_in_world(joints, sigma, rays, weight, m.R, m.t, bones, v)
        return else_ if found is None else found

    def _with_lifted(self, p: Person, row: Row, obs: Measurement) -> Measurement:
        """The lifter tells every bone, for what it is worth: what two views or more see well hardly moves."""
        m = self.model
        assert m is not None and self.lifted is not None
        self.lifted.add(p.identity, row)
        few = m.level < 3 or len(row) < 3
        memory = _LIFTER_ALONE_S if m.lifted else _LIFTER_FEW_S if few else _LIFTER_MANY_S
        share = min((p.stamp - p.lifted) / memory, 1.)
        # what it says for a tenth of that time may as well be said at once
        known = self.lifted.of(row, m.pinholes, p.identity) if share > .09 else {}
        if not known:
            return obs
        p.lifted = p.stamp
        v, joints, sigma = _stacked(known, m)
        bones, info = bone_vectors(joints, sigma, m.R[v], m.t[v], p.filter.x[0], p.filter.lengths[:16])
        # with one camera from the start, whose sides seem exchanged may have been taken for turned round before
        return replace(obs, bones=bones, bone_info=info * share, unswap=len(m.cameras) > 1)

    def _replay(self, rows: list[tuple[float, Row]]) -> Person | None:
        assert self.model is not None
        person: Person | None = None
        for stamp, row in rows:
            if person is None:
                person = self._start(stamp, row, self.model.bones, .008)
            if person is not None:
                self._step(person, stamp, row)
        return person

    def _step(self, p: Person, now: float, row: Row) -> None:
        dt = now - p.stamp
        if dt > 0:
            p.filter.config = with_memory(p.filter.config, self.model, dt)
            p.filter.predict(dt)
        p.stamp, p.row = now, row
        if row:
            obs = self._measurement(now, row)
            if np.isfinite(obs.sigma).any(-1).sum() > 1:
                p.pair_seen = now
            if self.lifted is not None:
                obs = self._with_lifted(p, row, obs)
            p.filter.update(obs)
            p.seen = now
            p.ticks += 1
            # one view does not tell a long bone from a near one
            if p.filter.config.bone_sigma_m > .01 and (self.lifted is None or p.pair_seen == now):
                _learn_bones(p)
        if self.lag_s:
            p.past.append((now, dt, p.filter.pred, p.filter.state, self._measured(p, now)))

    def update(self, observation: MultiView, main_row: Row, main_index: Mapping[str, int]) -> list[Skeleton3D]:
        """Advance everybody to the observation's instant.

        Args:
            main_row, main_index: views of the main person as chosen before a rig was known; to start the first one.
        """
        m = self.model
        assert m is not None
        now = observation.stamp
        views = [v for v in observation.views if v.camera in m.cameras]
        # over a pause nobody is predicted: who was not seen for long is found anew
        self.everybody = [p for p in self.everybody if now - p.seen <= (_FORGET_S if p.confirmed else _DOUBT_S)]
        assigned = self._match(views, now)
        for p, found in zip(self.everybody, assigned, strict=True):
            p.views = found
            self._step(p, now, {v.camera: row_of(v, found[v.camera]) for v in views if v.camera in found})
            p.confirmed |= p.ticks >= _CONFIRM
        if not self.everybody and main_row:
            first = self._start(now, main_row, m.bones, .008)
            if first is not None:
                first.identity, first.confirmed, first.views = self._main_identity(now), True, dict(main_index)
                self.everybody.append(first)
                self._step(first, now, main_row)
        elif len(self.everybody) < self.most or any(len(p.views) < 2 for p in self.everybody):
            self._newcomers(views, now)
        self._note_main()
        shown = [p for p in self.everybody if p.confirmed and now - p.seen <= _COAST_S]
        if not self.lag_s:
            return [self._skeleton(p, now, self._corrected(p), p.filter.v, p.filter.sigma, self._measured(p, now))
                    for p in shown]
        late = [self._late(p, now) for p in shown]
        stamp = max((s.stamp for s in late if s is not None), default=now)
        return [s for s in late if s is not None and s.stamp == stamp]

    def _corrected(self, p: Person) -> Array:
        """Joints (17, 3) m to show: between the filter's and what this instant's lifted poses come to, corrected.

        With a rig that is trusted the filter already makes the most of the pixels.
        """
        m, x = self.model, p.filter.x
        assert m is not None
        if self._lengths is None or self.lifted is None or m.level >= 3:
            return x
        known = self.lifted.of({c: r for c, r in p.row.items() if c not in self.left_out}, m.pinholes, p.identity)
        if not known:
            return x
        v, joints, sigma = _stacked(known, m)
        obs = self._measurement(p.stamp, p.row)
        rays = m.geometry.take(v).rays(obs.kp[v])
        k = m.focal[v, None] / obs.sigma[v]                                  # 0 where sigma is inf
        return between(x, joints, sigma, rays, k, self._lengths.add(p.identity, joints, p.filter.lengths[:16]))

    @staticmethod
    def _measured(p: Person, now: float) -> NDArray[np.int64]:
        return ((p.filter.used > .25).sum(0) if p.seen == now else np.zeros(17)).astype(np.int64)

    def _late(self, p: Person, now: float) -> Skeleton3D | None:
        """The person as of `lag_s` ago; None while there is no tick that old."""
        while len(p.past) > 1 and p.past[1][0] <= now - self.lag_s + 1e-6:
            p.past.popleft()
        if not p.past or p.past[0][0] > now - self.lag_s + 1e-6:
            return None
        stamp, *_, views = p.past[0]
        x, v, sigma = smooth_back([(dt, pred, post) for _, dt, pred, post, _ in p.past])
        return self._skeleton(p, stamp, x, v, sigma, views)

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
            view = _ideal(view)
            at = P[:, index[view.camera]]
            if alone:
                if _near(at[0], view.keypoints[0], float(size[index[view.camera]])):
                    found[0][view.camera] = 0
                continue
            for n, k in enumerate(match_people(at, view, _GATE)):
                if k >= 0:
                    found[n][view.camera] = int(k)
        return found

    def _newcomers(self, views: list[View2D], now: float) -> None:
        m = self.model
        assert m is not None
        taken = {(c, k) for p in self.everybody for c, k in p.views.items()}
        free = [[k for k in range(len(v.keypoints)) if (v.camera, k) not in taken] for v in views]
        if self.lifted is not None and len(m.cameras) == 1:
            for view, k in ((v, k) for v, ks in zip(views, free, strict=True) for k in ks):
                self._newcomer({view.camera: row_of(view, k)}, {view.camera: k}, now)
            return
        if sum(bool(f) for f in free) < 2:
            return
        index = {c: v for v, c in enumerate(m.cameras)}
        K = np.zeros((len(m.cameras), 3, 3))
        K[:, 0, 0] = K[:, 1, 1] = m.focal
        K[:, :2, 2], K[:, 2, 2] = m.centre, 1.
        P = K @ np.concatenate([m.R, m.t[..., None]], -1)
        for group in group_views([_ideal(v) for v in views], P[[index[v.camera] for v in views]], free):
            self._newcomer({views[i].camera: row_of(views[i], k) for i, k in group.items()},
                           {views[i].camera: k for i, k in group.items()}, now)

    def _newcomer(self, row: Row, index: Mapping[str, int], now: float) -> None:
        m = self.model
        assert m is not None
        size = float(np.mean(m.bones / BONE_PRIOR_M))
        found = self._start(now, row, BONE_PRIOR_M * size, .08)
        if found is None:
            return
        lost = self._lost_near(found, index, now)
        if lost is not None:
            # not somebody new: his filter went astray, or he went on while nobody saw him
            f = SkeletonFilter(m.geometry, lost.filter.lengths[:16], float(lost.filter.lengths[16]),
                               lost.filter.config)
            f.start(found.filter.x, .15)
            lost.filter, lost.views, lost.stamp = f, dict(index), now
            lost.past.clear()
            self._step(lost, now, row)
            return
        if len(self.everybody) >= self.most:
            return
        found.identity, found.views = self._take_identity(), dict(index)
        self._step(found, now, row)
        self.everybody.append(found)

    def _lost_near(self, found: Person, index: Mapping[str, int], now: float) -> Person | None:
        """Who of those that hardly a camera shows any more, where he was expected, can be the one who was found."""
        middle = found.filter.x[0]
        lost = [(float(np.linalg.norm(p.filter.x[0] - middle)), p) for p in self.everybody
                if p.confirmed and len(p.views) < min(2, len(index))]
        reach = _ALONE_M if self._alone else _STRAY_M
        near = [(d, p) for d, p in lost if d < reach + _FAST_M_S * (now - p.seen)]
        return min(near, key=lambda q: q[0])[1] if near else None

    def _skeleton(self, p: Person, now: float, x: Array, v: Array, spread: Array,
                  views: NDArray[np.int64]) -> Skeleton3D:
        m = self.model
        assert m is not None
        u, level = uncertainty(spread, m), m.level
        sigma, known = u.sigma, u.known
        if self.lifted is not None and now > p.pair_seen:
            # the nearest of the cameras that see him
            seen_by = [m.cameras.index(c) for c in p.views if c in m.cameras] or [0]
            near = min(seen_by, key=lambda v: float(m.R[v, 2] @ x[0] + m.t[v, 2]))
            sigma = np.hypot(sigma, place_sigma(x, m, near, now - p.pair_seen))
            if now - p.pair_seen > _COAST_S:
                level = 1                                           # one camera and a lifter
        return Skeleton3D(p.identity, now, np.where(known[:, None], x, np.nan), np.where(known, sigma, np.nan),
                          u.confidence, np.where(known, views, 0), level, np.where(known[:, None], v, np.nan))


def _stacked(known: Mapping[str, Lifted], m: RigModel) -> tuple[list[int], Array, Array]:
    return ([m.cameras.index(c) for c in known], np.stack([y for y, _ in known.values()]),
            np.stack([s for _, s in known.values()]))


def with_memory(config: FilterConfig, model: RigModel | None, dt: float) -> FilterConfig:
    assert model is not None
    memory = .7 * model.noise.correlation_at(dt)
    if abs(memory - config.memory) < .05:
        return config
    return replace(config, memory=memory)


def _ideal(view: View2D) -> View2D:
    if view.intrinsics is None:
        return view
    return View2D(view.camera, view.stamp, ideal_px(view.keypoints, view.intrinsics), view.confidence, view.image_size,
                  view.person)


def measurement_of(model: RigModel, now: float, row: Row, left_out: frozenset[str] = frozenset()) -> Measurement:
    """What the views of a row, but those `left_out`, say at the instant `now` s."""
    V = len(model.cameras)
    kp, confidence, offset = np.zeros((V, 17, 2)), np.zeros((V, 17)), np.zeros(V)
    for v, c in enumerate(model.cameras):
        if c in row and c not in left_out:
            stamp, points, conf = row[c]
            kp[v] = points
            confidence[v] = conf
            offset[v] = stamp - model.clock_offset_s[v] - now
    offset[np.abs(offset) < 1e-4] = 0.
    sigma = model.noise.sigma(confidence)
    seen = np.isfinite(sigma)
    kp[~seen] = 0.
    return Measurement(kp, sigma, offset)


def row_of(view: View2D, k: int) -> tuple[float, Array, Array]:
    """Stamp, undistorted joints (17, 2) px and confidence (17,) of one detection."""
    kp = view.keypoints[k]
    return view.stamp, ideal_px(kp, view.intrinsics), view.confidence[k]


def _near(predicted: Array, kp: Array, size: float) -> bool:
    seen = np.isfinite(kp[:, 0])
    if seen.sum() < 4:
        return bool(seen.any())
    d = predicted[seen] - kp[seen]
    return bool(median(np.sqrt((d * d).sum(1))) < _GATE * max(size, 20.))


def _learn_bones(p: Person) -> None:
    """Lengths of somebody new: running mean of what is measured, trusted more the longer he is seen."""
    f = p.filter
    d = f.x[_PAIR_B] - f.x[_PAIR_A]
    share = 1 / min(p.ticks + 5, 60)
    f.lengths = f.lengths + share * (np.sqrt((d * d).sum(1)) - f.lengths)
    f.set_bone_sigma(max(.08 / np.sqrt(1 + p.ticks / 8.), .0101))
