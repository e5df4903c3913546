# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One-stage 2D poses: a network finds all people and their joints in one look at the whole image."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .contract import People2D, no_people
from .network import VisionNetwork
from .network_pose2d import NetworkPose2D

__all__ = ['OneStage']

#: joints that must be seen for a person
_FEWEST = 6


class OneStage(NetworkPose2D):
    """A `BatchingPose2D` without memory: identities are left to the estimator.

    Args:
        network: of a one-stage family.
        max_people: the surest ones.
        min_score: of a person; None = the card's.

    Raises:
        InputError: an option is out of its range.
    """

    def __init__(self, network: VisionNetwork, *, max_people: int = 8, min_score: float | None = None) -> None:
        if max_people < 1:
            raise InputError(f'max_people is {max_people}', 'give 1 or more')
        self._most, self._least = max_people, min_score or 0.
        super().__init__(network)

    def reset(self) -> None:
        """There is nothing to forget."""

    def _people_in(self, image: NDArray[np.uint8]) -> People2D:
        found = self._pose.find(image)
        if found.points is None or found.confidence is None:
            return no_people(len(self.joint_names))
        confidence = np.clip(found.confidence, 0., 1.)
        keep = (found.score >= self._least) & ((confidence > 0).sum(-1) >= _FEWEST)
        best = np.argsort(-found.score, kind='stable')
        best = best[keep[best]][:self._most]
        if not len(best):
            return no_people(len(self.joint_names))
        return People2D(found.points[best], confidence[best])
