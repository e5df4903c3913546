# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Residual blocks, and how large a network is."""
from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

__all__ = ['Residual', 'parameter_count']


def parameter_count(network: nn.Module) -> int:
    """Numbers that it has to learn, all together."""
    return sum(p.numel() for p in network.parameters())


class Residual(nn.Module):
    """leaky(x + leaky(L2 leaky(L1 x))), slope 0.01, no batch norm (the lifter's block of CanonPose).

    Args:
        width: of input and output.
        drop: dropout after each layer.
        norm: batch normalisation after each layer.
        activate: whether the sum is activated, too.
    """

    def __init__(self, width: int, drop: float = 0., norm: bool = False, activate: bool = True) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.after = nn.ModuleList([nn.Sequential(*([nn.BatchNorm1d(width)] if norm else []),
                                                  nn.LeakyReLU(inplace=True),
                                                  *([nn.Dropout(drop)] if drop else [])) for _ in range(2)])
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        y = x + self.after[1](self.second(self.after[0](self.first(x))))
        return leaky_relu(y, inplace=True) if self.activate else y
