# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Who can be who in two cameras of which nothing is known: tracklets whose lifted poses are alike up to one rotation.

A lifted pose is a body in the axes of its own camera. Two tracklets of one person, in two cameras, are therefore the
same poses up to the rotation between the cameras, at every instant; and that rotation is the same for everybody. So a
pair of tracklets proposes a rotation, and all other pairs vote for it with how well they fit.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import rotation
from .sightings import Sightings

__all__ = ['Alike', 'Match', 'alike']

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: poses that differ by this much (root mean square, of bodies of size one) are of different people
_APART = .55
#: rotations that are nearer to each other are one proposal, degrees; proposals that are kept for two cameras
_SAME_DEG, _KEPT = 20., 6


@dataclass(frozen=True)
class Match:
    """Tracklets a and b of two cameras that pass for one person, and how much speaks for it, in instants."""

    a: int
    b: int
    score: float


@dataclass(frozen=True)
class Alike:
    """Two cameras' tracklets against each other.

    Attributes:
        count: (A, B) number of instants at which both show a body.
        moment: (A, B, 3, 3) sum over those instants of y_b y_a', mean over the joints, of lifted poses y.
        energy: (A, B) sum of |y_a|^2 + |y_b|^2, likewise.
        clash_a: (A, A) whether two tracklets of the first camera are seen at one instant.  clash_b: (B, B).
        most: the largest sum of counts that any assignment could have.
    """

    count: Array
    moment: Array
    energy: Array
    clash_a: NDArray[np.bool_]
    clash_b: NDArray[np.bool_]
    most: float

    def misfit(self, R: Array) -> Array:
        """(..., A, B) root mean square difference of the poses with the rotations R (..., 3, 3), b from a."""
        dot = np.einsum('...ij,abij->...ab', R, self.moment)
        return np.asarray(np.sqrt(np.maximum(self.energy - 2 * dot, 0.) / np.maximum(self.count, 1e-9)))

    def score(self, R: Array) -> Array:
        """(..., A, B) what each pair says for R (..., 3, 3): its instants, fewer the less they fit."""
        return np.asarray(self.count * np.maximum(1 - self.misfit(R) / _APART, 0.))

    def matches(self, R: Array) -> list[Match]:
        """Pairs of tracklets that are one person under R (3, 3), best first; nobody is two people at once."""
        score = self.score(R)
        a, b = np.nonzero(score > 0)
        free = np.ones(score.shape, bool)
        out = []
        for k in np.argsort(-score[a, b], kind='stable'):
            i, j = int(a[k]), int(b[k])
            if not free[i, j]:
                continue
            out.append(Match(i, j, float(score[i, j])))
            free[i, self.clash_b[j]] = False
            free[self.clash_a[i], j] = False
            free[i, j] = False
        return out

    def worth(self, R: Array) -> float:
        """0..1: share of what could agree that agrees under R (3, 3)."""
        return sum(m.score for m in self.matches(R)) / max(self.most, 1e-9)

    def proposals(self, fewest: int) -> list[tuple[float, Array]]:
        """Rotations (3, 3) that pairs seen at `fewest` instants or more propose, with their worth, best first."""
        a, b = np.nonzero(self.count >= fewest)
        if not len(a):
            return []
        R = rotation.nearest_rotation(self.moment[a, b])
        own = 1 - np.sqrt(np.maximum(self.energy[a, b] - 2 * np.einsum('kij,kij->k', R, self.moment[a, b]), 0.)
                          / self.count[a, b]) / _APART
        order = np.argsort(-own * self.count[a, b], kind='stable')
        out: list[tuple[float, Array]] = []
        tried: list[Array] = []
        for k in order[:40]:
            if own[k] <= 0:
                break
            if any(rotation.angle_deg(R[k], other) < _SAME_DEG for other in tried):
                continue
            tried.append(R[k])
            better = R[k]
            for _ in range(2):                               # of all who agree
                M = sum((self.moment[m.a, m.b] * m.score / self.count[m.a, m.b] for m in self.matches(better)),
                        np.zeros((3, 3)))
                better = rotation.nearest_rotation(M)
            out.append((self.worth(better), better))
        kept: list[tuple[float, Array]] = []
        for worth, R in sorted(out, key=lambda p: -p[0]):     # several may have become one
            if all(rotation.angle_deg(R, other) >= _SAME_DEG for _, other in kept):
                kept.append((worth, R))
        return kept[:_KEPT]


def alike(d: Sightings) -> Mapping[tuple[int, int], Alike]:
    """All pairs of cameras a < b of detections with lifted poses; a pair that never shows anybody at once is absent."""
    V = len(d.cameras)
    seen = np.isfinite(d.lifted_sigma).all(-1) & d.present
    w = np.where(seen[..., None], 1 / np.where(seen[..., None], d.lifted_sigma, 1.) ** 2, 0.)
    w[..., 0] = 0.                                           # the pelvis is the origin of every pose
    y = np.where(seen[..., None, None], d.lifted, 0.)
    count = [int(d.tracklet[:, v].max(initial=-1)) + 1 for v in range(V)]
    clash = [_together(d.tracklet[:, v], seen[:, v], count[v]) for v in range(V)]
    out = {}
    for a in range(V):
        for b in range(a + 1, V):
            t, i, j = np.nonzero(seen[:, a, :, None] & seen[:, b, None, :])
            if not len(t):
                continue
            ya, yb = y[t, a, i], y[t, b, j]
            k = np.sqrt(w[t, a, i] * w[t, b, j])
            k = k / k.sum(-1, keepdims=True)
            at = d.tracklet[t, a, i], d.tracklet[t, b, j]
            n, M, E = (np.zeros((count[a], count[b], *s)) for s in ((), (3, 3), ()))
            np.add.at(n, at, 1.)
            np.add.at(M, at, np.einsum('nk,nkx,nkz->nxz', k, yb, ya))
            np.add.at(E, at, (k * ((ya * ya).sum(-1) + (yb * yb).sum(-1))).sum(-1))
            most = float(np.minimum(seen[:, a].sum(-1), seen[:, b].sum(-1)).sum())
            out[a, b] = Alike(n, M, E, clash[a], clash[b], most)
    return out


def _together(tracklet: Index, seen: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """(K, K) whether two tracklets (T, D) are seen at one instant; nobody clashes with himself."""
    out = np.zeros((count, count), bool)
    t, i, j = np.nonzero(seen[:, :, None] & seen[:, None, :])
    out[tracklet[t, i], tracklet[t, j]] = True
    np.fill_diagonal(out, False)
    return out
