# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Compressed images -> pixels, by the quickest decoder that is installed."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

try:
    from simplejpeg import decode_jpeg
except ImportError:
    decode_jpeg = None

__all__ = ['DECODER', 'Memory', 'decoded']

_JPEG = b'\xff\xd8'
#: an Exif header may say that the image lies on its side; it stands at the beginning
_EXIF, _HEADER = b'Exif', 4096


@dataclass
class Memory:
    """Where the images of one camera lie, one after the other."""

    room: NDArray[np.uint8] | None = None


#: what decodes JPEG
DECODER = 'OpenCV' if decode_jpeg is None else 'simplejpeg'


def decoded(data: bytes, memory: Memory | None = None) -> NDArray[np.uint8] | None:
    """The (H, W, 3) uint8 BGR image of a JPEG or PNG file, turned as its Exif header says; None = it is none.

    simplejpeg lets libjpeg-turbo double the colours, which cameras send at half the resolution, without blurring them:
    a sixth less time than OpenCV takes, for half a grey value. (Its quick cosine transform gains next to nothing more,
    and tints dark parts.) What it does not like goes to OpenCV.

    Args:
        data: of the file.
        memory: where the image may lie, until it is used again; None = in new memory, which takes longer to write.
    """
    if decode_jpeg is not None and data[:2] == _JPEG and _EXIF not in data[:_HEADER]:
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
