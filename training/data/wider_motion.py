# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Wider motion without more labels: blends of clips, random turns at the joints, leans, other proportions.

A lifter that has seen some kinds of motion is worse on others, with the truth as a teacher as well: what it lacks are
poses. New ones are made of those that are there, as far as joints of people go. They are smooth in time.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.skeleton import PARENTS

from ..errors import TrainingError

__all__ = ['Widening', 'widened']

Float = NDArray[np.float32]
Int = NDArray[np.int64]

#: joints that go along with the trunk: all but the legs
_UPPER = (7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
#: joint at whose parent a bone turns -> share of `Widening.turn_rad`: hips, shoulders, trunk, neck
_TURNS = {2: 1., 5: 1., 12: 1.6, 15: 1.6, 7: .6, 8: .4, 9: .7}
#: hinges: the bone beyond -> share of `Widening.turn_rad`, and whether it bends backwards as a knee does
_HINGES = {3: (1.2, True), 6: (1.2, True), 13: (1.5, False), 16: (1.5, False)}
#: hinges bend by 0 to this, rad; nearly straight ones have no axis of their own below this sine
_MOST_BENT, _STRAIGHT = 2.4, .2
#: bones that are as long left and right
_ALIKE = ((1, 4), (2, 5), (3, 6), (7,), (8,), (9,), (10,), (11, 14), (12, 15), (13, 16))
#: random turns change within about this, s
_KNOT_S = .8
#: share of the clips that lean far, and by how many times as much
_FAR, _FAR_TIMES = .2, 3.


@dataclass(frozen=True)
class Widening:
    """How much is changed.

    Attributes:
        share: of the clips that are changed at all.
        blend: of these, those with trunk and arms of another clip on their legs.
        turn_rad: standard deviation of a turn at a hip; other joints in proportion.
        lean_rad: of a lean of the whole body; three times that in a fifth of the clips.
        stretch: of the logarithm of the lengths of bones.
    """

    share: float = .8
    blend: float = .5
    turn_rad: float = .3
    lean_rad: float = .15
    stretch: float = .06

    def __post_init__(self) -> None:
        if not (0 <= self.share <= 1 and 0 <= self.blend <= 1 and min(self.turn_rad, self.lean_rad, self.stretch) >= 0):
            raise TrainingError('share and blend must be from 0 to 1, the others not negative', place=self)

    @classmethod
    def times(cls, factor: float) -> Widening | None:
        """The usual one with turns, leans and lengths changed by this factor; None for 0."""
        usual = cls()
        return cls(turn_rad=factor * usual.turn_rad, lean_rad=factor * usual.lean_rad,
                   stretch=factor * usual.stretch) if factor > 0 else None


def widened(rng: np.random.Generator, X: Float, sigma: Float | None, start: Int, fps: float,
            how: Widening) -> tuple[Float, Float | None]:
    """Poses (N, 17, 3) m, z up, of clips that begin at start (C + 1,), changed; and their sigmas (N, 17) m or None.

    The pelvis goes its way, raised or lowered so that each clip's lowest joint stays on its floor.
    """
    clips = len(start) - 1
    clip = np.repeat(np.arange(clips), np.diff(start))
    changed = rng.random(clips) < how.share
    bones = np.zeros_like(X)
    bones[:, 1:] = X[:, 1:] - X[:, PARENTS[1:]]
    blended = changed & (rng.random(clips) < how.blend)
    bones, sigma = _blended(rng, X, bones, sigma, start, blended)
    turn = np.where(changed, how.turn_rad, 0)
    edges = _turned(rng, X, bones, start, fps, turn)
    lean = np.where(changed, how.lean_rad * np.where(rng.random(clips) < _FAR, _FAR_TIMES, 1.), 0)
    level = np.array([1, 1, 0], np.float32)
    whole = _rotations(_smooth(rng, start, fps, lean) * level)
    length = np.ones((clips, 17), np.float32)
    for group in _ALIKE:
        length[:, list(group)] = np.exp(np.where(changed, how.stretch, 0) * rng.standard_normal(clips))[:, None]
    out = np.empty_like(X)
    out[:, 0] = X[:, 0]
    frame: dict[int, Float] = {0: whole}
    for j in range(1, 17):
        p = PARENTS[j]
        frame[j] = frame[p] @ edges[j] if j in edges else frame[p]
        out[:, j] = out[:, p] + length[clip, j, None] * np.einsum('nik,nk->ni', frame[j], bones[:, j])
    out[..., 2] += (_lowest(X, start) - _lowest(out, start))[clip, None]
    keep = ~changed[clip]
    out[keep] = X[keep]
    return out, sigma


def _lowest(X: Float, start: Int) -> Float:
    """(C,) m: median over a clip of the height of the lowest joint that is known."""
    low = np.where(np.isfinite(X[..., 2]), X[..., 2], np.inf).min(1)
    return np.array([np.median(low[a:b]) for a, b in zip(start[:-1], start[1:], strict=True)], np.float32)


def _blended(rng: np.random.Generator, X: Float, bones: Float, sigma: Float | None, start: Int,
             blended: NDArray[np.bool_]) -> tuple[Float, Float | None]:
    """Trunk, arms and head of other clips, turned about the vertical as the hips are, as long as the legs ask for."""
    other = rng.integers(0, len(blended), len(blended))
    source = np.arange(len(X))
    for c in np.nonzero(blended)[0]:
        a, b = start[other[c]], start[other[c] + 1]
        k = (rng.integers(0, b - a) + np.arange(start[c + 1] - start[c])) % max(2 * (b - a - 1), 1)
        source[start[c]:start[c + 1]] = a + np.minimum(k, 2 * (b - a - 1) - k)     # there and back
    across = X[:, 4] - X[:, 1]
    yaw = np.nan_to_num(np.arctan2(across[:, 1], across[:, 0]))
    angle = yaw - yaw[source]
    legs = np.linalg.norm(bones[:, [2, 3, 5, 6]], axis=-1)
    size = np.array([_median(legs[a:b]) for a, b in zip(start[:-1], start[1:], strict=True)])
    clip = np.repeat(np.arange(len(blended)), np.diff(start))
    ratio = (size[clip] / size[clip[source]]).astype(np.float32)
    cos, sin = (f(angle).astype(np.float32)[:, None] for f in (np.cos, np.sin))
    upper = bones[source][:, _UPPER] * ratio[:, None, None]
    x, y = upper[..., 0].copy(), upper[..., 1].copy()
    upper[..., 0], upper[..., 1] = cos * x - sin * y, sin * x + cos * y
    bones = bones.copy()
    bones[:, _UPPER] = upper
    if sigma is not None:
        sigma = sigma.copy()
        sigma[:, _UPPER] = sigma[source][:, _UPPER]
    return bones, sigma


def _median(x: Float) -> float:
    known = x[np.isfinite(x)]
    return float(np.median(known)) if len(known) else 1.


def _turned(rng: np.random.Generator, X: Float, bones: Float, start: Int, fps: float, turn: NDArray[np.float64],
            ) -> dict[int, Float]:
    """Turns (N, 3, 3) of bones against the bone before, in axes of the poses as they were."""
    out = {j: _rotations(_smooth(rng, start, fps, share * turn)) for j, share in _TURNS.items()}
    across = np.nan_to_num(X[:, 4] - X[:, 1])
    for j, (share, backwards) in _HINGES.items():
        before, after = np.nan_to_num(bones[:, PARENTS[j]]), np.nan_to_num(bones[:, j])
        a, b = _unit(before), _unit(after)
        axis = np.cross(a, b)
        sine, bent = np.linalg.norm(axis, axis=-1), np.arccos(np.clip((a * b).sum(-1), -1, 1))
        more = _smooth(rng, start, fps, share * turn)[:, 0]
        if backwards:                                     # of a straight leg: about the line through both hips
            side = _unit(across - (across * a).sum(-1, keepdims=True) * a)
            own = (sine > _STRAIGHT) & ((axis * side).sum(-1) > 0)
            axis = np.where(own[:, None], axis, side)
        else:
            more = np.where(sine > _STRAIGHT, more, 0)
        angle = np.clip(bent + more, np.minimum(bent, 0), np.maximum(bent, _MOST_BENT)) - bent
        out[j] = _rotations((_unit(axis) * angle[:, None]).astype(np.float32))
    return out


def _smooth(rng: np.random.Generator, start: Int, fps: float, spread: NDArray[np.float64]) -> Float:
    """(N, 3): random vectors with this standard deviation (C,) of each component: half of the variance is a clip's own
    and stays, half changes over `_KNOT_S`.
    """
    out = []
    for a, b, s in zip(start[:-1], start[1:], spread, strict=True):
        at = np.arange(b - a) / (_KNOT_S * fps)
        knots = rng.standard_normal((int(at[-1]) + 2, 3))
        low = at.astype(int)
        part = (.5 - .5 * np.cos(np.pi * (at - low)))[:, None]
        out.append(s * np.sqrt(.5) * (rng.standard_normal(3) + (1 - part) * knots[low] + part * knots[low + 1]))
    return np.concatenate(out).astype(np.float32)


def _unit(x: Float) -> Float:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-6)


def _rotations(v: Float) -> Float:
    """(N, 3, 3) of rotation vectors (N, 3) rad (Rodrigues)."""
    angle = np.linalg.norm(v, axis=-1)
    x, y, z = (v / np.maximum(angle, 1e-9)[:, None]).T
    zero = np.zeros_like(x)
    K = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
    s, c = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    return np.asarray(np.eye(3, dtype=np.float32) + s * K + (1 - c) * (K @ K), np.float32)
