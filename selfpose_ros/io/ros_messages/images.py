# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Image messages -> BGR arrays, of bags and of nodes alike. What cannot be used is refused with a sentence.

No frame is copied more than once on its way to the network's crop. BGR whose rows have no gaps is used where it lies
in the message; everything else (JPEG, another order of the channels, rows with gaps, 16 bits) becomes BGR in one pass.
Only Bayer patterns of 16 bits, 16 bits of which fewer are used, and planes of colour take two.

Nothing is decoded or allocated before its size is known: a PNG file of 2 MB can ask for 5 GB.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import BadMessage
from ..pictures import JPEG, PNG, Memory, decoded, decoded_wide, header
from .image_topics import depth_image, is_depth, video
from .planes import PLANAR, bgr_from_planes

__all__ = ['ENCODINGS', 'MAX_MEGAPIXELS', 'ImageDecoder', 'Pixels']

Pixels = NDArray[np.uint8]

#: larger images are refused where nothing else is asked for, million px
MAX_MEGAPIXELS = 100.
#: encoding -> (bytes per channel, channels, OpenCV conversion to BGR or None). cv_bridge knows more, but not all
#: of these on every platform, and its pure Python version overlooks padded rows.
ENCODINGS: dict[str, tuple[int, int, int | None]] = {
    'bgr8': (1, 3, None), '8UC3': (1, 3, None), 'rgb8': (1, 3, cv2.COLOR_RGB2BGR),
    'bgra8': (1, 4, cv2.COLOR_BGRA2BGR), '8UC4': (1, 4, cv2.COLOR_BGRA2BGR), 'rgba8': (1, 4, cv2.COLOR_RGBA2BGR),
    'mono8': (1, 1, cv2.COLOR_GRAY2BGR), '8UC1': (1, 1, cv2.COLOR_GRAY2BGR), 'mono16': (2, 1, cv2.COLOR_GRAY2BGR),
    'bgr16': (2, 3, None), 'rgb16': (2, 3, cv2.COLOR_RGB2BGR), 'bgra16': (2, 4, cv2.COLOR_BGRA2BGR),
    'rgba16': (2, 4, cv2.COLOR_RGBA2BGR),
    'yuv422': (1, 2, cv2.COLOR_YUV2BGR_UYVY), 'uyvy': (1, 2, cv2.COLOR_YUV2BGR_UYVY),
    'yuv422_yuy2': (1, 2, cv2.COLOR_YUV2BGR_YUY2), 'yuyv': (1, 2, cv2.COLOR_YUV2BGR_YUY2),
    'yvyu': (1, 2, cv2.COLOR_YUV2BGR_YVYU),
    # OpenCV names a pattern by its second row, ROS by its first
    'bayer_rggb8': (1, 1, cv2.COLOR_BayerBG2BGR), 'bayer_bggr8': (1, 1, cv2.COLOR_BayerRG2BGR),
    'bayer_gbrg8': (1, 1, cv2.COLOR_BayerGR2BGR), 'bayer_grbg8': (1, 1, cv2.COLOR_BayerGB2BGR),
    'bayer_rggb16': (2, 1, cv2.COLOR_BayerBG2BGR), 'bayer_bggr16': (2, 1, cv2.COLOR_BayerRG2BGR),
    'bayer_gbrg16': (2, 1, cv2.COLOR_BayerGR2BGR), 'bayer_grbg16': (2, 1, cv2.COLOR_BayerGB2BGR),
}
#: conversions that only give channels another place
_ORDERS = {None: slice(None), cv2.COLOR_RGB2BGR: slice(None, None, -1), cv2.COLOR_GRAY2BGR: slice(None)}
#: one channel of what is no brightness
_DISTANCES = re.compile(r'(16UC1|16SC1|32SC1|32FC1|64FC1)\b')
_VIDEOS = frozenset(('h264', 'h265', 'hevc', 'avc', 'av1', 'vp8', 'vp9', 'theora'))
#: how units of H.264 and H.265 begin
_UNIT = re.compile(rb'\x00{2,3}\x01')
_JPEG_END = b'\xff\xd9'
#: some drivers send their whole buffer: the end of the JPEG is looked for in this much of its tail
_TAIL = 65536
#: of compressedDepth, before the PNG file
_DEPTH_HEADER = 12
#: bits that sensors give
_DEPTHS = (8, 10, 12, 14, 16)
_SEND = 'let the camera driver send bgr8, rgb8, mono8 or JPEG'


def _bytes(message: Any) -> Pixels:
    return np.frombuffer(message.data, np.uint8) if len(message.data) else np.zeros(0, np.uint8)


