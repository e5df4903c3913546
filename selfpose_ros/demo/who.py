# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Which skeleton is which true person: found from where they are, after the fact, with no look at identities."""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..core.camera import project
from ..core.observation import Skeleton3D
from ..core.result import Skeletons
from ..core.rig import NotSolved, Rig
from ..core.skeleton import JOINTS
from ..evaluation.alignment import pa_mm
from ..evaluation.people import PeopleMatches, PeopleTruth, match_people
from ..synthetic.views import hidden_joints
from .film import Film
from .record import CrowdNumbers, Instant, Numbers, Record, Verdict, judged_from, verdict_on

__all__ = ['Match', 'Who', 'crowd_numbers', 'crowd_verdict', 'who_is_who']

Array = NDArray[np.float64]

#: more than all identities of a run
_TWICE = 1 << 20


@dataclass(frozen=True)
class Match:
    """A skeleton that is a true person: index into `Film.people`, with those joints (17, 3) m."""

    instant: Instant
    skeleton: Skeleton3D
    person: int
    true: Array


@dataclass(frozen=True)
class Who:
    """Of one stretch. instants: its messages in the order of time.  counts: None where there are not two instants."""

    instants: tuple[Instant, ...]
    matches: tuple[Match, ...]
    counts: PeopleMatches | None


def who_is_who(record: Record, film: Film, begin_s: float, end_s: float, trusted: bool = False) -> Who:
    """Match the skeletons of a stretch with people; trusted: from the first of level 3 on only."""
    instants = tuple({i.time_s: i for i in sorted(record.between(max(begin_s, 0.), min(end_s, film.duration_s)),
                                                  key=lambda i: i.time_s)}.values())
    if len(instants) < 2:
        return Who(instants, (), None)
    times = np.array([i.time_s for i in instants])
    step = float(np.median(np.diff(times)))
    # where no message came, people are missed all the same
    silent = [t for t in np.arange(times[0], min(end_s, film.duration_s), step) if np.abs(times - t).min() > step]
    stamps = np.sort(np.r_[times, silent])
    joints = np.stack([[p.at(t) for p in film.people] for t in stamps])
    truth = PeopleTruth(stamps, joints, JOINTS, _visible(joints, film.rig))
    people = [_each(i.people) for i in instants]
    result = Skeletons.of(times.tolist(), [[replace(s, person=key) for key, s in each.items()] for each in people],
                          film.rig.cameras, NotSolved('not asked for'))
    counts = match_people(truth, result, trusted)
    by_time = {i.time_s: (i, each) for i, each in zip(instants, people, strict=True)}
    matches = []
    for k, p, key in zip(counts.instant, counts.true, counts.identity, strict=True):
        instant, each = by_time[float(stamps[k])]
        matches.append(Match(instant, each[int(key)], int(p), joints[k, p]))
    return Who(instants, tuple(matches), counts)


def _each(people: tuple[Skeleton3D, ...]) -> dict[int, Skeleton3D]:
    """By identity. Where two have one identity, which should not be, the second is somebody all the same."""
    out: dict[int, Skeleton3D] = {}
    for s in people:
        key = s.person
        while key in out:
            key += _TWICE
        out[key] = s
    return out


def _visible(joints: Array, rig: Rig) -> NDArray[np.bool_]:
    """(T, V, P, 17) inside the image and behind nobody, of joints (T, P, 17, 3) m."""
    out = np.empty((len(joints), len(rig.cameras), *joints.shape[1:3]), bool)
    for v in range(len(rig.cameras)):
        px = project(joints, rig.K[v], rig.R[v], rig.t[v])
        with np.errstate(invalid='ignore'):
            inside = (px >= 0).all(-1) & (px < rig.image_size[v]).all(-1)
        out[:, v] = inside & ~hidden_joints(joints, px, rig, v)
    return out


def crowd_numbers(record: Record, film: Film, begin_s: float, end_s: float,
                  since_s: float = 0.) -> tuple[Numbers, CrowdNumbers]:
    """Figures of a stretch of the run; switches and identities since level 3 after `since_s`, up to its end."""
    who, whole = who_is_who(record, film, begin_s, end_s), who_is_who(record, film, since_s, end_s, trusted=True)
    pairs = [(m.skeleton, m.true) for m in who.matches]
    share = float(np.mean([bool(i.people) for i in who.instants])) if who.instants else 0.
    numbers = Numbers.over(list(who.instants), pairs, share, record.rig, film.rig, end_s - begin_s)
    # also of skeletons that are nobody
    numbers = replace(numbers, level=max((s.level for i in who.instants for s in i.people), default=0))
    errors = [[pa_mm(m.skeleton.joints, m.true) for m in who.matches if m.person == p]
              for p in range(len(film.people))]
    score, after = who.counts and who.counts.score, whole.counts
    return numbers, CrowdNumbers(
        score.recall if score else 0., score.precision if score else 0.,
        tuple(float(np.mean(e)) if e else float('nan') for e in errors), after.switches if after else 0,
        len({s.person for i in whole.instants for s in i.people if s.level == 3}))


def crowd_verdict(record: Record, film: Film) -> Verdict:
    """As `record.verdict`, of several people."""
    numbers, crowd = crowd_numbers(record, film, judged_from(film.duration_s), film.duration_s)
    return verdict_on(record, numbers, film.duration_s, crowd)
