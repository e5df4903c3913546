# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Heads: from features to a pose in camera axes; all of them can flip the sign of the depth exactly."""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .blocks import Residual
from .rotation import rodrigues, six_numbers

__all__ = ['CanonDirectHead', 'CanonRotHead', 'Lifted', 'Pose3DHead', 'rooted']

_FLOOR = 1e-6


class Lifted(NamedTuple):
    """What every lifter gives for N single views.

    Attributes:
        y_cam: (N, 17, 3) pose in the axes of the (virtual) camera, x right, y down, z forward; relative to the
            pelvis; root mean square of the 17 joints' norms 1.
        x_can: (N, 17, 3) canonical pose, RMS 1, or None for heads without rotation.
        R: (N, 3, 3) canonical -> camera, or None. y_cam of `CanonRotHead` is R x_can, moved to the pelvis and scaled.
        log_sigma: (N, 17) log of each joint's standard deviation (root mean square over the axes) in y_cam's unit.
    """

    y_cam: Tensor
    x_can: Tensor | None
    R: Tensor | None
    log_sigma: Tensor


def _unit(pose: Tensor) -> Tensor:
    """(N, 17, 3) scaled so that the root mean square of the joints' norms is 1."""
    return pose * (pose.square().sum((-1, -2), keepdim=True) / pose.shape[-2] + _FLOOR).rsqrt()


def rooted(pose: Tensor) -> Tensor:
    """(N, 17, 3) relative to the pelvis, unit scale."""
    return _unit(pose - pose[..., :1, :])


class _Head(nn.Module):
    """What heads share: the log sigma, and the flag that flips the sign of the depth."""

    depth: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sigma = nn.Linear(width, 17)
        nn.init.zeros_(self.sigma.weight)
        nn.init.constant_(self.sigma.bias, -2.)
        #: +1, or -1: the whole model is mirrored in depth (X <- D X, R <- D R D, y <- D y); kept in the checkpoint
        self.register_buffer('depth', torch.ones(()))

    def flip(self) -> None:
        """Flip the sign of the depth of everything. All weak-perspective reprojections stay as they are, exactly."""
        self.depth.neg_()

    def _mirror(self, x: float, y: float, z: float) -> Tensor:
        """(3,) factors: 1 as trained, (x, y, z) when flipped."""
        turned = torch.tensor([x, y, z], dtype=self.depth.dtype, device=self.depth.device)
        return (1 + turned + self.depth * (1 - turned)) / 2

    def _log_sigma(self, features: Tensor) -> Tensor:
        """(N, 17). The features are detached: the sigma's loss must not shape the pose."""
        return self.sigma(features.detach()).clamp(-6., 3.)


class CanonRotHead(_Head):
    """A canonical pose and a rotation (CanonPose, Wandt et al., CVPR 2021): y_cam = R X.

    Args:
        width: of the features.
        branch: residual blocks in each of the two branches.
        rotation: 'rotvec' (paper) or '6d' (no cut locus).
    """

    def __init__(self, width: int, branch: int = 2, rotation: str = 'rotvec') -> None:
        super().__init__(width)
        self.rotation = rotation
        self.pose = nn.Sequential(*[Residual(width) for _ in range(branch)])
        self.camera = nn.Sequential(*[Residual(width) for _ in range(branch)])
        self.to_pose = nn.Linear(width, 51)
        self.to_rotation = nn.Linear(width, 3 if rotation == 'rotvec' else 6)

    def raw_rotation(self, h: Tensor) -> Tensor:
        """(N, 3) rotation vectors, rad, or (N, 6), before the sign of the depth is flipped."""
        return self.to_rotation(self.camera(h))

    def canonical(self, features: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """x_can (N, 17, 3) and R (N, 3, 3), flipped if need be."""
        x_can = _unit(self.to_pose(features).unflatten(-1, (17, 3))) * self._mirror(1, 1, -1)
        raw = self.raw_rotation(h)
        if self.rotation == 'rotvec':                      # D R(r) D = R(-D r)
            R = rodrigues(raw * self._mirror(-1, -1, 1))
        else:                                              # the columns' z changes sign
            R = six_numbers(raw * self._mirror(1, 1, -1).repeat(2))
        return x_can, R

    def forward(self, h: Tensor) -> Lifted:
        features = self.pose(h)
        x_can, R = self.canonical(features, h)
        return Lifted(rooted(x_can @ R.mT), x_can, R, self._log_sigma(features))


class Pose3DHead(_Head):
    """The pose in camera axes, directly."""

    def __init__(self, width: int, branch: int = 2) -> None:
        super().__init__(width)
        self.pose = nn.Sequential(*[Residual(width) for _ in range(branch)])
        self.to_pose = nn.Linear(width, 51)

    def metric(self, h: Tensor) -> tuple[Tensor, Lifted]:
        """The pose (N, 17, 3) about the pelvis in the size that it was learned in, and what `forward` gives."""
        features = self.pose(h)
        y = self.to_pose(features).unflatten(-1, (17, 3)) * self._mirror(1, 1, -1)
        return y - y[..., :1, :], Lifted(rooted(y), None, None, self._log_sigma(features))

    def forward(self, h: Tensor) -> Lifted:
        return self.metric(h)[1]


class CanonDirectHead(CanonRotHead):
    """Canonical pose and rotation, and a branch of its own for the pose in camera axes.

    A product R X of two uncertain estimates is a poor answer: where the rotation is in doubt, the mean pose is another
    one. Only the third branch is left when the model is exported.

    Args:
        width, branch, rotation: as of `CanonRotHead`; `branch` blocks in each of the three.
    """

    def __init__(self, width: int, branch: int = 2, rotation: str = '6d') -> None:
        super().__init__(width, branch, rotation)
        self.direct = nn.Sequential(*[Residual(width) for _ in range(branch)])
        self.to_direct = nn.Linear(width, 51)

    def forward(self, h: Tensor) -> Lifted:
        x_can, R = self.canonical(self.pose(h), h)
        features = self.direct(h)
        y = self.to_direct(features).unflatten(-1, (17, 3)) * self._mirror(1, 1, -1)
        return Lifted(rooted(y), x_can, R, self._log_sigma(features))
