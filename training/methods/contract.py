# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a method is, and what methods share: their network's settings, the criterion, how unsure a lifter is."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from ..batch import Batch
from ..errors import TrainingError
from ..losses.agreement import procrustes_rotation, unit_pose
from ..losses.likelihood import gaussian_nll
from ..losses.reprojection import mix_of, pair_errors, rep_of
from ..networks import Lifted, Lifter, make_network
from ..networks.lifters import network_keys

__all__ = ['NETWORK', 'Method', 'consistency', 'network_of', 'rotations_of', 'seen_views', 'sigma_term']

#: the network of CanonPose, narrow: a quarter of the paper's width loses nothing on this kind of data
NETWORK: dict[str, Any] = {'body': 'frame_mlp', 'head': 'canon_rot', 'width': 256, 'common': 1, 'branch': 2,
                           'rotation': '6d', 'gain': 4., 'gain_conf': 1., 'frames': 1, 'blocks': 2, 'norm': False,
                           'drop': 0.}

_SIGMA_WEIGHT = 1e-3


class Method(Protocol):
    """A way to train a lifter: a network and a loss. Registered in `METHODS`; the trainer does the rest.

    Attributes:
        name: on the command line and in cards.
        summary: one line for `selfpose train --list`.

    A method that can collapse in ways of its own also has `figures(network, batch) -> dict[str, float]`, which are
    logged and judged with those of `selfpose_training.collapse`. One that trains other networks beside the lifter
    (critics, adapters) has `companions`, see `selfpose_training.companions`; one that looks at several frames of a
    clip with a lifter of one frame has `frames`, and its setting `apart` says how many frames lie between.
    """

    name: str
    summary: str

    def defaults(self) -> dict[str, Any]:
        """Settings that differ from the trainer's own, and the method's own ones: network, weights of the loss."""
        ...

    def build(self, config: Mapping[str, Any]) -> Lifter:
        """The network; the method remembers the settings for its loss."""
        ...

    def loss(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Terms, already weighted; their sum is minimised. progress: share of the training that is done, 0..1."""
        ...

    def criterion(self, network: Lifter, batch: Batch) -> float:
        """How good the network is on held-out data, less is better; no 3D is looked at. Chooses the best weights."""
        ...


def network_of(config: Mapping[str, Any]) -> Lifter:
    """The lifter that these settings describe; settings of the trainer and the method are passed over."""
    return make_network({k: config[k] for k in network_keys(config) & set(config)})


def rotations_of(lifted: Lifted, method: str) -> tuple[Tensor, Tensor]:
    """Canonical poses and rotations.

    Raises:
        TrainingError: the network's head has none.
    """
    if lifted.x_can is None or lifted.R is None:
        raise TrainingError(f'{method} needs canonical poses and rotations; set head=canon_rot')
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
