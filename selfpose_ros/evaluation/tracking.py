# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Figures of multi-object tracking, from distances: CLEAR MOT (Bernardin and Stiefelhagen 2008), IDF1 (Ristani et al.
2016) and HOTA (Luiten et al. 2021).
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.assignment import least_cost_pairs

__all__ = ['Instant', 'Tracking', 'hota', 'idf1', 'track']

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

#: localisation thresholds of HOTA
_ALPHA = np.arange(.05, .99, .05)


@dataclass(frozen=True)
class Instant:
    """Distances (P, Q) m of P true people from Q estimated ones, with their identities."""

    distance: Array
    true: Whole
    estimated: Whole


@dataclass(frozen=True)
class Tracking:
    """Counts of CLEAR MOT.

    Attributes:
        misses: true people without an estimate.  false: estimates of nobody.
        switches: how often a true person's identity is another one than before.
        matches: (instant, index of the true person, index of the estimate) of each match.
    """

    misses: int
    false: int
    switches: int
    matches: tuple[tuple[int, int, int], ...]

    @property
    def mota(self) -> float:
        total = self.misses + len(self.matches)
        return 1 - (self.misses + self.false + self.switches) / max(total, 1)


def track(instants: Sequence[Instant], near_m: float) -> Tracking:
    """People matched one to one within `near_m`; a match of before is kept as long as it is within that."""
    last: dict[int, int] = {}
    misses = false = switches = 0
    matches: list[tuple[int, int, int]] = []
    for k, at in enumerate(instants):
        cost = np.where(at.distance < near_m, at.distance, 1e3)
        for i, p in enumerate(at.true.tolist()):
            j = np.flatnonzero(at.estimated == last.get(p, -1))
            if len(j) and at.distance[i, j[0]] < near_m:
                cost[i], cost[:, j[0]] = 1e3, 1e3
                cost[i, j[0]] = -1e3
        pairs = [(i, j) for i, j in zip(*least_cost_pairs(cost), strict=True) if cost[i, j] < near_m]
        for i, j in pairs:
            p, q = int(at.true[i]), int(at.estimated[j])
            switches += last.get(p, q) != q
            last[p] = q
            matches.append((k, int(i), int(j)))
        misses += len(at.true) - len(pairs)
        false += len(at.estimated) - len(pairs)
    return Tracking(misses, false, switches, tuple(matches))


def _identities(instants: Sequence[Instant]) -> tuple[Whole, Whole]:
    none = np.zeros(0, np.int64)
    return (np.unique(np.concatenate([none, *(a.true for a in instants)])),
            np.unique(np.concatenate([none, *(a.estimated for a in instants)])))


def idf1(instants: Sequence[Instant], near_m: float) -> float:
    """Share of detections under the best one-to-one assignment of identities for the whole sequence."""
    true, estimated = _identities(instants)
    near = np.zeros((len(true), len(estimated)))
    total = 0
    for at in instants:
        near[np.ix_(np.searchsorted(true, at.true), np.searchsorted(estimated, at.estimated))] += at.distance < near_m
        total += len(at.true) + len(at.estimated)
    i, j = least_cost_pairs(-near)
    return float(2 * near[i, j].sum() / max(total, 1))


def hota(instants: Sequence[Instant], zero_m: float) -> float:
    """Geometric mean of detection and association accuracy over thresholds of the similarity 1 - distance / zero_m."""
    true, estimated = _identities(instants)
    if not len(true) or not len(estimated):
        return 0.
    there, given = np.zeros(len(true)), np.zeros(len(estimated))
    possible = np.zeros((len(true), len(estimated)))
    frames: list[tuple[Array, Whole, Whole]] = []
    for at in instants:
        a, b = np.searchsorted(true, at.true), np.searchsorted(estimated, at.estimated)
        there[a] += 1
        given[b] += 1
        if len(a) and len(b):
            s = np.clip(1 - at.distance / zero_m, 0, 1)
            union = s.sum(0)[None] + s.sum(1)[:, None] - s
            possible[np.ix_(a, b)] += np.where(union > 1e-9, s / np.maximum(union, 1e-9), 0.)
            frames.append((s, a, b))
    alike = possible / (there[:, None] + given[None] - possible)
    hits, count = np.zeros(len(_ALPHA)), np.zeros((len(_ALPHA), *possible.shape))
    for s, a, b in frames:
        i, j = least_cost_pairs(-alike[np.ix_(a, b)] * s)
        for n, alpha in enumerate(_ALPHA):
            m = s[i, j] >= alpha - 1e-9
            hits[n] += m.sum()
            count[n, a[i[m]], b[j[m]]] += 1
    detection = hits / (there.sum() + given.sum() - hits)
    either = np.maximum(there[:, None] + given[None] - count, 1)
    association = (count * count / either).sum((1, 2)) / np.maximum(hits, 1)
    return float(np.sqrt(detection * association).mean())
