# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Several data sets as one: every batch holds a fixed share of each."""
from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import TrainingError
from .arrays import EpochArrays, Sampling
from .batch import Batch

__all__ = ['Mixture', 'Part', 'Source']

#: epochs of a source that is used up before the mixture's epoch ends: so far apart that no two epochs share one
_ROUND = 1_000_003
#: where a field of `Batch` has its views
_VIEW_AXIS = {'kp_px': 1, 'conf': 1, 'image_size': 1, 'view_mask': 1, 'K': 1, 'R': 1, 't': 1, 'past_px': 2,
              'past_conf': 2}


class Source(Protocol):
    """A data set, as `MotionViews` and `RecordedViews` are."""

    def __len__(self) -> int: ...

    @property
    def interval_s(self) -> float: ...

    def epoch(self, n: int) -> EpochArrays: ...


@dataclass(frozen=True)
class Part:
    """A data set and its share of each batch.

    Attributes:
        share: of the samples, any unit.
        known_k: hand out its intrinsics, where it has them.
    """

    source: Source
    share: float
    known_k: bool = False


class Mixture:
    """Data sets mixed; an epoch is over when the first of them has been through once."""

    def __init__(self, parts: Sequence[Part]) -> None:
        """Put them together; parts without a share are left out.

        Raises:
            TrainingError: nothing left, or the first one without a share.
        """
        if not parts or not all(p.share >= 0 for p in parts) or not parts[0].share > 0:
            raise TrainingError('mixture: the first data set needs a share above 0, and no share may be negative')
        self.parts = tuple(p for p in parts if p.share > 0)

    def __len__(self) -> int:
        """Samples in an epoch."""
        return round(len(self.parts[0].source) * sum(p.share for p in self.parts) / self.parts[0].share)

    @property
    def interval_s(self) -> float:
        """Between neighbouring frames of the first part, s."""
        return self.parts[0].source.interval_s

    def batches(self, n: int, size: int, device: torch.device | str = 'cpu', *,
                sampling: Sampling | None = None) -> Iterator[Batch]:
        """Epoch `n` as batches of single frames, those of the first part first in each."""
        yield from self._mixed(n, size, device, sampling or Sampling(), 0)

    def windows(self, n: int, size: int, T: int, device: torch.device | str = 'cpu', *,
                sampling: Sampling | None = None) -> Iterator[Batch]:
        """Epoch `n` as batches of causal windows of T frames, newest last."""
        yield from self._mixed(n, size, device, sampling or Sampling(), T)

    def _mixed(self, n: int, size: int, device: torch.device | str, sampling: Sampling, T: int) -> Iterator[Batch]:
        counts = self._counts(size)
        streams = [self._endless(p, k, n, device, sampling, T) for p, k in zip(self.parts, counts, strict=True)]
        for _ in range(max(1, math.ceil(len(self) / size) if sampling.partial else len(self) // size)):
            yield _joined([next(s) for s in streams])

    def _counts(self, size: int) -> list[int]:
        """Samples of each part: at least one each."""
        if size < len(self.parts):
            raise TrainingError(f'batches of {size} samples cannot hold {len(self.parts)} kinds',
                                'give a larger --batch')
        whole = sum(p.share for p in self.parts)
        counts = [max(1, round(size * p.share / whole)) for p in self.parts[1:]]
        return [max(1, size - sum(counts)), *counts]

    def _endless(self, part: Part, size: int, n: int, device: torch.device | str, sampling: Sampling,
                 T: int) -> Iterator[Batch]:
        mine = dataclasses.replace(sampling, intrinsics=part.known_k, partial=False)
        again = 0
        while True:
            yield from part.source.epoch(n + again * _ROUND).batches(size, device, mine, frames=T)
            again += 1


def _joined(batches: Sequence[Batch]) -> Batch:
    """Samples of several data sets in one batch; views and values that some lack are there as not known."""
    V = max(b.views for b in batches)
    with_k = any(b.K is not None for b in batches)
    out: dict[str, Any] = {}
    for f in dataclasses.fields(Batch):
        values: list[Tensor | None] = [getattr(b, f.name) for b in batches]
        if f.name == 'K' and with_k:
            values = [b.image_size.new_zeros((b.samples, b.views, 3, 3)) if b.K is None else torch.nan_to_num(b.K)
                      for b in batches]
        if any(v is None for v in values):
            out[f.name] = None
            continue
        axis = _VIEW_AXIS.get(f.name)
        padded = [v if axis is None else _padded(v, axis, V, f.name == 'image_size') for v in values if v is not None]
        if f.name == 'rig':                                # cameras of different data sets are never exchanged
            padded = [v + k * _ROUND for k, v in enumerate(padded)]
        out[f.name] = torch.cat(padded)
    out['source'] = torch.cat([torch.full_like(b.rig, k) for k, b in enumerate(batches)])
    return Batch(**out)


def _padded(value: Tensor, axis: int, views: int, repeat: bool) -> Tensor:
    """More views: copies of the first, where a zero has no meaning, else zeros."""
    lack = views - value.shape[axis]
    if not lack:
        return value
    first = value.narrow(axis, 0, 1)
    more = first.expand(*[lack if i == axis else -1 for i in range(value.ndim)])
    return torch.cat([value, more if repeat else torch.zeros_like(more)], axis)
