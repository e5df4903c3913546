# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Squared distances of joints, as 3D Human Pose Machines are trained with (Wang et al., TPAMI 2019; methods.md 3.4)."""
from __future__ import annotations

from torch import Tensor

__all__ = ['p3d_mse', 'proj2d_mse']

_FLOOR = 1e-12


def p3d_mse(Y: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean squared distance of joints (..., 17, 3) by weight (..., 17); 0 where nothing has a weight."""
    return _mean_square(Y, target, weight)


def proj2d_mse(w: Tensor, seen: Tensor, conf: Tensor) -> Tensor:
    """Mean squared distance of projected joints w (..., 17, 2) to those seen, by their confidence (..., 17)."""
    return _mean_square(w, seen, conf)


def _mean_square(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    off = (a - b).square().sum(-1)
    return (off.where(weight > 0, 0.) * weight).sum() / weight.sum().clamp(min=_FLOOR)
