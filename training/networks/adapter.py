# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Adapter: 2D poses of one 2D network as another one would give them (methods.md 1.3)."""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from .blocks import Residual

__all__ = ['Adapter']


class Adapter(nn.Module):
    """C(x) = x + f(x); f is 0 at the start, so that it begins as the identity.

    Args:
        width, blocks: size.
        gain: factor on the input, as of lifters.
    """

    gain: Tensor

    def __init__(self, width: int = 256, blocks: int = 2, gain: float = 4.) -> None:
        super().__init__()
        self.embed = nn.Linear(51, width)
        self.blocks = nn.Sequential(*[Residual(width) for _ in range(blocks)])
        self.out = nn.Linear(width, 34)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer('gain', torch.tensor([gain, gain, 1.]).repeat(17), persistent=False)

    def forward(self, pose: Tensor) -> Tensor:
        """(N, 17, 3) [w_x, w_y, conf] -> (N, 17, 3); unseen joints and confidences stay as they are."""
        h = self.blocks(leaky_relu(self.embed(pose.flatten(1) * self.gain)))
        seen = (pose[..., 2:] > 0).to(pose.dtype)
        moved = pose[..., :2] + self.out(h).unflatten(1, (17, 2)) / self.gain[0] * seen
        return torch.cat([moved, pose[..., 2:]], -1)
