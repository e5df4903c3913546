# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a method is, and what methods share: their network's settings, the criterion, the loss of the sigmas."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from ..data.batch import Batch
from ..errors import SettingError
from ..losses.agreement import procrustes_rotation, unit_pose
from ..losses.likelihood import gaussian_nll
from ..losses.reprojection import mix_of, pair_errors, rep_of
from ..networks import Lifted, network_of
from ..settings import Settings, configured
from .collapse import detect

if TYPE_CHECKING:
    from typing import Self

__all__ = ['AuxiliarySettings', 'DataKind', 'FrameLifterSettings', 'LifterSettings', 'Method', 'NetworkSettings',
           'TaughtSettings', 'consistency', 'rotations_of', 'seen_views', 'sigma_term']

_SIGMA_WEIGHT = 1e-3


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(Settings):
    """The network of CanonPose, narrow: a quarter of the paper's width loses nothing on this kind of data."""

    #: frame_mlp, res_mlp, temporal_conv or causal_lstm
    body: str = 'frame_mlp'
    #: canon_rot, canon_direct, pose3d or regressed
    head: str = 'canon_rot'
    #: of all layers
    width: int = 256
    #: residual blocks that the branches share
    common: int = 1
    #: residual blocks of each branch
    branch: int = 2
    #: of canonical heads: 6d or rotvec (the paper's)
    rotation: str = '6d'
    #: factor on the 2D joints, whose size is 0.24
    gain: float = 4.
    #: factor on their confidences; 0: the network does not get them
    gain_conf: float = 1.
    #: of a temporal body: newest frames that it sees
    frames: int = 1
    #: time between these, s; 0: they are neighbours in the data
    interval_s: float = 0.
    #: of res_mlp: residual blocks, batch normalisation, dropout
    blocks: int = 2
    norm: bool = False
    drop: float = 0.
    #: in use it gives the mean of what it makes of a pose and of its mirror image: twice the work
    symmetric: bool = False


@dataclass(frozen=True, kw_only=True)
class FrameLifterSettings(NetworkSettings):
    """Batches, rates and average of lifters, after a short search."""

    batch: int = 64
    lr: float = 1e-3
    schedule: str = 'cosine'
    warmup: int = 100
    ema: float = .999
    epochs: int = 20


@dataclass(frozen=True, kw_only=True)
class LifterSettings(FrameLifterSettings):
    """What nearly all lifters here are trained with."""

    weight_decay: float = 0.
    warmup: int = 200
    floor: float = .003
    clip: float = 1.
    mirror: float = .5
    keep: str = 'last'


@dataclass(frozen=True, kw_only=True)
class TaughtSettings(LifterSettings):
    """Of methods that learn from a teacher's poses."""

    #: the teacher takes every n-th instant of the recordings: less time, and hardly less precise poses
    label_every: int = 1

    at_least_one: ClassVar[tuple[str, ...]] = (*LifterSettings.at_least_one, 'label_every')


@dataclass(frozen=True, kw_only=True)
class AuxiliarySettings(Settings):
    """Of methods with auxiliary networks."""

    #: learning rate of the auxiliary networks; the schedule's factors hold for it, too
    auxiliary_lr: float = 1e-3


class DataKind(Enum):
    """What a method is trained on."""

    #: 2D joints of several views
    VIEWS = 'views'
    #: poses of a teacher, seen by virtual cameras; see `pseudo_labels.teacher`
    PSEUDO_LABELS = 'pseudo labels'
    #: 2D joints and the cameras; see `pseudo_labels.rigs`
    KNOWN_CAMERAS = 'known cameras'
    #: rendered pictures; see `image_base.ImageMethod`
    PICTURES = 'pictures'


