# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Fine tuning of a 2D network that exists: `pose2d` on pictures of recordings, with rendered ones so that it does not
forget these.
"""
from __future__ import annotations

import copy
from dataclasses import dataclass

import torch

from ..networks.vision import SimccNetwork
from .pose2d import Pose2D, Pose2DSettings

__all__ = ['Pose2DFineTuning', 'Pose2DFineTuningSettings']


@dataclass(frozen=True, kw_only=True)
class Pose2DFineTuningSettings(Pose2DSettings):
    """Of `Pose2DFineTuning`; what the network is made of (size, stages, depth, hidden) is its parent's."""

    #: pictures of people in the recordings that are learned from, at most
    pictures: int = 4000
    batch: int = 32
    lr: float = 5e-4
    warmup: int = 30
    ema: float = .99
    keep: str = 'last'
    val_samples: int = 128
    evaluate_every: int = 200
    #: rendered pictures for each one of the recordings
    rehearsal: float = .5

    not_negative = (*Pose2DSettings.not_negative, 'rehearsal')
    at_least_one = (*Pose2DSettings.at_least_one, 'pictures')


class Pose2DFineTuning(Pose2D):
    """`Pose2D` that starts from a network."""

    name = 'update_pose2d'
    summary = 'fine tuning of a 2D network on recordings with images, see selfpose update --what pose2d'
    settings_type = Pose2DFineTuningSettings
    settings: Pose2DFineTuningSettings

    def __init__(self, parent: SimccNetwork) -> None:
        super().__init__()
        self._parent = copy.deepcopy(parent).eval()

    def build(self) -> SimccNetwork:
        """A copy of the network."""
        return copy.deepcopy(self._parent).requires_grad_(True).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
