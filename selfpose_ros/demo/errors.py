# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The error class of this room: where, what is the matter and what to do next, in one sentence."""
from __future__ import annotations

from ..core.errors import SelfposeError

__all__ = ['DemoError']


class DemoError(SelfposeError, RuntimeError):
    """The demo cannot start, or one of its processes failed."""
