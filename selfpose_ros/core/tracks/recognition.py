# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Who is who: identities outlive filters and rigs, and somebody who comes back gets the one that he had.

An identity rests on evidence of two kinds. 2D tracklets go on whatever is thought of the rig: who shares most of them
with somebody is that person. And somebody who left comes back where a body of that size can have come from by then.
Nothing else of a person is kept, and that no longer than `keep_s`.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..assignment import least_cost_pairs
from ..body import BONE_A, BONE_B, stature_m
from ..person_view import PersonView, Row
from ..rig_model import RigModel
from .identities import Identities
from .person import Person

__all__ = ['Recognition']

Array = NDArray[np.float64]

#: somebody who left can be this far from where he was seen last, and go on at this speed, m, m/s
_NEAR_M, _WALKS_M_S = .75, 1.8
#: standard deviation of where he is then, m, m/s
_STRAYS_M, _STRAYS_M_S = .5, .5
#: the logarithm of two statures of one person differs by less; by about this
_SIZE, _SIZE_SIGMA = .15, .05
#: tracklets and people that were seen together for this long are told apart, s
_OVERLAP_S = .12
#: what that costs where it is doubtful, nats
_TOGETHER = 3.
#: evidence fades by this each time that there is more
_FADES = .95
#: evidence of before the present rig from which somebody can be whom it points to, in ticks
_LEAST_WEIGHT = 1.5
#: where somebody is whose place is not known in this world, standard deviation, m
_ANYWHERE_M = 4.
#: lengths of bones are compared of people who were measured in so many ticks
_MEASURED = 5
#: error of the mean length of a bone, m; ticks after which it is not more any longer; a bone that is off by more sigmas
#: than this was not seen well; errors of bones are alike: what one of them counts. Measured, validation split
_BONE_M, _BONE_TICKS, _BONE_MOST, _BONE_SHARE = .012, 15., 3., .5
#: who comes back is looked at for longer, in ticks, where somebody else may be he: cheaper by less than this, nats
_LOOK_LONGER, _DOUBTFUL = 12, 3.


@dataclass
class _Evidence:
    """Whose a tracklet is: how often it was each identity's, the newest counting most; stamp: it was in sight, s.

    unsettled: all of it is of before the present rig, which may have put him together with somebody else.
    """

    stamp: float
    weight: dict[int, float] = field(default_factory=dict)
    unsettled: bool = False

    def add(self, identity: int, now: float) -> None:
        self.stamp, self.unsettled = now, False
        self.weight = {i: w * _FADES for i, w in self.weight.items() if w > .05}
        self.weight[identity] = self.weight.get(identity, 0.) + 1.

    @property
    def identity(self) -> int:
        return max(self.weight, key=lambda i: self.weight[i])


@dataclass
class _Gone:
    """Somebody who is not followed any more: stamp s of when two cameras saw him last, place (3,) m in the present
    world or None where that is not known, stature m or 0 and bones (16,) m or None = not measured, in so many ticks.
    """

    identity: int
    stamp: float
    place: Array | None
    stature: float
    bones: Array | None
    ticks: int


