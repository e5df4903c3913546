# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A critic and those that it judges: the non-saturating game with a penalty on the critic's slope (methods.md 1.5).

Goodfellow et al., NeurIPS 2014; the penalty R1 is of Mescheder et al., ICML 2018.
"""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = ['critic_loss', 'fooling', 'slope']

Judge = Callable[[Tensor], Tensor]


def fooling(critic: Judge, made: Tensor) -> Tensor:
    """What the maker of poses (N, ...) minimises: small where the critic takes them for real."""
    return softplus(-critic(made)).mean()


def critic_loss(critic: Judge, real: Tensor, made: Tensor) -> Tensor:
    """What the critic minimises: small where it tells real (N, ...) from made (M, ...); log 4 where it cannot."""
    return softplus(-critic(real.detach())).mean() + softplus(critic(made.detach())).mean()


def slope(critic: Judge, real: Tensor) -> Tensor:
    """R1: half the mean square of the critic's gradient at real poses (N, ...)."""
    at = real.detach().requires_grad_(True)
    gradient = torch.autograd.grad(critic(at).sum(), at, create_graph=True)[0]
    return .5 * gradient.square().flatten(1).sum(-1).mean()
