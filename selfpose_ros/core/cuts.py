# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where a person's recording is cut, because nobody can have moved like that: a pause, a lost second, somebody else.

A filter that has seen nothing but what came before an instant, and one that runs backwards and has seen nothing but
what came after it, both tell where each joint is then. In one movement they agree within what both are unsure of, the
accelerations of athletes included. (Fraser and Potter 1969 add the two up to a smoother; here they are compared.)
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .filtering import FilterConfig, SkeletonFilter, State, predicted
from .person_view import Row
from .rig_model import RigModel
from .sides import PERMUTATIONS, agreed_permutation
from .tracks.person import measurement_of, with_memory

__all__ = ['Followed', 'Instant', 'Piece', 'continuous']

Array = NDArray[np.float64]

#: a filter that begins in the middle of things: how far off it may be, m
_START_M = .3
#: two passes are the same from here on when they have been for so many instants, to this, m
_SAME_INSTANTS, _SAME_M = 3, .001
#: so many joints must jump, by so many sigmas per axis: of 4600 instants of the training split with four views none
#: comes beyond 2.5, jumps to other poses lie at 4 to 15 (the fourth joint)
_JOINTS, _JUMP = 3, 3.3
#: and so many sigmas of a 2D joint in some view: where views contradict each other, two filters may well follow
#: different ones of them, with nothing that moves
_SEEN = 4.


@dataclass(frozen=True)
class Instant:
    """One person at one instant: number of the frame, stamp s, views, state of the filter that followed him."""

    frame: int
    stamp: float
    row: Row
    state: State


@dataclass(frozen=True)
class Followed:
    """One person over a recording, in order of time; lengths (17,) m of the filter's bones, and their spread, m."""

    instants: Sequence[Instant]
    lengths: Array
    bone_sigma_m: float


@dataclass(frozen=True)
class Piece:
    """Instants of one movement, and states (see `SkeletonFilter`) in which nothing from beyond its ends is left."""

    instants: Sequence[Instant]
    states: Sequence[State]


def continuous(person: Followed, model: RigModel) -> list[Piece]:
    """The pieces of a person's recording, in order, each one movement."""
    at, n = person.instants, len(person.instants)
    passes = _Passes(person, model)
    ahead = [a.state for a in at]
    back = passes.over(range(n - 1, -1, -1), ahead[-1][0], None)
    jump = np.array([passes.apart(ahead[i], back[i + 1], i) for i in range(n - 1)])
    cuts = [0, n]
    while n > 1 and jump.max() > _JUMP:
        i = int(jump.argmax())                             # the largest first: both its sides are free of it
        first, last = max(c for c in cuts if c <= i), min(c for c in cuts if c > i)
        cuts.append(i + 1)
        x_before, x_after = ahead[i][0], back[i + 1][0]
        ahead = passes.over(range(i + 1, last), x_after, ahead)
        back = passes.over(range(i, first - 1, -1), x_before, back)
        for k in range(first, last - 1):
            jump[k] = passes.apart(ahead[k], back[k + 1], k) if k + 1 not in cuts else 0.
    cuts.sort()
    return [Piece(at[a:b], ahead[a:b]) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]


class _Passes:
    """Filters over a person's instants, forwards and backwards."""

    def __init__(self, person: Followed, model: RigModel) -> None:
        self.person, self.model = person, model
        self.acc2 = self._filter().acc2

    def _filter(self) -> SkeletonFilter:
        m, p = self.model, self.person
        return SkeletonFilter(m.geometry, p.lengths[:-1], float(p.lengths[-1]),
                              FilterConfig(bone_sigma_m=p.bone_sigma_m))

    def over(self, order: range, x: Array, old: list[State] | None) -> list[State]:
        """States of a filter over instants in this order, begun at joints x (17, 3) m; the old ones elsewhere, and from
        where on it makes no difference. Backwards, velocities are those of time that runs backwards.
        """
        at = self.person.instants
        out = list(old) if old is not None else [a.state for a in at]
        f, same, was = self._filter(), 0, None
        f.start(x, _START_M)
        for i in order:
            now = at[i].stamp
            if was is not None:
                f.config = with_memory(f.config, self.model, abs(now - was))
                f.predict(abs(now - was))
            was = now
            m = measurement_of(self.model, now, at[i].row)
            f.update(m if order.step > 0 else replace(m, offset=-m.offset))
            same = same + 1 if old is not None and np.abs(f.x - old[i][0]).max() < _SAME_M else 0
            out[i] = f.state
            if same >= _SAME_INSTANTS:
                break
        return out

    def apart(self, before: State, after: State, i: int) -> float:
        """How far apart both sides are between instants i and i + 1, in sigmas per axis: the third of the joints that
        jump in the images, too.
        """
        at = self.person.instants
        x, _, pp, _, _ = predicted(before, at[i + 1].stamp - at[i].stamp, self.acc2)
        seen = self._seen_jump(before[0], x, i) > _SEEN
        if seen.sum() < _JOINTS:
            return 0.
        d = after[0] - x
        e2 = np.einsum('ji,ji->j', d, np.linalg.solve(pp + after[2], d[..., None])[..., 0]) / 3
        return float(np.sqrt(np.sort(e2 * seen)[-_JOINTS]))

    def _seen_jump(self, x: Array, expected: Array, i: int) -> Array:
        """(17,) by how many sigmas joints go elsewhere in the images between instants i and i + 1 than a body that goes
        from x to `expected` (17, 3) m; in the view that shows it best. Sides that single views exchange are put right.
        """
        m, at = self.model, self.person.instants
        px = m.geometry.project(np.stack([x, expected]))
        both = [measurement_of(m, a.stamp, a.row) for a in at[i:i + 2]]
        kp, sigma = np.stack([b.kp for b in both]), np.stack([b.sigma for b in both])
        order = PERMUTATIONS[agreed_permutation(px, kp, sigma)]
        kp, sigma = np.take_along_axis(kp, order[..., None], 2), np.take_along_axis(sigma, order, 2)
        off = kp[1] - kp[0] - (px[1] - px[0])
        sigma = np.hypot(*sigma)                                           # inf where one of them is not seen
        return np.asarray((np.linalg.norm(off, axis=-1) / sigma / np.sqrt(2)).max(0))
