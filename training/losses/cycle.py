# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lift, turn, project, lift again, turn back: the 2D must come out (methods.md 1.5; Chen et al., CVPR 2019).

Poses are in camera axes, relative to the pelvis, RMS 1; the camera is at distance c from it in that unit.
"""
from __future__ import annotations

import torch
from torch import Tensor

__all__ = ['camera_distance', 'framed', 'seen_from', 'turns_between']

#: bodies nearer to the camera or farther away than this, in units of their size, are taken for such
_NEAREST, _FARTHEST = 4., 60.
_FLOOR = 1e-8


def turns_between(azimuth: Tensor, was: Tensor, becomes: Tensor) -> Tensor:
    """(n, 3, 3): from a camera that looks down by `was` to one that looks down by `becomes`, round the vertical.

    All (n,) rad; a camera that looks down by e sees the plumb line along (0, cos e, sin e).
    """
    return _about_x(becomes) @ _about_y(azimuth) @ _about_x(-was)


def _about_x(angle: Tensor) -> Tensor:
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([one, zero, zero, zero, c, -s, zero, s, c], -1).unflatten(-1, (3, 3))


def _about_y(angle: Tensor) -> Tensor:
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([c, zero, s, zero, one, zero, -s, zero, c], -1).unflatten(-1, (3, 3))


def camera_distance(y_cam: Tensor, plane: Tensor, weight: Tensor) -> Tensor:
    """(N,) distance c of the camera at which poses (N, 17, 3) look as large as they do; carries no gradient.

    Least squares of plane (c + z) = (x, y): exact where the pose is right.

    Args:
        plane: (N, 17, 2) joints on the image plane at distance 1, relative to the pelvis.  weight: (N, 17).
    """
    with torch.no_grad():
        off = y_cam[..., :2] - plane * y_cam[..., 2:]
        num = ((plane * off).sum(-1) * weight).sum(-1)
        den = (plane.square().sum(-1) * weight).sum(-1)
        return (num / den.clamp(min=_FLOOR)).clamp(_NEAREST, _FARTHEST)


def seen_from(y_cam: Tensor, distance: Tensor) -> Tensor:
    """2D poses (N, 17, 2) of poses (N, 17, 3) at distance (N,), normalised as lifters take them."""
    plane = y_cam[..., :2] / (distance[:, None, None] + y_cam[..., 2:]).clamp(min=.5)
    return framed(plane - plane[:, :1], torch.ones_like(plane[..., 0]))


def framed(plane: Tensor, conf: Tensor) -> Tensor:
    """Scaled as `normalise.norm2d` does, 0 where unseen: (N, 17, 2), conf (N, 17)."""
    seen = (conf > 0).to(plane.dtype)[..., None]
    there = plane * seen
    size = there.square().sum((-1, -2), keepdim=True).add(_FLOOR).sqrt()
    return there / size * (seen.sum((-1, -2), keepdim=True).clamp(min=1) / plane.shape[-2]).sqrt()
