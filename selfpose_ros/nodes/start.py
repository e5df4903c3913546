# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Entry points of `ros2 run` and `ros2 launch`: settings that count only before numpy is loaded, then the node."""
from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from ..ending import no_more_signals
from ..threads import one_thread

__all__ = ['composed', 'fusion', 'pose2d']


def pose2d() -> int:
    """Run pose2d_node."""
    return _run('pose2d_node')


def fusion() -> int:
    """Run fusion_node."""
    return _run('fusion_node')


def composed() -> int:
    """Run both in this process."""
    return _run('composed')


def _run(module: str) -> int:
    one_thread()
    try:
        main: Callable[[], int] = import_module(f'.{module}', __package__).main
        return main()
    except KeyboardInterrupt:                              # before the node, or after it
        return 0
    finally:
        no_more_signals()