class Recognition:
    """The identities that were given, and what tells whom they belong to."""

    def __init__(self, keep_s: float, identities: Identities) -> None:
        """keep_s: somebody who comes back after more than this is somebody new, s; whose identity is taken from
        `identities`.
        """
        self.keep_s, self._identities = keep_s, identities
        self._of: dict[tuple[str, int], _Evidence] = {}
        self._first: dict[tuple[str, int], float] = {}       # when a tracklet was in sight first, s
        self._gone: dict[int, _Gone] = {}

    def new(self) -> int:
        """The identity of somebody who was never seen before."""
        return self._identities.take()

    def in_sight(self, views: Iterable[PersonView], now: float) -> None:
        """Tracklets that go on keep their identity, whether or not somebody is followed by them."""
        for v in views:
            self._first.setdefault((v.camera, v.tracklet), now)
            known = self._of.get((v.camera, v.tracklet))
            if known is not None:
                known.stamp = now

    def seen(self, p: Person, cameras: Iterable[str], now: float) -> None:
        """A person is seen in the views of his row by these cameras."""
        for c in cameras:
            key = c, p.row[c].tracklet
            if key[1] >= 0:
                if key not in self._of:
                    self._of[key] = _Evidence(now)
                self._of[key].add(p.identity, now)
        self._gone.pop(p.identity, None)

    def left(self, p: Person) -> None:
        """Somebody is not followed any more."""
        self._gone[p.identity] = _gone(p)

    def clean(self, now: float) -> None:
        """What is older than `keep_s` is forgotten."""
        if len(self._first) > 256:
            self._first = dict(list(self._first.items())[-128:])
        if len(self._of) > 64:
            self._of = {k: e for k, e in self._of.items() if now - e.stamp <= self.keep_s}
        self._gone = {i: g for i, g in self._gone.items() if now - g.stamp <= self.keep_s}

    def _votes(self, row: Row, now: float, settled: bool = False) -> Counter[int]:
        votes: Counter[int] = Counter()
        for c, v in row.items():
            found = self._of.get((c, v.tracklet))
            if found is not None and now - found.stamp <= self.keep_s and not (settled and found.unsettled):
                votes[found.identity] += 1
        return votes

    def of_tracklets(self, p: Person, now: float, lost: Iterable[Person], taken: Collection[int]) -> int:
        """The identity that most tracklets of somebody's row belong to: of somebody who left or is lost, and can be
        here by now; 0 = none, or of several people, or of somebody else who is followed (`taken`).
        """
        best = self._votes(p.row, now).most_common(2)
        if not best or (len(best) > 1 and best[0][1] == best[1][1]):
            return 0
        identity = best[0][0]
        known = {**{q.identity: _gone(q) for q in lost}, **self._gone}.get(identity)
        return identity if identity not in taken and (known is None or _reach(p, known, now) >= 0) else 0

    def row_of(self, row: Row, now: float) -> int:
        """The identity that most tracklets of a row belong to; 0 = none."""
        best = self._votes(row, now).most_common(1)
        return best[0][0] if best else 0

    def contradict(self, row: Row, now: float) -> bool:
        """Whether tracklets of a row were different people's before, as the present rig has it."""
        return len(self._votes(row, now, settled=True)) > 1

    def unsettle(self) -> None:
        """There is another rig: it may have others together, and where people were is not known in its world."""
        for e in self._of.values():
            e.unsettled = True
        for g in self._gone.values():
            g.place = None

    def of_unsettled(self, people: Sequence[Person], taken: Collection[int]) -> list[int]:
        """Whose tracklets people are seen by were most before the present rig, all people together; 0 = nobody's.

        One at a time, the first would take what is more another's. Those who are followed (`taken`) are nobody of them.
        """
        weight: list[Counter[int]] = []
        for p in people:
            found = [e for c, v in p.row.items() if (e := self._of.get((c, v.tracklet))) is not None]
            weight.append(Counter())
            if all(e.unsettled for e in found):
                for e in found:
                    weight[-1].update({i: w for i, w in e.weight.items() if i not in taken})
        identities = sorted(set().union(*weight))
        if not identities:
            return [0] * len(people)
        table = np.array([[w[i] for i in identities] for w in weight])
        out = [0] * len(people)
        for n, k in zip(*least_cost_pairs(-table), strict=True):
            if table[n, k] >= _LEAST_WEIGHT:
                out[n] = identities[k]
        return out

    def of_returned(self, p: Person, now: float, lost: Iterable[Person],
                    here: Collection[int] = ()) -> tuple[int, bool]:
        """The identity of somebody who left and can be here by now, of this size, 0 = none; and whether that is
        settled: else more ticks of him may tell him from somebody else who left.

        lost: those who are followed still, but whom no two cameras see.  here: identities of all others who are
        followed: several may come back in one instant.
        """
        costs: dict[int, float] = {}
        mine = stature_m(np.linalg.norm(p.filter.x[BONE_B] - p.filter.x[BONE_A], axis=1))
        since = min((self._first.get((c, v.tracklet), now) for c, v in p.row.items()), default=now)
        for g in [*self._gone.values(), *(_gone(q) for q in lost)]:
            away = now - g.stamp
            if g.identity in here:
                continue
            # a tracklet that was there while he was seen elsewhere is somebody else's, unless he was mistaken then
            together = since < g.stamp - _OVERLAP_S
            if not 0 <= away <= self.keep_s or (together and g.identity not in self._gone):
                continue
            far = _far(p, g)
            size = np.log(mine / g.stature) if g.stature else 0.
            if _reach(p, g, now) < 0 or abs(size) > _SIZE:
                continue
            # people wander: the longer somebody was away, the less his place tells
            wide = _STRAYS_M + _STRAYS_M_S * away if g.place is not None else _ANYWHERE_M
            cost = .5 * (far / wide) ** 2 + 2 * np.log(wide) + _TOGETHER * together
            cost += _unlike(p, g) if g.bones is not None and p.pairs else .5 * (size / _SIZE_SIGMA) ** 2
            costs[g.identity] = min(cost, costs.get(g.identity, np.inf))
        if not costs:
            return 0, True
        best, *others = sorted(costs, key=lambda i: costs[i])
        doubtful = any(costs[i] - costs[best] < _DOUBTFUL for i in others)
        return best, not doubtful or p.pairs >= _LOOK_LONGER

    def moved(self, old: RigModel | None, new: RigModel | None) -> None:
        """Another world frame: places go along with a camera of both; without one they are not known any more."""
        both = [c for c in new.cameras if c in old.cameras] if old is not None and new is not None else []
        for g in self._gone.values():
            if g.place is None:
                continue
            if old is None or new is None or not both:
                g.place = None
                continue
            a, b = old.cameras.index(both[0]), new.cameras.index(both[0])
            g.place = (old.R[a] @ g.place + old.t[a] - new.t[b]) @ new.R[b]

    def shift(self, by_s: float) -> None:
        """Stamps go on from another time."""
        self._first = {k: s + by_s for k, s in self._first.items()}
        for e in self._of.values():
            e.stamp += by_s
        for g in self._gone.values():
            g.stamp += by_s


