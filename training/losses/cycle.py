# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lift, turn, project, lift again, turn back: the 2D must come out (methods.md 1.5; Chen et al., CVPR 2019)."""
from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .reprojection import rep_l1

__all__ = ['lift_cycle_2d', 'random_turns']


def random_turns(n: int, like: Tensor, elevation: float = math.pi / 9) -> Tensor:
    """(n, 3, 3): any azimuth about the image's vertical, then up to +-elevation, rad, about its horizontal."""
    a = (torch.rand(n, device=like.device, dtype=like.dtype) * 2 - 1) * math.pi
    e = (torch.rand(n, device=like.device, dtype=like.dtype) * 2 - 1) * elevation
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    ca, sa, ce, se = a.cos(), a.sin(), e.cos(), e.sin()
    about_y = torch.stack([ca, zero, sa, zero, one, zero, -sa, zero, ca], -1).view(n, 3, 3)
    about_x = torch.stack([one, zero, zero, zero, ce, -se, zero, se, ce], -1).view(n, 3, 3)
    return about_x @ about_y


def lift_cycle_2d(lift: Callable[[Tensor], Tensor], pose: Tensor, y_cam: Tensor, turns: Tensor | None = None,
                  ) -> Tensor:
    """Mean `rep_l1` of the 2D after the cycle; weak perspective.

    Args:
        lift: (N, 17, 3) [w_x, w_y, conf] -> y_cam (N, 17, 3).
        pose: (N, 17, 3) input of the lifter.  y_cam: (N, 17, 3) what it made of it.
        turns: (N, 3, 3); None = random ones.
    """
    turns = random_turns(len(pose), y_cam) if turns is None else turns
    c = pose[..., 2]
    seen = (c > 0).to(pose.dtype)
    there = (y_cam @ turns.mT)[..., :2] * seen[..., None]
    size = there.square().sum((-1, -2), keepdim=True).add(1e-8).sqrt()
    w = there / size * (seen.sum(-1).clamp(min=1) / 17).sqrt()[..., None, None]
    back = lift(torch.cat([w, c[..., None]], -1)) @ turns
    return rep_l1(pose[..., :2], back[..., :2], c).mean()
