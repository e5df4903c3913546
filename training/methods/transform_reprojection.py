# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Transform re-projection (Li et al., AAAI 2020; methods.md 2): poses in metres must explain all views of a known rig.

Two branches: one lifts, one places the pelvis; so a pose can be taken to the axes of any other camera of the
rig and be compared with what that one saw. With the relative rotations known there is no reversed depth, and with the
baseline known there is a size. The rig is given, or our own self-calibration finds it (`pseudo_labels.rigs`).
The root branch, and all that is known of the rig, only serve the training.

Beyond the paper: the residual that all joints of a pose share trains the root, and the rest of each joint the pose
(`separate_root`). The distance of somebody cannot be estimated from one view to better than their size is known, some
4 %; in another view that is 20 cm aside, and hides what is wrong with the pose.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.batch import Batch
from ..data.normalise import Normalised, norm2d
from ..errors import TrainingError
from ..losses.transform import (
    WEIGHTS,
    flat_residuals,
    pair_weights,
    plane_points,
    pose_residuals,
    reproj,
    root_pretrain,
    sizes,
    t_reproj,
    transform_residuals,
)
from ..networks import Lifted, Lifter
from ..networks.root import RootedLifter, with_root
from .base import DataKind, LifterSettings, Method, seen_views, sigma_term
from .canonpose import other_views

__all__ = ['TransformReprojection', 'TransformReprojectionSettings']


class _Rig(NamedTuple):
    """Cameras of a batch, those of absent views made harmless.

    x: (B, V, 17, 2) what they saw, on the plane; seen: the same through virtual cameras.
    """

    R: Tensor
    t: Tensor
    x: Tensor
    seen: Normalised


@dataclass(frozen=True, kw_only=True)
class TransformReprojectionSettings(LifterSettings):
    """Of `TransformReprojection`."""

    head: str = 'pose3d'
    with_cameras: bool = True
    #: whose cameras: true (the data's), standing (the data's, the same in every epoch) or found (by self-calibration)
    rig: str = 'true'
    #: for found: distance of the first two cameras, m; 0 = not known
    baseline_m: float = 0.
    #: share of the training in which only roots are placed
    root_pretrain_share: float = .06
    #: where the pelvis is: from a branch; none: sizes are taken from the 2D joints, without perspective
    root: str = 'branch'
    #: by whose confidence a joint counts in another view: target, source, product or none
    confidence: str = 'target'
    #: squared distances, as in the paper
    squared_error: bool = False
    #: the residual that all joints share trains the root, and the rest the pose
    separate_root: bool = True
    #: weights of placing the roots, of the own view, of the other views
    root_pretrain: float = 1.
    reproj: float = 1.
    t_reproj: float = 5.

    def __post_init__(self) -> None:
        super().__post_init__()
        self.one_of('rig', ('true', 'standing', 'found'))
        self.one_of('root', ('branch', 'none'))
        self.one_of('confidence', WEIGHTS)


