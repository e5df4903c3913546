# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Learns a 2D network's `Convention` from recordings alone: bones that are moved rightly do not change in length.

A joint beside the centre that a limb turns about makes the bones on both sides of it longer and shorter as the limb
bends (functional joint centres: Ehrig et al., Journal of Biomechanics 2006). Noise does so, too, and lengths of joints
that are averages would seem the more constant. So every recording is triangulated twice, by two halves of its cameras,
whose errors are independent: what is made small is the covariance of the bone lengths that the halves find, in which
noise has no part. Moves are the minimum of g' S^-1 g + a' P^-1 a: g are the derivatives, S their covariance between
blocks of time (Hansen, Econometrica 1982), P what is usual. Joints whose moves are not beyond chance stay.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from .cameras import Cameras
from .config import EstimatorConfig
from .convention import MOST_SHARE, MOVES, Convention, ConventionError, move_matrices, sided
from .fusion.triangulation import triangulate
from .history import tracks_from_rows
from .observation import MultiView
from .offline import follow, solved
from .rig import NotSolved
from .rig.solver import Tracks
from .statistics import by_chance

__all__ = ['Halves', 'estimate_convention', 'halves_of', 'triangulated_halves']

Array = NDArray[np.float64]

#: bones whose lengths tell. Short ones do not: noise makes them seem longer, by more where a person is far away
_BONES = (('hip', 'knee'), ('knee', 'ankle'), ('shoulder', 'elbow'), ('elbow', 'wrist'))
_PAIRS = tuple((sided(a, s), sided(b, s)) for a, b in _BONES for s in 'lr')
#: how far networks' joints usually lie off, m, along one bone
_USUAL_M = .025
#: blocks of time whose derivatives count as independent, s; fewer of them prove nothing
_BLOCK_S, _FEWEST_BLOCKS = 2., 24
#: halves that differ by more than so many times their median difference have somebody mistaken
_OUTLIER = 4.
#: cameras that halves are chosen of, at most; views that see a joint well enough
_MOST_CAMERAS, _LEAST_CONFIDENCE = 8, .2
_ROUNDS, _STEP, _SMALL = 20, .2, 1e-3
#: no bone is shorter
_SHORTEST_M = .01
#: a joint is moved where chance does so this rarely
_CHANCE = .01


@dataclass(frozen=True)
class Halves:
    """One person of one recording, by two halves of the cameras.

    Attributes:
        first, second: (T, 17, 3) m, NaN = not known.  stamp: (T,) s.
    """

    first: Array
    second: Array
    stamp: Array


def halves_of(frames: Sequence[MultiView], config: EstimatorConfig | None = None) -> list[Halves]:
    """Calibrate a recording from the people in it, and triangulate each of them by two halves of the cameras.

    Raises:
        ConventionError: fewer than four cameras, or no rig of four.
    """
    config = config or EstimatorConfig()
    model = solved(frames, config)
    if isinstance(model, NotSolved):
        raise ConventionError(f'no rig: {model.reason}', 'record longer, with more movement')
    if len(model.cameras) < 4:
        raise ConventionError(f'a rig of {len(model.cameras)} cameras', 'two halves need four')
    people = follow(frames, model, config, None, lambda what, share: None)[0]
    out = []
    for person in people.values():
        rows = [(i.stamp, i.row) for i in person.instants]
        tracks = tracks_from_rows(rows, model.cameras, model.image_size, (None,) * len(model.cameras))
        out.append(triangulated_halves(tracks, model.geometry))
    return out


def triangulated_halves(tracks: Tracks, cameras: Cameras) -> Halves:
    """One person by the two halves of four cameras or more that see depth best."""
    seen = np.isfinite(tracks.kp).all(-1) & (tracks.confidence >= _LEAST_CONFIDENCE)
    rays = np.where(seen[..., None], cameras.rays(np.nan_to_num(tracks.kp)), 0.)
    weight = np.where(seen, (cameras.focal[:, None] * tracks.confidence) ** 2, 0.)
    whole = triangulate(rays, weight, cameras.R, cameras.t, scale=3. * 5.)
    a, b = _best_halves(cameras, np.nanmedian(whole.reshape(-1, 3), axis=0))
    first, second = (triangulate(rays[:, h], weight[:, h], cameras.R[h], cameras.t[h]) for h in (a, b))
    apart = np.linalg.norm(first - second, axis=-1)
    with np.errstate(invalid='ignore'):
        bad = ~(apart < _OUTLIER * np.nanmedian(apart, axis=0))
    first[bad] = second[bad] = np.nan
    return Halves(first, second, tracks.stamp)


