# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The rig and how it is found."""
from .value import NotSolved, Rig, SolveFailed

__all__ = ['NotSolved', 'Rig', 'SolveFailed']
