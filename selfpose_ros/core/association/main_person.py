# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Before any rig is known: the same person in every camera, so that nobody in the background spoils the rig."""
from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..observation import MultiView, View2D
from ..quick import median
from .tracker import CameraTracker, Track, update_trackers

__all__ = ['Candidate', 'MainPerson']

Array = NDArray[np.float64]

_MEMORY_S = 4.                          # of how people moved
_BIN_S = .1                             # their motion is compared at this step
_AGREE_WEIGHT = 4.                      # moving alike in two cameras, against one unit of log score
_AGREE_MOST = .35                       # more alike than this is no surer to be the same person
_HYSTERESIS = .3                        # another choice must be better by this log score
_KEEP_S = 1.5                           # somebody chosen who is not seen is waited for this long
_CHOOSE_EVERY_S = .5
_MOST = 5                               # people per camera that are considered
#: who agrees with the other cameras by less than this share of their own agreement, if they do agree, is left out
_STRANGER, _KNOWN = .35, .15


@dataclass(frozen=True)
class Candidate:
    """A person in one camera.

    Attributes:
        camera, identity: which track; identities as in `MainPerson.identities`.
        score: how well it would do as the main person of its camera, above 0: how long it was seen, how sure, how
            large and how lively it is.
        seen_s: how long it was followed within the memory of 4 s.
        size_px: see `person_size`.  confidence: mean.
        motion: how far joints move around their mean place, in body sizes.
    """

    camera: str
    identity: int
    score: float
    seen_s: float
    size_px: float
    confidence: float
    motion: float


@dataclass
class _Person:
    """What is remembered of one track: per 0.1 s the joints (17, 2) px, their mean confidence and the size, px."""

    track: Track
    image_height: float
    bins: deque[tuple[int, Array, float, float]] = field(default_factory=deque)


