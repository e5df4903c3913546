# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Offsets of all cameras' clocks together, and whether others explain the movements as well."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..windows import moving_maximum
from .epipolar import epipolar_agreement
from .likeness import likeness, spectra
from .signals import GRID_HZ, Motion, Track2D, track_motions

__all__ = ['LONGEST_S', 'MotionOffsets', 'in_step', 'motion_offsets', 'offsets_nearby', 'out_of_step']

Array = NDArray[np.float64]

#: clocks further apart than this are not searched, s
LONGEST_S = 60.
#: signals are taken from this long a piece of a recording, in which most is seen, s
_PIECE_S = 240.
#: maxima of a pair that are followed up; they are apart by this; sets of offsets that are kept while cameras are added
_PEAKS, _APART_S, _BEAM = 12, .2, 64
#: what an instant that has an epipolar geometry counts against a nat; sets of offsets for which all pairs are asked
_INSTANT, _ASKED = 1., 24
#: offsets of three cameras that sum up to zero within this fit, instants of the grid
_CLOSE = 2
#: clocks that agree are this near, instants of the grid; what speaks for them is this many times what does for others
_STEP, _CLEARLY = 3, 1.1
#: nats that a camera must have in common with the others; noise alone reaches a third of it over all offsets
_LEAST = 30.
#: another set of offsets that has this share of the best one's is a rival
_RIVAL = .85
#: what the maximum of a likeness is uncertain by, s (median error on simulated rooms: .01)
_SIGMA_S = .02


@dataclass(frozen=True)
class MotionOffsets:
    """Attributes:
    cameras: (V,) names.
    offset_s: (V,) a camera's stamps minus those of `reference` for the same instant, s; NaN = not decided.
    sigma_s: (V,) of them.
    reference: the camera that has most in common with the others.
    nats: (V,) what a camera's movements have in common with the others'.
    rival: (V,) share of it that the best other offset of this camera has, 0..1.
    rival_s: (V,) that other offset; NaN = none.
    """

    cameras: tuple[str, ...]
    offset_s: Array
    sigma_s: Array
    reference: str
    nats: Array
    rival: Array
    rival_s: Array

    @property
    def decided(self) -> NDArray[np.bool_]:
        """(V,) cameras whose offset is found."""
        return np.asarray(np.isfinite(self.offset_s))

    def why_not(self, camera: str) -> str:
        """Why the offset of a camera is not decided; '' when it is."""
        v = self.cameras.index(camera)
        if self.decided[v]:
            return ''
        if self.nats[v] < _LEAST:
            return (f'{camera} and the other cameras show no movement in common: somebody must move, walk or swing '
                    'his arms, where it and another camera see him at one time')
        return (f'movements fit as well with the clock of {camera} off by {self.rival_s[v]:.2f} s as by another time: '
                'something that happens once, a clap or a jump, tells them apart')


def out_of_step(tracks: Mapping[str, Sequence[Track2D]], least_s: float) -> tuple[dict[str, float], tuple[str, ...]]:
    """Cameras whose movements come later (s, or earlier, below 0) than those of most others by more than `least_s`,
    where that is decided; and the others that it is decided of.
    """
    if len(tracks) < 2 or in_step(tracks):
        return {}, ()
    found = motion_offsets(tracks)
    late = {c: float(d) for c, d in zip(found.cameras, found.offset_s, strict=True) if np.isfinite(d)}
    if not late:
        return {}, ()
    # most cameras are right: the offset that most others are near to
    value = np.array(list(late.values()))
    near = (np.abs(value[:, None] - value) <= least_s).sum(1)
    usual = float(np.median(value[np.abs(value - value[near.argmax()]) <= least_s]))
    off = {c: d - usual for c, d in late.items() if abs(d - usual) > least_s}
    return off, tuple(c for c in late if c not in off)


