# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The rig from everybody who is in sight: who is who and where the cameras are, found together.

Hypotheses of who is who (`hypotheses`) are each solved coarsely; the one whose rig explains most of all detections
(`assigned`), whoever they are, is taken. With its cameras all detections are assigned again, and the rig is solved
again with everybody, until nothing changes.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .. import rotation
from ..cameras import Cameras
from ..noise import NoiseModel
from .alike import alike
from .assigned import Assignment, assign_all
from .clocks import timed
from .further import further_camera
from .hypotheses import Hypothesis, Tracklet, hypotheses, poses_of
from .largest import solve_largest
from .late import late_cameras, out_of_step_text
from .sightings import Sightings
from .solver import FirstGuess, Solution, SolverConfig, Tracks, finish, first_guess
from .start import Start
from .value import NotSolved

__all__ = ['Everybody', 'solve_everybody', 'solve_views']

Array = NDArray[np.float64]

#: people whose bones are unknowns of their own: those who are seen most
_MOST_PEOPLE = 8
#: support of a first guess from which it needs no rival, and from which single people are not tried; of a rig that is
#: returned. Measured on 60 windows of the validation split: right ones .65 to .97, wrong ones at most .63
_CLEAR, _LIKELY, _SUPPORT = .75, .68, .6
#: support from which cameras that are given to start from need no rival, and none of them is placed anew
_SURE = .9
#: a hypothesis is as likely as the best from this share of its worth on; rigs explain as much from this share on, and
#: are different from here on, degrees
_RIVAL, _AS_MUCH, _OTHER_DEG = .9, .95, 20.
#: a rig is overturned by one that explains more: this share of it is what the old one reaches at most
_OVERTURNED = .85
#: a camera that is placed anew explains more by this much at least
_FURTHER = 1.04
#: single people who are tried where everybody at once fails
_ALONE = 3
#: rounds of adjustment and assignment
_ROUNDS = 2
#: a detection is explained by a rig that is roughly right when its joints lie as near as this, body sizes
_ROUGHLY = .06


@dataclass(frozen=True, eq=False)
class Everybody:
    """A rig and who is who with it; `assignment` is of the detections in the order of the solution's cameras.

    overturned: the cameras that were given to start from explain clearly less.
    """

    solution: Solution
    assignment: Assignment
    overturned: bool = False


def solve_views(views: Tracks | Sightings, config: SolverConfig | None = None, *, start: Start | None = None,
                noise: NoiseModel | None = None, min_quality: float = 0.) -> Solution | NotSolved:
    """The rig from what was seen of one person, see `solve_largest`, or of everybody, see `solve_everybody`."""
    if isinstance(views, Tracks):
        return solve_largest(views, config, start=start, noise=noise, min_quality=min_quality)
    late = late_cameras(views)
    kept = [v for v, c in enumerate(views.cameras) if c not in late]
    if len(kept) < 2:
        return NotSolved(f'{out_of_step_text(late)}: synchronise their clocks', {})
    wrong = start is not None and bool(set(late) & set(start.names))
    if late:
        views = views.views(np.array(kept))
    if wrong:
        start = None
    found = solve_everybody(views, config, start=start, noise=noise)
    if isinstance(found, NotSolved):
        return found
    return replace(found.solution, overturned=found.overturned or wrong, late=late)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """Cameras by name, roughly placed, and what they explain."""

    names: tuple[str, ...]
    guess: FirstGuess
    assignment: Assignment


