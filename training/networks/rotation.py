# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Rotations as networks put them out: a rotation vector, or six numbers."""
from __future__ import annotations

import torch
from torch import Tensor

__all__ = ['angle_deg', 'rodrigues', 'six_numbers']

#: cross_matrix(r) = (r @ _CROSS) as 3 x 3
_CROSS = ((0., 0., 0., 0., 0., -1., 0., 1., 0.), (0., 0., 1., 0., 0., 0., -1., 0., 0.),
          (0., -1., 0., 1., 0., 0., 0., 0., 0.))


def rodrigues(rotvec: Tensor) -> Tensor:
    """Rotation vectors (..., 3) rad -> (..., 3, 3): cos I + sin / angle [r] + (1 - cos) / angle^2 r r^T."""
    cross = torch.tensor(_CROSS, dtype=rotvec.dtype, device=rotvec.device)
    eye = torch.eye(3, dtype=rotvec.dtype, device=rotvec.device).flatten()
    square = rotvec.square().sum(-1, keepdim=True) + 1e-12
    angle = square.sqrt()
    cos = angle.cos()
    outer = (rotvec[..., :, None] * rotvec[..., None, :]).flatten(-2)
    flat = cos * eye + (angle.sin() / angle) * (rotvec @ cross) + ((1 - cos) / square) * outer
    return flat.unflatten(-1, (3, 3))


def six_numbers(a: Tensor) -> Tensor:
    """Six numbers (..., 6) -> rotations (..., 3, 3): two columns, made orthonormal (Zhou et al., CVPR 2019)."""
    x = torch.nn.functional.normalize(a[..., :3], dim=-1, eps=1e-6)
    y = a[..., 3:] - (x * a[..., 3:]).sum(-1, keepdim=True) * x
    y = torch.nn.functional.normalize(y, dim=-1, eps=1e-6)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)


def angle_deg(R: Tensor) -> Tensor:
    """Angle of rotations (..., 3, 3), degrees."""
    return ((R.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1).acos().rad2deg()
