# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Poses that should be the same: in all views, in both steps (methods.md 6.5), up to rotation (4.4)."""
from __future__ import annotations

import torch
from torch import Tensor

__all__ = ['canonical_consistency', 'mv_procrustes', 'procrustes_rotation', 'step_consistency', 'unit_pose']

_FLOOR = 1e-8


def unit_pose(X: Tensor) -> Tensor:
    """Poses (..., 17, 3) divided by the RMS of their joints' norms: agreement must not shrink them."""
    return X * (X.square().sum((-1, -2), keepdim=True) / X.shape[-2] + _FLOOR).rsqrt()


def canonical_consistency(X: Tensor, views: Tensor) -> Tensor:
    """Mean over pairs of views of |X_u - X_v|_1 / 51; X (B, V, 17, 3), views (B, V) bool.

    Keep its weight tiny: as the main loss it makes poses that no longer follow the input (methods.md 5.5).
    """
    Xn = unit_pose(X)
    off = (Xn[:, :, None] - Xn[:, None]).abs().mean((-1, -2))
    pairs = (views[:, :, None] & views[:, None]).triu(1)
    return (off * pairs).sum() / pairs.sum().clamp(min=1)


def step_consistency(X: Tensor, X2: Tensor, c: Tensor) -> Tensor:
    """Confidence-weighted distance of the poses (B, V, 17, 3) of both steps, / 51, mean over the views there."""
    off = (unit_pose(X) - unit_pose(X2)).square().sum(-1).add(_FLOOR).sqrt()
    return (off * c).sum() / (3 * X.shape[-2] * (c > 0).any(-1).sum().clamp(min=1))


def procrustes_rotation(source: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Rotation (..., 3, 3), never a reflection, that turns poses (..., 17, 3) onto each other; weight (..., 17).

    Poses are taken as they are, about their origins. The result carries no gradient.
    """
    with torch.no_grad():
        H = (target * weight[..., None]).mT @ source
        u, _, vt = torch.linalg.svd(H)
        last = torch.det(u @ vt)
        d = torch.ones_like(H[..., 0])
        d[..., 2] = torch.where(last < 0, -1., 1.)
        return (u * d[..., None, :]) @ vt


def mv_procrustes(Y: Tensor, c: Tensor, sized: bool = False) -> Tensor:
    """Poses in camera axes (B, V, 17, 3) of all views must agree after the best rotation (Iqbal et al., CVPR 2020).

    Mean over pairs u != v and joints of the distance, weighted by both confidences c (B, V, 17), of poses about their
    weighted centre.

    Args:
        sized: poses have a unit of their own, as the paper's have (a bone of length 1); else unit poses are compared.
    """
    both = c[:, :, None] * c[:, None]                                                  # B, V, U, J
    total = both.sum(-1).clamp(min=_FLOOR)[..., None, None]
    Yn = Y if sized else unit_pose(Y)
    shape = (*both.shape, 3)
    a, b = Yn[:, :, None].expand(shape), Yn[:, None].expand(shape)
    a = a - (a * both[..., None]).sum(-2, keepdim=True) / total
    b = b - (b * both[..., None]).sum(-2, keepdim=True) / total
    off = (a - b @ procrustes_rotation(b, a, both).mT).square().sum(-1).add(_FLOOR).sqrt()
    pairs = ~torch.eye(c.shape[1], dtype=torch.bool, device=c.device)[None, :, :, None]
    return (off * both * pairs).sum() / (both * pairs).sum().clamp(min=_FLOOR)
