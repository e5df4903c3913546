# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Two branches (Li et al., AAAI 2020; methods.md 2.2): one lifts, the other places the pelvis. Only one is kept.

How a person's size in the image depends on the distance is a matter of the pose alone, so the root branch estimates the
length that the 2D joints have in the world; that length over the one in the image is the distance.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import SettingError
from ..losses.transform import NEAREST_M
from .blocks import Residual
from .heads import Lifted, Pose3DHead
from .lifters import Lifter

__all__ = ['RootBranch', 'RootedLifter', 'with_root']

#: Frobenius norm of the 2D joints of somebody who stands, m: the output of an untrained branch
_STANDING_M = 1.8


class RootBranch(nn.Module):
    """Where the pelvis is, in the axes of the virtual camera that looks at it.

    Args:
        body: as the lifter's, with weights of its own.
        width: of its features.  branch: residual blocks after it.
    """

    def __init__(self, body: nn.Module, width: int, branch: int = 2) -> None:
        super().__init__()
        self.body = body
        self.blocks = nn.Sequential(*[Residual(width) for _ in range(branch)])
        self.to_root = nn.Linear(width, 3)
        nn.init.zeros_(self.to_root.weight)
        nn.init.zeros_(self.to_root.bias)

    def forward(self, pose: Tensor, size: Tensor) -> Tensor:
        """(N, 3) m, at least `NEAREST_M` away.

        Args:
            pose: (N, [T,] 17, 3) normalised 2D and confidence.
            size: (N,) Frobenius norm of the 2D joints on the normalised image plane.
        """
        a, b, length = self.to_root(self.blocks(self.body(pose))).unbind(-1)
        z = (_STANDING_M * length.exp() / size.clamp(min=1e-6)).clamp(min=NEAREST_M)
        return torch.stack([a * z, b * z, z], -1)


class RootedLifter(Lifter):
    """A lifter with a root branch beside it; called with a pose it is the lifter alone, as is what is exported.

    Args:
        lifter: with the head pose3d.
        root: the branch.

    Raises:
        SettingError: another head.
    """

    head: Pose3DHead

    def __init__(self, lifter: Lifter, root: RootBranch) -> None:
        if not isinstance(lifter.head, Pose3DHead):
            raise SettingError('must be pose3d: a root branch needs a lifter of poses in metres', setting='head')
        super().__init__(lifter.body, lifter.head, lifter.config)
        self.root = root

    def metric(self, pose: Tensor) -> tuple[Tensor, Lifted]:
        """Poses (N, 17, 3) m about the pelvis and what `forward` gives, from (N, [T,] 17, 3)."""
        return self.head.metric(self.body(pose))

    def exported(self) -> Lifter:
        """The lifting branch."""
        return Lifter(self.body, self.head, self.config)


def with_root(lifter: Lifter, twin: Lifter, width: int, branch: int) -> RootedLifter:
    """`lifter` and a root branch whose body is that of `twin`, a lifter of the same settings; see `RootBranch`."""
    return RootedLifter(lifter, RootBranch(twin.body, width, branch))
