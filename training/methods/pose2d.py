# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A small 2D pose network, trained on rendered people (SimCC; Li et al., ECCV 2022)."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from ..images.pictures import ImageBatch
from ..networks.vision import MEAN, STD, SimccNetwork, prepared
from .image_base import ImageMethod, ImageSettings

__all__ = ['Pose2D', 'Pose2DSettings', 'SimccGraph', 'pck']

#: width of the target around a joint in bins of half a px, and weight of "nowhere" for a joint outside the image
_SIGMA, _NOWHERE = 4., .1
#: px of a bin
_BIN = .5


@dataclass(frozen=True, kw_only=True)
class Pose2DSettings(ImageSettings):
    """Of `Pose2D`."""

    hidden: int = 192
    pictures: int = 16000
    batch: int = 64
    epochs: int = 12
    warmup: int = 200
    val_samples: int = 1024


class Pose2D(ImageMethod):
    """See the module."""

    name = 'pose2d'
    summary = 'a small 2D pose network from rendered pictures (SimCC, ECCV 2022)'
    settings_type = Pose2DSettings
    settings: Pose2DSettings

    def build(self) -> SimccNetwork:
        s = self.settings
        network = SimccNetwork(self.task.size, list(s.stages), list(s.depth), s.hidden)
        return prepared(network, s.start)

    def loss(self, network: nn.Module, batch: ImageBatch, progress: float) -> dict[str, Tensor]:
        terms = {}
        weight = batch.weight[:, 0]
        for axis, logits in zip('xy', network((batch.image - MEAN) / STD), strict=True):
            place = batch.points[:, 0, :, 'xy'.index(axis)] / _BIN
            bins = torch.arange(logits.shape[-1], device=logits.device)
            target = torch.exp(-.5 * ((bins - place[..., None]) / _SIGMA) ** 2)
            target = target / target.sum(-1, keepdim=True).clamp(min=1e-6)
            seen = weight[..., None]
            target = torch.where(seen > 0, target, 1. / len(bins))
            cross = -(target * log_softmax(logits, -1)).sum(-1)
            share = torch.where(weight > 0, weight, _NOWHERE)
            terms[axis] = (share * cross).sum() / share.sum()
        return terms

    @torch.no_grad()
    def criterion(self, network: nn.Module, batch: ImageBatch) -> float:
        """Mean distance in torso lengths, no more than 1 for a joint."""
        off, there = _errors(network, batch)
        return float((off.clamp(max=1.) * there).sum() / there.sum().clamp(min=1))

    def figures(self, network: nn.Module, batch: ImageBatch) -> dict[str, float]:
        """PCK at a tenth and a fifth of the torso, percent."""
        off, there = _errors(network, batch)
        return {'pck_10': pck(off, there, .1), 'pck_20': pck(off, there, .2)}

    def export(self, network: nn.Module, folder: Path, card: Mapping[str, Any]) -> None:
        """A model folder, see `images.export`."""
        from ..export.images import export_vision
        export_vision(SimccGraph(network), 'pose2d', self.task.size, folder, card)


class SimccGraph(nn.Module):
    """What is exported: probabilities of the bins over that of a joint which is as sure as its target, so 0..1."""

    names = ('simcc_x', 'simcc_y')

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x, y = self.network(image)
        most = _SIGMA * (2 * torch.pi) ** .5
        return x.softmax(-1) * most, y.softmax(-1) * most


@torch.no_grad()
def _errors(network: nn.Module, batch: ImageBatch) -> tuple[Tensor, Tensor]:
    """(B, 17) distance in torso lengths, and whether it counts."""
    x, y = network((batch.image - MEAN) / STD)
    found = torch.stack([x.argmax(-1), y.argmax(-1)], -1) * _BIN
    off = (found - batch.points[:, 0]).norm(dim=-1) / batch.torso[:, :1]
    return off, (batch.weight[:, 0] > 0).float()


def pck(off: Tensor, there: Tensor, at: float) -> float:
    """Percentage of correct keypoints: those nearer than `at` torso lengths."""
    return float(100 * ((off < at) * there).sum() / there.sum().clamp(min=1))
