# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The registry of methods: a class each, made anew for every training."""
from __future__ import annotations

import difflib

from ..errors import TrainingError
from .base import Method
from .canonpose import CanonPose
from .cross_view import CVSF, CrossView
from .detector import Detector
from .heatmap25d import HeatMap25DMethod
from .lift_reproject_lift import LiftReprojectLift
from .pose2d import Pose2D
from .pose_machine import PoseMachine
from .supervised import Supervised
from .system import System
from .transform_reprojection import TransformReprojection

__all__ = ['METHODS', 'Method', 'get']

METHODS: dict[str, type[Method]] = {
    m.name: m for m in (CanonPose, CVSF, CrossView, LiftReprojectLift, TransformReprojection, PoseMachine, Supervised,
                        System, Pose2D, Detector, HeatMap25DMethod)}


def get(name: str) -> Method:
    """A method by its name, with its default settings.

    Raises:
        TrainingError: there is none of this name; the nearest is named.
    """
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, 1)
        raise TrainingError(f'method {name!r} is not known',
                            f'did you mean {near[0]}?' if near else f'choose one of {", ".join(METHODS)}')
    return METHODS[name]()
