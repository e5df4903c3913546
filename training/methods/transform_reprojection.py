# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Transform re-projection (Li et al., AAAI 2020; methods.md 2): poses in metres must explain all views of a known rig.

Two branches: one lifts, one says where the pelvis is; so a pose can be taken to the axes of any other camera of the
rig and be compared with what that one saw. With the relative rotations known there is no reversed depth, and with the
baseline known there is a size. The rig is given, or our own self-calibration finds it (`selfpose_training.known_rigs`).
The root branch, and all that is known of the rig, only serve the training.

Beyond the paper: the residual that all joints of a pose share teaches the root, and what is left of each joint the
pose (`separate`). How far away somebody is cannot be told from one view to better than their size is known, some 4 %;
in another view that is 20 cm aside, and hides what is wrong with the pose.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..batch import Batch
from ..errors import TrainingError
from ..losses.transform import (
    WEIGHTS,
    apart,
    flat_residuals,
    pair_weights,
    plane_points,
    reproj,
    root_pretrain,
    sizes,
    t_reproj,
    transform_residuals,
)
from ..networks import Lifted, Lifter
from ..networks.root import RootedLifter, with_root
from ..normalise import Normalised, norm2d
from .canonpose import other_views
from .contract import NETWORK, network_of, seen_views, sigma_term

__all__ = ['ROOTS', 'TransformReprojection']

#: who says where the pelvis is: a branch; or nobody, and sizes are taken from the 2D joints, without perspective
ROOTS = ('branch', 'none')


class _Rig(NamedTuple):
    """Cameras of a batch, those of absent views made harmless.

    x: (B, V, 17, 2) what they saw, on the plane; seen: the same through virtual cameras.
    """

    R: Tensor
    t: Tensor
    x: Tensor
    seen: Normalised


class TransformReprojection:
    """Calibrated views: given, or found by ourselves."""

    name = 'transform_reprojection'
    summary = 'poses in metres explain all views of a known, or self-calibrated, rig (Li et al., AAAI 2020)'
    #: the trainer's data knows its cameras, see `selfpose_training.known_rigs`
    rigged = True

    def __init__(self) -> None:
        self._settings: dict[str, Any] = self.defaults()

    def defaults(self) -> dict[str, Any]:
        return {**NETWORK, 'head': 'pose3d', 'batch': 64, 'lr': 1e-3, 'weight_decay': 0., 'schedule': 'cosine',
                'epochs': 20, 'warmup': 200, 'floor': .003, 'clip': 1., 'ema': .999, 'mirror': .5, 'keep': 'last',
                'rigs': True, 'rig': 'true', 'baseline_m': 0., 'pretrain': .06, 'root': 'branch',
                'confidence': 'target', 'square': False, 'separate': True, 'root_pretrain': 1., 'reproj': 1.,
                't_reproj': 5.}

    def build(self, config: Mapping[str, Any]) -> RootedLifter:
        """Both branches.

        Raises:
            TrainingError: a setting is not one of those known, or the head has no size.
        """
        self._settings = s = self.defaults() | dict(config)
        for name, known in (('root', ROOTS), ('confidence', WEIGHTS)):
            if s[name] not in known:
                raise TrainingError(f'setting {name} must be one of {", ".join(known)}, got {s[name]!r}')
        lifter = network_of(s)
        return with_root(lifter, network_of(s), s)

    def loss(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        """The roots alone in the first share `pretrain` of the training, then what the views saw."""
        s, views = self._settings, seen_views(batch)
        rig = _rig(batch)
        Y, lifted = _poses(network, batch, rig)
        if progress < s['pretrain'] and s['root'] == 'branch':
            terms = {'root_pretrain': s['root_pretrain'] * root_pretrain(Y, rig.R, rig.t, views)}
        else:
            terms = self._seen(Y, batch, rig)
        return terms | {'sigma': sigma_term(lifted, _others(lifted, batch, rig.R, views), batch.weight)}

    def _seen(self, Y: Tensor, batch: Batch, rig: _Rig) -> dict[str, Tensor]:
        """Poses (B, V, 17, 3) m against what the views saw."""
        s = self._settings
        weight = pair_weights(batch.weight, s['confidence'])

        def both(residuals: Tensor, weight: Tensor) -> dict[str, Tensor]:
            errors = sizes(residuals, s['square'])
            own = {'reproj': s['reproj'] * reproj(errors, weight)}
            return own | ({'t_reproj': s['t_reproj'] * t_reproj(errors, weight)} if s['t_reproj'] else {})

        if s['root'] == 'none':
            axes = rig.seen.ray_rot
            return both(apart(flat_residuals(rig.seen.w2d * rig.seen.scale_px[..., None], (Y - Y[..., :1, :]) @ axes,
                                             axes.mT @ rig.R, batch.weight), weight), weight)
        residuals = transform_residuals(rig.x, Y, rig.R, rig.t)
        if not s['separate']:
            return both(residuals, weight)
        pelvis = both(residuals[..., :1, :], weight[..., :1])
        return both(apart(residuals, weight), weight) | {'root': sum(pelvis.values(), torch.zeros_like(Y[0, 0, 0, 0]))}

    @torch.no_grad()
    def criterion(self, network: Lifter, batch: Batch) -> float:
        """How far poses lie from what the other views saw, pelvis on pelvis, in thousandths of the focal length."""
        rig, weight = _rig(batch), pair_weights(batch.weight)
        residuals = transform_residuals(rig.x, _poses(network, batch, rig)[0], rig.R, rig.t)
        return 1e3 * float(t_reproj(sizes(apart(residuals, weight)), weight))

    @torch.no_grad()
    def figures(self, network: Lifter, batch: Batch) -> dict[str, float]:
        """root_depth: mean distance of the pelvis along the optical axis, m (methods.md 7.12)."""
        depth = _poses(network, batch, _rig(batch))[0][..., 0, 2][seen_views(batch)]
        return {'root_depth': float(depth.mean())} if len(depth) else {}


def _poses(network: Lifter, batch: Batch, rig: _Rig) -> tuple[Tensor, Lifted]:
    """Poses (B, V, 17, 3) m in the axes of the cameras, root position included, and what the lifting branch says."""
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
                            'has none; set rig=found to let our self-calibration find them')
    there = batch.view_mask[..., None, None]
    eye = torch.eye(3, dtype=batch.R.dtype, device=batch.R.device)
    K = torch.where(there, batch.rig_K, eye)
    x = torch.where(batch.seen[..., None], plane_points(batch.kp_px, K), 0.)
    return _Rig(torch.where(there, batch.R, eye), torch.where(there[..., 0], batch.t, 0.), x,
                norm2d(batch.kp_px, batch.weight, K))


def _others(lifted: Lifted, batch: Batch, R: Tensor, views: Tensor) -> Tensor:
    """What the other views say of each view's pose, as `y_cam`: the rig tells how to turn it."""
    R = batch.ray_rot.mT @ R
    return other_views(lifted._replace(x_can=lifted.y_cam @ R, R=R), views)
