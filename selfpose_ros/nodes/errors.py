# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The error classes of this room: where, what is the matter and what to do next, in one sentence."""
from __future__ import annotations

from ..core.errors import SelfposeError

__all__ = ['NodeError', 'ParameterError', 'ImageError', 'MessageError', 'StuckThread']


class NodeError(SelfposeError, RuntimeError):
    """Base of everything that this room raises."""


class ParameterError(NodeError, ValueError):
    """A parameter has the wrong type, is out of its range, or does not fit the others.

    `place` is `parameter ` with its name, or the option of the command that it was given with.
    """


class ImageError(NodeError, ValueError):
    """An image message (or its CameraInfo) that cannot be used; names the camera."""


class MessageError(NodeError, ValueError):
    """A message of another node does not hold what its topic promises."""


class StuckThread(NodeError):
    """A thread that was asked to end goes on, and is left behind."""
