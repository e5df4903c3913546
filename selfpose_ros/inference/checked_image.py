# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The image that every network takes, and what is refused instead of one."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

__all__ = ['MIN_SIDE_PX', 'checked_image']

#: no person can be made out in a smaller image; it is a sign of a broken driver, not of an empty room
MIN_SIDE_PX = 32


def checked_image(image_bgr: Any) -> NDArray[np.uint8]:
    """The image, C-contiguous, if it is (H, W, 3) uint8 with sides of at least `MIN_SIDE_PX`.

    Raises:
        InputError: anything else.
    """
    if not isinstance(image_bgr, np.ndarray):
        raise InputError(f'image: expected a numpy array (H, W, 3) uint8 BGR, got {type(image_bgr).__name__}',
                         'decode the image first')
    if image_bgr.dtype != np.uint8 or image_bgr.ndim != 3 or image_bgr.shape[2] != 3:
        raise InputError(f'image: expected (H, W, 3) uint8 BGR, got {image_bgr.shape} {image_bgr.dtype}',
                         'convert it first, for instance with cv2.cvtColor')
    h, w = image_bgr.shape[:2]
    if min(h, w) < MIN_SIDE_PX:
        raise InputError(f'image: {w}x{h} px is too small to hold a person (at least {MIN_SIDE_PX} px a side)',
                         'check the camera driver')
    return np.ascontiguousarray(image_bgr)
