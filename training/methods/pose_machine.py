# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""3D Human Pose Machines (Wang et al., TPAMI 2019; methods.md 3), without 3D labels: fused skeletons take their place.

The paper's four steps. i: the 2D network, which is somebody else's here. ii: two LSTMs learn 3D poses (p3d). iii: a
layer after them (q3d) and a projector learn to go back to the 2D, the projector first from the teacher's poses, then
from the network's own. iv: all of them together, on joints with pseudo labels and on joints seen in 2D alone.
The correction at test time is `selfpose_ros.core.correction`.

Other than the paper: the input is 2D joints with their confidence, normalised like everywhere here; both LSTMs run
forwards; the teacher's poses have sigmas, by which joints count.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.batch import Batch
from ..errors import SettingError
from ..losses.anatomy import bone_vec
from ..losses.likelihood import laplace_nll, pose_distance
from ..losses.squared import p3d_mse, proj2d_mse
from ..networks import Lifter
from ..networks.causal_lstm import Projector, RegressedHead
from .base import AuxiliarySettings, DataKind, Method, TaughtSettings
from .system import pseudo_target

__all__ = ['PoseMachine', 'PoseMachineSettings']

_SIGMA_WEIGHT = .05
#: in step iii the projector learns from the teacher's poses for this share of it, then from the network's own
_FROM_TEACHER = .5


@dataclass(frozen=True, kw_only=True)
class PoseMachineSettings(TaughtSettings, AuxiliarySettings):
    """Of `PoseMachine`."""

    body: str = 'causal_lstm'
    head: str = 'regressed'
    width: int = 128
    frames: int = 5
    branch: int = 1
    epochs: int = 5
    truth: bool = True
    #: width of the layer after the LSTMs
    hidden: int = 256
    #: shares of the training at which the paper's steps iii and iv begin
    step_iii: float = .5
    step_iv: float = .7
    #: width of the projector; 0 = step ii alone
    projector: int = 256
    #: weights of joints, bone vectors and projected joints
    p3d_mse: float = 1.
    bone_vec: float = 1.
    proj2d_mse: float = 1.


class PoseMachine(Method):
    """Two causal LSTMs over the newest frames, trained on pseudo labels, and a projector that is learned."""

    name = 'pose_machine'
    summary = 'two causal LSTMs and a learned projector, taught by self-calibration (3D Pose Machines, TPAMI 2019)'
    settings_type = PoseMachineSettings
    settings: PoseMachineSettings
    data = DataKind.PSEUDO_LABELS
    #: the projector; None without steps iii and iv
    auxiliary: Projector | None = None

    def build(self) -> Lifter:
        """The network; the projector is auxiliary.

        Raises:
            SettingError: another head, or steps out of order.
        """
        s = self.settings
        if s.head != 'regressed':
            raise SettingError(f'must be regressed for {self.name}, got {s.head!r}', setting='head')
        if not 0 <= s.step_iii <= s.step_iv <= 1:
            raise SettingError(f'must be a share of the training, not above step_iv, got {s.step_iii} and {s.step_iv}',
                               setting='step_iii')
        network: Lifter = super().build()
        self.auxiliary = Projector(s.projector) if s.projector else None
        return network

    def step_at(self, progress: float) -> int:
        """2, 3 or 4: which of the paper's steps this share of the training belongs to."""
        s = self.settings
        return 2 if self.auxiliary is None or progress < s.step_iii else 3 if progress < s.step_iv else 4

    def loss(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        """The terms of the step: `p3d_mse` and `bone_vec` of p3d (ii) or q3d (iii) or both (iv), `proj2d_mse`."""
        s, step = self.settings, self.step_at(progress)
        target, weight = pseudo_target(batch)
        head = network.head
        assert isinstance(head, RegressedHead)
        pose = batch.past_pose[:, :, -network.frames:] if network.frames > 1 else batch.pose
        with torch.set_grad_enabled(step != 3 and torch.is_grad_enabled()):
            h = network.body(pose.flatten(0, 1))
        p, lifted = head.both(h, step == 4)
        lead = pose.shape[:2]
        p, q, log_sigma = (x.unflatten(0, lead) for x in (p, lifted.y_cam, lifted.log_sigma))
        trained = [p] if step == 2 else [q] if step == 3 else [p, q]
        terms = {'p3d_mse': s.p3d_mse * torch.stack([p3d_mse(y, target, weight) for y in trained]).sum(),
                 'bone_vec': s.bone_vec * torch.stack([bone_vec(y, target, weight) for y in trained]).sum(),
                 'sigma': _SIGMA_WEIGHT * laplace_nll(q.detach(), target, log_sigma, weight)}
        if self.auxiliary is not None and step > 2:
            terms['proj2d_mse'] = s.proj2d_mse * self._projected(batch, target, weight, q, step, progress)
        return terms

    def _projected(self, batch: Batch, target: Tensor, weight: Tensor, q: Tensor, step: int,
                   progress: float) -> Tensor:
        assert self.auxiliary is not None
        s = self.settings
        early = progress < s.step_iii + _FROM_TEACHER * (s.step_iv - s.step_iii)
        if step == 3 and early:
            # only whole poses are projected: where a joint is not known, the network's own stands in
            q = torch.where(weight[..., None] > 0, target, q.detach())
        return proj2d_mse(self.auxiliary(q), batch.w2d, batch.weight)

    @torch.no_grad()
    def criterion(self, network: Lifter, batch: Batch) -> float:
        """Distance to the teacher's poses of recordings that were held out."""
        target, weight = pseudo_target(batch)
        return float(pose_distance(network.lift(batch).y_cam, target, weight))
