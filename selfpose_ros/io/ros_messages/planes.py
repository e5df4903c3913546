# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Image messages whose brightness and colour lie in planes of their own (NV12 and its kin) -> BGR.

`sensor_msgs` says of these encodings no more than their names, so drivers differ in what they write into `height` and
`step`. The number of bytes settles what is meant. Colours are BT.601 with headroom, as cameras send them.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import BadMessage

__all__ = ['PLANAR', 'bgr_from_planes']

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class _Layout:
    """What follows the plane of brightness.

    Attributes:
        factor: width and height of the image over those of a plane of colour: 2, or 1 = a value for each pixel.
        u: which of the two colours comes first: 0 = blue difference (U), 1 = red difference (V).
        together: both in one plane, value by value; else one plane after the other, in rows of half the length.
    """

    factor: int
    u: int
    together: bool = True


#: encodings in lower case. `sensor_msgs` has names for nv21 and nv24
PLANAR = {'nv12': _Layout(2, 0), 'nv21': _Layout(2, 1), 'nv24': _Layout(1, 0), 'nv42': _Layout(1, 1),
          'i420': _Layout(2, 0, False), 'yuv420': _Layout(2, 0, False), 'yv12': _Layout(2, 1, False)}
_CONVERSIONS = {'nv12': cv2.COLOR_YUV2BGR_NV12, 'nv21': cv2.COLOR_YUV2BGR_NV21, 'i420': cv2.COLOR_YUV2BGR_I420,
                'yuv420': cv2.COLOR_YUV2BGR_I420, 'yv12': cv2.COLOR_YUV2BGR_YV12}
#: Y, U, V -> B, G, R, as OpenCV's conversions of the others
_MATRIX = np.array([[1.164, 2.018, 0.], [1.164, -.391, -.813], [1.164, 0., 1.596]])
_TO_BGR = np.hstack([_MATRIX, -_MATRIX @ [[16.], [128.], [128.]]])


def bgr_from_planes(encoding: str, width: int, height: int, step: int, data: Pixels) -> Pixels:
    """The (H, W, 3) BGR image of a message.

    Args:
        encoding: one of `PLANAR`.
        width, height, step: as in the message. The height may be that of all planes together, and the step anything
            where the rows have no gaps.
        data: (N,) its bytes.

    Raises:
        BadMessage: the bytes are too few, or sides that must be even are odd.
    """
    name = encoding.lower()
    layout = PLANAR[name]
    parts = 3 if layout.factor == 1 else 1.5               # of all planes, over that of the brightness
    high = round(height / parts)
    if data.size == width * height == width * high * parts:
        height, step = high, width                         # a picture that is as high as all of its planes
    elif data.size == width * height * parts:
        step = width
    gap = step - width                                     # behind the last row there need be none
    if not width or not height or gap < 0 or data.size < step * height * parts - (gap if layout.together else gap // 2):
        raise BadMessage(f'{data.size} bytes in rows of {step} are too few for {width}x{height} px {encoding}',
                         'the image is cut off, check the camera driver')
    if layout.factor == 2 and (width % 2 or height % 2 or step % 2):
        raise BadMessage(f'{width}x{height} px {encoding} in rows of {step} bytes have no colour for the last row or '
                         'column', 'set the camera driver to a size of even numbers')
    luma: Pixels = np.ndarray((height, width), np.uint8, data, 0, (step, 1))
    at = step * height
    if layout.factor == 1:
        colour: Pixels = np.ndarray((height, width, 2), np.uint8, data, at, (2 * step, 2, 1))
        blue, red = colour[..., layout.u], colour[..., 1 - layout.u]
        return np.asarray(cv2.transform(cv2.merge([luma, np.ascontiguousarray(blue), np.ascontiguousarray(red)]),
                                        _TO_BGR), np.uint8)
    planes: Pixels
    if layout.together:
        planes = np.ndarray((height * 3 // 2, width), np.uint8, data, 0, (step, 1))
    else:
        # one after the other without gaps, for OpenCV has no other way to take them
        small: Pixels = np.ndarray((height, width // 2), np.uint8, data, at, (step // 2, 1))
        planes = np.concatenate([luma, np.ascontiguousarray(small).reshape(height // 2, width)])
    return np.asarray(cv2.cvtColor(planes, _CONVERSIONS[name]), np.uint8)