def _best_halves(cameras: Cameras, middle: Array) -> tuple[list[int], list[int]]:
    """Two halves of the cameras, so that the worse of them sees the middle (3,) as precisely as can be."""
    towards = middle - cameras.centres
    distance = np.linalg.norm(towards, axis=-1)
    d = towards / distance[:, None]
    information = (np.eye(3) - d[:, :, None] * d[:, None]) * (cameras.focal / distance)[:, None, None] ** 2
    index = range(min(len(d), _MOST_CAMERAS))

    def worse(half: tuple[int, ...]) -> float:
        other = [i for i in index if i not in half]
        return max(float(np.trace(np.linalg.inv(information[list(h)].sum(0) + 1e-9 * np.eye(3))))
                   for h in (half, other))

    best = min(combinations(index, len(index) // 2), key=worse)
    return list(best), [i for i in range(len(d)) if i not in best]


def estimate_convention(recordings: Sequence[Halves]) -> Convention:
    """The convention of the network that all of these people were seen by; joints that are not beyond chance stay.

    Raises:
        ConventionError: too little is seen of them.
    """
    known = [_Lengths(h) for h in recordings]
    blocks = sum(k.blocks for k in known)
    if blocks < _FEWEST_BLOCKS:
        raise ConventionError(f'{blocks} blocks of {_BLOCK_S:g} s in which two halves of the cameras see all joints',
                              f'{_FEWEST_BLOCKS} are needed: record longer')
    kept = np.ones(len(MOVES), bool)
    while True:
        share, covariance = _solved(known, np.flatnonzero(kept))
        chance = {}
        for joint in {m[0] for m, k in zip(MOVES, kept, strict=True) if k}:
            own = [i for i, m in enumerate(np.flatnonzero(kept)) if MOVES[m][0] == joint]
            square = share[own] @ np.linalg.solve(covariance[np.ix_(own, own)], share[own])
            chance[joint] = by_chance(float(square), len(own))
        weakest = max(chance, key=lambda j: chance[j], default='')
        if not weakest or chance[weakest] < _CHANCE:
            break
        kept &= np.array([m[0] != weakest for m in MOVES])
    moves = [MOVES[m] for m in np.flatnonzero(kept)]
    sigma = np.sqrt(np.diag(covariance))
    return Convention({m: float(np.clip(a, -MOST_SHARE, MOST_SHARE)) for m, a in zip(moves, share, strict=True)},
                      {m: float(s) for m, s in zip(moves, sigma, strict=True)})


class _Lengths:
    """Logarithms of the bone lengths of one person in both halves, about their means, and derivatives by moves."""

    def __init__(self, halves: Halves) -> None:
        both = np.stack([halves.first, halves.second])
        self._known = np.isfinite(both).all((0, -1))
        self._halves = np.nan_to_num(both)
        number = np.floor((halves.stamp - halves.stamp[:1]) / _BLOCK_S).astype(int)
        self._block = np.unique(number, return_inverse=True)[1]
        self.blocks = int(self._block.max(initial=-1)) + 1
        #: (M,) m, lengths of the bones that moves go along
        self.reach = np.array([self._reach(m) for m in move_matrices()])

    def _reach(self, move: Array) -> float:
        along = [np.linalg.norm(_products(row, self._halves[0][self._known[:, row != 0].all(-1)]), axis=-1)
                 for row in move[move.any(1)]]
        both = np.concatenate(along)
        return float(np.median(both)) if len(both) else np.nan

    def derivatives(self, share: Array, moves: NDArray[np.int64]) -> tuple[Array, Array]:
        """Of half the summed covariance of both halves: g (blocks, M), and H (M, M)."""
        basis = move_matrices()[moves]
        a, b = (list(x) for x in zip(*_PAIRS, strict=True))
        bones = np.eye(17)[a] - np.eye(17)[b]
        changes = basis[:, a] - basis[:, b]                                   # M, K, 17
        rests_on = (bones != 0) | (changes != 0).any(0)
        known = (self._known[:, None] | ~rests_on).all(-1)
        count = np.maximum(known.sum(0), 1)
        lengths: list[Array] = []
        slopes: list[Array] = []
        for X in self._halves:
            v = _products(bones + np.tensordot(share, changes, 1), X)         # N, K, 3
            size = np.maximum(np.linalg.norm(v, axis=-1), _SHORTEST_M)
            dv = _products(changes, X)                                        # N, M, K, 3
            slope = (v[:, None] * dv).sum(-1).swapaxes(1, 2) / size[..., None] ** 2
            for out, x in ((lengths, np.log(size)[..., None]), (slopes, slope)):
                out.append(known[..., None] * (x - (known[..., None] * x).sum(0) / count[:, None]))
        H = np.einsum('nka,nkb->ab', *slopes)
        each = .5 * (np.einsum('nka,nkb->na', slopes[0], lengths[1]) + np.einsum('nka,nkb->na', slopes[1], lengths[0]))
        g = np.zeros((self.blocks, len(moves)))
        np.add.at(g, self._block, each)
        return g, .5 * (H + H.T)


def _products(weights: Array, X: Array) -> Array:
    """Sums (N, ..., 3) of joints (N, 17, 3) by weights (..., 17), as one product of matrices."""
    rows = weights.reshape(-1, 17)
    flat = (X.swapaxes(1, 2).reshape(-1, 17) @ rows.T).reshape(len(X), 3, len(rows))
    return flat.swapaxes(1, 2).reshape(len(X), *weights.shape[:-1], 3)


def _solved(known: Sequence[_Lengths], moves: NDArray[np.int64]) -> tuple[Array, Array]:
    """Shares (M,) of these moves, and their covariance."""
    share = np.zeros(len(moves))
    prior = np.diag((np.nanmedian([k.reach for k in known], axis=0)[moves] / _USUAL_M) ** 2)
    if not len(moves):
        return share, prior
    for _ in range(_ROUNDS):
        each, H = (list(x) for x in zip(*(k.derivatives(share, moves) for k in known), strict=True))
        g, whole = np.concatenate(each), np.sum(H, axis=0)
        n = len(g)
        S = n / (n - len(moves)) * n * np.atleast_2d(np.cov(g.T, bias=True))
        by_S = np.linalg.solve(S + 1e-9 * np.trace(S) * np.eye(len(S)), whole)
        precision = whole.T @ by_S + prior
        step = np.clip(np.linalg.solve(precision, -by_S.T @ g.sum(0) - prior @ share), -_STEP, _STEP)
        share = share + step
        if np.abs(step).max() < _SMALL:
            break
    return share, np.linalg.inv(precision)