def solve_everybody(d: Sightings, config: SolverConfig | None = None, *,
                    start: Start | None = None, noise: NoiseModel | None = None) -> Everybody | NotSolved:
    """Find the rig from detections with lifted poses of any number of people. Deterministic.

    Args:
        start: cameras as they are thought to be, tried beside the fresh hypotheses; of as many as it has.
        noise: of the 2D network, from an earlier solution; None = prior.
    """
    config = config or SolverConfig()
    lifted = np.nonzero(np.isfinite(d.lifted_sigma).any((1, 2, 3)))[0]
    few = d.instants(lifted) if len(lifted) else d
    noise = noise or NoiseModel.prior(d.image_size)
    known = None
    if start is not None and set(start.names) <= set(d.cameras):
        known = _mended(few, _candidate(few, start.names, FirstGuess(start.cameras, start.bones, noise)))
    likely, refused = _likely(few, config, known)
    if not likely:
        return refused if refused is not None else NotSolved(
            'no two cameras show the same person for long enough: walk where they overlap', {})
    solved = [(c, _finished(d, c, few is d, config)) for c in likely]
    good = sorted(((c, s) for c, s in solved if not isinstance(s, NotSolved)), key=lambda s: -s[1].assignment.support)
    if not good:
        return next(s for _, s in solved if isinstance(s, NotSolved))
    best, found = good[0]
    if any(_rivals(other, found) for _, other in good[1:]):
        return NotSolved('several people are in sight, and it is undecided who is who in the views: two rigs explain '
                         'what is seen equally well: let one of them walk, or be alone, for some seconds',
                         {'support': found.assignment.support})
    who = found.assignment
    if who.support < _SUPPORT:
        return NotSolved('several people are in sight, and it is undecided who is who in the views: the likeliest rig '
                         f'explains {100 * who.share:.0f} % of what is seen, and {100 * who.found:.0f} % of what '
                         'should be: let one of them walk, or be alone, for some seconds', {'support': who.support})
    overturned = known is not None and best is not known and _worth(known) < _OVERTURNED * _worth(best)
    names = found.solution.tracks.cameras
    solution = replace(_timed(_part(d, names), found), support=who.support, joined=who.joined)
    return replace(found, solution=solution, overturned=overturned)


def _finished(d: Sightings, c: _Candidate, assigned: bool,
              config: SolverConfig) -> Everybody | NotSolved:
    """The candidate adjusted to everybody, in turn with who is who.

    assigned: its assignment is of all instants of d.
    """
    part, guess, solution = _part(d, c.names), c.guess, None
    who = c.assignment if assigned else assign_all(part, guess.cameras, guess.noise, _ROUGHLY)
    for _ in range(_ROUNDS):
        a = who.many(_MOST_PEOPLE)
        finished = finish(part.tracks(a.instant, a.chosen, a.person), guess, config)
        if isinstance(finished, NotSolved):
            return finished
        solution = finished
        before, who = who, assign_all(part, solution.state.cameras, solution.noise)
        guess = replace(guess, cameras=solution.state.cameras, noise=solution.noise)
        if _same(who, before):
            break
    assert solution is not None
    return Everybody(solution, who)


def _likely(d: Sightings, config: SolverConfig,
            known: _Candidate | None) -> tuple[list[_Candidate], NotSolved | None]:
    """The candidate that explains most, and those that explain as much, if there are such; known: as `_mended` has it.

    The first that explains nearly everything is compared with those alone that are as likely by lifted poses: where
    another rig explains as much, which of the two it is must not be left to chance.
    """
    best: _Candidate | None = known
    refused: NotSolved | None = None
    if best is not None and best.assignment.support >= _SURE:
        return [best], None
    found = hypotheses(alike(d), len(d.cameras))
    # everybody at once; but one tracklet that is taken for somebody else can spoil it: then single people
    everybody = [(h, h.people) for h in found]
    alone: list[tuple[Hypothesis, tuple[tuple[Tracklet, ...], ...]]] = [
        (h, (p,)) for h in found if len(h.people) > 1 for p in h.people[:_ALONE]]
    candidates = [] if known is None else [known]
    for n, (h, people) in enumerate(everybody + alone):
        support = 0. if best is None else best.assignment.support
        if n >= len(found) and support >= _LIKELY or support >= _CLEAR and h.worth < _RIVAL * found[0].worth:
            break
        tried = _tried(d, h.cameras, people, config)
        if isinstance(tried, NotSolved):
            refused = tried if refused is None else refused
            continue
        candidates.append(tried)
        if best is None or _worth(tried) > _worth(best):
            best = tried
    if best is None:
        return [], refused
    whole = best if best is known else _mended(d, best)     # what was given is mended already
    candidates, best = [whole if c is best else c for c in candidates], whole
    rivals = [c for c in candidates if c is not best and c.names == best.names and c.assignment.support >= _CLEAR
              and _worth(c) >= _AS_MUCH * _worth(best) and _apart(c.guess.cameras, best.guess.cameras)]
    return [best, *rivals[:1]], refused


