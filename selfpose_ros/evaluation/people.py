# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Several people against the truth: how many are found, how well, and whether they keep their identities.

One similarity for the whole scene, found robustly without using who is who, moves the result onto the truth. A person
counts in the instants in which two views or more see enough of him; somebody less seen is neither missed nor false.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core import rotation
from ..core.assignment import least_cost_pairs
from ..core.result import Skeletons
from .alignment import LEAST_JOINTS, Alignment, residual_mm
from .scoring import common_joints
from .tracking import Instant, hota, idf1, track

__all__ = ['PeopleMatches', 'PeopleScore', 'PeopleTruth', 'match_people', 'people_score', 'people_summary']

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

#: people further apart on average of their joints are not the same, m; the similarity of HOTA is 0 at twice that
_NEAR_M = .5
#: joints that make a person seen in a view; views that must see him
_SEEN, _VIEWS = 8, 2
#: a result further from an instant, in steps, belongs to another one
_APART = .6
#: pieces of results that an alignment is sought with, instants; of those every third, but so many; rounds that refine
_PIECE, _EVERY, _FEWEST, _ROUNDS = 50, 3, 5, 12
#: an error of this counts half in an alignment, m; results on which an alignment is judged
_HALF_M, _JUDGED = .08, 250


@dataclass(frozen=True)
class PeopleTruth:
    """What is true of a scene.

    Attributes:
        stamp: (T,) s, rising.  joints: (T, P, J, 3) m with `names` (J,).
        visible: (T, V, P, J) inside the image and behind nobody.
    """

    stamp: Array
    joints: Array
    names: tuple[str, ...]
    visible: NDArray[np.bool_]


@dataclass(frozen=True)
class PeopleScore:
    """Of one scene.

    Attributes:
        recall, precision: share of true people found, of estimates that are somebody, %.
        mpjpe, pa: mean error of those found, after the scene's alignment and after one of each skeleton, mm.
        mota, idf1, hota: %.  switches: of identity, for each person and minute.
        level3_s: from the first instant to the first skeleton at level 3, s; NaN = never.
        identities: that were given.  frames: of people that count.  matched: of them.  false: estimates of nobody.
    """

    recall: float
    precision: float
    mpjpe: float
    pa: float
    mota: float
    idf1: float
    hota: float
    switches: float
    level3_s: float
    identities: int
    frames: int
    matched: int
    false: int


@dataclass(frozen=True)
class PeopleMatches:
    """Who is who: M matches of an estimate with a true person.

    Attributes:
        instant: (M,) index into `PeopleTruth.stamp`.  true: (M,) index of the person.  identity: (M,) as estimated.
        error_mm, pa_mm: (M,) mean error of each, after the scene's alignment and after one of its own.
        switches: how often a true person's identity is another one than before.
        score: of the scene.
    """

    instant: Whole
    true: Whole
    identity: Whole
    error_mm: Array
    pa_mm: Array
    switches: int
    score: PeopleScore


def people_score(truth: PeopleTruth, result: Skeletons, trusted: bool = False) -> PeopleScore:
    """Lay a result beside the truth; trusted: from the first instant at level 3 on only."""
    return match_people(truth, result, trusted).score


def match_people(truth: PeopleTruth, result: Skeletons, trusted: bool = False) -> PeopleMatches:
    """As `people_score`, with the matches that it counts."""
    ours, theirs = common_joints(truth.names)
    true = truth.joints[:, :, theirs].astype(float)
    joints, person, level = _at_instants(truth, result, ours, true)
    at3 = (level >= 3).any(1)
    first = int(np.argmax(at3)) if at3.any() else len(at3)
    moved = _scene_alignment(np.where((level >= 3)[..., None, None], joints, np.nan) if at3.any() else joints, true,
                             person)
    if moved is not None:
        joints = moved.apply(joints.reshape(-1, 3)).reshape(joints.shape)
    counts = (truth.visible.sum(-1) >= _SEEN).sum(1) >= _VIEWS
    use = np.arange(first if trusted else 0, len(true))
    instants, chosen = [], []
    for k in use:
        q = np.flatnonzero(np.isfinite(joints[k]).all(-1).sum(-1) >= LEAST_JOINTS)
        d = _distance(joints[k, q][None], true[k][:, None]) if moved is not None else np.full((true.shape[1], len(q)),
                                                                                            np.inf)
        q, d = _without_uncounted(q, d, counts[k])
        p = np.flatnonzero(counts[k])
        instants.append(Instant(d[p], p, person[k, q]))
        chosen.append((p, q))
    found = track(instants, _NEAR_M)
    who = np.array([(use[i], chosen[i][0][a], chosen[i][1][b]) for i, a, b in found.matches], np.int64).reshape(-1, 3)
    errors, pa = np.empty(len(who)), np.empty(len(who))
    for m, (k, p, q) in enumerate(who):
        x, g = joints[k, q], true[k, p]
        known = np.isfinite(x).all(-1)
        errors[m] = 1e3 * np.linalg.norm(x[known] - g[known], axis=-1).mean()
        pa[m] = residual_mm(x[known], g[known])
    n, hits, step = int(counts[use].sum()), len(found.matches), float(np.median(np.diff(truth.stamp)))
    score = PeopleScore(
        100 * hits / max(n, 1), 100 * hits / max(hits + found.false, 1), float(np.mean(errors)) if hits else np.nan,
        float(np.mean(pa)) if hits else np.nan, 100 * found.mota, 100 * idf1(instants, _NEAR_M),
        100 * hota(instants, 2 * _NEAR_M), found.switches / max(n * step / 60, 1e-9),
        float(truth.stamp[first] - truth.stamp[0]) if at3.any() else np.nan, len(np.unique(person[person > 0])), n,
        hits, found.false)
    return PeopleMatches(who[:, 0], who[:, 1], person[who[:, 0], who[:, 2]], errors, pa, found.switches, score)


