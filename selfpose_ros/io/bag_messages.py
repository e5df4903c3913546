# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Messages of a bag to values, without ROS: images, CameraInfo, keypoint clouds and what describes them."""
from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.camera import Intrinsics
from ..core.errors import CoreError
from ..core.observation import View2D
from ..core.skeleton import JointMap, joint_map

__all__ = ['ENCODINGS', 'BadMessage', 'KeypointsInfo', 'image_of', 'info_of', 'intrinsics_of', 'is_keypoints',
           'view_of']

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

#: encoding -> (bytes of a channel, channels, OpenCV's conversion to BGR or None).
#: OpenCV names a Bayer pattern by its second row, ROS by its first.
ENCODINGS: dict[str, tuple[int, int, int | None]] = {
    'bgr8': (1, 3, None), '8UC3': (1, 3, None), 'rgb8': (1, 3, cv2.COLOR_RGB2BGR),
    'bgra8': (1, 4, cv2.COLOR_BGRA2BGR), '8UC4': (1, 4, cv2.COLOR_BGRA2BGR), 'rgba8': (1, 4, cv2.COLOR_RGBA2BGR),
    'mono8': (1, 1, cv2.COLOR_GRAY2BGR), '8UC1': (1, 1, cv2.COLOR_GRAY2BGR), 'mono16': (2, 1, cv2.COLOR_GRAY2BGR),
    'bgr16': (2, 3, None), 'rgb16': (2, 3, cv2.COLOR_RGB2BGR),
    'yuv422': (1, 2, cv2.COLOR_YUV2BGR_UYVY), 'uyvy': (1, 2, cv2.COLOR_YUV2BGR_UYVY),
    'yuv422_yuy2': (1, 2, cv2.COLOR_YUV2BGR_YUY2), 'yuyv': (1, 2, cv2.COLOR_YUV2BGR_YUY2),
    'bayer_rggb8': (1, 1, cv2.COLOR_BayerBG2BGR), 'bayer_bggr8': (1, 1, cv2.COLOR_BayerRG2BGR),
    'bayer_gbrg8': (1, 1, cv2.COLOR_BayerGR2BGR), 'bayer_grbg8': (1, 1, cv2.COLOR_BayerGB2BGR),
    'bayer_rggb16': (2, 1, cv2.COLOR_BayerBG2BGR), 'bayer_bggr16': (2, 1, cv2.COLOR_BayerRG2BGR),
    'bayer_gbrg16': (2, 1, cv2.COLOR_BayerGR2BGR), 'bayer_grbg16': (2, 1, cv2.COLOR_BayerGB2BGR),
}
_FIELDS = ('u', 'v', 'confidence', 'person')
#: of networks that tell depths, too
_DEPTH = ('depth', 'depth_sigma')
#: sensor_msgs/PointField.datatype
_TYPES = {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 8: 'f8'}


class BadMessage(Exception):
    """One message cannot be used; the others can. Says why in a few words."""


def image_of(message: Any) -> Image:
    """The (H, W, 3) BGR image of a sensor_msgs Image or CompressedImage.

    Raises:
        BadMessage: unknown encoding, too few bytes, no image.
    """
    if hasattr(message, 'encoding'):
        return _raw(message)
    data = np.asarray(message.data, np.uint8)
    if 'compressedDepth' in message.format:
        raise BadMessage('a depth image')
    jpeg = bytes(data[:2]) == b'\xff\xd8'
    if jpeg and b'\xff\xd9' not in bytes(data[-65536:]):   # OpenCV would fill what is missing with grey
        raise BadMessage(f'JPEG of {data.size} bytes is cut off')
    decoded: Any = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if decoded is None:
        raise BadMessage(f'{data.size} bytes ({message.format or "no format"}) are no image')
    return np.asarray(decoded, np.uint8)


def _raw(message: Any) -> Image:
    name, h, w, step = message.encoding, message.height, message.width, message.step
    if name not in ENCODINGS:
        raise BadMessage(f'encoding {name!r} is not known')
    size, channels, conversion = ENCODINGS[name]
    data = np.ascontiguousarray(message.data, np.uint8)
    least = w * size * channels
    if not h or not w or step < least or data.size < step * (h - 1) + least:
        raise BadMessage(f'{data.size} bytes in rows of {step} are too few for {w}x{h} px {name}')
    kind = np.dtype(np.uint8 if size == 1 else '>u2' if message.is_bigendian else '<u2')
    pixels: NDArray[Any] = np.ndarray((h, w, channels), kind, data, strides=(step, size * channels, size))
    image = np.ascontiguousarray(pixels >> 8 if size == 2 else pixels, np.uint8)
    try:
        return image if conversion is None else np.asarray(cv2.cvtColor(image, conversion), np.uint8)
    except cv2.error as error:
        raise BadMessage(f'{w}x{h} px {name} cannot be converted ({error.err})') from error


