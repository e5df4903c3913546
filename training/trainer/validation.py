# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A network on held-out data: criterion and figures, and whether its depth is reversed."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ..methods.base import Method

__all__ = ['is_reversed', 'validate']


@torch.no_grad()
def validate(method: Method, network: nn.Module, batches: Sequence[Any]) -> tuple[float, dict[str, float]]:
    """The method's criterion and figures: means over batches, by their samples; NaN without batches."""
    training = network.training
    network.eval()
    try:
        weights = [float(b.samples) for b in batches]
        criteria = [float(method.criterion(network, b)) for b in batches]
        figures = [method.collapse_figures(network, b) | method.figures(network, b) for b in batches]
    finally:
        network.train(training)
    share = [x / sum(weights) for x in weights]
    out: dict[str, float] = {}
    for name in dict.fromkeys(k for f in figures for k in f):
        known = [(s, f[name]) for s, f in zip(share, figures, strict=True) if name in f]
        out[name] = sum(s * value for s, value in known) / sum(s for s, _ in known)
    return sum(s * c for s, c in zip(share, criteria, strict=True)) if batches else math.nan, out


def is_reversed(figures: Mapping[str, float], clear: float = 0.) -> bool:
    """Whether the chirality is negative, by more than `clear`."""
    return figures.get('chirality', 1.) < -clear
