# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures that show nothing: black, of one colour, or always the same one; some thousand pixels tell."""
from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .finding import Finding, Kind

__all__ = ['PictureCheck']

Image = NDArray[np.uint8]

#: pixels across and down that are looked at
_GRID = 64
#: grey values: of 255; a lens cap with sensor noise is below these, a dim room with anything in it above
_BLACK, _EVEN = 12., 2.5
#: pictures before anything is said, and the share of them from which it is
_FEWEST, _SHARE = 12, .5
#: the same for pictures that repeat: a still scene has sensor noise, but strong compression may take it away a while
_FEWEST_FROZEN, _SHARE_FROZEN = 100, .95
#: of 255; in a scene that is darker, compression may take it away for ever: nobody can say
_DARK = 32.


class PictureCheck:
    """Of one camera; constant cost per picture.

    Args:
        window: after so many pictures all counts are halved, so that what was mended is forgotten; 0 = never.
    """

    def __init__(self, camera: str, window: int = 0) -> None:
        self.camera, self._window = camera, window
        self._images = self._black = self._even = self._same = 0.
        self._last: Image | None = None

    def add(self, image: Image) -> None:
        """Take one picture, (H, W) or (H, W, 3)."""
        h, w = image.shape[:2]
        some = image[h // _GRID // 2::max(1, h // _GRID), w // _GRID // 2::max(1, w // _GRID)].copy()
        if self._window and self._images >= self._window:
            self._images, self._black, self._even, self._same = (
                n / 2 for n in (self._images, self._black, self._even, self._same))
        mean, spread = cv2.meanStdDev(some)
        even = float(spread.max()) < _EVEN
        black = even and float(mean.mean()) < _BLACK
        self._images += 1
        self._black += black
        self._even += even and not black
        self._same += (self._last is not None and float(mean.mean()) >= _DARK and np.array_equal(some, self._last))
        self._last = some

    def findings(self) -> list[Finding]:
        """What is wrong so far."""
        for kind, count, fewest, least in ((Kind.BLACK, self._black, _FEWEST, _SHARE),
                                           (Kind.UNIFORM, self._even, _FEWEST, _SHARE),
                                           (Kind.FROZEN, self._same, _FEWEST_FROZEN, _SHARE_FROZEN)):
            if self._images >= fewest and count >= least * self._images:
                return [Finding(kind, (self.camera,), {'share': count / self._images, 'images': round(self._images)})]
        return []
