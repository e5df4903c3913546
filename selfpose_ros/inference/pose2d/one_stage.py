# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One-stage 2D poses: a network finds all people and their joints in one look at the whole image."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.association.distance import person_size, pose_distance
from ..errors import InputError
from ..tensors.geometry import box_of
from .contract import People2D, no_people
from .network import VisionNetwork
from .network_pose2d import NetworkPose2D

__all__ = ['OneStage']

Array = NDArray[np.float64]
#: joints that must be seen for a person; share of his longer side that is shown around somebody who is expected
_FEWEST, _AROUND = 6, .25


@dataclass
class _Person:
    """Joints (J, 2) px and confidences (J,)."""

    points: Array
    confidence: Array


class OneStage(NetworkPose2D[_Person]):
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
        return _told(self._seen_in(image)[:self._most], len(self.joint_names))

    def _look_at(self, image: NDArray[np.uint8], expected: Array) -> list[_Person | None]:
        h, w = image.shape[:2]
        return [self._seen_at(image, x, box_of(x, np.ones(len(x)), (w, h), _AROUND, least=_FEWEST)) for x in expected]

    def _seen_at(self, image: NDArray[np.uint8], expected: Array, box: Array | None) -> _Person | None:
        """Who is in the part of an image around somebody who is expected, the one most like him."""
        if box is None:
            return None
        (x1, y1), (x2, y2) = np.ceil(box[:2]).astype(int).tolist(), (np.floor(box[2:]).astype(int) + 1).tolist()
        found = [_Person(p.points + [x1, y1], p.confidence) for p in self._seen_in(image[y1:y2, x1:x2])]
        if not found:
            return None
        points, confidence = self._joints.apply(np.array([p.points for p in found]),
                                                np.array([p.confidence for p in found]))
        far, _ = pose_distance(expected[None], person_size(expected[None], np.ones((1, 17))), points, confidence)
        return found[int(far[0].argmin())]

    def _taken(self, new: list[_Person]) -> People2D:
        return _told(new, len(self.joint_names))

    def _seen_in(self, image: NDArray[np.uint8]) -> list[_Person]:
        """People in an image or a part of one, the surest first."""
        found = self._pose.find(image)
        if found.points is None or found.confidence is None:
            return []
        confidence = np.clip(found.confidence, 0., 1.)
        keep = (found.score >= self._least) & ((confidence > 0).sum(-1) >= _FEWEST)
        return [_Person(found.points[k], confidence[k]) for k in np.argsort(-found.score, kind='stable') if keep[k]]


def _told(people: list[_Person], joints: int) -> People2D:
    if not people:
        return no_people(joints)
    return People2D(np.array([p.points for p in people]), np.array([p.confidence for p in people]))