class MainPerson:
    """Follows everybody in every camera and chooses one person, the same in all cameras as far as can be told.

    Without a rig two cues are left: within a camera, who is seen for long, surely, large and moving; across
    cameras, how joints move up and down, which looks much the same from everywhere.
    """

    def __init__(self, lost_after_s: float = 1.) -> None:
        self._lost_after_s = lost_after_s
        self._trackers: dict[str, CameraTracker] = {}
        self._people: dict[str, dict[int, _Person]] = {}
        self._chosen: dict[str, int] = {}
        self._last_choice: float | None = None
        self._identities: tuple[NDArray[np.int64], ...] = ()

    @property
    def identities(self) -> tuple[NDArray[np.int64], ...]:
        """Identities (P,) in each view of the newest update, -1 = none."""
        return self._identities

    @property
    def chosen(self) -> Mapping[str, int]:
        """Identity of the main person by camera."""
        return dict(self._chosen)

    def update(self, observation: MultiView) -> tuple[int, ...]:
        """Index of the main person's detection in each view of the observation, -1 = not seen."""
        trackers = [self._trackers.setdefault(v.camera, CameraTracker(self._lost_after_s)) for v in observation.views]
        self._identities = tuple(update_trackers(trackers, observation.views))
        for view, ids in zip(observation.views, self._identities, strict=True):
            self._remember(view, ids)
        now = max((v.stamp for v in observation.views), default=observation.stamp)
        last = self._last_choice
        if not self._chosen or last is None or not 0 <= now - last < _CHOOSE_EVERY_S:
            self._choose(now)
        out = []
        for v, ids in zip(observation.views, self._identities, strict=True):
            hit = np.flatnonzero(ids == self._chosen.get(v.camera, -2))
            out.append(int(hit[0]) if len(hit) else -1)
        return tuple(out)

    def candidates(self) -> list[Candidate]:
        """Everybody in every camera who is not lost, best first."""
        found = [self._candidate(camera, p) for camera, people in self._people.items() for p in people.values()]
        return sorted(found, key=lambda c: (-c.score, c.camera, c.identity))

    def combinations(self, limit: int = 5) -> list[dict[str, int]]:
        """Choices of one identity per camera, best first: for who wants to try others than `chosen`."""
        ranked = _Field.of(self.candidates(), self._people).ranked()
        return [choice for _, choice in ranked[:limit]]

    def select(self, choice: Mapping[str, int]) -> None:
        """Take this choice (one of `combinations`) from now on, until those people are lost."""
        self._chosen = dict(choice)

    def _remember(self, view: View2D, ids: NDArray[np.int64]) -> None:
        """What a view adds to the people of its camera; ids: (P,) of its detections."""
        people = self._people.setdefault(view.camera, {})
        tracks = {t.identity: t for t in self._trackers[view.camera].tracks}
        for gone in [i for i, p in people.items() if i not in tracks]:
            lost = people[gone].track                     # the chosen one may only be hidden
            if self._chosen.get(view.camera) != gone or not 0 <= view.stamp - lost.newest <= _KEEP_S:
                del people[gone]
                if self._chosen.get(view.camera) == gone:
                    del self._chosen[view.camera]
        step = int(np.floor(view.stamp / _BIN_S))
        for index, i in enumerate(ids):
            if i < 0:
                continue
            person = people.setdefault(int(i), _Person(tracks[int(i)], float(view.image_size[1])))
            track = tracks[int(i)]
            entry = (step, track.keypoints, float(view.confidence[index].mean()), track.size)
            if person.bins and person.bins[-1][0] == step:
                person.bins[-1] = entry
            else:
                person.bins.append(entry)
            while step - person.bins[0][0] > _MEMORY_S / _BIN_S:
                person.bins.popleft()

    def _candidate(self, camera: str, p: _Person) -> Candidate:
        seen_s = len(p.bins) * _BIN_S
        sure = float(np.mean([c for _, _, c, _ in p.bins]))
        points = np.stack([k for _, k, _, _ in p.bins])
        off = np.abs(points - median(points)).sum(-1)
        off = off[np.isfinite(off)]
        motion = float(median(off) / p.track.size) if len(off) else 0.
        large = p.track.size / p.image_height
        # a chair that passes for a person stands still to less than one hundredth of its size
        score = seen_s * sure * large * (.2 + min(motion / .05, 1.))
        return Candidate(camera, p.track.identity, score, seen_s, p.track.size, sure, motion)

    def _choose(self, now: float) -> None:
        self._last_choice = now
        everybody = _Field.of(self.candidates(), self._people)
        ranked = everybody.ranked()
        if not ranked:
            return
        best, choice = ranked[0]
        present = {item: k for item, k in self._chosen.items() if (item, k) in everybody.who}
        if present and best - everybody.worth({**choice, **present}) < _HYSTERESIS:
            choice = {**choice, **present}
        self._chosen = everybody.reject_inconsistent(choice)


@dataclass(frozen=True)
class _Field:
    """Everybody in every camera with log scores (N,) and how alike they move (N, N)."""

    who: tuple[tuple[str, int], ...]
    score: Array
    alike: Array

    @classmethod
    def of(cls, candidates: list[Candidate], people: Mapping[str, Mapping[int, _Person]]) -> _Field:
        count, some = Counter[str](), []
        for c in candidates:                               # best first; nobody is judged by a glimpse
            count[c.camera] += 1
            if count[c.camera] <= _MOST and (c.seen_s >= .3 or count[c.camera] == 1):
                some.append(c)
        who = tuple((c.camera, c.identity) for c in some)
        score = np.log(np.array([c.score for c in some]) + 1e-9)
        alike = _alike([people[c][i] for c, i in who]) if who else np.zeros((0, 0))
        return cls(who, score, np.minimum(alike, _AGREE_MOST))

    def worth(self, choice: Mapping[str, int]) -> float:
        """Mean log score of the cameras, and mean agreement of their pairs."""
        at = [self.who.index(item) for item in choice.items()]
        pairs = self.alike[np.ix_(at, at)][np.triu_indices(len(at), 1)]
        return float(self.score[at].mean() + (_AGREE_WEIGHT * pairs.mean() if len(pairs) else 0.))

    def reject_inconsistent(self, choice: Mapping[str, int]) -> dict[str, int]:
        """Leave out cameras in which another person was chosen because the right one is not seen there."""
        kept = dict(choice)
        alone = len(self.who) == len({camera for camera, _ in self.who})
        while len(kept) > 2 and not alone:
            at = [self.who.index(item) for item in kept.items()]
            pairs = self.alike[np.ix_(at, at)]
            np.fill_diagonal(pairs, 0.)
            n = len(at) - 1
            own = pairs.sum(0) / n
            worst = int(np.argmin(own))
            rest = (pairs.sum() - 2 * pairs[worst].sum()) / (n * (n - 1))
            if rest < _KNOWN or own[worst] > _STRANGER * rest:
                break
            del kept[self.who[at[worst]][0]]
        return kept

    def ranked(self) -> list[tuple[float, dict[str, int]]]:
        """Choices grown from every candidate in turn, with their worth, best first, no two alike."""
        if not self.who:
            return []
        names = sorted({camera for camera, _ in self.who})
        of = np.array([names.index(camera) for camera, _ in self.who])
        members = [np.flatnonzero(of == c) for c in range(len(names))]
        seeds = np.arange(len(self.who))
        value = self.score + _AGREE_WEIGHT * self.alike                             # a row for each seed
        best = np.stack([ks[value[:, ks].argmax(1)] for ks in members], 1)
        for c, ks in enumerate(members):                                            # then each as the others want it
            others = np.delete(best, c, axis=1)
            if others.shape[1]:
                mean = self.score[ks] + _AGREE_WEIGHT * self.alike[ks[None, :, None], others[:, None]].mean(-1)
                best[:, c] = ks[mean.argmax(1)]
            best[of == c, c] = seeds[of == c]
        choices: list[dict[str, int]] = [dict(self.who[k] for k in row) for row in np.unique(best, axis=0)]
        return sorted(((self.worth(choice), choice) for choice in choices), key=lambda found: -found[0])


