# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Image messages -> BGR arrays, CameraInfo -> intrinsics. What cannot be used is refused with a sentence.

No frame is copied more than once on its way to the network's crop. BGR whose rows have no gaps is used where it lies
in the message; everything else (JPEG, another order of the channels, rows with gaps, 16 bits) becomes BGR in one pass.
Only Bayer patterns of 16 bits take two.
"""
from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ..core.camera import Intrinsics
from ..core.errors import CameraError
from ..inference.pose2d.contract import MIN_SIDE_PX
from ..inference.pose2d.pictures import Memory, decoded
from .errors import ImageError

__all__ = ['bgr_from', 'intrinsics_from']

Pixels = NDArray[np.uint8]

#: encoding -> (bytes per channel, channels, OpenCV conversion to BGR or None). cv_bridge knows more, but not all
#: of these on every platform, and its pure Python version overlooks padded rows.
_ENCODINGS: dict[str, tuple[int, int, int | None]] = {
    'bgr8': (1, 3, None), '8UC3': (1, 3, None), 'rgb8': (1, 3, cv2.COLOR_RGB2BGR),
    'bgra8': (1, 4, cv2.COLOR_BGRA2BGR), '8UC4': (1, 4, cv2.COLOR_BGRA2BGR), 'rgba8': (1, 4, cv2.COLOR_RGBA2BGR),
    'mono8': (1, 1, cv2.COLOR_GRAY2BGR), '8UC1': (1, 1, cv2.COLOR_GRAY2BGR), 'mono16': (2, 1, cv2.COLOR_GRAY2BGR),
    'bgr16': (2, 3, None), 'rgb16': (2, 3, cv2.COLOR_RGB2BGR),
    'yuv422': (1, 2, cv2.COLOR_YUV2BGR_UYVY), 'uyvy': (1, 2, cv2.COLOR_YUV2BGR_UYVY),
    'yuv422_yuy2': (1, 2, cv2.COLOR_YUV2BGR_YUY2), 'yuyv': (1, 2, cv2.COLOR_YUV2BGR_YUY2),
    # OpenCV names a pattern by its second row, ROS by its first
    'bayer_rggb8': (1, 1, cv2.COLOR_BayerBG2BGR), 'bayer_bggr8': (1, 1, cv2.COLOR_BayerRG2BGR),
    'bayer_gbrg8': (1, 1, cv2.COLOR_BayerGR2BGR), 'bayer_grbg8': (1, 1, cv2.COLOR_BayerGB2BGR),
    'bayer_rggb16': (2, 1, cv2.COLOR_BayerBG2BGR), 'bayer_bggr16': (2, 1, cv2.COLOR_BayerRG2BGR),
    'bayer_gbrg16': (2, 1, cv2.COLOR_BayerGR2BGR), 'bayer_grbg16': (2, 1, cv2.COLOR_BayerGB2BGR),
}
#: conversions that only give channels another place
_ORDERS = {None: slice(None), cv2.COLOR_RGB2BGR: slice(None, None, -1), cv2.COLOR_GRAY2BGR: slice(None)}
_JPEG, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
#: some drivers send their whole buffer: the end of the JPEG is looked for in this much of its tail
_TAIL = 65536
#: images of the same shape whose aspect ratios differ by more than this are another part of the sensor
_ASPECT = 0.01


def bgr_from(message: Image | CompressedImage, camera: str, memory: Memory | None = None) -> Pixels:
    """The (H, W, 3) uint8 BGR image of a message; it lies in the message, in `memory` (see `decoded`) or in new memory.

    Raises:
        ImageError: unknown encoding, too few bytes, no image, or too small to hold a person.
    """
    image = _compressed(message, camera, memory) if isinstance(message, CompressedImage) else _raw(message, camera)
    h, w = image.shape[:2]
    if min(h, w) < MIN_SIDE_PX:
        raise ImageError(f'camera {camera}: the image has {w}x{h} px, too few to hold a person (at least '
                         f'{MIN_SIDE_PX} px a side); check the camera driver')
    return image


def _raw(message: Image, camera: str) -> Pixels:
    name, h, w, step = message.encoding, message.height, message.width, message.step
    if name not in _ENCODINGS:
        return _bridged(message, camera)
    size, channels, conversion = _ENCODINGS[name]
    least = w * size * channels
    if not h or not w or step < least or len(message.data) < step * (h - 1) + least:
        raise ImageError(f'camera {camera}: {len(message.data)} bytes in rows of {step} are too few for {w}x{h} '
                         f'px {name}; the image is cut off, check the camera driver')
    # of 16 bits the upper eight
    image: Pixels = np.ndarray((h, w, channels), np.uint8, np.frombuffer(message.data, np.uint8),
                               size - 1 if size == 2 and not message.is_bigendian else 0,
                               (step, size * channels, size))
    if size == 2 and conversion in _ORDERS:
        image = np.broadcast_to(image, (h, w, 3))[..., _ORDERS[conversion]]
        conversion = None
    if conversion is None:
        return np.ascontiguousarray(image)
    try:
        # rows may have gaps
        return np.asarray(cv2.cvtColor(image[..., 0] if channels == 1 else image, conversion), np.uint8)
    except cv2.error as error:
        raise ImageError(f'camera {camera}: cannot convert {w}x{h} px {name} ({error.err}); set the camera driver '
                         'to bgr8 or rgb8') from error


def _bridged(message: Image, camera: str) -> Pixels:
    """Whatever else cv_bridge can turn into BGR."""
    try:
        from cv_bridge import CvBridge
        image = CvBridge().imgmsg_to_cv2(message, 'bgr8')
    except (ImportError, TypeError, KeyError, ValueError, RuntimeError, cv2.error) as error:    # CvBridgeError too
        raise ImageError(f'camera {camera}: encoding {message.encoding!r} cannot be turned into BGR; set the '
                         'camera driver to bgr8, rgb8 or mono8, or use compressed images') from error
    return np.ascontiguousarray(image, np.uint8)


def _compressed(message: CompressedImage, camera: str, memory: Memory | None) -> Pixels:
    data, form = bytes(message.data), message.format or 'no format given'
    if 'compressedDepth' in form:
        raise ImageError(f'camera {camera}: {form!r} is a depth image; name a colour image topic in image_topics')
    if data[:2] == _JPEG and len(data) > 2 and data.rfind(_JPEG_END, max(len(data) - _TAIL, 0)) < 0:
        # decoders would fill the missing part with grey and call it an image
        raise ImageError(f'camera {camera}: the JPEG of {len(data)} bytes is cut off; check the camera driver or '
                         'the network')
    image = decoded(data, memory)
    if image is None:
        raise ImageError(f'camera {camera}: {len(data)} bytes ({form}) are no image that can be decoded; send '
                         'JPEG or PNG')
    return image


def intrinsics_from(info: CameraInfo, image_size: tuple[int, int], camera: str) -> Intrinsics | None:
    """Intrinsics for an image of (w, h) px; None = not calibrated (K[0] = 0).

    Binning, region of interest and a driver's resizing are taken into account.

    Raises:
        ImageError: the calibration is of another part of the sensor or of a lens model that is not supported.
    """
    if info.k[0] == 0:
        return None
    if info.distortion_model not in ('', 'plumb_bob', 'rational_polynomial'):
        raise ImageError(f'camera {camera}: CameraInfo has the lens model {info.distortion_model!r}, which is not '
                         'supported; publish rectified images, or no CameraInfo and the camera is calibrated from '
                         'people')
    K, (w, h) = np.array(info.k, float).reshape(3, 3), (info.width, info.height)
    K[:2, 2] -= info.roi.x_offset, info.roi.y_offset
    w, h = info.roi.width or w, info.roi.height or h
    if not w or not h:
        w, h = image_size
    sx, sy = image_size[0] / w, image_size[1] / h
    if abs(sx / sy - 1) > _ASPECT:
        raise ImageError(f'camera {camera}: CameraInfo is for {w}x{h} px, the image has '
                         f'{image_size[0]}x{image_size[1]} px; calibrate at that size, or publish no CameraInfo '
                         'and the camera is calibrated from people')
    K[:2] *= np.array([[sx], [sy]])
    K[:2, 2] += 0.5 * np.array([sx, sy]) - 0.5              # pixel centres lie at integers
    try:
        return Intrinsics(K, np.array(info.d, float))
    except CameraError as error:
        raise ImageError(f'camera {camera}: CameraInfo cannot be used: {error}') from error
