# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A small 2D pose network, taught by rendered people whose joints are known (SimCC; Li et al., ECCV 2022)."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from ..images.album import ImageBatch
from ..networks.vision import MEAN, STD, VISION, SimccNetwork, begin_with, make_vision
from .of_images import OfImages

__all__ = ['Pose2D', 'SimccGraph', 'pck']

#: width of the target around a joint in bins of half a px, and weight of "nowhere" for a joint outside the image
_SIGMA, _NOWHERE = 4., .1
#: px of a bin
_BIN = .5


class Pose2D(OfImages):
    """See the module; `images.run` makes the pictures."""

    name = 'pose2d'
    summary = 'a small 2D pose network from rendered pictures (SimCC, ECCV 2022)'

    def defaults(self) -> dict[str, Any]:
        return {**VISION, 'size': [144, 192], 'pictures': 16000, 'batch': 64, 'lr': 2e-3, 'weight_decay': 1e-5,
                'schedule': 'cosine', 'epochs': 12, 'warmup': 200, 'ema': .998, 'val_samples': 1024, 'clip': 5.,
                'floor': .003, 'start': ''}

    def build(self, config: Mapping[str, Any]) -> SimccNetwork:
        self._settings = self.defaults() | dict(config)
        network = make_vision('pose2d', self.task(self._settings).size, self._settings)
        begin_with(network, self._settings['start'])
        assert isinstance(network, SimccNetwork)
        return network

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
        from ..images.export import export_vision
        size = self.task(self._settings).size
        export_vision(SimccGraph(network), 'pose2d', size, folder, card)


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
