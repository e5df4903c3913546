# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Critics: one number for a 2D pose, or for how it moves, high where it looks real (methods.md 1.3)."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from ..losses.anatomy import bone_vectors
from .blocks import Residual

__all__ = ['Critic', 'Tilt', 'frozen']


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Inside, the network is a fixed function: gradients go through it to its input, none to its weights."""
    wanted = [p for p in network.parameters() if p.requires_grad]
    try:
        for p in wanted:
            p.requires_grad_(False)
        yield
    finally:
        for p in wanted:
            p.requires_grad_(True)


class Critic(nn.Module):
    """Residual network, without batch normalisation: each pose is judged by itself.

    It is given the joints and the products of all pairs of bones, which hold their lengths and the angles between them
    (kinematic chain space, Wandt and Rosenhahn, CVPR 2019): from joints alone it would have to find those out first.

    Args:
        poses: that are judged together: 1, or 2 of one person for a critic of motion.
        width, blocks: size.
        gain: factor on the joints, whose size is 0.24.
    """

    bones: Tensor

    def __init__(self, poses: int = 1, width: int = 128, blocks: int = 2, gain: float = 4.) -> None:
        super().__init__()
        self.gain = gain
        # a product: gathering joints by their numbers is slow on the way back
        self.register_buffer('bones', bone_vectors(torch.eye(17)), persistent=False)               # 16, 17
        self.embed = nn.Linear(34 * poses + (16 * poses) ** 2, width)
        self.blocks = nn.Sequential(*[Residual(width) for _ in range(blocks)])
        self.out = nn.Linear(width, 1)

    def forward(self, poses: Tensor) -> Tensor:
        """(N, 17, 2), or (N, 2, 17, 2) -> (N,)."""
        joints = poses * self.gain
        bones = (self.bones @ joints).reshape(len(poses), -1, 2)
        products = (bones @ bones.mT).flatten(1)
        return self.out(self.blocks(leaky_relu(self.embed(torch.cat([joints.flatten(1), products], 1)))))[:, 0]


class Tilt(nn.Module):
    """How far the camera looks down on a body, rad (N,): a guess from its 2D pose (N, 17, 3).

    Args:
        start: its output untrained, rad.  most: limit of its output, +-, rad.
    """

    def __init__(self, width: int = 128, start: float = .14, most: float = .7) -> None:
        super().__init__()
        self.most = most
        self.layers = nn.Sequential(nn.Linear(51, width), nn.LeakyReLU(), Residual(width), nn.Linear(width, 1))
        nn.init.zeros_(self.layers[-1].weight)             # type: ignore[arg-type]
        nn.init.constant_(self.layers[-1].bias, torch.atanh(torch.tensor(start / most)).item())  # type: ignore[arg-type]

    def forward(self, pose: Tensor) -> Tensor:
        """(N, 17, 3) as a lifter takes them -> (N,)."""
        return self.most * torch.tanh(self.layers(pose.flatten(1) * 4)[:, 0])
