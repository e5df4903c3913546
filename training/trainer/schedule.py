# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The learning rate over a training, as a pure function of the step, and when it is time to stop."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import SettingError

__all__ = ['KINDS', 'Patience', 'Schedule', 'pairs']

#: kinds of schedules
KINDS = ('step', 'cosine', 'constant')


@dataclass(frozen=True)
class Schedule:
    """Factor of the learning rate at a step; a pure function: nothing to save, nothing to restore.

    Attributes:
        kind: 'step' (piecewise constant), 'cosine' (half a wave down to `floor`), or 'constant'.
        total: steps of the training.
        warmup: steps in which the rate rises in a straight line from near zero; in short trainings a fifth of all.
        decays: for 'step': pairs (share of the training from which on, factor), rising in the share. The
            papers' x0.1 at epochs 30, 60, 90 of 100 is (.3, .1), (.6, .01), (.9, .001) (methods.md 5.6). A factor
            may rise again: stage 2 of methods.md 6.6.
        floor: for 'cosine': factor at the end.
    """

    kind: str
    total: int
    warmup: int = 0
    decays: tuple[tuple[float, float], ...] = ()
    floor: float = 0.01

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingError(f'must be one of {", ".join(KINDS)}, got {self.kind!r}', setting='schedule')
        if self.warmup < 0:
            raise SettingError(f'must be 0 or more steps, got {self.warmup}', setting='warmup')
        shares = [share for share, _ in self.decays]
        if shares != sorted(shares) or any(not 0 <= s <= 1 or f <= 0 for s, f in self.decays):
            raise SettingError('must be pairs (share of the training from 0 to 1, factor above 0) with rising shares, '
                               f'got {list(map(list, self.decays))}', setting='decays')

    def factor(self, step: int) -> float:
        """Of a step, counted from 0."""
        return self._decay(step) * min(1., (step + 1) / (self._rising + 1))

    @property
    def _rising(self) -> int:
        return min(self.warmup, self.total // 5)

    def _decay(self, step: int) -> float:
        if self.kind == 'cosine':
            done = (step - self._rising) / max(self.total - self._rising, 1)
            return self.floor + (1 - self.floor) * .5 * (1 + math.cos(math.pi * min(max(done, 0.), 1.)))
        factor = 1.
        if self.kind == 'step':
            for share, value in self.decays:
                if step >= share * self.total:
                    factor = value
        return factor


@dataclass
class Patience:
    """Best value of a criterion, and whether it has failed to improve for too long.

    Attributes:
        limit: evaluations without a new best after which it is enough; 0: never.
        margin: relative improvement that counts against the limit; the best is kept whatever its size.
    """

    limit: int
    margin: float = 1e-3
    best: float = math.inf
    waited: int = 0
    _mark: float = math.inf

    def better(self, value: float) -> bool:
        """Take the value of an evaluation; whether it is the best so far."""
        if value < self._mark * (1 - self.margin) or math.isinf(self._mark):
            self._mark, self.waited = value, 0
        else:
            self.waited += 1
        if value < self.best:
            self.best = value
            return True
        return False

    @property
    def over(self) -> bool:
        """Whether it is enough."""
        return bool(self.limit) and self.waited >= self.limit

    def state(self) -> dict[str, float]:
        """What has to be saved."""
        return {'best': self.best, 'waited': self.waited, 'mark': self._mark}

    def restore(self, state: dict[str, float]) -> None:
        """Go on from a saved state."""
        self.best, self.waited, self._mark = state['best'], int(state['waited']), state['mark']


def pairs(value: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    """Decays as read from a configuration.

    Raises:
        SettingError: not a list of pairs of numbers.
    """
    try:
        return tuple((float(a), float(b)) for a, b in value)
    except (TypeError, ValueError) as error:
        raise SettingError(f'must be a list of pairs [share, factor], got {value!r}', setting='decays') from error
