# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Heat maps that sum to 1 against their targets (methods.md 4.4)."""
from __future__ import annotations

import torch
from torch import Tensor

__all__ = ['heatmap_cross', 'heatmap_mse']

_FLOOR = 1e-12


def heatmap_mse(heat: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Squared distance of maps (..., h, w) over the square of the target, mean over maps by weight (...).

    0 for the target itself, about 1 for a map that is the same everywhere, about 2 for one that is sure elsewhere.
    """
    off = (heat - target).square().sum((-2, -1)) / target.square().sum((-2, -1)).clamp(min=_FLOOR)
    return (off * weight).sum() / weight.sum().clamp(min=_FLOOR)


def heatmap_cross(heat: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Kullback-Leibler divergence of maps from targets, mean by weight.

    Unlike the squared distance it still pulls where a map is sure of a wrong place.
    """
    off = (target * (target.clamp(min=_FLOOR).log() - heat.clamp(min=_FLOOR).log())).sum((-2, -1))
    return (torch.where(weight > 0, off, 0.) * weight).sum() / weight.sum().clamp(min=_FLOOR)
