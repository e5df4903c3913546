# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""CanonPose (Wandt et al., CVPR 2021; methods.md 5): the poses of all views must explain the 2D of all views."""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.batch import Batch
from ..losses.anatomy import depth_elongation
from ..losses.reprojection import cam_shuffle, mix_of, pair_errors, rep_of
from ..networks import Lifted, Lifter
from .base import FrameLifterSettings, Method, consistency, rotations_of, seen_views, sigma_term

__all__ = ['CanonPose', 'CanonPoseSettings', 'other_views']


def other_views(lifted: Lifted, views: Tensor) -> Tensor:
    """(B, V, 17, 3) mean of the other views' poses in each view's axes, as `y_cam`; needs x_can and R."""
    x_can, R = rotations_of(lifted, 'agreement of views')
    X = x_can * views[..., None, None]
    n = views.sum(-1, keepdim=True)[..., None, None]
    mean = (X.sum(1, keepdim=True) - X) / (n - 1).clamp(min=1)
    Y = (mean - mean[..., :1, :]) @ R.mT
    return Y * (Y.square().sum((-1, -2), keepdim=True) / 17 + 1e-6).rsqrt()


@dataclass(frozen=True, kw_only=True)
class CanonPoseSettings(FrameLifterSettings):
    """Of `CanonPose`."""

    #: weight of the poses' reprojection into their own views
    rep: float = 1.
    #: weight of their reprojection into the other views
    mix: float = 1.
    #: weight of the reprojection with rotations of another instant of the rig
    cam_shuffle: float = .1
    #: weight of what poses are deeper than wide
    depth_elongation: float = 1.


class CanonPose(Method):
    """Uncalibrated views, no 3D, no rig: rotation and canonical pose of each view by its own 2D."""

    name = 'canonpose'
    summary = 'poses of all views explain the 2D of all views (CanonPose, CVPR 2021)'
    settings_type = CanonPoseSettings
    settings: CanonPoseSettings

    def loss(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        s, w, c = self.settings, batch.w2d, batch.weight
        lifted = network.lift(batch)
        X, R = rotations_of(lifted, self.name)
        views = seen_views(batch)
        errors = pair_errors(w, X, R, c)
        terms = {'rep': s.rep * rep_of(errors, views), 'mix': s.mix * mix_of(errors, views)}
        if s.cam_shuffle:
            terms['cam_shuffle'] = s.cam_shuffle * cam_shuffle(w, X, R, c, views, batch.subj, batch.rig,
                                                                   batch.ray_rot)
        if s.depth_elongation:
            terms['depth_elongation'] = s.depth_elongation * depth_elongation(lifted.y_cam, views)
        return terms | {'sigma': sigma_term(lifted, other_views(lifted, views), c)}

    @torch.no_grad()
    def criterion(self, network: Lifter, batch: Batch) -> float:
        return float(consistency(network.lift(batch), batch))
