# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What 2D poses by networks of model folders have in common: options, sessions, identities, closing."""
from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...core.skeleton import joint_map
from ..checked_image import checked_image
from ..errors import InferenceError, InputError
from ..session import InferenceSession
from .contract import People2D
from .expected import newly_found
from .network import VisionNetwork
from .tiles import TiledSearch

__all__ = ['FollowingPose2D', 'NetworkPose2D']

Array = NDArray[np.float64]


class _Seen(Protocol):
    """Somebody in an image: joints (J, 2) px of the network and their confidences (J,); None = not looked at."""

    points: Any
    confidence: Any


SeenT = TypeVar('SeenT', bound=_Seen)


class NetworkPose2D(ABC, Generic[SeenT]):
    """A `BatchingPose2D` that looks with one network, or with two.

    Args:
        pose: what finds the joints.
        detector: what finds people; None = none.
    """

    def __init__(self, pose: VisionNetwork, detector: VisionNetwork | None = None) -> None:
        self._pose, self._detector = pose, detector
        self.name = pose.model.card.name
        self.joint_names, self.accuracy = pose.model.card.joints, pose.model.card.accuracy
        self._joints = joint_map(self.joint_names)
        self._closed = False
        self.reset()

    @property
    def device(self) -> str:
        """See `Pose2D`."""
        return self._pose.device

    @property
    def sessions(self) -> tuple[InferenceSession, ...]:
        """What runs its networks."""
        return (self._pose.session, *(() if self._detector is None else (self._detector.session,)))

    @property
    def prefers_batches(self) -> bool:
        """See `BatchingPose2D`."""
        return self._pose.shared.prefers_batches

    def expected(self) -> AbstractContextManager[None]:
        """See `BatchingPose2D.expected`: by the network that looks first."""
        first = self._detector if self._detector is not None and self._detector_is_next() else self._pose
        return first.shared.expected()

    def infer(self, image_bgr: NDArray[np.uint8]) -> People2D:
        """See `Pose2D.infer`."""
        return self._people_in(self._checked(image_bgr))

    def search(self) -> None:
        """See `SearchingPose2D.search`; one that looks for everybody in every image does so anyhow."""

    def look_again(self, image_bgr: NDArray[np.uint8], expected: Array, known: Array,
                   known_confidence: Array) -> People2D:
        """See `SearchingPose2D.look_again`."""
        found = self._look_at(self._checked(image_bgr), expected)
        points, confidence = np.full((len(found), 17, 2), np.nan), np.zeros((len(found), 17))
        for i, one in enumerate(found):
            if one is not None:
                points[i], confidence[i] = self._joints.apply(one.points, one.confidence)
        new = newly_found(expected, points, confidence, known, known_confidence)
        return self._taken([one for i in new if (one := found[i]) is not None])

    def _checked(self, image_bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image = checked_image(image_bgr)
        if self._closed:
            raise InferenceError('this network was closed', 'make a new one with make_pose2d', place=self.name)
        return image

    def close(self) -> None:
        """See `Pose2D.close`. Other cameras may use the same weights: those stay."""
        self._closed = True

    @abstractmethod
    def reset(self) -> None:
        """See `Pose2D.reset`."""

    @abstractmethod
    def _people_in(self, image: NDArray[np.uint8]) -> People2D:
        """Who is in a checked image."""

    @abstractmethod
    def _look_at(self, image: NDArray[np.uint8], expected: Array) -> list[SeenT | None]:
        """Who is where each of these people (N, 17, 2) px is expected in a checked image; None = nobody."""

    @abstractmethod
    def _taken(self, new: list[SeenT]) -> People2D:
        """These people, who are followed from now on."""

    def _detector_is_next(self) -> bool:
        """Whether the detector looks at the next image before the other network does."""
        return False


class FollowingPose2D(NetworkPose2D[SeenT]):
    """One that follows people from image to image, and looks for more now and then.

    Without a detector the whole image stands for the place of one person, so that only one is found, and only where he
    fills a good part of it.

    Args:
        pose: a network that looks at one person at a time.
        detector: None = none.
        detect_every: images between two looks of the detector for more people, at most; it looks in every image while
            nobody is followed. After somebody was found or lost it looks in the next one, then after 2, 4, 8, ...
            images: who was hidden comes back soon, and where one was found others were not yet.
        max_people: that are followed, the largest in the image first.
        tiles: along each side of the image: the detector looks at one of them, too, each time it looks (at all of them
            in the first image), for people who are small in the picture; 1 = none.
        min_score: below which there is nobody; None = the card's.

    Raises:
        InputError: an option is out of its range, or the detector does not fit.
    """

    def __init__(self, pose: VisionNetwork, detector: VisionNetwork | None = None, *, detect_every: int = 10,
                 max_people: int = 6, min_score: float | None = None, tiles: int = 1) -> None:
        if detect_every < 1 or max_people < 1:
            raise InputError(f'detect_every is {detect_every}, max_people is {max_people}', 'give 1 or more')
        if detector is not None:
            self._check_detector(detector)
        self._search = None if detector is None else TiledSearch(detector, tiles)
        self._every, self._most = detect_every, max_people if detector is not None else 1
        self._least = float(pose.vision.decode['min_score']) if min_score is None else min_score
        self._next, self._since, self._pause = 0, detect_every, detect_every
        super().__init__(pose, detector)

    def search(self) -> None:
        """See `SearchingPose2D.search`."""
        self._since = self._every

    @staticmethod
    def _check_detector(detector: VisionNetwork) -> None:
        """Whether this network finds people.

        Raises:
            InputError: it is of another kind.
        """
        if detector.model.card.kind != 'detector':
            raise InputError(f'is no detector but a {detector.model.card.kind}', 'name a model of kind detector',
                             place=detector.model.folder)

    def _searched(self) -> None:
        """The detector has looked for more people in this image."""
        self._since, self._pause = 0, min(2 * self._pause, self._every)

    def _changed(self) -> None:
        """Somebody who was followed is not there any more, or the detector has found somebody."""
        self._pause = 1

    def _new_identity(self) -> int:
        self._next += 1
        return self._next - 1