class Method(ABC):
    """A way to train a network: settings, network, loss, criterion. Registered in `METHODS`; the trainer does the rest.

    Attributes:
        name: on the command line and in cards.
        summary: one line for `selfpose train --list`.
        settings_type: its settings; `settings` holds those of the training.
        data: what it is trained on.
        frames: frames of a clip that its loss looks at, if these are more than the network's.
        auxiliary: networks that are trained beside (critics, adapters), made by `build`; no part of the model.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    settings_type: ClassVar[type[Settings]] = NetworkSettings
    data: ClassVar[DataKind] = DataKind.VIEWS
    frames: ClassVar[int] = 1
    auxiliary: nn.Module | None = None
    settings: Any

    def __init__(self) -> None:
        self.settings = self.settings_type()

    def configure(self, changes: Mapping[str, Any] | None = None) -> Self:
        """Take the user's settings, before `build`.

        Raises:
            TrainingError: an unknown one, or a value of another kind or out of its range.
        """
        self.settings = configured(self.settings_type, changes or {}, self.name)
        return self

    @property
    def frame_gap(self) -> int:
        """Neighbours among the frames of a sample are so many frames of the recording apart."""
        return 1

    @property
    def second_source(self) -> str:
        """2D joints of another 2D network to train on, too; see `data.second_source`. '' = none."""
        return ''

    def build(self) -> Any:
        """The network, a `Lifter` for all but networks of images, and the auxiliary ones, by the settings.

        Raises:
            TrainingError: the settings do not fit each other.
        """
        return network_of(asdict(self.settings))

    @abstractmethod
    def loss(self, network: Any, batch: Any, progress: float) -> dict[str, Tensor]:
        """Terms, already weighted; their sum is minimised. progress: share of the training that is done, 0..1.

        Their gradients reach auxiliary networks, too, where these are not `frozen` (`networks.critic`).
        """

    @abstractmethod
    def criterion(self, network: Any, batch: Any) -> float:
        """How good the network is on held-out data, less is better; no 3D is looked at. Chooses the best weights."""

    def auxiliary_loss(self, batch: Any, step: int) -> dict[str, Tensor]:
        """Terms that auxiliary networks alone minimise, after the network's step of the same batch."""
        return {}

    def figures(self, network: Any, batch: Any) -> dict[str, float]:
        """Figures of its own, logged and judged with those of `collapse_figures`."""
        return {}

    def collapse_figures(self, network: Any, batch: Any) -> dict[str, float]:
        """Figures that show a degenerate solution, see `collapse.verdict`."""
        return detect(network, batch)

    def export(self, network: Any, folder: Path, card: Mapping[str, Any]) -> None:
        """Write a model folder.

        Raises:
            TrainingError, ModelError: see `export.lifter.export_model`.
        """
        from ..export.lifter import export_model  # the ONNX exporter is imported when it is needed
        export_model(network.exported(), folder, card)


def rotations_of(lifted: Lifted, method: str) -> tuple[Tensor, Tensor]:
    """Canonical poses and rotations.

    Raises:
        TrainingError: the network's head has none.
    """
    if lifted.x_can is None or lifted.R is None:
        raise SettingError(f'must be canon_rot: {method} needs canonical poses and rotations', setting='head')
    return lifted.x_can, lifted.R


def seen_views(batch: Batch) -> Tensor:
    """(B, V) bool: views that are there and see somebody."""
    return batch.view_mask & (batch.weight > 0).any(-1)


def consistency(lifted: Lifted, batch: Batch) -> Tensor:
    """Mean reprojection error of all views' poses in all views, `rep` and `mix` of methods.md 5.5 in equal parts.

    With the network's own rotations; without such ones, with those that turn the poses of two views onto each other.
    """
    if lifted.x_can is not None and lifted.R is not None:
        X, R = lifted.x_can, lifted.R
        errors = pair_errors(batch.w2d, X, R, batch.weight)
    else:
        shape = (*batch.weight.shape[:2], batch.views, 17)
        Y = unit_pose(lifted.y_cam)
        a, b = Y[:, :, None].expand(*shape, 3), Y[:, None].expand(*shape, 3)
        both = batch.weight[:, :, None] * batch.weight[:, None]
        turned = b @ procrustes_rotation(b, a, both).mT                                # B, V, U, J, 3
        eye = torch.eye(3, device=Y.device).expand(len(Y) * batch.views, 1, 3, 3)
        errors = pair_errors(batch.w2d.flatten(0, 1)[:, None], turned.flatten(0, 1), eye,
                             batch.weight.flatten(0, 1)[:, None]).view(shape[:3])
    views = seen_views(batch)
    return .5 * rep_of(errors, views) + .5 * mix_of(errors, views) / max(batch.views, 1)


def sigma_term(lifted: Lifted, target: Tensor, weight: Tensor) -> Tensor:
    """Teaches log_sigma, and nothing else, the distance of y_cam to targets (B, V, 17, 3) in y_cam's unit."""
    return _SIGMA_WEIGHT * gaussian_nll(lifted.y_cam.detach(), target.detach(), lifted.log_sigma, weight)
