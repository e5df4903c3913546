# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Networks that a method trains beside its own (critics, adapters): an optimiser of their own, part of checkpoints."""
from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..methods.base import AuxiliarySettings, Method
from .distributed import ProcessGroup
from .optimiser import adam, scheduled
from .schedule import Schedule

__all__ = ['AuxiliaryNetworks', 'of_method']

#: decay rates of Adam: with little memory of old gradients, as two networks that answer each other need it
_BETAS = (.5, .9)


def of_method(method: Method, schedule: Schedule, w: ProcessGroup) -> AuxiliaryNetworks | None:
    """Those of a method that has been built, or None."""
    return None if method.auxiliary is None else AuxiliaryNetworks(method, method.auxiliary, schedule, w)


class AuxiliaryNetworks:
    """A method's auxiliary networks and their optimiser."""

    def __init__(self, method: Method, networks: nn.Module, schedule: Schedule, w: ProcessGroup) -> None:
        assert isinstance(method.settings, AuxiliarySettings)
        self._method, self._schedule, self._w = method, schedule, w
        self._lr = method.settings.auxiliary_lr
        self.networks = networks.to(w.device)
        self._optimiser = adam(self.networks.parameters(), self._lr, betas=_BETAS)
        self._scheduler = scheduled(self._optimiser, schedule, self._lr)

    def step(self, batch: Any, number: int) -> dict[str, Tensor]:
        """Their step, after the main network's gradients were computed; the terms of `Method.auxiliary_loss`.

        Args:
            number: of the step, from 0.
        """
        terms = self._method.auxiliary_loss(batch, number)
        if terms:
            total: Tensor = sum(terms.values())            # type: ignore[assignment]
            total.backward()
        if self._w.size > 1:
            for p in self.networks.parameters():
                p.grad = torch.zeros_like(p) if p.grad is None else p.grad
                dist.all_reduce(p.grad)
                p.grad /= self._w.size
        self._optimiser.step()
        self._scheduler.step()
        self._optimiser.zero_grad(set_to_none=True)
        return terms

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {'networks': self.networks.state_dict(), 'optimiser': self._optimiser.state_dict()}

    def restore(self, state: dict[str, Any], step: int) -> None:
        """Go on from a checkpoint's, at this step.

        Raises:
            KeyError, RuntimeError, TypeError, ValueError: it is of other networks.
        """
        self.networks.load_state_dict(state['networks'])
        self._optimiser.load_state_dict(state['optimiser'])
        self._scheduler = scheduled(self._optimiser, self._schedule, self._lr, step)
