# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""From the views of one person to a filter: begun, advanced tick by tick, carried into another world."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..body import BONE_A, BONE_B
from ..filtering import FilterConfig, Measurement, SkeletonFilter, predict_together, update_together
from ..fusion.lifted import body_in_world, bone_vectors
from ..fusion.triangulation import triangulate
from ..lifting import LiftedViews
from ..person_view import Lifted, Row
from ..rig_model import RigModel
from ..skeleton import BONES
from .person import Person, measurement_of, measurements_of, with_memory

__all__ = ['PersonFusion', 'stacked']

Array = NDArray[np.float64]

_PAIR_A, _PAIR_B = np.array([*(a for a, _ in BONES), 1]), np.array([*(b for _, b in BONES), 4])

#: a lifted pose counts once in this time, s: its errors last. With lifted poses alone; with a rig that is not trusted,
#: or two views, which leave depth open; with a rig. Measured, validation split
_LIFTER_ALONE_S, _LIFTER_FEW_S, _LIFTER_MANY_S = .12, .3, 1.
#: how well the bones of somebody are known of whom there are lifted poses alone, m
_LIFTED_BONE_M = .04
#: bones of the body that a rig was solved with, m; a new person's
BONES_MEASURED_M, BONES_GUESSED_M = .008, .08
#: a view agrees with a skeleton of which this share of its joints fits, and so many
_AGREEING, _FEWEST_AGREEING = .4, 3
#: cosine of the angle between two rays that tell lengths, and of such that tell the place
_CROSSED, _PLACED = .95, .985
#: fewer joints do not begin a filter
_FEWEST = 6


