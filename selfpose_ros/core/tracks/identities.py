# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Numbers of people, none of which is given twice."""
from __future__ import annotations

__all__ = ['Identities']


class Identities:
    """Gives identities from 1 on. Estimators that follow each other share one: nobody takes over somebody's number."""

    def __init__(self) -> None:
        self._newest = 0

    def take(self) -> int:
        """The next one."""
        self._newest += 1
        return self._newest
