# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Poses against a target that is known to some precision, and the network's own sigma."""
from __future__ import annotations

import torch
from torch import Tensor

__all__ = ['gaussian_nll', 'laplace_nll', 'pose_distance']

_FLOOR = 1e-12


def gaussian_nll(Y: Tensor, target: Tensor, log_sigma: Tensor, weight: Tensor, target_sigma: Tensor | None = None,
                 ) -> Tensor:
    """Negative log likelihood of targets, isotropic in three axes, mean over joints by weight; without constants.

    Args:
        Y, target: (..., 17, 3) in one unit.  log_sigma: (..., 17) in that unit, per axis.
        weight: (..., 17) >= 0; 0 = target not known.
        target_sigma: (..., 17) how well the target itself is known; None = exactly.
    """
    variance = (2 * log_sigma).exp()
    if target_sigma is not None:
        variance = variance + torch.where(weight > 0, target_sigma, 0.).square()
    each = .5 * (Y - target).square().sum(-1) / variance + 1.5 * variance.log()
    return (torch.where(weight > 0, each, 0.) * weight).sum() / weight.sum().clamp(min=_FLOOR)


def laplace_nll(Y: Tensor, target: Tensor, log_sigma: Tensor, weight: Tensor) -> Tensor:
    """As `gaussian_nll`, for isotropic vector Laplacians of standard deviation exp(log_sigma) per axis.

    Its |error| has a gamma distribution of shape 3 and scale sigma / 2: with such tails sigma describes the usual
    error, not the rare gross one.
    """
    off = (Y - target).square().sum(-1).add(_FLOOR).sqrt()
    each = 3 * log_sigma + 2 * off * (-log_sigma).exp()
    return (torch.where(weight > 0, each, 0.) * weight).sum() / weight.sum().clamp(min=_FLOOR)


def pose_distance(Y: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean distance of joints (..., 17, 3) by weight (..., 17)."""
    off = (Y - target).square().sum(-1).add(_FLOOR).sqrt()
    return (torch.where(weight > 0, off, 0.) * weight).sum() / weight.sum().clamp(min=_FLOOR)
