# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""2D pose networks behind one contract. Nothing heavy is imported before a network is made."""
from __future__ import annotations

import inspect
from typing import Any

from ..errors import InputError
from .contract import People2D, Pose2D, no_people

__all__ = ['POSE2D_NAMES', 'People2D', 'Pose2D', 'make_pose2d', 'no_people']

#: what `make_pose2d` knows
POSE2D_NAMES: tuple[str, ...] = ('mediapipe',)


def make_pose2d(name: str = 'mediapipe', **options: Any) -> Pose2D:
    """A new network for one camera.

    Args:
        name: one of `POSE2D_NAMES`.
        options: passed on; see `mediapipe_pose.MediaPipePose`.

    Raises:
        InputError: no network of that name, or an option that it does not have.
        BackendUnavailable: the package that runs it is not installed.
    """
    if name == 'mediapipe':
        from .mediapipe_pose import MediaPipePose
        known = list(inspect.signature(MediaPipePose).parameters)
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise InputError(f'2D network {name!r} has no option {", ".join(unknown)}; it has: {", ".join(known)}')
        return MediaPipePose(**options)
    raise InputError(f'2D network {name!r} is not known; choose one of: {", ".join(POSE2D_NAMES)}')
