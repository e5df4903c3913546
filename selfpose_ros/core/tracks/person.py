# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One followed person, and what the views of one instant measure of somebody."""
from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..filtering import FilterConfig, Measurement, SkeletonFilter, State
from ..person_view import Row
from ..rig_model import RigModel

__all__ = ['Person', 'measurement_of', 'measurements_of', 'with_memory']


@dataclass(eq=False)
class Person:
    """One followed person.

    Attributes:
        identity: from 1; below 0 until it is decided who it is.
        seen: newest instant at which a camera saw him, s.  ticks: in which one did.
        row: the views of the newest tick.
        confirmed: he is shown.
        pair_seen: newest instant at which two cameras agreed on him, s.  pairs: ticks in which they did.
        place: (3,) m of the pelvis then.  agreed: cameras that agree with the skeleton at the newest tick.
        limbs: (16,) m, mean lengths of the bones of the skeletons of those ticks until he is confirmed: they tell
            people apart better than the filter's lengths, which begin at somebody else's.
        lifted: instant at which the lifter was asked, s.
        past: newest ticks (stamp, step, predicted, updated, cameras per joint) for the smoother.
    """

    identity: int
    filter: SkeletonFilter
    stamp: float
    seen: float
    ticks: int = 0
    row: Row = field(default_factory=dict)
    confirmed: bool = False
    pair_seen: float = -np.inf
    pairs: int = 0
    place: NDArray[np.float64] | None = None
    agreed: tuple[str, ...] = ()
    limbs: NDArray[np.float64] = field(default_factory=lambda: np.zeros(16))
    lifted: float = -np.inf
    past: deque[tuple[float, float, State, State, NDArray[np.int64]]] = field(default_factory=deque)

    @property
    def views(self) -> dict[str, int]:
        """Index of the detection in each camera of the newest tick."""
        return {c: v.index for c, v in self.row.items()}

    def alone_s(self, now: float) -> float:
        """Since two cameras agreed on him, s."""
        return now - self.pair_seen

    def measured(self) -> NDArray[np.int64]:
        """(17,) cameras that measured each joint at the newest tick."""
        used = (self.filter.used > .25).sum(0) if self.row else np.zeros(17)
        return np.asarray(used).astype(np.int64)


def with_memory(config: FilterConfig, model: RigModel, dt: float) -> FilterConfig:
    """The configuration for a step of `dt` s: errors of a 2D network are less alike the further apart they are."""
    memory = .7 * model.noise.correlation_at(dt)
    if abs(memory - config.memory) < .05:
        return config
    return replace(config, memory=memory)


def measurement_of(model: RigModel, now: float, row: Row, left_out: frozenset[str] = frozenset()) -> Measurement:
    """What the views of a row, but those `left_out`, measure at the instant `now` s."""
    m = measurements_of(model, now, [row], left_out)
    return Measurement(m.kp[0], m.sigma[0], m.offset[0])


def measurements_of(model: RigModel, now: float, rows: Sequence[Row],
                    left_out: frozenset[str] = frozenset()) -> Measurement:
    """As `measurement_of`, of the rows of N people at once."""
    N, V = len(rows), len(model.cameras)
    kp, confidence, offset = np.zeros((N, V, 17, 2)), np.zeros((N, V, 17)), np.zeros((N, V))
    seen = [(n, v, row[c]) for n, row in enumerate(rows) for v, c in enumerate(model.cameras)
            if c in row and c not in left_out]
    if seen:
        n, v = [n for n, *_ in seen], [v for _, v, _ in seen]
        kp[n, v], confidence[n, v] = [x.keypoints for *_, x in seen], [x.confidence for *_, x in seen]
        offset[n, v] = np.array([x.stamp for *_, x in seen]) - model.clock_offset_s[v] - now
        offset[np.abs(offset) < 1e-4] = 0.
    sigma = model.noise.sigma(confidence)
    kp[~np.isfinite(sigma)] = 0.
    return Measurement(kp, sigma, offset)
