# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What methods share whose networks look at rendered pictures."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..images.album import Task

__all__ = ['OfImages']


class OfImages:
    """Settings and task; a method adds `build`, `loss`, `criterion`, `figures` and `export`.

    Attributes:
        kind: of `Task`.
    """

    kind = 'pose2d'
    #: the detectors of collapse look at what lifters give
    detect = None

    def __init__(self) -> None:
        self._settings: dict[str, Any] = self.defaults()

    def defaults(self) -> dict[str, Any]:
        """See `contract.Method.defaults`."""
        raise NotImplementedError

    def task(self, config: Mapping[str, Any]) -> Task:
        """What the pictures have to show."""
        return Task(self.kind, (int(config['size'][0]), int(config['size'][1])))
