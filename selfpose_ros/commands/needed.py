# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a command needs that the package does without: ROS, PyTorch. Where it is not, what to do."""
from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from ..io.errors import IoError

__all__ = ['need_training', 'ros_needed']


@contextmanager
def ros_needed() -> Iterator[None]:
    """Around imports of ROS.

    Raises:
        NodeError: one of them fails.
    """
    try:
        yield
    except ImportError as error:
        from ..nodes.errors import NodeError
        raise NodeError(f'ROS 2 cannot be loaded ({error})',
                        "source your ROS 2 installation, or: pip install 'selfpose_ros[ros]'") from error


def need_training(command: str) -> None:
    """Before imports of the training.

    Raises:
        IoError: PyTorch, SciPy or the training is not installed.
    """
    for name in ('torch', 'scipy', 'selfpose_training'):
        if importlib.util.find_spec(name) is None:
            raise IoError(f'the Python package {name} is not installed', "pip install 'selfpose_ros[training]'",
                          place=command)
