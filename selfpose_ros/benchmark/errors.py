# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The error class of this room: where, what is the matter and what to do next, in one sentence."""
from __future__ import annotations

from ..core.errors import SelfposeError

__all__ = ['BenchmarkError']


class BenchmarkError(SelfposeError, ValueError):
    """The benchmark cannot be run as asked."""
