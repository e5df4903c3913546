# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Entry points of `ros2 run` and `ros2 launch`: settings that count only before numpy is loaded, then the node."""
from __future__ import annotations

from ..threads import one_thread

__all__ = ['fusion', 'pose2d']


def pose2d() -> int:
    """Run pose2d_node."""
    one_thread()
    from .pose2d_node import main
    return main()


def fusion() -> int:
    """Run fusion_node."""
    one_thread()
    from .fusion_node import main
    return main()