class ImageDecoder:
    """Turns the images of one camera into BGR; one thread at a time.

    Args:
        topic: of the images; its name may tell that they show distances.
        max_megapixels: larger images are refused, million px.
        other: turns raw images of further encodings into BGR, or raises `BadMessage`.
        keep: images may lie in the same memory one after the other, which saves time.

    Attributes:
        max_megapixels: may be changed at any time.
        bits: of 16, how many the camera's values were seen to use; 0 = its images have 8. It only rises: all images
            are brightened alike, and a dark one does not flicker.
    """

    def __init__(self, topic: str = '', max_megapixels: float = MAX_MEGAPIXELS, *,
                 other: Callable[[Any], Pixels] | None = None, keep: bool = False) -> None:
        self.max_megapixels, self.bits = max_megapixels, 0
        self._topic, self._other = topic, other
        self._memory = Memory() if keep else None

    def bgr(self, message: Any) -> Pixels:
        """The (H, W, 3) uint8 BGR image of a sensor_msgs Image or CompressedImage.

        It may lie in the message, or where the next one will lie (see `keep`).

        Raises:
            BadMessage: unknown encoding, too few bytes, no image, too large; `NoPicture`: a depth image or a video.
        """
        return self._raw(message) if hasattr(message, 'encoding') else self._compressed(message)

    @property
    def note(self) -> str:
        """'' or a sentence on the bits that are used."""
        if not 0 < self.bits < 16:
            return ''
        return (f'images of 16 bits hold values up to {2**self.bits - 1} only: taken for {self.bits} bits and '
                'brightened')

    def _raw(self, message: Any) -> Pixels:
        name, h, w, step = message.encoding, message.height, message.width, message.step
        if _DISTANCES.match(name) or (name == 'mono16' and is_depth(self._topic)):
            raise depth_image(name)
        self._check_size(w, h)
        if name.lower() in PLANAR:
            return bgr_from_planes(name, w, h, step, _bytes(message))
        if name not in ENCODINGS:
            if self._other is None:
                raise BadMessage(f'encoding {name!r} cannot be turned into BGR', f'{_SEND}, or use compressed images')
            return self._other(message)
        size, channels, conversion = ENCODINGS[name]
        least = w * size * channels
        data = _bytes(message)
        if not h or not w or step < least or data.size < step * (h - 1) + least:
            raise BadMessage(f'{data.size} bytes in rows of {step} are too few for {w}x{h} px {name}',
                             'the image is cut off, check the camera driver')
        image: Pixels
        if size == 1:
            image = np.ndarray((h, w, channels), np.uint8, data, 0, (step, channels, 1))
        else:
            kind = np.dtype('>u2' if message.is_bigendian else '<u2')
            values: NDArray[Any] = np.ndarray((h, w, channels), kind, data, 0, (step, 2 * channels, 2))
            self._look(values)
            if self.bits == 16:                            # a view, not a copy
                image = np.ndarray((h, w, channels), np.uint8, data, int(not message.is_bigendian),
                                   (step, 2 * channels, 2))
            else:
                image = self._upper(values)
            if conversion in _ORDERS:
                image = np.broadcast_to(image, (h, w, 3))[..., _ORDERS[conversion]]
                conversion = None
        if conversion is None:
            return np.ascontiguousarray(image)
        try:
            # rows may have gaps
            return np.asarray(cv2.cvtColor(image[..., 0] if channels == 1 else image, conversion), np.uint8)
        except cv2.error as error:
            raise BadMessage(f'cannot convert {w}x{h} px {name} ({error.err})', _SEND) from error

    def _compressed(self, message: Any) -> Pixels:
        data, form = bytes(message.data), message.format or 'no format given'
        words = set(re.split(r'\W+', form.lower()))
        if 'compresseddepth' in words or _DISTANCES.match(form) or data[_DEPTH_HEADER:].startswith(PNG):
            raise depth_image(form.strip())
        if words & _VIDEOS or _UNIT.match(data):
            raise video(form)
        if data[:2] == JPEG and len(data) > 2 and data.rfind(_JPEG_END, max(len(data) - _TAIL, 0)) < 0:
            # decoders would fill the missing part with grey and call it an image
            raise BadMessage(f'the JPEG of {len(data)} bytes is cut off', 'check the camera driver or the network')
        head = header(data)
        if head is not None:
            self._check_size(head.width, head.height)
            image = self._wide(data, head.grey) if head.bits > 8 else decoded(data, self._memory)
            if image is not None:
                return image
        raise BadMessage(f'{len(data)} bytes ({form}) are no image that can be decoded', 'send JPEG or PNG')

    def _wide(self, data: bytes, grey: bool) -> Pixels | None:
        """PNG of 16 bits."""
        if grey and is_depth(self._topic):
            raise depth_image('PNG of 16 bits')
        values = decoded_wide(data, grey)
        if values is None:
            return None
        self._look(values)
        image = self._upper(values)
        return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))

    def _check_size(self, width: int, height: int) -> None:
        if width * height > 1e6 * self.max_megapixels:
            raise BadMessage(f'{width}x{height} px are more than the {self.max_megapixels:g} million that are allowed',
                             'check the camera driver, or raise max_megapixels')

    def _look(self, values: NDArray[Any]) -> None:
        """Values of 16 bits: how many do they use?"""
        if self.bits < 16:
            highest = int(values.max(initial=0))
            self.bits = max(self.bits, next(b for b in _DEPTHS if highest < 2**b))

    def _upper(self, values: NDArray[Any]) -> Pixels:
        """The upper eight of the bits that the camera uses."""
        return (values >> (self.bits - 8)).astype(np.uint8)
