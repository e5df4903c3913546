# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The error classes of the core. Messages say what, where and what to do next in one sentence."""
from __future__ import annotations

__all__ = ['CoreError', 'SkeletonError', 'ObservationError', 'CameraError', 'RigError']


class CoreError(ValueError):
    """Base of everything that the core raises on bad input."""


class SkeletonError(CoreError):
    """A list of joint names does not describe a body that can be mapped to the 17 joints."""


class ObservationError(CoreError):
    """Arrays of an observation have the wrong shape or impossible values."""


class CameraError(CoreError):
    """Intrinsics or distortion that no camera can have."""


class RigError(CoreError):
    """A rig value that is not a rig: rotation without det +1, unequal numbers of cameras."""
