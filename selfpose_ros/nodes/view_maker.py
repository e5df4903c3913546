# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One camera's images -> views: decode, infer, map the joints. No node, no topic; any thread, one at a time."""
from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ..core.camera import Intrinsics
from ..core.check import PictureCheck
from ..core.observation import View2D
from ..inference.errors import InferenceError
from ..inference.pose2d import BatchingPose2D, People2D, Pose2D
from ..inference.second_look import NOBODY, ExpectedPeople, people_in
from ..inference.views import ViewMap
from ..io.ros_messages.image_topics import is_rectified
from ..io.ros_messages.images import MAX_MEGAPIXELS
from .errors import ImageError, MessageError
from .image_input import ImageInput, intrinsics_from
from .messages import stamp_of
from .meters import Meter

__all__ = ['ViewMaker']

#: images after which what the check of the pictures counted weighs half
_CHECK_WINDOW = 300
#: a stamp this far before the last one is a clock that jumped or a bag that began anew, not disorder; s
_JUMP_S = 0.5
#: images in which a network that has just been taken up may be found unfit
TRIAL = 30


class _Trial(NamedTuple):
    network: Pose2D
    spare: Pose2D | None
    failed: Callable[[Exception], None] | None


class ViewMaker:
    """The 2D network of one camera and what it needs from image to image.

    Args:
        camera: its name.
        network: this camera's own instance.
        max_people, min_confidence, max_megapixels: see the parameters of pose2d_node; may be changed at any time.
        topic: of the images; they are rectified if its name is so.
        expected: whom the fusion expects; they are looked for again where the network did not find them.

    Attributes:
        look_again: whether they are; may be changed at any time.
        note: '' or a sentence on something odd that does not stop the work: no stamps, CameraInfo not usable.
        jumps: one event for each time the camera's clock jumped back.
        doubles: images that were left out because their stamp was not newer than the last.
        stuck: how many of those came in a row, up to now.
        pictures: whether they show anything.
        looks: one event per image that the network has looked at, value = seconds it took, waiting for other cameras'
            images in a batch included.
        followed: the same, value = people that it found.
        image: the newest one, (H, W, 3) BGR; None = there was none yet.

    Raises:
        SkeletonError: the network's joint names do not describe a body.
    """

    def __init__(self, camera: str, network: Pose2D, max_people: int = 6, min_confidence: float = 0.,
                 max_megapixels: float = MAX_MEGAPIXELS, topic: str = '',
                 expected: ExpectedPeople | None = None) -> None:
        self.look_again = True
        self.camera, self.network = camera, network
        self.max_people, self.min_confidence = max_people, min_confidence
        self.note, self.jumps, self.doubles, self.stuck = '', Meter(), 0, 0
        self.pictures = PictureCheck(camera, _CHECK_WINDOW)
        self.looks, self.followed = Meter(), Meter()
        self.image: NDArray[np.uint8] | None = None
        self._views, self._expected = ViewMap.of(network), expected or ExpectedPeople()
        self._batching = network if isinstance(network, BatchingPose2D) else None
        self._next: _Trial | None = None
        self._trial, self._tried = _Trial(network, None, None), 0
        self._inside: Pose2D | None = None
        self._images, self._rectified = ImageInput(camera, topic, max_megapixels, keep=True), is_rectified(topic)
        self._last: float | None = None
        self._paused = False
        self._size: tuple[int, int] | None = None

    def view(self, message: Image | CompressedImage, info: CameraInfo | None, arrival_s: float) -> View2D | None:
        """The people in one image; None if its stamp is not newer than the last one's.

        Args:
            message: the image.
            info: newest CameraInfo of the camera, if any.
            arrival_s: stands in for the stamp of a driver that sets none, s.

        Raises:
            ImageError: the image cannot be used, or the network failed on it; the message names the camera.
        """
        following, self._next = self._next, None
        if following is not None:
            self._use(following.network)
            self._trial, self._tried = following, 0
        if self._batching is None or not self._batching.prefers_batches:
            return self._view(message, info, arrival_s)
        with self._batching.expected():                     # from the first byte on, others count on this image
            return self._view(message, info, arrival_s)

    def _view(self, message: Image | CompressedImage, info: CameraInfo | None, arrival_s: float) -> View2D | None:
        image = self._images.bgr(message)
        size = image.shape[1], image.shape[0]
        try:
            stamp = stamp_of(message.header, f'camera {self.camera}')
        except MessageError as error:
            raise ImageError.of(error) from error
        notes = []
        if stamp <= 0:
            stamp = arrival_s
            notes.append('the driver sets no stamps, so the time of arrival is used; fast motion is less exact')
        if self._last is not None and stamp <= self._last:
            if stamp > self._last - _JUMP_S:
                self.doubles += 1
                self.stuck += 1
                return None
            self.jumps.add()
            self.network.reset()
        elif self._paused or self._size not in (None, size):
            self._paused = False
            self.network.reset()
        self._last, self._size, self.stuck = stamp, size, 0
        self.pictures.add(image)
        self.image = image
        known: Intrinsics | None = None
        if info is not None:
            try:
                known = intrinsics_from(info, size, self.camera, self._rectified)
            except ImageError as error:
                notes.append(str(error))
        self.note = '; '.join(notes)
        begin = time.perf_counter()
        try:
            people = self._infer(image, stamp)
        except InferenceError as error:
            raise ImageError(f'camera {self.camera}: {error}') from error
        self.looks.add(time.perf_counter() - begin)
        self.followed.add(len(people))
        return self._views.view(people, self.camera, stamp, size, known, most=self.max_people,
                                min_confidence=self.min_confidence)

    def replace(self, network: Pose2D, spare: Pose2D | None = None,
                failed: Callable[[Exception], None] | None = None) -> None:
        """Use another network from the next image on; from any thread.

        Args:
            spare: takes over, with the same image, when the new one fails in its first `TRIAL` images.
            failed: called with it.

        Raises:
            SkeletonError: its joint names do not describe a body.
        """
        ViewMap.of(network)
        self._next = _Trial(network, spare, failed)

    def uses(self, network: Pose2D) -> bool:
        """A thread is in it."""
        return self._inside is network

    def _use(self, network: Pose2D) -> None:
        network.reset()
        self.network, self._views = network, ViewMap.of(network)
        self._batching = network if isinstance(network, BatchingPose2D) else None

    def _infer(self, image: NDArray[np.uint8], stamp: float) -> People2D:
        trial = self._trial
        expected = self._expected.at(self.camera, stamp) if self.look_again else NOBODY
        try:
            self._inside = trial.network
            self._tried += 1
            return people_in(trial.network, self._views.joints, image, expected)
        except Exception as error:
            if trial.spare is None or self._tried > TRIAL:
                raise
            self._use(trial.spare)
            self._inside, self._trial = trial.spare, _Trial(trial.spare, None, None)
            if trial.failed is not None:
                trial.failed(error)
            return trial.spare.infer(image)
        finally:
            self._inside = None

    def forget(self) -> None:
        """Images are about to be left out: the next one is the first, and has nothing to do with the last one."""
        self._paused = True

    @property
    def max_megapixels(self) -> float:
        """Larger images are refused, million px."""
        return self._images.decoder.max_megapixels

    @max_megapixels.setter
    def max_megapixels(self, value: float) -> None:
        self._images.decoder.max_megapixels = value

    @property
    def bits(self) -> int:
        """Of the 16 bits of the images' values, how many are used; 0 = they have 8."""
        return self._images.decoder.bits

    @property
    def prefers_batches(self) -> bool:
        """Whether the network gains when all cameras have their images ready at the same time."""
        return self._batching is not None and self._batching.prefers_batches

    def close(self) -> None:
        """Close the network."""
        self.network.close()
