# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""JPEG and PNG files -> pixels, by the quickest decoder that is installed; their size before they are decoded."""
from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

try:
    from simplejpeg import decode_jpeg
except ImportError:
    decode_jpeg = None

__all__ = ['DECODER', 'JPEG', 'PNG', 'Header', 'Memory', 'decoded', 'decoded_wide', 'header']

#: how the files begin
JPEG, PNG = b'\xff\xd8', b'\x89PNG\r\n\x1a\n'
#: JPEG markers without content, and those of the frame, which holds the size
_BARE, _FRAMES = frozenset((0x01, *range(0xd0, 0xd9))), frozenset(range(0xc0, 0xd0)) - {0xc4, 0xc8, 0xcc}
_SCAN, _END = 0xda, 0xd9
#: no camera writes more segments before the frame
_SEGMENTS = 4096
#: an Exif header may say that the image lies on its side; it stands at the beginning
_EXIF, _HEADER = b'Exif', 4096


@dataclass(frozen=True)
class Header:
    """What an image file says before it is decoded.

    Attributes:
        width, height: px.  bits: of a channel.  grey: it has one channel.
    """

    width: int
    height: int
    bits: int = 8
    grey: bool = False


def header(data: bytes) -> Header | None:
    """The header of a JPEG or PNG file; None = it is neither. A few bytes can ask for gigabytes: look here first."""
    if data.startswith(PNG):
        if len(data) < 26 or data[12:16] != b'IHDR':
            return None
        width, height, bits, colours = struct.unpack_from('>IIBB', data, 16)
        return Header(width, height, bits, colours in (0, 4))
    return _jpeg_header(data) if data.startswith(JPEG) else None


def _jpeg_header(data: bytes) -> Header | None:
    at = 2
    for _ in range(_SEGMENTS):
        at = data.find(b'\xff', at)                        # as decoders do, over whatever lies between segments
        if at < 0:
            break
        while data[at:at + 1] == b'\xff':
            at += 1
        if at + 3 > len(data):
            break
        marker = data[at]
        at += 1
        if marker == 0 or marker in _BARE:
            continue
        if marker in (_SCAN, _END):
            break
        length, = struct.unpack_from('>H', data, at)
        if marker in _FRAMES:
            if at + 8 > len(data):
                break
            bits, height, width, channels = struct.unpack_from('>BHHB', data, at + 2)
            return Header(width, height, bits, channels == 1)
        at += length
    return None


@dataclass
class Memory:
    """Where the images of one camera lie, one after the other."""

    room: NDArray[np.uint8] | None = None


#: what decodes JPEG
DECODER = 'OpenCV' if decode_jpeg is None else 'simplejpeg'


def decoded(data: bytes, memory: Memory | None = None) -> NDArray[np.uint8] | None:
    """The (H, W, 3) uint8 BGR image of a JPEG or PNG file, turned as in its Exif header; None = it is none.

    simplejpeg lets libjpeg-turbo double the colours, which cameras send at half the resolution, without blurring them:
    a sixth less time than OpenCV takes, for half a grey value. (Its quick cosine transform gains next to nothing more,
    and tints dark parts.) What it does not like goes to OpenCV.

    Args:
        data: of the file.
        memory: where the image may lie, until it is used again; None = in new memory, which takes longer to write.
    """
    if decode_jpeg is not None and data[:2] == JPEG and _EXIF not in data[:_HEADER]:
        room = None if memory is None else memory.room
        for buffer in (room, None) if room is not None else (None,):
            try:
                image = np.asarray(decode_jpeg(data, 'BGR', fastupsample=True, buffer=buffer), np.uint8)
            except ValueError:                             # too little room, or no such JPEG
                continue
            if memory is not None and buffer is None:
                memory.room = image
            return image
    try:
        read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error:
        read = None
    return None if read is None else np.asarray(read, np.uint8)


def decoded_wide(data: bytes, grey: bool) -> NDArray[np.uint16] | None:
    """The (H, W, 1) or (H, W, 3) BGR uint16 image of a PNG file of 16 bits; None = it is none."""
    how = cv2.IMREAD_ANYDEPTH | (cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR)
    try:
        read = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    except cv2.error:
        read = None
    if read is None or read.dtype != np.uint16:
        return None
    return np.asarray(read.reshape(*read.shape[:2], -1), np.uint16)
