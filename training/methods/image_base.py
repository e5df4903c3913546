# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What methods share whose networks look at rendered pictures."""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ..images.boxes import Task
from ..images.pictures import PictureSet
from ..images.rendering import make_pictures
from ..settings import Settings
from .base import DataKind, Method

__all__ = ['ImageMethod', 'ImageSettings', 'TowerSettings']


@dataclass(frozen=True, kw_only=True)
class TowerSettings(Settings):
    """Of networks of images and the pictures that they are trained on."""

    #: channels and residual blocks of the tower's stages, at 1/4, 1/8 and 1/16 of the size
    stages: list[int] = field(default_factory=lambda: [32, 64, 128])
    depth: list[int] = field(default_factory=lambda: [1, 2, 3])
    #: width of what follows the tower
    hidden: int = 48
    #: (w, h) px of the network's input
    size: list[int] = field(default_factory=lambda: [144, 192])
    #: pictures that are rendered
    pictures: int = 6000
    #: folder of a run whose weights it begins with; '' = none
    start: str = ''


@dataclass(frozen=True, kw_only=True)
class ImageSettings(TowerSettings):
    """What networks of single pictures are trained with."""

    lr: float = 2e-3
    schedule: str = 'cosine'
    ema: float = .998
    clip: float = 5.
    floor: float = .003


class ImageMethod(Method):
    """Pictures, and no lifted poses that detectors of collapse could look at.

    Attributes:
        kind: of `Task`.
    """

    kind: ClassVar[str] = 'pose2d'
    data = DataKind.PICTURES

    @property
    def task(self) -> Task:
        """What the pictures have to show."""
        w, h = self.settings.size
        return Task(self.kind, (int(w), int(h)))

    def make_pictures(self, joints: Any, count: int, seed: int, file: Path, jobs: int, held_out: bool) -> PictureSet:
        """Pictures of people in poses `joints` (N, 17, 3) m, or those in the file; see `images.rendering`."""
        return make_pictures(joints, self.task, count, seed, file, jobs)

    def collapse_figures(self, network: Any, batch: Any) -> dict[str, float]:
        """None."""
        return {}
