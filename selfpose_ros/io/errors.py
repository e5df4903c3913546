# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The error classes of this room. Messages say what, where and what to do next in one sentence."""
from __future__ import annotations

__all__ = ['BadMessage', 'IoError', 'NoPicture']


class IoError(ValueError):
    """A file, folder, bag or video cannot be read or written, or does not hold what it should."""


class BadMessage(Exception):
    """One message cannot be used; the others can.

    Attributes:
        why: in a few words.  remedy: '' or what to do next.
    """

    def __init__(self, why: str, remedy: str = '') -> None:
        super().__init__(f'{why}; {remedy}' if remedy else why)
        self.why, self.remedy = why, remedy


class NoPicture(BadMessage):
    """Nor can the others of its topic: they are depth images or packets of a video."""
