# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""CanonPose (Wandt et al., CVPR 2021; methods.md 5): the poses of all views must explain the 2D of all views."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..batch import Batch
from ..losses.anatomy import drawn_out
from ..losses.reprojection import cam_shuffle, mix_of, pair_errors, rep_of
from ..networks import Lifted, Lifter
from .contract import NETWORK, consistency, network_of, rotations_of, seen_views, sigma_term

__all__ = ['CanonPose', 'other_views']


def other_views(lifted: Lifted, views: Tensor) -> Tensor:
    """(B, V, 17, 3) what the other views say of each view's pose in its axes, as `y_cam`; needs x_can and R."""
    x_can, R = rotations_of(lifted, 'agreement of views')
    X = x_can * views[..., None, None]
    n = views.sum(-1, keepdim=True)[..., None, None]
    mean = (X.sum(1, keepdim=True) - X) / (n - 1).clamp(min=1)
    Y = (mean - mean[..., :1, :]) @ R.mT
    return Y * (Y.square().sum((-1, -2), keepdim=True) / 17 + 1e-6).rsqrt()


class CanonPose:
    """Uncalibrated views, no 3D, no rig: rotation and canonical pose of each view by its own 2D."""

    name = 'canonpose'
    summary = 'poses of all views explain the 2D of all views (CanonPose, CVPR 2021)'

    def __init__(self) -> None:
        self._settings: dict[str, Any] = self.defaults()

    def defaults(self) -> dict[str, Any]:
        return {
            **NETWORK, 'batch': 64, 'lr': 1e-3, 'weight_decay': 1e-5, 'schedule': 'cosine', 'epochs': 20, 'warmup': 100,
            'ema': .999, 'per_rig': 1, 'rep': 1., 'mix': 1., 'cam_shuffle': .1, 'drawn_out': 1.,
        }

    def build(self, config: Mapping[str, Any]) -> Lifter:
        self._settings = self.defaults() | dict(config)
        return network_of(self._settings)

    def loss(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        s, w, c = self._settings, batch.w2d, batch.weight
        lifted = network.lift(batch)
        X, R = rotations_of(lifted, self.name)
        views = seen_views(batch)
        errors = pair_errors(w, X, R, c)
        terms = {'rep': s['rep'] * rep_of(errors, views), 'mix': s['mix'] * mix_of(errors, views)}
        if s['cam_shuffle']:
            terms['cam_shuffle'] = s['cam_shuffle'] * cam_shuffle(w, X, R, c, views, batch.subj, batch.rig,
                                                                   batch.ray_rot)
        if s['drawn_out']:
            terms['drawn_out'] = s['drawn_out'] * drawn_out(lifted.y_cam, views)
        return terms | {'sigma': sigma_term(lifted, other_views(lifted, views), c)}

    @torch.no_grad()
    def criterion(self, network: Lifter, batch: Batch) -> float:
        return float(consistency(network.lift(batch), batch))
