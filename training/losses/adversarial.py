# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Adversarial losses: non-saturating, with a penalty on the critic's gradient (methods.md 1.5).

Goodfellow et al., NeurIPS 2014; the penalty R1 is of Mescheder et al., ICML 2018.
"""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = ['critic_loss', 'generator_loss', 'gradient_penalty']

Critic = Callable[[Tensor], Tensor]


def generator_loss(critic: Critic, generated: Tensor) -> Tensor:
    """Minimised by what generates poses (N, ...): small where the critic takes them for real."""
    return softplus(-critic(generated)).mean()


def critic_loss(critic: Critic, real: Tensor, generated: Tensor) -> Tensor:
    """Minimised by the critic: small where it separates real (N, ...) from generated (M, ...), else log 4."""
    return softplus(-critic(real.detach())).mean() + softplus(critic(generated.detach())).mean()


def gradient_penalty(critic: Critic, real: Tensor) -> Tensor:
    """R1: half the mean square of the critic's gradient at real poses (N, ...)."""
    at = real.detach().requires_grad_(True)
    gradient = torch.autograd.grad(critic(at).sum(), at, create_graph=True)[0]
    return .5 * gradient.square().flatten(1).sum(-1).mean()