class PersonFusion:
    """What measures people with one rig model: filters are begun and advanced with it.

    Args:
        model: the rig.
        lifted: the lifter, or None.
        left_out: cameras that were moved: their views are matched, but measure nothing.
        smooth: ticks are kept for the fixed-lag smoother.
    """

    def __init__(self, model: RigModel, lifted: LiftedViews | None, left_out: frozenset[str], smooth: bool) -> None:
        self.model, self.lifted, self.left_out, self.smooth = model, lifted, left_out, smooth

    def measurement(self, now: float, row: Row) -> Measurement:
        return measurement_of(self.model, now, row, self.left_out)

    def start(self, now: float, row: Row, bones: Array, bone_sigma: float) -> Person | None:
        """Somebody new from one row, without identity; bones (16,) m and their sigma, m. None: too little is seen."""
        m = self.model
        obs = self.measurement(now, row)
        rays, w = m.geometry.rays(obs.kp), m.geometry.ray_weight(obs.sigma)
        X = triangulate(rays[None], w[None], m.R, m.t, rounds=4, scale=5.)[0]
        if self.lifted is not None and (m.lifted or np.isfinite(X).all(-1).sum() < _FEWEST):
            X = self._lifted_body(row, rays, w, bones, X)
        known = np.isfinite(X).all(-1)
        if known.sum() < _FEWEST:
            return None
        X = np.where(known[:, None], X, np.median(X[known], 0))
        f = SkeletonFilter(m.geometry, bones, 2 * float(bones[0]),
                           FilterConfig(bone_sigma_m=max(bone_sigma, _LIFTED_BONE_M) if m.lifted else bone_sigma))
        f.start(X, .15)
        return Person(-1, f, now, now)

    def replay(self, rows: Sequence[tuple[float, Row]]) -> Person | None:
        """The person of some rows, oldest first, with the bones that the rig was solved with."""
        person: Person | None = None
        for stamp, row in rows:
            if person is None:
                person = self.start(stamp, row, self.model.bones, BONES_MEASURED_M)
            if person is not None:
                self.step(person, stamp, row)
        return person

    def step(self, p: Person, now: float, row: Row) -> None:
        """Advance to `now` s, and take the views of that instant; in place."""
        self.steps([p], now, [row])

    def steps(self, people: Sequence[Person], now: float, rows: Sequence[Row]) -> None:
        """As `step`, of several people at once."""
        dts = np.array([now - p.stamp for p in people])
        later = [n for n, dt in enumerate(dts) if dt > 0]
        for n in later:
            f = people[n].filter
            f.config = with_memory(f.config, self.model, float(dts[n]))
        if later:
            predict_together([people[n].filter for n in later], dts[later])
        for p, row in zip(people, rows, strict=True):
            p.stamp, p.row, p.agreed = now, row, ()
        seen = [p for p in people if p.row]
        if seen:
            self._measure(seen, now)
        if self.smooth:
            for p, dt in zip(people, dts, strict=True):
                p.past.append((now, float(dt), p.filter.pred, p.filter.state, p.measured()))

    def _measure(self, people: Sequence[Person], now: float) -> None:
        """Take the views of their rows."""
        m = self.model
        obs = measurements_of(m, now, [p.row for p in people], self.left_out)
        if self.lifted is not None:
            obs = self._with_lifted(people, obs, self.lifted)
        update_together([p.filter for p in people], obs)
        seen = np.isfinite(obs.sigma)
        used = np.array([p.filter.used for p in people]) > .25
        agree = _agreeing(used, seen)
        cosine = self._crossing(people, agree)
        # cameras that are not placed well need not agree
        paired = cosine < _PLACED if m.level >= 3 else seen.any(2).sum(1) > 1
        # one view, or two from opposite sides, do not tell a long bone from a near one
        informative = cosine < (1. if m.lifted else _CROSSED)
        for n, p in enumerate(people):
            p.agreed = tuple([c for c, yes in zip(m.cameras, agree[n].tolist(), strict=True) if yes])
            if paired[n]:
                p.pair_seen, p.place = now, p.filter.x[0].copy()
                p.pairs += 1
                if not p.confirmed:
                    x = p.filter.x
                    p.limbs += (np.linalg.norm(x[BONE_B] - x[BONE_A], axis=1) - p.limbs) / p.pairs
            p.seen = now
            p.ticks += 1
        _learn_bones([p for n, p in enumerate(people) if informative[n] and p.filter.config.bone_sigma_m > .01])

    def _crossing(self, people: Sequence[Person], agree: NDArray[np.bool_]) -> Array:
        """(N,) cosine of the angle between the two rays that cross best, of cameras that agree (N, V) on somebody; 1 =
        one ray.
        """
        ray = self.model.geometry.centres[None] - np.array([p.filter.x[0] for p in people])[:, None]
        ray = ray / np.maximum(np.linalg.norm(ray, axis=-1, keepdims=True), 1e-6)
        cosine = np.abs(ray @ ray.swapaxes(1, 2))
        # no ray with itself: by rounding, that is less than 1 at times
        two = agree[:, :, None] & agree[:, None] & ~np.eye(agree.shape[1], dtype=bool)
        return np.where(two, cosine, 1.).min((1, 2))

    def carry(self, p: Person, old: RigModel | None) -> bool:
        """Somebody into another world frame, in place: by his newest views, else as a camera of both sees him."""
        m = self.model
        again = self.start(p.stamp, p.row, p.filter.lengths[:16], BONES_GUESSED_M) if p.row else None
        if again is not None:
            p.filter = again.filter
            return True
        both = [c for c in m.cameras if old is not None and c in old.cameras]
        if old is None or not both:
            return False
        c = next((c for c in both if c in p.row), both[0])
        a, b = old.cameras.index(c), m.cameras.index(c)
        X = (p.filter.x @ old.R[a].T + old.t[a] - m.t[b]) @ m.R[b]
        p.filter = self.restarted(p, X, .3)
        return True

    def restarted(self, p: Person, X: Array, sigma_m: float) -> SkeletonFilter:
        """A filter with the person's bones that begins at joints X (17, 3) m."""
        f = SkeletonFilter(self.model.geometry, p.filter.lengths[:16], float(p.filter.lengths[16]), p.filter.config)
        f.start(X, sigma_m)
        return f

    def _lifted_body(self, row: Row, rays: Array, weight: Array, bones: Array, else_: Array) -> Array:
        """Joints (17, 3) m in the world from the lifted poses of a row; `else_` where they place nobody."""
        m = self.model
        assert self.lifted is not None
        known = self.lifted.of(row, m.pinholes)
        if not known:
            return else_
        v, joints, sigma = stacked(known, m)
        found = body_in_world(joints, sigma, rays, weight, m.R, m.t, bones, v)
        return else_ if found is None else found

    def _with_lifted(self, people: Sequence[Person], obs: Measurement, lifted: LiftedViews) -> Measurement:
        """Lifted poses measure every bone, for what they are worth: what two views or more see well hardly moves."""
        m, share = self.model, np.zeros(len(people))
        for n, p in enumerate(people):
            lifted.add(p.identity, p.row)
            few = m.level < 3 or len(p.row) < 3
            memory = _LIFTER_ALONE_S if m.lifted else _LIFTER_FEW_S if few else _LIFTER_MANY_S
            share[n] = min((p.stamp - p.lifted) / memory, 1.)
        # what counts for a tenth of that time may as well count at once
        asked = [n for n in range(len(people)) if share[n] > .09]
        known = lifted.of_people([(people[n].identity, people[n].row) for n in asked], m.pinholes)
        if not any(known):
            return obs
        there = [n for n, poses in zip(asked, known, strict=True) if poses]
        joints, sigma = np.zeros((len(there), len(m.cameras), 17, 3)), np.full((len(there), len(m.cameras), 17), np.inf)
        for k, poses in enumerate(filter(None, known)):
            v, joints[k, v], sigma[k, v] = stacked(poses, m)
            people[there[k]].lifted = people[there[k]].stamp
        filters = [people[n].filter for n in there]
        bones, info = np.zeros((len(people), 16, 3)), np.zeros((len(people), 16, 3, 3))
        bones[there], info[there] = bone_vectors(joints, sigma, m.R, m.t, np.array([f.x[0] for f in filters]),
                                                 np.array([f.lengths[:16] for f in filters]))
        info *= share[:, None, None, None]
        # with one camera from the start, whose sides seem exchanged may have been exchanged before
        return replace(obs, bones=bones, bone_info=info, correct_sides=len(m.cameras) > 1)


