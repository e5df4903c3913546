# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Full 3D truth: not a way to train here, but the run that all others are compared with."""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.batch import Batch
from ..losses.agreement import unit_pose
from ..losses.likelihood import pose_distance
from ..networks import Lifter
from .base import FrameLifterSettings, Method, consistency, sigma_term

__all__ = ['Supervised', 'target_of']


def target_of(batch: Batch) -> tuple[Tensor, Tensor]:
    """X of the batch as `y_cam` would be, (B, V, 17, 3), and where it is known, (B, V, 17) 0 or 1.

    Raises:
        TrainingError: the batch holds no 3D.
    """
    truth = batch.truth()
    known = batch.view_mask[..., None].expand(truth.shape[:-1])
    if batch.X_sigma is not None:
        known = known & torch.isfinite(batch.X_sigma)[:, None]
    return unit_pose(torch.where(known[..., None], truth, 0.)), known.to(truth.dtype)


@dataclass(frozen=True, kw_only=True)
class SupervisedSettings(FrameLifterSettings):
    """Of `Supervised`."""

    truth: bool = True
    keep: str = 'last'


class Supervised(Method):
    """y_cam against the truth, mean distance of joints; network and schedule as `canonpose`."""

    name = 'supervised'
    summary = 'against 3D truth of motion capture: only to compare with'
    settings_type = SupervisedSettings

    def loss(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        lifted = network.lift(batch)
        target, known = target_of(batch)
        return {'pose': pose_distance(lifted.y_cam, target, known), 'sigma': sigma_term(lifted, target, known)}

    @torch.no_grad()
    def criterion(self, network: Lifter, batch: Batch) -> float:
        return float(consistency(network.lift(batch)._replace(x_can=None, R=None), batch))
