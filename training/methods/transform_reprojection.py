# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Transform re-projection (Li et al., AAAI 2020; methods.md 2): poses in metres must explain all views of a known rig.

Two branches: one lifts, one says where the pelvis is; so a pose can be taken to the axes of any other camera of the
rig and be compared with what that one saw. With the relative rotations known there is no reversed depth, and with the
baseline known there is a size. The rig is given, or our own self-calibration finds it (`selfpose_training.known_rigs`).
The root branch, and all that is known of the rig, only serve the training.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..batch import Batch
from ..errors import TrainingError
from ..losses.transform import (
    WEIGHTS,
    pair_weights,
    plane_points,
    reproj,
    root_pretrain,
    t_reproj,
    transform_errors,
)
from ..networks import Lifted, Lifter
from ..networks.root import RootedLifter, with_root
from ..normalise import norm2d
from .canonpose import other_views
from .contract import NETWORK, network_of, seen_views, sigma_term

__all__ = ['ROOTS', 'TransformReprojection']

#: who says where the pelvis is: a branch of its own, or the size of the pose over that of the 2D joints
ROOTS = ('branch', 'size')
_FLOOR = 1e-9


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
                'confidence': 'product', 'square': False, 'root_pretrain': 1., 'reproj': 1., 't_reproj': 1.}

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
        Y, lifted, rig = self._global(network, batch)
        if progress < s['pretrain'] and s['root'] == 'branch':
            terms = {'root_pretrain': s['root_pretrain'] * root_pretrain(Y, rig.R, rig.t, views)}
        else:
            errors = transform_errors(rig.x, Y, rig.R, rig.t, s['square'])
            weight = pair_weights(batch.weight, s['confidence'])
            terms = {'reproj': s['reproj'] * reproj(errors, weight)}
            if s['t_reproj']:
                terms['t_reproj'] = s['t_reproj'] * t_reproj(errors, weight)
        return terms | {'sigma': sigma_term(lifted, _others(lifted, batch, rig.R, views), batch.weight)}

    @torch.no_grad()
    def criterion(self, network: Lifter, batch: Batch) -> float:
        """How far the views' poses lie from what the others saw, thousandths of the focal length."""
        Y, _, rig = self._global(network, batch)
        return 1e3 * float(t_reproj(transform_errors(rig.x, Y, rig.R, rig.t), pair_weights(batch.weight)))

    @torch.no_grad()
    def figures(self, network: Lifter, batch: Batch) -> dict[str, float]:
        """root_depth: mean distance of the pelvis along the optical axis, m (methods.md 7.12)."""
        Y, _, _ = self._global(network, batch)
        depth = Y[..., 0, 2][seen_views(batch)]
        return {'root_depth': float(depth.mean())} if len(depth) else {}

    def _global(self, network: Lifter, batch: Batch) -> tuple[Tensor, Lifted, _Rig]:
        """Poses (B, V, 17, 3) m in the axes of the cameras, root position included."""
        assert isinstance(network, RootedLifter)
        rig = _rig(batch)
        pose = batch.past_pose[:, :, -network.frames:] if network.frames > 1 else batch.pose
        lead = pose.shape[:2]
        flat, said = network.metric(pose.flatten(0, 1))
        lifted = Lifted(said.y_cam.unflatten(0, lead), None, None, said.log_sigma.unflatten(0, lead))
        Y = flat.unflatten(0, lead) @ batch.ray_rot.mT
        seen = norm2d(batch.kp_px, batch.weight, rig.K)
        if self._settings['root'] == 'branch':
            root = network.root(pose.flatten(0, 1), seen.scale_px.flatten()).unflatten(0, lead)
        else:
            root = _by_size(Y @ seen.ray_rot, seen.w2d * seen.scale_px[..., None], batch.weight)
        root = (seen.ray_rot @ root[..., None])[..., 0]
        return Y + root[:, :, None], lifted, rig


@dataclasses.dataclass(frozen=True)
class _Rig:
    """Cameras of a batch, those of absent views made harmless; x: (B, V, 17, 2) what they saw, on the plane."""

    K: Tensor
    R: Tensor
    t: Tensor
    x: Tensor


def _rig(batch: Batch) -> _Rig:
    """Raises TrainingError: the batch has no cameras."""
    if batch.R is None or batch.t is None or batch.rig_K is None:
        raise TrainingError('batch: transform re-projection needs the cameras (R, t and rig_K), and this data source '
                            'has none; set rig=found to let our self-calibration find them')
    there = batch.view_mask[..., None, None]
    eye = torch.eye(3, dtype=batch.R.dtype, device=batch.R.device)
    K = torch.where(there, batch.rig_K, eye)
    x = plane_points(batch.kp_px, K)
    return _Rig(K, torch.where(there, batch.R, eye), torch.where(there[..., 0], batch.t, 0.),
                torch.where(batch.seen[..., None], x, 0.))


def _by_size(Y: Tensor, flat: Tensor, c: Tensor) -> Tensor:
    """(B, V, 3) m: on the axis, as far away as the pose's size over that in the image says, in weak perspective.

    Args:
        Y: (B, V, 17, 3) m, flat: (B, V, 17, 2) on the plane: both in the axes of the virtual camera, about the pelvis.
    """
    m = c[..., None]
    size, seen = ((p.square() * m).sum((-1, -2)) for p in (Y[..., :2], flat))
    z = (size / seen.clamp(min=_FLOOR) + _FLOOR).sqrt()
    return torch.stack([torch.zeros_like(z), torch.zeros_like(z), z], -1)


def _others(lifted: Lifted, batch: Batch, R: Tensor, views: Tensor) -> Tensor:
    """What the other views say of each view's pose, as `y_cam`: the rig tells how to turn it."""
    R = batch.ray_rot.mT @ R
    return other_views(lifted._replace(x_can=lifted.y_cam @ R, R=R), views)