class TransformReprojection(Method):
    """Calibrated views: given, or found by ourselves."""

    name = 'transform_reprojection'
    summary = 'poses in metres explain all views of a known, or self-calibrated, rig (Li et al., AAAI 2020)'
    settings_type = TransformReprojectionSettings
    settings: TransformReprojectionSettings
    data = DataKind.KNOWN_CAMERAS

    def build(self) -> RootedLifter:
        """Both branches.

        Raises:
            TrainingError: the head has no size.
        """
        lifter: Lifter = super().build()
        return with_root(lifter, super().build(), self.settings.width, self.settings.branch)

    def loss(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        """The roots alone in the first share `root_pretrain_share` of the training, then what the views saw."""
        s, views = self.settings, seen_views(batch)
        rig = _rig(batch)
        Y, lifted = _poses(network, batch, rig)
        if progress < s.root_pretrain_share and s.root == 'branch':
            terms = {'root_pretrain': s.root_pretrain * root_pretrain(Y, rig.R, rig.t, views)}
        else:
            terms = self._view_terms(Y, batch, rig)
        return terms | {'sigma': sigma_term(lifted, _other_poses(lifted, batch, rig.R, views), batch.weight)}

    def _view_terms(self, Y: Tensor, batch: Batch, rig: _Rig) -> dict[str, Tensor]:
        """Poses (B, V, 17, 3) m against what the views saw."""
        s = self.settings
        weight = pair_weights(batch.weight, s.confidence)

        def both(residuals: Tensor, weight: Tensor) -> dict[str, Tensor]:
            errors = sizes(residuals, s.squared_error)
            own = {'reproj': s.reproj * reproj(errors, weight)}
            return own | ({'t_reproj': s.t_reproj * t_reproj(errors, weight)} if s.t_reproj else {})

        if s.root == 'none':
            axes = rig.seen.ray_rot
            flat = flat_residuals(rig.seen.w2d * rig.seen.scale_px[..., None], (Y - Y[..., :1, :]) @ axes,
                                  axes.mT @ rig.R, batch.weight)
            return both(pose_residuals(flat, weight), weight)
        residuals = transform_residuals(rig.x, Y, rig.R, rig.t)
        if not s.separate_root:
            return both(residuals, weight)
        pelvis = both(residuals[..., :1, :], weight[..., :1])
        root = sum(pelvis.values(), torch.zeros_like(Y[0, 0, 0, 0]))
        return both(pose_residuals(residuals, weight), weight) | {'root': root}

    @torch.no_grad()
    def criterion(self, network: Lifter, batch: Batch) -> float:
        """How far poses lie from what the other views saw, pelvis on pelvis, in thousandths of the focal length."""
        rig, weight = _rig(batch), pair_weights(batch.weight)
        residuals = transform_residuals(rig.x, _poses(network, batch, rig)[0], rig.R, rig.t)
        return 1e3 * float(t_reproj(sizes(pose_residuals(residuals, weight)), weight))

    @torch.no_grad()
    def figures(self, network: Lifter, batch: Batch) -> dict[str, float]:
        """root_depth: mean distance of the pelvis along the optical axis, m (methods.md 7.12)."""
        depth = _poses(network, batch, _rig(batch))[0][..., 0, 2][seen_views(batch)]
        return {'root_depth': float(depth.mean())} if len(depth) else {}


def _poses(network: Lifter, batch: Batch, rig: _Rig) -> tuple[Tensor, Lifted]:
    """Poses (B, V, 17, 3) m in the axes of the cameras, root position included, and the lifting branch's."""
    assert isinstance(network, RootedLifter)
    pose = batch.past_pose[:, :, -network.frames:] if network.frames > 1 else batch.pose
    lead, flat = pose.shape[:2], pose.flatten(0, 1)
    y, lifted = network.metric(flat)
    root = network.root(flat, rig.seen.scale_px.flatten()).unflatten(0, lead)
    Y = y.unflatten(0, lead) @ batch.ray_rot.mT + (rig.seen.ray_rot @ root[..., None]).mT
    return Y, Lifted(lifted.y_cam.unflatten(0, lead), None, None, lifted.log_sigma.unflatten(0, lead))


def _rig(batch: Batch) -> _Rig:
    """Raises TrainingError: the batch has no cameras."""
    if batch.R is None or batch.t is None or batch.rig_K is None:
        raise TrainingError('batch: transform re-projection needs the cameras (R, t and rig_K), and this data source '
                            'has none', 'set rig=found to let our self-calibration find them')
    there = batch.view_mask[..., None, None]
    eye = torch.eye(3, dtype=batch.R.dtype, device=batch.R.device)
    K = torch.where(there, batch.rig_K, eye)
    x = torch.where(batch.seen[..., None], plane_points(batch.kp_px, K), 0.)
    return _Rig(torch.where(there, batch.R, eye), torch.where(there[..., 0], batch.t, 0.), x,
                norm2d(batch.kp_px, batch.weight, K))


def _other_poses(lifted: Lifted, batch: Batch, R: Tensor, views: Tensor) -> Tensor:
    """Mean of the other views' poses in each view's axes, as `y_cam`, by the rig's rotations."""
    R = batch.ray_rot.mT @ R
    return other_views(lifted._replace(x_can=lifted.y_cam @ R, R=R), views)