def _alike(people: list[_Person]) -> Array:
    """(N, N) correlation, about 0 to 1, of the motion within the body; 0 when that cannot be told.

    Compared are the joints' heights, which look much the same from all cameras that stand upright, and how fast
    the joints move in the image, capped, which tells when somebody steps or raises an arm. Tried on synthetic
    pairs of people: 0.89 of all (same, different) pairs are told apart, heights alone 0.77, speeds alone 0.86.
    """
    first = min(p.bins[0][0] for p in people)
    length = max(p.bins[-1][0] for p in people) - first + 1
    at = np.full((len(people), length, 17, 2), np.nan)
    for row, p in zip(at, people, strict=True):
        row[[step - first for step, *_ in p.bins]] = [k / size for _, k, _, size in p.bins]
    known = np.isfinite(at[..., 0])
    joints = known.sum(-1)
    at[joints < 8] = np.nan
    middle = np.where(known[..., None], at, 0.).sum(2) / np.maximum(joints, 1)[..., None]
    at = at - middle[:, :, None]
    speed = np.full(at.shape[:3], np.nan)
    speed[:, 1:-1] = .5 * np.sqrt(((at[:, 2:] - at[:, :-2]) ** 2).sum(-1))
    feature = np.concatenate([at[..., 1], 4 * np.minimum(speed, .05)], -1)       # (N, steps, 34)
    return _correlation(np.ascontiguousarray(feature.transpose(2, 0, 1)))


def _correlation(x: Array) -> Array:
    """Over time and features: (F, N, T), NaN = unknown -> (N, N); unequal gaps and noise draw it towards 0."""
    seen = np.isfinite(x)
    m = seen.astype(float)
    x = np.where(seen, x, 0.)
    x = np.clip(x - x.sum(-1, keepdims=True) / np.maximum(m.sum(-1, keepdims=True), 1.), -.3, .3) * m
    N = x.shape[1]
    power, both, often, most = (np.zeros((N, N)) for _ in range(4))
    for a, k in zip(x, m, strict=True):                    # one by one: what is in the cache is there for all steps
        n = k @ k.T
        enough = n >= 8                                    # 0.8 s in common
        n1 = np.maximum(n, 1.)
        mean = (a @ k.T) / n1                              # of the first, where both are seen
        power += np.where(enough, ((a * a) @ k.T) / n1 - mean ** 2, 0.)
        both += np.where(enough, (a @ a.T) / n1 - mean * mean.T, 0.)
        often += enough
        np.maximum(most, n, out=most)
    noise = 1e-4 * often + 1e-9                            # 1 % of the body
    sure = np.minimum(most / 20., 1.)
    return np.asarray(sure * both / (np.sqrt(np.maximum(power * power.T, 0.)) + noise))