def stacked(known: Mapping[str, Lifted], m: RigModel) -> tuple[list[int], Array, Array]:
    """Indices of cameras in the model, joints (M, 17, 3) and sigma (M, 17) of lifted poses by camera."""
    return ([m.cameras.index(c) for c in known], np.array([y for y, _ in known.values()]),
            np.array([s for _, s in known.values()]))


def _agreeing(used: NDArray[np.bool_], seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N, V) views of which a good part of the joints that are seen fits the skeleton, (N, V, 17) each."""
    return np.asarray(used.sum(-1) >= np.maximum(_FEWEST_AGREEING, _AGREEING * seen.sum(-1)))


def _learn_bones(people: Sequence[Person]) -> None:
    """Lengths of people who are new: running mean of what is measured, trusted more the longer somebody is seen."""
    if not people:
        return
    x, before = np.array([p.filter.x for p in people]), np.array([p.filter.lengths for p in people])
    ticks = np.array([p.ticks for p in people])
    d = x[:, _PAIR_B] - x[:, _PAIR_A]
    lengths = before + (1 / np.minimum(ticks + 5, 60))[:, None] * (np.sqrt((d * d).sum(-1)) - before)
    sigma = np.maximum(.08 / np.sqrt(1 + ticks / 8.), .0101)
    for n, p in enumerate(people):
        p.filter.lengths = lengths[n]
        if p.filter.config.bone_sigma_m != sigma[n]:
            p.filter.set_bone_sigma(float(sigma[n]))
