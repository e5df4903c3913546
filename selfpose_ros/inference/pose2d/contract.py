# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What every 2D pose network takes and gives: one image in, the people in it out."""
from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ...core.noise import Accuracy
from ..errors import OutputError

__all__ = ['BatchingPose2D', 'People2D', 'Pose2D', 'SearchingPose2D', 'accuracy_of', 'no_people',
           'together']

Array = NDArray[np.float64]


@dataclass(frozen=True)
class People2D:
    """The people in one image, joints in the order of `Pose2D.joint_names`.

    Attributes:
        keypoints: (P, J, 2) px, x right, y down, pixel centres at integers; NaN = not seen.
        confidence: (P, J) in 0..1; 0 where the joint is NaN.
        person: (P,) identity given by the network's own tracker, -1 = none.
        depth: (P, J, 2) how far joints lie behind the pelvis and the standard deviation of their places, as
            `core.observation.View2D` has them; NaN = not known. None: the network gives no depths.

    Raises:
        OutputError: the shapes do not fit together, or a number is infinite or a confidence outside 0..1.
    """

    keypoints: Array
    confidence: Array
    person: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    depth: Array | None = None

    def __post_init__(self) -> None:
        kp, conf = np.array(self.keypoints, float), np.array(self.confidence, float)
        person = np.array(self.person, np.int64).ravel()
        if kp.ndim != 3 or kp.shape[2] != 2 or conf.shape != kp.shape[:2]:
            raise OutputError(f'people: expected keypoints (P, J, 2) and confidence (P, J), got {kp.shape} and '
                              f'{conf.shape}', 'check the decoding of the network')
        if person.size == 0:
            person = np.full(len(kp), -1, np.int64)
        if person.size != len(kp):
            raise OutputError(f'people: {len(kp)} people but {person.size} identities', 'give one for each or none')
        seen = np.isfinite(kp).all(-1)
        # a NaN is not within
        if (conf.size and not (conf.min() >= 0 and conf.max() <= 1)) or (not seen.all() and np.isinf(kp).any()):
            raise OutputError('people: keypoints must be finite or NaN and confidences in 0..1',
                              'check the decoding of the network')
        if not seen.all():
            kp[~seen], conf[~seen] = np.nan, 0.
        for name, a in (('keypoints', kp), ('confidence', conf), ('person', person)):
            a.setflags(write=False)
            object.__setattr__(self, name, a)
        if self.depth is not None:
            depth = np.array(self.depth, float)
            if depth.shape != kp.shape:
                raise OutputError(f'people: expected depth {kp.shape}, got {depth.shape}',
                                  'check the decoding of the network')
            depth.setflags(write=False)
            object.__setattr__(self, 'depth', depth)

    def __len__(self) -> int:
        return len(self.keypoints)


@runtime_checkable
class Pose2D(Protocol):
    """A 2D pose network for one camera. It may track: give it the images of one camera, in order of time.

    Not thread safe: one caller at a time; different instances may work in different threads.

    Attributes:
        name: as given to `make_pose2d`.
        joint_names: (J,) names that `core.skeleton.joint_map` understands.
        device: what really computes, e.g. 'CPU (MediaPipe 0.10.21)'; may change from image to image.
    """

    name: str
    joint_names: tuple[str, ...]

    @property
    def device(self) -> str: ...

    def infer(self, image_bgr: NDArray[np.uint8]) -> People2D:
        """People in a (H, W, 3) uint8 BGR image.

        Raises:
            InputError: see `checked_image`.
            InferenceError: the network failed; the instance may be used further.
        """
        ...

    def reset(self) -> None:
        """Forget the track: the next image has nothing to do with the last one (jump of the clock, new source)."""
        ...

    def close(self) -> None:
        """Give back memory and threads; may be called twice. `infer` afterwards raises InferenceError."""
        ...


@runtime_checkable
class BatchingPose2D(Pose2D, Protocol):
    """A network whose instances look at their images together.

    Attributes:
        prefers_batches: it pays to have the images of all cameras ready at the same time; may change.
    """

    @property
    def prefers_batches(self) -> bool: ...

    def expected(self) -> AbstractContextManager[None]:
        """Inside, this thread prepares an image and then calls `infer`: the others wait for it for a moment."""
        ...


@runtime_checkable
class SearchingPose2D(Pose2D, Protocol):
    """A network that can look again at a part of an image."""

    def search(self) -> None:
        """Look for more people in the next image, whenever it would look for them else."""
        ...

    def look_again(self, image_bgr: NDArray[np.uint8], expected: Array, known: Array,
                   known_confidence: Array) -> People2D:
        """Those of the expected people who are in this image and were not found in it.

        Args:
            image_bgr: as for `infer`; the same image.
            expected: (N, 17, 2) px of people who are not among the known ones, NaN = not known.
            known, known_confidence: (P, 17, 2) px and (P, 17) of those who were found in it.

        Returns:
            Some of the expected ones, whom a network that tracks follows from now on.

        Raises:
            InputError, InferenceError: as `infer`.
        """
        ...


def accuracy_of(network: Pose2D) -> Accuracy | None:
    """What error goes with a network's confidences: its attribute `accuracy`, where it has one. None: not known."""
    found: Accuracy | None = getattr(network, 'accuracy', None)
    return found


def no_people(joints: int) -> People2D:
    """Nobody, for a network with this number of joints."""
    return People2D(np.zeros((0, joints, 2)), np.zeros((0, joints)))


def together(a: People2D, b: People2D) -> People2D:
    """The people of both, of one network and image."""
    if not len(a) or not len(b):
        return a if len(a) else b
    return People2D(np.concatenate([a.keypoints, b.keypoints]), np.concatenate([a.confidence, b.confidence]),
                    np.concatenate([a.person, b.person]),
                    None if a.depth is None or b.depth is None else np.concatenate([a.depth, b.depth]))