def _apart(a: Cameras, b: Cameras) -> bool:
    """Different rigs."""
    return bool(rotation.angle_deg(a.R @ a.R[0].T, b.R @ b.R[0].T).max() > _OTHER_DEG)


def _rivals(a: Everybody, b: Everybody) -> bool:
    """Different rigs that explain about as much."""
    return a.assignment.support >= _AS_MUCH * b.assignment.support and _apart(
        a.solution.state.cameras, b.solution.state.cameras)


def _worth(c: _Candidate) -> float:
    """Number of detections explained, as far as they are seen where they should be."""
    return c.assignment.support * c.assignment.seen


def _same(a: Assignment, b: Assignment) -> bool:
    """Who is who is the same but for a few."""
    pairs = [{(int(n), int(v), int(k)) for n, row in zip(x.instant, x.chosen, strict=True)
              for v, k in enumerate(row) if k >= 0} for x in (a, b)]
    return len(pairs[0] ^ pairs[1]) < .05 * len(pairs[0] | pairs[1])


def _part(d: Sightings, names: tuple[str, ...]) -> Sightings:
    return d if names == d.cameras else d.views(np.array([d.cameras.index(c) for c in names]))


def _candidate(d: Sightings, names: tuple[str, ...], guess: FirstGuess) -> _Candidate:
    return _Candidate(names, guess, assign_all(_part(d, names), guess.cameras, guess.noise, _ROUGHLY))


def _mended(d: Sightings, c: _Candidate) -> _Candidate:
    """With the cameras that it lacks, and with those placed anew that are wrong, as far as more is explained then."""
    missing = [n for n in d.cameras if n not in c.names]
    for camera in missing if c.assignment.support >= _SURE else [*missing, *c.names]:
        v = d.cameras.index(camera)
        rest = [k for k, n in enumerate(c.names) if n != camera]
        if len(rest) < 2 or not d.present[:, v].any():
            continue
        names, others = tuple(c.names[k] for k in rest), c.guess.cameras.take(rest)
        who = c.assignment if camera not in c.names else assign_all(_part(d, names), others, c.guess.noise, _ROUGHLY)
        placed = further_camera(d, v, names, others, c.guess.noise, who)
        if placed is None:
            continue
        both = others.joined(placed)
        at = [*range(len(rest)), len(rest)]
        if camera in c.names:                                # in its old place
            at.insert(c.names.index(camera), at.pop())
        more = _candidate(d, tuple((*names, camera)[k] for k in at), replace(c.guess, cameras=both.take(at)))
        if more.assignment.support >= _SUPPORT and _worth(more) > _FURTHER * _worth(c):
            c = more
    return c


def _tried(d: Sightings, cameras: tuple[int, ...], people: tuple[tuple[Tracklet, ...], ...],
           config: SolverConfig) -> _Candidate | NotSolved:
    names = tuple(d.cameras[c] for c in cameras)
    part, number = _part(d, names), {c: k for k, c in enumerate(cameras)}
    members = tuple(tuple((number[c], n) for c, n in person) for person in people[:_MOST_PEOPLE])
    guess = first_guess(part.tracks(*poses_of(part, members)), config)
    return guess if isinstance(guess, NotSolved) else _candidate(d, names, guess)


def _timed(d: Sightings, found: Everybody) -> Solution:
    """With the offsets of the cameras' clocks, and with flights."""
    solution, who, moving = found.solution, found.assignment, d
    if d.motion is not None:
        moving, who = d.motion, assign_all(d.motion, solution.state.cameras, solution.noise)
    a = who.many(_MOST_PEOPLE)
    return timed(moving.tracks(a.instant, a.chosen, a.person), solution, d.clock_offset_s)