def _far(p: Person, g: _Gone) -> float:
    return 0. if g.place is None else float(np.linalg.norm((p.filter.x[0] - g.place)[:2]))


def _reach(p: Person, g: _Gone, now: float) -> float:
    """What is left of the way that somebody who left can have gone to where p is, m; below 0: he cannot be p."""
    return _NEAR_M + _WALKS_M_S * (now - g.stamp) - _far(p, g)


def _unlike(p: Person, g: _Gone) -> float:
    """How much the bones of p speak against his being g, nats."""
    assert g.bones is not None
    mine = p.limbs
    if g.place is None:                                 # in another world, which may be of another size
        mine = mine * np.exp(np.median(np.log(g.bones / np.maximum(mine, 1e-6))))
    sigma = _BONE_M * np.sqrt(1 + _BONE_TICKS / g.ticks)
    off = np.minimum(np.abs(mine - g.bones) / sigma, _BONE_MOST)
    return float(_BONE_SHARE * .5 * (off * off).sum())


def _gone(p: Person) -> _Gone:
    measured = p.pairs >= _MEASURED
    bones = p.filter.lengths[:16].copy() if measured else None
    return _Gone(p.identity, p.pair_seen if np.isfinite(p.pair_seen) else p.seen, p.place,
                 float(stature_m(bones)) if bones is not None else 0., bones, p.pairs)
