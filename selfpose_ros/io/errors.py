# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The error classes of this room: where, what is the matter and what to do next, in one sentence."""
from __future__ import annotations

from ..core.errors import SelfposeError

__all__ = ['BadMessage', 'IoError', 'NoPicture', 'UnknownType']


class IoError(SelfposeError, ValueError):
    """A file, folder, bag or video cannot be read or written, or does not hold what it should."""


class UnknownType(IoError):
    """A bag cannot be written with messages of a type whose definition is not at hand."""


class BadMessage(SelfposeError):
    """One message cannot be used; the others can."""


class NoPicture(BadMessage):
    """Nor can the others of its topic: they are depth images or packets of a video."""
