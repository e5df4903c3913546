# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`io.ros_messages` in the node: errors name the camera, and cv_bridge turns the encodings that nobody else does."""
from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ..core.camera import Intrinsics
from ..inference.checked_image import MIN_SIDE_PX
from ..io.errors import BadMessage
from ..io.ros_messages.camera_info import intrinsics_of
from ..io.ros_messages.images import MAX_MEGAPIXELS, ImageDecoder
from .errors import ImageError

__all__ = ['ImageInput', 'intrinsics_from']

Pixels = NDArray[np.uint8]


class ImageInput:
    """The images of one camera; one thread at a time.

    Args:
        camera: its name.
        topic, max_megapixels, keep: see `io.ros_messages.images.ImageDecoder`.
    """

    def __init__(self, camera: str, topic: str = '', max_megapixels: float = MAX_MEGAPIXELS, *,
                 keep: bool = False) -> None:
        self.camera = camera
        self.decoder = ImageDecoder(topic, max_megapixels, other=_bridged, keep=keep)

    def bgr(self, message: Image | CompressedImage) -> Pixels:
        """The (H, W, 3) uint8 BGR image of a message; see `ImageDecoder.bgr` for where it lies.

        Raises:
            ImageError: no image that can be used, too large, or too small to hold a person.
        """
        try:
            image = self.decoder.bgr(message)
        except BadMessage as error:
            raise ImageError.of(error).within(f'camera {self.camera}') from error
        h, w = image.shape[:2]
        if min(h, w) < MIN_SIDE_PX:
            raise ImageError(f'camera {self.camera}: the image has {w}x{h} px, too few to hold a person (at least '
                             f'{MIN_SIDE_PX} px a side); check the camera driver')
        return image


def _bridged(message: Image) -> Pixels:
    """Whatever else cv_bridge can turn into BGR."""
    try:
        from cv_bridge import CvBridge
        image = CvBridge().imgmsg_to_cv2(message, 'bgr8')
    except (ImportError, TypeError, KeyError, ValueError, RuntimeError, cv2.error) as error:    # CvBridgeError too
        raise BadMessage(f'encoding {message.encoding!r} cannot be turned into BGR', 'set the camera driver to bgr8, '
                         'rgb8 or mono8, or use compressed images') from error
    return np.ascontiguousarray(image, np.uint8)


def intrinsics_from(info: CameraInfo, image_size: tuple[int, int], camera: str,
                    rectified: bool = False) -> Intrinsics | None:
    """Intrinsics for an image of (w, h) px; see `io.ros_messages.camera_info.intrinsics_of`.

    Raises:
        ImageError: the calibration is of another part of the sensor or of a lens model that is not supported.
    """
    try:
        return intrinsics_of(info, image_size, rectified)
    except BadMessage as error:
        raise ImageError.of(error).within(f'camera {camera}') from error
