# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How all cameras may be turned against each other, and who is who then: several hypotheses, best first.

Rotations of two cameras are proposed by pairs of tracklets (`alike`); those of all cameras are grown from the best of
them, each further camera where it agrees best with all that are placed. Under a hypothesis, tracklets of different
cameras that fit are one person.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import rotation
from .alike import Alike
from .sightings import Sightings

__all__ = ['Hypothesis', 'Tracklet', 'hypotheses', 'poses_of']

Array = NDArray[np.float64]
Index = NDArray[np.int64]
#: a tracklet: the index of its camera, and its number there
Tracklet = tuple[int, int]

#: hypotheses that are nearer to each other than this are one, degrees
_SAME_DEG = 20.
#: how often rotations are averaged with the matches that follow from them
_ROUNDS = 3


@dataclass(frozen=True)
class Hypothesis:
    """Attributes:
    cameras: (M,) indices of those that are placed, sorted.  R: (M, 3, 3) camera from the first of them.
    worth: 0..1, mean over the pairs of cameras that show anybody together, see `Alike.worth`.
    people: tracklets that are one person, of two cameras or more; who is seen most comes first.
    """

    cameras: tuple[int, ...]
    R: Array
    worth: float
    people: tuple[tuple[Tracklet, ...], ...]


def hypotheses(pairs: Mapping[tuple[int, int], Alike], cameras: int, fewest: int = 4,
               most: int = 3) -> list[Hypothesis]:
    """At most `most` hypotheses, best first; [] when no two cameras show the same body.

    Args:
        pairs: see `alike`.  fewest: instants at which two tracklets must be seen together to propose a rotation.
    """
    known = {ab: p for ab, a in pairs.items() if (p := a.proposals(fewest))}
    found: list[Hypothesis] = []
    for (a, b), proposals in sorted(known.items(), key=lambda kv: -kv[1][0][0]):
        for _, R in proposals:
            grown = _grow(pairs, known, cameras, {a: np.eye(3), b: R})
            h = _refined(pairs, grown)
            if not any(_alike(h, other) for other in found):
                found.append(h)
    found.sort(key=lambda h: (-len(h.cameras), -h.worth))
    return found[:most]


def _alike(a: Hypothesis, b: Hypothesis) -> bool:
    return a.cameras == b.cameras and bool((rotation.angle_deg(a.R, b.R) < _SAME_DEG).all())


def _between(pairs: Mapping[tuple[int, int], Alike], u: int, v: int, R: Array) -> float | None:
    """What cameras u and v say of the rotation R (v from u); None when they never show anybody together."""
    if (u, v) in pairs:
        return pairs[u, v].worth(R)
    return pairs[v, u].worth(R.T) if (v, u) in pairs else None


def _grow(pairs: Mapping[tuple[int, int], Alike], known: Mapping[tuple[int, int], list[tuple[float, Array]]],
          cameras: int, placed: dict[int, Array]) -> dict[int, Array]:
    """Rotations by camera, each further one where it agrees best with all that are placed."""
    while len(placed) < cameras:
        best: tuple[float, int, Array] | None = None
        for c in range(cameras):
            if c in placed:
                continue
            for u, Ru in placed.items():
                for _, R in known.get((min(u, c), max(u, c)), ()):
                    Rc = (R if u < c else R.T) @ Ru
                    said = [w for v, Rv in placed.items() if (w := _between(pairs, v, c, Rc @ Rv.T)) is not None]
                    value = float(np.mean(said))
                    if best is None or value > best[0]:
                        best = value, c, Rc
        if best is None:
            break
        placed[best[1]] = best[2]
    return placed


def _refined(pairs: Mapping[tuple[int, int], Alike], placed: dict[int, Array]) -> Hypothesis:
    """Rotations averaged over everybody that matches under them."""
    R = dict(placed)
    for _ in range(_ROUNDS):
        moments = {}
        for (a, b), p in pairs.items():
            if a in R and b in R:
                moments[a, b] = sum((p.moment[m.a, m.b] * (m.score / p.count[m.a, m.b])
                                     for m in p.matches(R[b] @ R[a].T)), np.zeros((3, 3)))
        for c in sorted(R):
            M = sum((M @ R[a] if b == c else M.T @ R[b] for (a, b), M in moments.items() if c in (a, b)),
                    np.zeros((3, 3)))
            if np.abs(M).max() > 0:
                R[c] = rotation.nearest_rotation(M)
    cameras = tuple(sorted(R))
    turned = np.stack([R[c] @ R[cameras[0]].T for c in cameras])
    said = [p.worth(R[b] @ R[a].T) for (a, b), p in pairs.items() if a in R and b in R]
    return Hypothesis(cameras, turned, float(np.mean(said)), _people(pairs, R))


def _people(pairs: Mapping[tuple[int, int], Alike], R: Mapping[int, Array]) -> tuple[tuple[Tracklet, ...], ...]:
    """Tracklets that are one person: joined best pair first, as long as nobody is two detections of one image."""
    links: list[tuple[float, Tracklet, Tracklet]] = []
    clash: dict[Tracklet, set[Tracklet]] = {}
    for (a, b), p in pairs.items():
        if a not in R or b not in R:
            continue
        links += [(m.score, (a, m.a), (b, m.b)) for m in p.matches(R[b] @ R[a].T)]
        for c, table in ((a, p.clash_a), (b, p.clash_b)):
            for i, j in zip(*np.nonzero(table), strict=True):
                clash.setdefault((c, int(i)), set()).add((c, int(j)))
    of: dict[Tracklet, int] = {}
    members: dict[int, set[Tracklet]] = {}
    weight: dict[int, float] = {}
    for score, x, y in sorted(links, key=lambda k: (-k[0], k[1], k[2])):
        for t in (x, y):
            if t not in of:
                of[t] = len(of)
                members[of[t]], weight[of[t]] = {t}, 0.
        i, j = of[x], of[y]
        if i != j:
            if any(clash.get(t, set()) & members[j] for t in members[i]):
                continue
            for t in members[j]:
                of[t] = i
            members[i] |= members.pop(j)
            weight[i] += weight.pop(j)
        weight[i] += score
    return tuple(tuple(sorted(members[i])) for i in sorted(members, key=lambda i: -weight[i])
                 if len({c for c, _ in members[i]}) > 1)


def poses_of(d: Sightings, people: tuple[tuple[Tracklet, ...], ...]) -> tuple[Index, Index, Index]:
    """Every pose of people in two views or more: instants (N,), detection by view (N, V), -1 = none, person (N,)."""
    T, V, _ = d.tracklet.shape
    n, k, who = [], [], []
    for q, members in enumerate(people):
        chosen = np.full((T, V), -1)
        for v, number in members:
            t, i = np.nonzero(d.tracklet[:, v] == number)
            chosen[t, v] = i
        rows = np.nonzero((chosen >= 0).sum(1) > 1)[0]
        n.append(rows)
        k.append(chosen[rows])
        who.append(np.full(len(rows), q))
    if not n:
        return np.zeros(0, np.int64), np.zeros((0, V), np.int64), np.zeros(0, np.int64)
    return np.concatenate(n), np.concatenate(k), np.concatenate(who)