def motion_offsets(tracks: Mapping[str, Sequence[Track2D]], longest_s: float = LONGEST_S) -> MotionOffsets:
    """Offsets between the clocks of cameras that see the same people move. No calibration is needed. Deterministic.

    Args:
        tracks: of every camera, on its own clock: who is who across cameras is not known.
        longest_s: stamps are off by this at most, s. Where those of all cameras have nothing in common, their first
            ones are taken for about equal.
    """
    names = tuple(sorted(tracks))
    base = _bases({c: tracks[c] for c in names})
    motions = track_motions({c: _piece(tracks[c], base[c]) for c in names})
    pairs = _Pairs([motions[c] for c in names], longest_s)
    pairs.ask()
    sets = _joint(pairs, len(names))
    return _judged(names, pairs, sets, np.array([base[c] for c in names]))


def in_step(tracks: Mapping[str, Sequence[Track2D]]) -> bool:
    """Whether movements alone, without geometry, clearly speak for clocks that agree; cheaper than the offsets."""
    names = tuple(sorted(tracks))
    first = min((t.stamp[0] for some in tracks.values() for t in some), default=0.)
    motions = track_motions({c: _piece(tracks[c], first) for c in names})
    if sum(bool(m) for m in motions.values()) < 2:
        return True
    pairs = _Pairs([motions[c] for c in names], LONGEST_S)
    now = np.zeros(1, np.int64)
    together = sum(float(pairs.movements(a, b, now)[0]) for a, b in pairs.curve)
    others = [s.worth for s in _joint(pairs, len(names), asked=False) if np.abs(s.lag - s.lag[0]).max() > _STEP]
    return together > max(others, default=0.) * _CLEARLY or not others


def offsets_nearby(tracks: Mapping[str, Sequence[Track2D]], reference: str, about: Mapping[str, float],
                   within_s: float) -> dict[str, float]:
    """Offsets against the reference camera, s, of those that have one within so much of what they are about.

    Args:
        tracks: short ones, on the cameras' clocks.
    """
    names = (reference, *(c for c in sorted(about) if c != reference))
    moved = {c: [Track2D(t.stamp - about[c] + about[reference], t.kp, t.confidence) for t in tracks.get(c, ())]
             for c in names}
    first = min((t.stamp[0] for some in moved.values() for t in some), default=0.)
    motions = track_motions({c: _piece(moved[c], first) for c in names})
    if not motions[reference]:
        return {}
    pairs = _Pairs([motions[c] for c in names], within_s)
    best = _joint(pairs, len(names), asked=False)[0]
    lag = best.lag - best.lag[0]
    nats = np.zeros(len(names))
    for a, b in pairs.curve:
        nats[[a, b]] += pairs.movements(a, b, np.array([lag[b] - lag[a]]))
    fine = _between(pairs, lag, len(names), 0) / GRID_HZ
    return {c: float(fine[v]) + about[c] - about[reference] for v, c in enumerate(names) if v and nats[v] >= _LEAST}


def _bases(tracks: Mapping[str, Sequence[Track2D]]) -> dict[str, float]:
    """What is taken off the stamps of every camera, s: its first one where the clocks have nothing in common."""
    ends = {c: (min(t.stamp[0] for t in some), max(t.stamp[-1] for t in some)) for c, some in tracks.items() if some}
    if not ends:
        return dict.fromkeys(tracks, 0.)
    first = min(a for a, _ in ends.values())
    if max(a for a, _ in ends.values()) < min(b for _, b in ends.values()) + LONGEST_S:
        return dict.fromkeys(tracks, first)
    return {c: ends[c][0] if c in ends else first for c in tracks}


def _piece(tracks: Sequence[Track2D], base: float) -> list[Track2D]:
    """The tracks on a clock that begins at the base, as far as they lie in the piece that is compared."""
    out = []
    for t in tracks:
        stamp = t.stamp - base
        keep = stamp <= _PIECE_S
        if keep.sum() > 4:
            out.append(Track2D(stamp[keep], t.kp[keep], t.confidence[keep]))
    return out


