# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Further learning of a network that exists: `system` on new recordings, and elsewhere what it said before.

Samples whose 3D pose is known teach as in `system`. In samples of which nothing is known the network it began as is
the teacher (Li and Hoiem, Learning without Forgetting, ECCV 2016), so that what it knew is not lost.
"""
from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..batch import Batch
from ..losses.likelihood import pose_distance
from ..networks import Lifter
from .contract import NETWORK
from .system import System

__all__ = ['Refresher']

#: of the difference in log sigma, against that of the poses
_SIGMA_WEIGHT = .05


class Refresher(System):
    """`System` that starts from a network and stays near it where no teacher knows better."""

    name = 'refresher'
    summary = 'further learning of a network on new recordings, see selfpose update'

    def __init__(self, parent: Lifter) -> None:
        super().__init__()
        self._parent = copy.deepcopy(parent).eval().requires_grad_(False)

    def defaults(self) -> dict[str, Any]:
        """Those of `system` without the network's, which is given, and gentler.

        `rehearsal`: weight of staying near; `mix`: shares of virtual views, real views and rehearsal in a batch.
        """
        known = {k: v for k, v in super().defaults().items() if k not in NETWORK}
        return known | {'lr': 2e-4, 'epochs': 30, 'warmup': 50, 'ema': .99, 'val_samples': 512, 'rehearsal': 1.,
                        'mix': [4, 3, 3]}

    def build(self, config: Mapping[str, Any]) -> Lifter:
        self._settings = self.defaults() | dict(config)
        return copy.deepcopy(self._parent).requires_grad_(True)

    def loss(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        """As `system`, and the distance to what the network said before."""
        known = _known(batch)
        out = super().loss(network, batch.take(known), progress) if bool(known.any()) else {}
        if self._settings['rehearsal'] and not bool(known.all()):
            out['rehearsal'] = self._settings['rehearsal'] * self.drift(network, batch.take(~known))
        return out

    @torch.no_grad()
    def criterion(self, network: Lifter, batch: Batch) -> float:
        """Distance to the teacher's poses where there are any."""
        known = _known(batch)
        return super().criterion(network, batch.take(known)) if bool(known.any()) else float('nan')

    def drift(self, network: Lifter, batch: Batch) -> Tensor:
        """Mean distance to the answers of the network that learning began with; the pelvis has none."""
        with torch.no_grad():
            before = self._parent.to(batch.kp_px.device).lift(batch)
        now = network.lift(batch)
        weight = (batch.view_mask & (batch.weight > 0).any(-1))[..., None].expand(before.log_sigma.shape).float()
        weight = torch.cat([torch.zeros_like(weight[..., :1]), weight[..., 1:]], -1)
        sigma = (now.log_sigma - before.log_sigma).abs()
        return pose_distance(now.y_cam, before.y_cam, weight) + \
            _SIGMA_WEIGHT * (sigma * weight).sum() / weight.sum().clamp(min=1)


def _known(batch: Batch) -> Tensor:
    """(B,) bool: samples of whose pose a teacher knows something."""
    if batch.X is None or batch.X_sigma is None:
        return torch.full((batch.samples,), batch.X is not None, device=batch.kp_px.device)
    return torch.isfinite(batch.X_sigma).any(-1)