def intrinsics_of(message: Any, image_size: tuple[int, int]) -> Intrinsics | None:
    """Intrinsics of a sensor_msgs CameraInfo for an image of (w, h) px; None = not calibrated (K[0] = 0).

    Region of interest, binning and a driver's resizing are taken into account.

    Raises:
        BadMessage: another part of the sensor, a lens model that is not supported, or numbers that are no camera.
    """
    K = np.array(message.k, float).reshape(3, 3)
    if K[0, 0] == 0:
        return None
    if message.distortion_model not in ('', 'plumb_bob', 'rational_polynomial'):
        raise BadMessage(f'lens model {message.distortion_model!r} is not supported')
    K[:2, 2] -= message.roi.x_offset, message.roi.y_offset
    told = np.array([message.roi.width or message.width, message.roi.height or message.height], float)
    scale = np.array(image_size) / np.where(told > 0, told, image_size)
    if abs(scale[0] / scale[1] - 1) > .01:
        raise BadMessage(f'calibrated at {told[0]:.0f}x{told[1]:.0f} px, the image has '
                         f'{image_size[0]}x{image_size[1]} px')
    K[:2] *= scale[:, None]
    K[:2, 2] += .5 * scale - .5                            # pixel centres lie at integers
    try:
        return Intrinsics(K, np.array(message.d, float))
    except CoreError as error:
        raise BadMessage(str(error)) from error


@dataclass(frozen=True)
class KeypointsInfo:
    """What the columns of a keypoints topic are."""

    joint_names: tuple[str, ...]
    image_size: tuple[int, int]
    intrinsics: Intrinsics | None
    joints: JointMap


def info_of(text: str) -> KeypointsInfo:
    """The content of `<camera>/keypoints_info`.

    Raises:
        BadMessage: no JSON, a field is missing, or the joints are no body.
    """
    try:
        data = json.loads(text)
        names = tuple(str(n) for n in data['joint_names'])
        w, h = (int(x) for x in data['image_size'])
        K, distortion = data.get('K'), data.get('distortion')
        known = None if K is None else Intrinsics(K, np.zeros(5) if distortion is None else distortion)
        return KeypointsInfo(names, (w, h), known, joint_map(names))
    except (CoreError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadMessage(f'{text[:60]!r} cannot be read ({type(error).__name__}: {error})') from error


def is_keypoints(cloud: Any) -> bool:
    """Whether a sensor_msgs PointCloud2 (or None) holds 2D joints."""
    return cloud is not None and {f.name for f in cloud.fields} >= set(_FIELDS)


def view_of(cloud: Any, info: KeypointsInfo, camera: str, stamp: float) -> View2D:
    """The view of a keypoints cloud: a row for each person, a column for each joint.

    Raises:
        BadMessage: fields, bytes or columns do not fit.
    """
    if not cloud.height * cloud.width:
        return View2D(camera, stamp, np.zeros((0, 17, 2)), np.zeros((0, 17)), info.image_size,
                      intrinsics=info.intrinsics)
    if cloud.width != len(info.joint_names):
        raise BadMessage(f'{cloud.width} columns for {len(info.joint_names)} joint names')
    deep = {f.name for f in cloud.fields}.issuperset(_DEPTH)
    table = _table(cloud, _FIELDS + _DEPTH if deep else _FIELDS)
    u, v, confidence, person = (table[name].astype(float) for name in _FIELDS)
    try:
        keypoints, certainty = info.joints.apply(np.stack([u, v], -1), confidence)
        who = np.nan_to_num(person[:, 0], nan=-1., posinf=-1., neginf=-1.).astype(np.int64)
        if not deep:
            return View2D(camera, stamp, keypoints, certainty, info.image_size, who, info.intrinsics)
        depth, _ = info.joints.apply(np.stack([table[name].astype(float) for name in _DEPTH], -1), confidence)
        return View2D(camera, stamp, keypoints, certainty, info.image_size, who, info.intrinsics, depth[..., 0],
                      depth[..., 1])
    except CoreError as error:
        raise BadMessage(str(error)) from error


def _table(cloud: Any, names: tuple[str, ...]) -> NDArray[Any]:
    fields = {f.name: f for f in cloud.fields}
    missing = [n for n in names if n not in fields]
    if missing:
        raise BadMessage(f'no field {", ".join(missing)}')
    order = '>' if cloud.is_bigendian else '<'
    formats = [_TYPES.get(fields[n].datatype, '') for n in names]
    offsets = [fields[n].offset for n in names]
    h, w, step = cloud.height, cloud.width, cloud.point_step
    data = np.ascontiguousarray(cloud.data, np.uint8)
    if '' in formats or max(o + int(f[1]) for o, f in zip(offsets, formats, strict=True)) > step:
        raise BadMessage('fields that are no numbers or lie outside the point')
    if cloud.row_step < w * step or data.size < cloud.row_step * (h - 1) + w * step:
        raise BadMessage(f'{data.size} bytes are too few for {h} x {w} points of {step} bytes')
    dtype = np.dtype({'names': list(names), 'formats': [order + f for f in formats], 'offsets': offsets,
                      'itemsize': step})
    return np.ndarray((h, w), dtype, data, strides=(cloud.row_step, step))
