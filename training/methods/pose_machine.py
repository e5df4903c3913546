# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""3D Human Pose Machines (Wang et al., TPAMI 2019; methods.md 3), without 3D labels: fused skeletons take their place.

The paper's four steps. i: the 2D network, which is somebody else's here. ii: two LSTMs learn 3D poses (p3d). iii: a
layer after them (q3d) and a projector learn to go back to the 2D, the projector first from the teacher's poses, then
from the network's own. iv: all of them together, on joints that the teacher knows in 3D and on joints seen in 2D alone.
The correction at test time is `selfpose_ros.core.correction`.

Other than the paper: the input is 2D joints with their confidence, normalised like everywhere here; both LSTMs run
forwards; the teacher's poses have sigmas, by which joints count.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..batch import Batch
from ..errors import TrainingError
from ..losses.anatomy import bone_vec
from ..losses.likelihood import laplace_nll, pose_distance
from ..losses.squared import p3d_mse, proj2d_mse
from ..networks import Lifter
from ..networks.causal_lstm import Projector, RegressedHead
from .contract import NETWORK, network_of
from .system import taught_target

__all__ = ['PoseMachine']

_SIGMA_WEIGHT = .05
#: in step iii the projector learns from the teacher's poses for this share of it, then from the network's own
_FROM_TEACHER = .5


class PoseMachine:
    """Two causal LSTMs over the newest frames, taught by our own self-calibration, and a projector that is learned."""

    name = 'pose_machine'
    summary = 'two causal LSTMs and a learned projector, taught by self-calibration (3D Pose Machines, TPAMI 2019)'
    #: the trainer's data is a teacher's, see `selfpose_training.teacher`
    taught = True
    #: the projector; None without steps iii and iv
    companions: Projector | None = None

    def __init__(self) -> None:
        self._settings: dict[str, Any] = self.defaults()

    def defaults(self) -> dict[str, Any]:
        return {**NETWORK, 'body': 'causal_lstm', 'head': 'regressed', 'width': 128, 'frames': 5, 'branch': 1,
                'hidden': 256, 'batch': 64, 'lr': 1e-3, 'weight_decay': 0., 'schedule': 'cosine', 'warmup': 200,
                'floor': .003, 'clip': 1., 'ema': .999, 'epochs': 5, 'mirror': .5, 'truth': True, 'keep': 'last',
                'step_iii': .5, 'step_iv': .7, 'projector': 256, 'companion_lr': 1e-3, 'p3d_mse': 1., 'bone_vec': 1.,
                'proj2d_mse': 1.}

    def build(self, config: Mapping[str, Any]) -> Lifter:
        """The network; the projector (width `projector`, 0 = step ii alone) is a companion.

        Raises:
            TrainingError: another head, or steps out of order.
        """
        self._settings = s = self.defaults() | dict(config)
        if s['head'] != 'regressed':
            raise TrainingError(f"pose_machine needs head=regressed, got {s['head']}; leave head as it is")
        if not 0 <= s['step_iii'] <= s['step_iv'] <= 1:
            raise TrainingError(f"pose_machine: step_iii={s['step_iii']} and step_iv={s['step_iv']} are shares of the "
                                'training, 0 to 1, the first not above the second')
        network = network_of(s)
        self.companions = Projector(s['projector']) if s['projector'] else None
        return network

    def step_at(self, progress: float) -> int:
        """2, 3 or 4: which of the paper's steps this share of the training belongs to."""
        s = self._settings
        return 2 if self.companions is None or progress < s['step_iii'] else 3 if progress < s['step_iv'] else 4

    def loss(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        """The terms of the step: `p3d_mse` and `bone_vec` of p3d (ii) or q3d (iii) or both (iv), `proj2d_mse`."""
        s, step = self._settings, self.step_at(progress)
        target, weight = taught_target(batch)
        head = network.head
        assert isinstance(head, RegressedHead)
        pose = batch.past_pose[:, :, -network.frames:] if network.frames > 1 else batch.pose
        with torch.set_grad_enabled(step != 3 and torch.is_grad_enabled()):
            h = network.body(pose.flatten(0, 1))
        p, lifted = head.both(h, step == 4)
        lead = pose.shape[:2]
        p, q, log_sigma = (x.unflatten(0, lead) for x in (p, lifted.y_cam, lifted.log_sigma))
        taught = [p] if step == 2 else [q] if step == 3 else [p, q]
        terms = {'p3d_mse': s['p3d_mse'] * sum(p3d_mse(y, target, weight) for y in taught),
                 'bone_vec': s['bone_vec'] * sum(bone_vec(y, target, weight) for y in taught),
                 'sigma': _SIGMA_WEIGHT * laplace_nll(q.detach(), target, log_sigma, weight)}
        if self.companions is not None and step > 2:
            terms['proj2d_mse'] = s['proj2d_mse'] * self._projected(batch, target, weight, q, step, progress)
        return terms

    def _projected(self, batch: Batch, target: Tensor, weight: Tensor, q: Tensor, step: int,
                   progress: float) -> Tensor:
        assert self.companions is not None
        s = self._settings
        early = progress < s['step_iii'] + _FROM_TEACHER * (s['step_iv'] - s['step_iii'])
        if step == 3 and early:
            # only whole poses are projected: where a joint is not known, the network's own stands in
            q = torch.where(weight[..., None] > 0, target, q.detach())
        return proj2d_mse(self.companions(q), batch.w2d, batch.weight)

    @torch.no_grad()
    def criterion(self, network: Lifter, batch: Batch) -> float:
        """Distance to the teacher's poses of recordings that were held out."""
        target, weight = taught_target(batch)
        return float(pose_distance(network.lift(batch).y_cam, target, weight))