def people_summary(scores: Sequence[PeopleScore]) -> dict[str, float]:
    """Of several scenes: people weigh alike; the median of the times."""
    frames, matched = (np.array([getattr(s, k) for s in scores], float) for k in ('frames', 'matched'))
    out = {k: float((frames * [getattr(s, k) for s in scores]).sum() / max(frames.sum(), 1.))
           for k in ('recall', 'mota', 'idf1', 'hota', 'switches')}
    for k in ('mpjpe', 'pa'):
        out[k] = float((matched * np.nan_to_num([getattr(s, k) for s in scores])).sum() / max(matched.sum(), 1.))
    out['precision'] = 100 * matched.sum() / max(matched.sum() + sum(s.false for s in scores), 1.)
    times = np.array([s.level3_s for s in scores])
    out['level3_s'] = float(np.nanmedian(times)) if np.isfinite(times).any() else np.nan
    return out


def _at_instants(truth: PeopleTruth, result: Skeletons, ours: Whole, true: Array) -> tuple[Array, Whole, Whole]:
    """Joints (T, Q, J, 3) m, identities and levels (T, Q) at the true instants; `true` is moved to the result's."""
    T, Q, step = len(true), result.joints.shape[1], float(np.median(np.diff(truth.stamp)))
    joints = np.full((T, Q, len(ours), 3), np.nan)
    person, level = np.zeros((T, Q), np.int64), np.zeros((T, Q), np.int64)
    original = true.copy()
    for i, stamp in enumerate(result.stamp):
        k = int(np.abs(truth.stamp - stamp).argmin())
        if abs(truth.stamp[k] - stamp) > _APART * step:
            continue
        joints[k], person[k], level[k] = result.joints[i][:, ours], result.person[i], result.level[i]
        at = float(np.interp(stamp, truth.stamp, np.arange(T)))
        a = min(int(at), T - 2)
        true[k] = (1 - at + a) * original[a] + (at - a) * original[a + 1]
    joints[person < 1] = np.nan
    return joints, person, level


def _distance(a: Array, b: Array) -> Array:
    """Mean distance (...) m of the joints (..., J, 3) that both have; inf with fewer than the least."""
    e = np.linalg.norm(a - b, axis=-1)
    known = np.isfinite(e)
    n = known.sum(-1)
    return np.where(n >= LEAST_JOINTS, np.where(known, e, 0.).sum(-1) / np.maximum(n, 1), np.inf)


def _without_uncounted(q: Whole, d: Array, counts: NDArray[np.bool_]) -> tuple[Whole, Array]:
    """Without estimates of people who do not count: indices q (Q,), distances (P, Q)."""
    i, j = least_cost_pairs(np.where(d < _NEAR_M, d, 1e3))
    gone = [b for a, b in zip(i, j, strict=True) if d[a, b] < _NEAR_M and not counts[a]]
    return np.delete(q, gone), np.delete(d, gone, axis=1)


def _scene_alignment(joints: Array, true: Array, person: Whole) -> Alignment | None:
    """The similarity that brings most skeletons near somebody: pieces of every identity are tried on every person."""
    there = np.isfinite(joints).all(-1).sum(-1) >= LEAST_JOINTS
    k, q = np.nonzero(there)
    if not len(k):
        return None
    step = max(1, len(k) // _JUDGED)
    some, all_true = joints[k[::step], q[::step]], true[k[::step]]

    def moved(m: Alignment) -> Array:
        return m.apply(some.reshape(-1, 3)).reshape(some.shape)

    def worth(m: Alignment) -> float:
        if not .2 < m.scale < 5.:
            return -1.
        return float(np.clip(1 - _distance(moved(m)[:, None], all_true).min(1) / _NEAR_M, 0, 1).mean())
    best, found = -1., None
    every = max(1, min(_EVERY, len(joints) // _FEWEST))
    for identity in np.unique(person[there]):
        for a in range(0, len(joints), _PIECE):
            kk, qq = (x[::every] for x in np.nonzero(there[a:a + _PIECE] & (person[a:a + _PIECE] == identity)))
            for p in range(true.shape[1]):
                x, g = joints[kk + a, qq], true[kk + a, p]
                ok = np.isfinite(x).all(-1) & np.isfinite(g).all(-1)
                if len(kk) < _FEWEST or ok.sum() < 50:
                    continue
                m = _similarity(x[ok], g[ok], np.ones(int(ok.sum())))
                if (w := worth(m)) > best:
                    best, found = w, m
    for n in range(_ROUNDS if found is not None else 0):
        assert found is not None
        y = moved(found)
        d = _distance(y[:, None], all_true)
        g = all_true[np.arange(len(y)), d.argmin(1)]
        e = np.linalg.norm(y - g, axis=-1)
        ok = np.isfinite(e) & (d.min(1) < (2 * _NEAR_M if n < 4 else _NEAR_M))[:, None]
        if ok.sum() < 50:
            break
        found = _similarity(some[ok], g[ok], 1 / (1 + (e[ok] / _HALF_M) ** 2))
    return found


def _similarity(points: Array, true: Array, weight: Array) -> Alignment:
    s, R, t = rotation.similarity_alignment(points, true, weight)
    return Alignment(R, t, s)