class _Pairs:
    """What two cameras have in common at every lag: of their movements, and where it is asked, of their geometry."""

    def __init__(self, motions: Sequence[list[Motion]], longest_s: float) -> None:
        self.motions, self.reach = motions, int(longest_s * GRID_HZ)
        lag = np.arange(-self.reach, self.reach + 1)
        longest = max((len(m.x) for some in motions for m in some), default=1)
        n = 1 << int(np.ceil(np.log2(2 * longest + 2)))
        of = [[spectra(m, n) for m in some] for some in motions]
        self.curve = {(a, b): likeness(of[a], of[b], n, lag).value for a, b in combinations(range(len(of)), 2)}
        self._wide = {k: moving_maximum(c, 2 * _CLOSE + 1) for k, c in self.curve.items()}
        self._asked: dict[tuple[int, int], dict[int, float]] = {k: {} for k in self.curve}
        self.peaks: dict[tuple[int, int], NDArray[np.int64]] = {}
        for (a, b), c in self.curve.items():
            self.peaks[a, b] = self._maxima(c)
            self.peaks[b, a] = -self.peaks[a, b]

    def ask(self) -> None:
        """For the geometry at all maxima."""
        for (a, b), peaks in self.peaks.items():
            if a < b:
                for d in peaks:
                    self.geometry(a, b, int(d))

    def _maxima(self, curve: Array) -> NDArray[np.int64]:
        """Lags of the highest maxima of a likeness, apart from each other."""
        wide = int(_APART_S * GRID_HZ) * 2 + 1
        at = np.flatnonzero((curve > 0) & (curve >= moving_maximum(curve, wide)))
        return np.asarray(at[np.argsort(-curve[at], kind='stable')][:_PEAKS] - self.reach)

    def movements(self, a: int, b: int, lag: NDArray[np.int64]) -> Array:
        """Nats of lags of b against a; 0 beyond the reach."""
        if a > b:
            a, b, lag = b, a, -lag
        inside = np.abs(lag) <= self.reach
        return np.where(inside, self._wide[a, b][np.clip(lag + self.reach, 0, 2 * self.reach)], 0.)

    def geometry(self, a: int, b: int, lag: int, ask: bool = True) -> float:
        """Instants that speak for a lag of b against a, see `epipolar_agreement`; 0 where nobody asked and `ask` is
        false.
        """
        if a > b:
            a, b, lag = b, a, -lag
        known = self._asked[a, b]
        for d in (lag, lag - 1, lag + 1):
            if d in known:
                return known[d]
        if not ask:
            return 0.
        known[lag] = epipolar_agreement(self.motions[a], self.motions[b], lag)
        return known[lag]

    def worth(self, a: int, b: int, lag: NDArray[np.int64], ask: bool) -> Array:
        """Of lags: both together."""
        of = [self.geometry(a, b, int(d), ask) for d in lag]
        return self.movements(a, b, lag) + _INSTANT * np.array(of)


@dataclass(frozen=True)
class _Set:
    """Offsets (V,) in instants of the grid by camera, and what speaks for them."""

    lag: NDArray[np.int64]
    worth: float


