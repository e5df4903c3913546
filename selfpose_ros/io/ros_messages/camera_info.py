# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""CameraInfo -> intrinsics of the images that come with it."""
from __future__ import annotations

from typing import Any

import numpy as np

from ...core.camera import Intrinsics
from ...core.errors import CameraError
from ..errors import BadMessage
from .fisheye import rational_of_fisheye

__all__ = ['intrinsics_of']

_FISHEYE = ('equidistant', 'fisheye')
_MODELS = ('', 'plumb_bob', 'rational_polynomial', *_FISHEYE)
#: images of the same shape whose aspect ratios differ by more than this are another part of the sensor
_ASPECT = .01
_OTHERWISE = 'or publish no CameraInfo, and the camera is calibrated from people'


def intrinsics_of(message: Any, image_size: tuple[int, int], rectified: bool = False) -> Intrinsics | None:
    """Intrinsics of a sensor_msgs CameraInfo for an image of (w, h) px; None = not calibrated (K[0] = 0).

    Images as they come from the sensor have K and D. Rectified ones have P and no distortion, whatever the lens was.
    Region of interest, binning and a driver's resizing are taken into account.

    Args:
        message: the CameraInfo.
        image_size: (w, h) px.
        rectified: the images are; see `image_topics.is_rectified`.

    Raises:
        BadMessage: another part of the sensor, a lens model that is not supported, or numbers that are no camera.
    """
    K, d = np.array(message.k, float).reshape(3, 3), np.array(message.d[:15], float)     # more than 14 are refused
    if rectified:
        P = np.array(message.p, float).reshape(3, 4)[:, :3]
        if P[0, 0] != 0:
            K, d = P, np.zeros(5)
        elif K[0, 0] != 0 and (d.any() or message.distortion_model not in _MODELS):
            raise BadMessage('the images are rectified, but P of the CameraInfo is 0',
                             f'let the driver fill P, {_OTHERWISE}')
    if K[0, 0] == 0:
        return None
    if not rectified and message.distortion_model not in _MODELS:
        raise BadMessage(f'CameraInfo has the lens model {message.distortion_model!r}, which is not supported',
                         f'publish rectified images, {_OTHERWISE}')
    K = _seen(K, message, image_size)
    try:
        if not rectified and message.distortion_model in _FISHEYE:
            d = rational_of_fisheye(d)
        return Intrinsics(K, d).checked(image_size)
    except CameraError as error:
        raise BadMessage(f'CameraInfo cannot be used: {error}') from error


def _seen(K: np.ndarray, message: Any, image_size: tuple[int, int]) -> np.ndarray:
    """K of the calibrated sensor -> K of the image: a region of it, binned, and resized at will."""
    roi = message.roi
    region = np.array([roi.width or max(message.width - roi.x_offset, 0),
                       roi.height or max(message.height - roi.y_offset, 0)], float)
    if not region.all():                                   # no size is given: that of the image
        region = np.array(image_size, float)
    scale = np.array(image_size) / region
    # pixels that are put together by 2 x 1 make the image as much narrower as the CameraInfo says
    binned = scale * [message.binning_x or 1, message.binning_y or 1]
    if min(abs(scale[0] / scale[1] - 1), abs(binned[0] / binned[1] - 1)) > _ASPECT:
        raise BadMessage(f'CameraInfo is for {region[0]:.0f}x{region[1]:.0f} px, the image has '
                         f'{image_size[0]}x{image_size[1]} px', f'calibrate at that size, {_OTHERWISE}')
    K = K.copy()
    K[:2, 2] -= roi.x_offset, roi.y_offset
    K[:2] *= scale[:, None]
    K[:2, 2] += .5 * scale - .5                            # pixel centres lie at integers
    return K
