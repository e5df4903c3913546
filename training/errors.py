# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Errors of this room."""
from __future__ import annotations

__all__ = ['TrainingError']


class TrainingError(Exception):
    """Data, configuration or outcome of a training that the user can mend: the message says what, where, what next."""
