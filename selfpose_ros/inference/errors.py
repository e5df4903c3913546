# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The error classes of this room. Messages say what, where and what to do next in one sentence."""
from __future__ import annotations

__all__ = ['InferenceError', 'BackendUnavailable', 'InputError', 'OutputError']


class InferenceError(RuntimeError):
    """Base of everything that this room raises."""


class BackendUnavailable(InferenceError):
    """A network, or the package that runs it, is not there; the message holds the line that installs it."""


class InputError(InferenceError, ValueError):
    """What came in is no image (or option) that a network can work with."""


class OutputError(InferenceError, ValueError):
    """What a network gave back has the wrong shape or impossible values."""
