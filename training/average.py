# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Exponential moving average of a network's weights."""
from __future__ import annotations

import copy

import torch

from .networks import Lifter

__all__ = ['Average']

#: steps between two updates: a pass over all weights costs as much as a third of an optimiser step
_EVERY = 20


class Average:
    """A second network whose weights follow the first one's slowly."""

    def __init__(self, network: Lifter, decay: float) -> None:
        """Start equal.

        Args:
            network: that is trained.
            decay: share of the old average that is left after a step.
        """
        self.network = copy.deepcopy(network).requires_grad_(False)
        self._decay = decay
        self._from = [p.detach() for p in network.parameters()]
        self._to = [p.detach() for p in self.network.parameters()]
        self._buffers = list(zip(network.buffers(), self.network.buffers(), strict=True))

    @torch.no_grad()
    def take(self, step: int) -> None:
        """Follow, after a step (counted from 1). In the first steps faster, else the start would linger."""
        if step % _EVERY:
            return
        decay = min(self._decay, (1 + step) / (10 + step)) ** _EVERY
        torch._foreach_lerp_(self._to, self._from, 1 - decay)
        for source, target in self._buffers:
            target.copy_(source)
