# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What goes into a training, and what comes out."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from ..data.arrays import Sampling
from ..settings import Settings

__all__ = ['Data', 'Outcome']


class Data(Protocol):
    """A data set; the same seed and epoch give the same batches, and no global random generator is used."""

    def __len__(self) -> int: ...

    @property
    def interval_s(self) -> float: ...

    def batches(self, n: int, size: int, device: torch.device, *, sampling: Sampling) -> Iterable[Any]: ...

    def windows(self, n: int, size: int, T: int, device: torch.device, *, sampling: Sampling) -> Iterable[Any]: ...


@dataclass
class Outcome:
    """What a training came to.

    Attributes:
        network: with the weights that were kept, on the CPU, in evaluation mode.
        settings: all of them.
        reason: 'done', 'patience' (early stop), 'time' (--max-minutes) or 'stopped' (Ctrl-C, SIGTERM).
        step: steps done, of `total`.
        criterion: of the kept weights on held-out data; NaN without held-out data.
        figures: of the collapse detectors for the kept weights.
        collapsed: sentences; empty = it did not.
        flipped: whether the sign of the depth was flipped.
        history: what was logged.
    """

    network: Any
    settings: Settings
    reason: str
    step: int
    total: int
    criterion: float
    figures: dict[str, float]
    collapsed: list[str]
    flipped: bool
    history: list[dict[str, Any]] = field(repr=False)
