# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A tiny detector of people, from rendered pictures: boxes without anchors (YOLOX, Ge et al. 2021, simplified)."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ..images.pictures import ImageBatch
from ..networks.vision import MEAN, STD, BoxNetwork, prepared
from .image_base import ImageMethod, ImageSettings

__all__ = ['BoxGraph', 'Detector', 'DetectorSettings']

#: longer side of a box in cells that a scale is for; cells around the middle of a box that are to find it, in cells
_CELLS, _RADIUS = 6., 1.
#: overlap with the truth from which a person is found
_IOU = .5


@dataclass(frozen=True, kw_only=True)
class DetectorSettings(ImageSettings):
    """Of `Detector`."""

    stages: list[int] = field(default_factory=lambda: [24, 48, 80])
    depth: list[int] = field(default_factory=lambda: [0, 1, 1])
    size: list[int] = field(default_factory=lambda: [192, 160])
    epochs: int = 16
    warmup: int = 100
    val_samples: int = 512


class Detector(ImageMethod):
    """See the module."""

    name = 'detector'
    summary = 'a tiny detector of people from rendered pictures (after YOLOX, 2021)'
    settings_type = DetectorSettings
    settings: DetectorSettings
    kind = 'detector'

    def build(self) -> BoxNetwork:
        s = self.settings
        network = BoxNetwork(self.task.size, list(s.stages), list(s.depth), s.hidden)
        return prepared(network, s.start)

    def loss(self, network: nn.Module, batch: ImageBatch, progress: float) -> dict[str, Tensor]:
        found = network((batch.image - MEAN) / STD)
        owner, cells = _assigned(batch, self.task.size)
        positive = owner >= 0
        focal = _focal(found[..., 4], positive.float())
        terms = {'objectness': focal / positive.sum().clamp(min=1)}
        if bool(positive.any()):
            rows, columns = positive.nonzero(as_tuple=True)
            box = batch.box[rows, owner[rows, columns]]
            mine = _boxes(found[rows, columns], cells[columns])
            terms['box'] = 2 * (1 - _giou(mine, box)).mean()
        return terms

    @torch.no_grad()
    def criterion(self, network: nn.Module, batch: ImageBatch) -> float:
        """1 - F1 of the people found."""
        f = self.figures(network, batch)
        return 1 - 2 * f['precision'] * f['recall'] / max(100 * (f['precision'] + f['recall']), 1e-9)

    @torch.no_grad()
    def figures(self, network: nn.Module, batch: ImageBatch) -> dict[str, float]:
        """Recall and precision at an overlap of 0.5, percent."""
        from selfpose_ros.inference.tensors.decode import yolox
        raw = BoxGraph(network)((batch.image - MEAN) / STD)
        right = found = people = 0
        for i, (boxes, _) in enumerate(yolox(raw.numpy(), self.task.size, .4, .5)):
            truth = batch.box[i][batch.weight[i].sum(-1) > 0].numpy()
            found, people = found + len(boxes), people + len(truth)
            if len(boxes) and len(truth):
                hits = _overlaps(boxes, truth) > _IOU
                right += int(hits.any(0).sum())
        return {'recall': 100 * right / max(people, 1), 'precision': 100 * right / max(found, 1)}

    def export(self, network: nn.Module, folder: Path, card: Mapping[str, Any]) -> None:
        """A model folder, see `images.export`."""
        from ..export.images import export_vision
        export_vision(BoxGraph(network), 'detector', self.task.size, folder, card)


class BoxGraph(nn.Module):
    """What is exported: boxes in cells, objectness and class as probabilities."""

    names = ('output',)

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        raw = self.network(image)
        return torch.cat([raw[..., :4], raw[..., 4:].sigmoid()], -1)


def _grid(size: tuple[int, int]) -> Tensor:
    """(A, 3) column, row and stride of all cells."""
    rows = []
    for s in BoxNetwork.strides:
        y, x = torch.meshgrid(torch.arange(size[1] // s), torch.arange(size[0] // s), indexing='ij')
        rows.append(torch.stack([x.flatten(), y.flatten(), torch.full((x.numel(),), s)], -1))
    return torch.cat(rows).float()


def _assigned(batch: ImageBatch, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(B, A) index of the person that a cell is to find, -1 = none, and the cells.

    A box belongs to the scale on which its longer side is nearest to `_CELLS` cells; cells about its middle find it.
    """
    cells = _grid(size).to(batch.box.device)
    side = (batch.box[..., 2:] - batch.box[..., :2]).amax(-1).clamp(min=1.)               # B, P
    there = batch.weight.sum(-1) > 0
    strides = torch.tensor(BoxNetwork.strides, device=side.device).float()
    level = (side[..., None] / strides).div(_CELLS).log().abs().argmin(-1)                # B, P
    middle = (batch.box[..., :2] + batch.box[..., 2:]) / 2
    away = (middle[:, :, None] / cells[:, 2:] - cells[:, :2] - .5).abs().amax(-1)         # B, P, A
    fits = (away <= _RADIUS) & (cells[:, 2] == strides[level][..., None]) & there[..., None]
    # of two who want a cell, the nearer one gets it
    best = torch.where(fits, away, torch.inf)
    value, owner = best.min(1)
    return torch.where(value.isfinite(), owner, -1), cells


def _boxes(raw: Tensor, cells: Tensor) -> Tensor:
    middle = (raw[:, :2] + cells[:, :2]) * cells[:, 2:]
    half = raw[:, 2:4].clamp(max=6.).exp() * cells[:, 2:] / 2
    return torch.cat([middle - half, middle + half], -1)


def _giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised intersection over union (Rezatofighi et al., CVPR 2019) of boxes (N, 4)."""
    inner = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(-1)
    outer = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).clamp(min=0).prod(-1)
    union = (a[:, 2:] - a[:, :2]).prod(-1) + (b[:, 2:] - b[:, :2]).prod(-1) - inner
    return inner / union.clamp(min=1e-6) - (outer - union) / outer.clamp(min=1e-6)


def _focal(logits: Tensor, target: Tensor) -> Tensor:
    """Focal loss (Lin et al., ICCV 2017), alpha 0.25 on cells without anybody, sum."""
    p = logits.sigmoid()
    miss = torch.where(target > 0, 1 - p, p)
    weight = torch.where(target > 0, .75, .25) * miss ** 2
    return 4 * (weight * binary_cross_entropy_with_logits(logits, target, reduction='none')).sum()


def _overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    inner = np.clip(np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2]), 0,
                    None).prod(-1)
    both = (a[:, 2:] - a[:, :2]).prod(-1)[:, None] + (b[:, 2:] - b[:, :2]).prod(-1)[None] - inner
    return np.asarray(inner / np.maximum(both, 1e-9))
