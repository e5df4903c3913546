# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Both nodes in one process and one executor: views go from the one to the other without a message."""
from __future__ import annotations

from collections.abc import Sequence

from rclpy.parameter import Parameter

from .fusion_node import FusionNode
from .managed_node import ManagedNode
from .parameters import Pose2DSettings, checked, table
from .pose2d_node import Pose2DNode
from .process import run_alone

__all__ = ['both_nodes', 'main']


def both_nodes(cameras: Sequence[str] | None = None, backend: str | None = None) -> list[ManagedNode]:
    """The fusion first: it must be there when the first view comes.

    Args:
        cameras: their names; None = as the parameters are.
        backend: see the parameter; None = as that is.
    """
    given = [] if cameras is None else [Parameter('cameras', Parameter.Type.STRING_ARRAY, list(cameras))]
    given += [] if backend is None else [Parameter('backend', Parameter.Type.STRING, backend)]
    pose2d = Pose2DNode(on_view=lambda view: fusion.take(view), parameter_overrides=given)
    parameter = next(p for p in table(Pose2DSettings) if p.name == 'cameras')
    local = checked(parameter, pose2d.get_parameter('cameras').value)
    fusion = FusionNode(local_cameras=local, parameter_overrides=given)
    return [fusion, pose2d]


def main(args: list[str] | None = None) -> int:
    """Run both as one process; see `start`."""
    return run_alone(both_nodes, args)
