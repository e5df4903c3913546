# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The error class of this room. Messages say what, where and what to do next in one sentence."""
from __future__ import annotations

__all__ = ['IoError']


class IoError(ValueError):
    """A file, folder, bag or video cannot be read or written, or does not hold what it should."""