def _joint(pairs: _Pairs, V: int, asked: bool = True) -> list[_Set]:
    """The offsets that explain most in all pairs first; geometry is asked for the best.

    A beam search: cameras are added one by one, each at the maxima of its likeness with any that is placed.
    """
    strength = np.zeros((V, V))
    for (a, b), peaks in pairs.peaks.items():
        if a < b and len(peaks):
            strength[a, b] = strength[b, a] = pairs.worth(a, b, peaks, ask=False).max()
    first = int(strength.sum(1).argmax())
    order, left = [first], set(range(V)) - {first}
    beam = [_Set(np.zeros(V, np.int64), 0.)]
    while left:
        new = max(sorted(left), key=lambda v: strength[v, order].sum())
        left.remove(new)
        grown: dict[tuple[int, ...], _Set] = {}
        for s in beam:
            at = np.unique(np.concatenate([s.lag[u] + pairs.peaks[u, new] for u in order]))
            if not len(at):
                at = np.zeros(1, np.int64)
            gain = sum((pairs.worth(u, new, at - s.lag[u], ask=False) for u in order), np.zeros(len(at)))
            for k in np.argsort(-gain, kind='stable')[:2 * _PEAKS]:
                lag = s.lag.copy()
                lag[new] = at[k]
                key = tuple((lag // (_CLOSE + 1)).tolist())
                if key not in grown or grown[key].worth < s.worth + gain[k]:
                    grown[key] = _Set(lag, s.worth + float(gain[k]))
        beam = sorted(grown.values(), key=lambda s: -s.worth)[:_BEAM]
        order.append(new)
    if not asked:
        return beam
    rated = [_Set(s.lag, sum(float(pairs.worth(a, b, np.array([s.lag[b] - s.lag[a]]), ask=True)[0])
                             for a, b in combinations(range(V), 2))) for s in beam[:_ASKED]]
    return sorted(rated, key=lambda s: -s.worth)


def _judged(names: tuple[str, ...], pairs: _Pairs, sets: Sequence[_Set], base: Array) -> MotionOffsets:
    V, best = len(names), sets[0]
    nats, worth = np.zeros(V), np.zeros(V)
    for a, b in pairs.curve:
        at = np.array([best.lag[b] - best.lag[a]])
        nats[[a, b]] += pairs.movements(a, b, at)
        worth[[a, b]] += pairs.worth(a, b, at, ask=True)
    reference = int(worth.argmax())
    lag = best.lag - best.lag[reference]
    rival, rival_lag = np.zeros(V), np.full(V, np.nan)
    far = int(_APART_S * GRID_HZ)
    for v in range(V):
        for s in sets[1:] if v != reference else ():
            other = s.lag[v] - s.lag[reference]
            # of what this camera adds, the share that is there at its other offset
            share = 1 - (best.worth - s.worth) / max(worth[v], 1e-9)
            if abs(other - lag[v]) > far and share > rival[v]:
                rival[v], rival_lag[v] = share, other
    late = _between(pairs, lag, V, reference) / GRID_HZ + base - base[reference]
    known = (nats >= _LEAST) & (rival < _RIVAL)
    if V < 2 or nats[reference] < _LEAST:
        known[:] = False
    return MotionOffsets(names, np.where(known, late, np.nan), np.where(known, _SIGMA_S, np.nan), names[reference],
                         nats, rival, rival_lag / GRID_HZ + base - base[reference])


def _between(pairs: _Pairs, lag: NDArray[np.int64], V: int, reference: int) -> Array:
    """The offsets (V,) between the instants of the grid: least squares over the maxima of all pairs, each with the
    curvature of its likeness.
    """
    H, g, reach = np.zeros((V, V)), np.zeros(V), pairs.reach
    for (a, b), curve in pairs.curve.items():
        d = int(lag[b] - lag[a])
        near = np.arange(max(d - _CLOSE, -reach + 1), min(d + _CLOSE, reach - 1) + 1)
        if not len(near):
            continue
        k = int(near[curve[near + reach].argmax()])
        below, here, above = curve[k + reach - 1:k + reach + 2]
        bend = 2 * here - below - above
        if here <= 0 or bend <= 0:
            continue
        top = k + float(np.clip(.5 * (above - below) / bend, -.5, .5))
        e = np.zeros(V)
        e[a], e[b] = -1, 1
        H += bend * np.outer(e, e)
        g += bend * e * top
    free = [v for v in range(V) if v != reference]
    out = lag.astype(float)
    if H.any() and free:
        A = H[np.ix_(free, free)] + 1e-9 * np.trace(H) * np.eye(len(free))
        out[free] = lag[free] + np.linalg.solve(A, (g - H @ lag)[free])
    return out
