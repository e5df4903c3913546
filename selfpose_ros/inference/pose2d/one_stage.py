# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One-stage 2D poses: a network finds all people and their joints in one look at the whole image."""
from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np
from numpy.typing import NDArray

from ..errors import InferenceError, InputError
from ..session import InferenceSession
from .contract import People2D, checked_image, no_people
from .network import VisionNetwork

__all__ = ['OneStage']

#: joints that must be seen for a person
_FEWEST = 6


class OneStage:
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
            raise InputError(f'max_people is {max_people}; give 1 or more')
        self._network, self._most, self._least = network, max_people, min_score or 0.
        self.name = network.model.card.name
        self.joint_names = network.model.card.joints
        self._closed = False

    @property
    def device(self) -> str:
        """See `Pose2D`."""
        return self._network.device

    @property
    def sessions(self) -> tuple[InferenceSession, ...]:
        """What runs its network."""
        return (self._network.session,)

    def infer(self, image_bgr: NDArray[np.uint8]) -> People2D:
        """See `Pose2D.infer`."""
        image = checked_image(image_bgr)
        if self._closed:
            raise InferenceError(f'{self.name}: this network was closed; make a new one with make_pose2d')
        found = self._network.find(image)
        if found.points is None or found.confidence is None:
            return no_people(len(self.joint_names))
        confidence = np.clip(found.confidence, 0., 1.)
        keep = (found.score >= self._least) & ((confidence > 0).sum(-1) >= _FEWEST)
        best = np.argsort(-found.score, kind='stable')
        best = best[keep[best]][:self._most]
        if not len(best):
            return no_people(len(self.joint_names))
        return People2D(found.points[best], confidence[best])

    @property
    def prefers_batches(self) -> bool:
        """See `BatchingPose2D`."""
        return self._network.shared.prefers_batches

    def expected(self) -> AbstractContextManager[None]:
        """See `BatchingPose2D.expected`."""
        return self._network.shared.expected()

    def reset(self) -> None:
        """There is nothing to forget."""

    def close(self) -> None:
        """See `Pose2D.close`."""
        self._closed = True
