# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Fine tuning of a network that exists: `system` on new recordings, and elsewhere the network's former output.

Samples with pseudo labels are trained on as in `system`. For the others the network that training began with is the
teacher (Li and Hoiem, Learning without Forgetting, ECCV 2016), so that it does not forget. What is learned in earnest
and then averaged with the weights before costs less elsewhere than what is learned gently, for the same gain (Wortsman
et al., Robust fine-tuning of zero-shot models, CVPR 2022).
"""
from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..data.batch import Batch
from ..errors import SettingError
from ..losses.likelihood import pose_distance
from ..networks import Lifter
from ..settings import Settings
from .system import System

__all__ = ['FineTuning', 'FineTuningSettings']

#: of the difference in log sigma, against that of the poses
_SIGMA_WEIGHT = .05


@dataclass(frozen=True, kw_only=True)
class FineTuningSettings(Settings):
    """Of `FineTuning`: gentler than those of `system`; the network is given."""

    batch: int = 64
    lr: float = 2e-4
    weight_decay: float = 0.
    schedule: str = 'cosine'
    warmup: int = 50
    floor: float = .003
    clip: float = 1.
    ema: float = .99
    epochs: int = 30
    mirror: float = .5
    truth: bool = True
    keep: str = 'last'
    val_samples: int = 512
    #: epochs of a small recording are a few steps, and nothing is decided by the evaluations in between
    evaluate_every: int = 100
    #: weight of the distance to the former network's output
    rehearsal: float = 1.
    #: shares of virtual views, real views and rehearsal in a batch
    mix: list[float] = field(default_factory=lambda: [4, 3, 3])
    #: share of the weights before in those that become the model
    parent_share: float = 0.

    shares = (*Settings.shares, 'parent_share')

    def __post_init__(self) -> None:
        super().__post_init__()
        shares = [m for m in self.mix if isinstance(m, int | float) and m >= 0]
        if not len(shares) == len(self.mix) == 3 or not shares[0]:
            raise SettingError('must be three shares, of virtual views (above 0), real views and rehearsal, got '
                               f'{self.mix}', setting='mix')


class FineTuning(System):
    """`System` that starts from a network and stays near it where no pseudo label is known."""

    name = 'update'
    summary = 'fine tuning of a network on new recordings, see selfpose update'
    settings_type = FineTuningSettings

    def __init__(self, parent: Lifter) -> None:
        super().__init__()
        self._parent = copy.deepcopy(parent).eval().requires_grad_(False)

    def build(self) -> Lifter:
        """A copy of the network."""
        return copy.deepcopy(self._parent).requires_grad_(True)

    def loss(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        """As `system`, and the distance to the output of the network before."""
        known = _known(batch)
        out = super().loss(network, batch.take(known), progress) if bool(known.any()) else {}
        if self.settings.rehearsal and not bool(known.all()):
            out['rehearsal'] = self.settings.rehearsal * self.drift(network, batch.take(~known))
        return out

    @torch.no_grad()
    def averaged(self, network: Lifter) -> Lifter:
        """The network with the mean of its weights and of those before, by `parent_share`."""
        out = copy.deepcopy(network)
        for mine, before in zip(out.parameters(), self._parent.parameters(), strict=True):
            mine.lerp_(before.to(mine.device), self.settings.parent_share)
        return out

    @torch.no_grad()
    def criterion(self, network: Lifter, batch: Batch) -> float:
        """Distance to the teacher's poses where there are any."""
        known = _known(batch)
        return super().criterion(network, batch.take(known)) if bool(known.any()) else float('nan')

    def drift(self, network: Lifter, batch: Batch) -> Tensor:
        """Mean distance to the output of the network that training began with; the pelvis has none."""
        with torch.no_grad():
            before = self._parent.to(batch.kp_px.device).lift(batch)
        now = network.lift(batch)
        weight = (batch.view_mask & (batch.weight > 0).any(-1))[..., None].expand(before.log_sigma.shape).float()
        weight = torch.cat([torch.zeros_like(weight[..., :1]), weight[..., 1:]], -1)
        sigma = (now.log_sigma - before.log_sigma).abs()
        return pose_distance(now.y_cam, before.y_cam, weight) + \
            _SIGMA_WEIGHT * (sigma * weight).sum() / weight.sum().clamp(min=1)


def _known(batch: Batch) -> Tensor:
    """(B,) bool: samples with pseudo labels."""
    if batch.X is None or batch.X_sigma is None:
        return torch.full((batch.samples,), batch.X is not None, device=batch.kp_px.device)
    return torch.isfinite(batch.X_sigma).any(-1)
