# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Our own method: learn from poses that our self-calibration made of recordings, seen by new virtual cameras.

The teacher (`pseudo_labels.teacher`) finds the cameras of every recording from the people in it and gives 3D poses with
sigmas; new rigs look at these poses in every epoch, through the 2D errors measured on the same recordings. What the
student learns is one view's pose in camera axes and how far it can be trusted. No label and no calibration enters.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from selfpose_ros.models.store import open_model

from ..data.batch import Batch
from ..errors import SettingError
from ..export.reader import read_network
from ..losses.agreement import unit_pose
from ..losses.likelihood import laplace_nll, pose_distance
from ..networks import Lifter
from ..settings import Settings
from .base import DataKind, Method, TaughtSettings

__all__ = ['System', 'SystemSettings', 'pseudo_target']

#: a teacher's joint that is this uncertain counts half, m
_DOUBT_M = .04
_SIGMA_WEIGHT = .05


@dataclass(frozen=True, kw_only=True)
class SystemSettings(TaughtSettings):
    """Of `System`."""

    head: str = 'pose3d'
    truth: bool = True
    #: a wider network to learn from, too: a model folder or the name of a shipped model; '' = none
    distil: str = ''
    #: weight of the distance to the wider network's poses
    distil_weight: float = 1.


class System(Method):
    """Student of our own self-calibration; frame by frame, or causal over 27 frames (`body=temporal_conv`)."""

    name = 'system'
    summary = 'taught by our own self-calibration: its poses, seen by new virtual cameras with measured 2D errors'
    settings_type: ClassVar[type[Settings]] = SystemSettings
    data = DataKind.PSEUDO_LABELS
    _wide: Lifter | None = None

    def build(self) -> Lifter:
        """The network; with `distil` a wider one that was trained before is read, too.

        Raises:
            TrainingError, ModelError: `distil` is no model folder, or its network sees more frames than this one.
        """
        s = self.settings
        network: Lifter = super().build()
        self._wide = None
        if s.distil:
            wide = read_network(open_model(s.distil))
            if wide.frames not in (1, network.frames):
                raise SettingError(f'is {s.distil}, which sees {wide.frames} frames, the network that is to learn '
                                   f'{network.frames}', 'give one of 1 frame, or of as many', setting='distil')
            self._wide = wide.requires_grad_(False)
        return network

    def loss(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Distance to the teacher's pose, and the likelihood of what is left."""
        target, weight = pseudo_target(batch)
        lifted = network.lift(batch)
        terms = {'pose': pose_distance(lifted.y_cam, target, weight),
                 'sigma': _SIGMA_WEIGHT * laplace_nll(lifted.y_cam.detach(), target, lifted.log_sigma, weight)}
        if self._wide is not None:
            with torch.no_grad():
                wide = self._wide.to(target.device).lift(batch)
            # joints count by the wide network's own sigmas
            sure = (-2 * wide.log_sigma).exp()
            sure = sure / sure.mean().clamp(min=1e-6) * batch.view_mask[..., None]
            terms['distil'] = self.settings.distil_weight * pose_distance(lifted.y_cam, wide.y_cam,
                                                                              sure.clamp(max=4.))
        return terms

    @torch.no_grad()
    def criterion(self, network: Lifter, batch: Batch) -> float:
        """Distance to the teacher's poses of recordings that were held out."""
        target, weight = pseudo_target(batch)
        return float(pose_distance(network.lift(batch).y_cam, target, weight))


def pseudo_target(batch: Batch) -> tuple[Tensor, Tensor]:
    """The teacher's pose (B, V, 17, 3) as `y_cam` would be, and weights (B, V, 17); the pelvis has none."""
    target = batch.truth()
    if batch.X_sigma is None:
        weight = torch.ones_like(target[..., 0])
    else:
        known = torch.isfinite(batch.X_sigma) & (batch.X_sigma > 0)
        known = known & known[:, :1]                        # everything is relative to the pelvis
        doubt = torch.where(known, batch.X_sigma, 0.) / _DOUBT_M
        weight = (known / (1 + doubt.square()))[:, None].expand(target.shape[:-1])
    weight = weight * batch.view_mask[..., None]
    weight = torch.cat([torch.zeros_like(weight[..., :1]), weight[..., 1:]], -1)
    return unit_pose(torch.where(weight[..., None] > 0, target, 0.)), weight
