# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Networks that a method trains beside its lifter (critics, adapters): an optimiser of their own, part of checkpoints.

A method that has some makes them in `build` as `companions`, an `nn.Module`, and may have `companion_loss(batch,
step)`: terms that are minimised by them alone, computed after the lifter's step of the same batch. Its `loss` teaches
them, too, where they are not `frozen` (`networks.critic`) in it. They are no part of the model.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .batch import Batch
from .distributed import World
from .methods.contract import Method

__all__ = ['Companions']

#: decay rates of Adam: with little memory of old gradients, as two networks that answer each other need it
_BETAS = (.5, .9)


class Companions:
    """A method's companions and their optimiser; of a method without any, nothing."""

    def __init__(self, method: Method, settings: Mapping[str, Any], w: World) -> None:
        """Take them over; the method has been built.

        Args:
            settings: `companion_lr` is the learning rate, relative to which the schedule's factors hold.
        """
        self._method, self._w = method, w
        networks: nn.Module | None = getattr(method, 'companions', None)
        self.networks = None if networks is None else networks.to(w.device)
        if self.networks is not None:
            self._lr, self._main_lr = settings['companion_lr'], settings['lr']
            self._parameters = list(self.networks.parameters())
            fused = all(p.device.type in ('cpu', 'cuda') for p in self._parameters)
            self._optimiser = torch.optim.Adam(self._parameters, self._lr, _BETAS, fused=fused)

    def step(self, batch: Batch, lr: float, number: int) -> dict[str, Tensor]:
        """Their step, after the lifter's gradients were computed.

        Args:
            lr: the lifter's learning rate of this step.  number: of the step, from 0.

        Returns:
            The terms of `companion_loss`.
        """
        if self.networks is None:
            return {}
        wanted = getattr(self._method, 'companion_loss', None)
        terms: dict[str, Tensor] = wanted(batch, number) if wanted else {}
        if terms:
            total: Tensor = sum(terms.values())            # type: ignore[assignment]
            total.backward()
        if self._w.size > 1:
            for p in self._parameters:
                p.grad = torch.zeros_like(p) if p.grad is None else p.grad
                dist.all_reduce(p.grad)
                p.grad /= self._w.size
        for group in self._optimiser.param_groups:
            group['lr'] = self._lr * lr / self._main_lr
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        return terms

    def state(self) -> dict[str, Any] | None:
        """For a checkpoint."""
        if self.networks is None:
            return None
        return {'networks': self.networks.state_dict(), 'optimiser': self._optimiser.state_dict()}

    def restore(self, state: dict[str, Any] | None) -> None:
        """Go on from a checkpoint's.

        Raises:
            KeyError, RuntimeError, ValueError: it is of other networks.
        """
        if self.networks is None:
            return
        if state is None:
            raise KeyError('companions')
        self.networks.load_state_dict(state['networks'])
        self._optimiser.load_state_dict(state['optimiser'])
