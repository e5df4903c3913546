# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A detector's looks at parts of an image: who is small in the picture is too small for it in the whole of it."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .network import Found, VisionNetwork

__all__ = ['MOST_TILES', 'TiledSearch']

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]

#: tiles along a side, at most
MOST_TILES = 4
#: how much of a tile its neighbour shows, too: who is not larger than that is whole in one of them
_OVERLAP = 1 / 3
#: a box that comes nearer to the edge of a tile within the image than this share of the tile is cut off, and is none
_EDGE = .02


class TiledSearch:
    """Looks at the whole of an image and at its tiles, one after the other in turn.

    Args:
        detector: a network that finds people in an image.
        side: tiles along each side of the image; 1 = the whole image alone.

    Raises:
        InputError: side is out of its range.
    """

    def __init__(self, detector: VisionNetwork, side: int) -> None:
        if not 1 <= side <= MOST_TILES:
            raise InputError(f'tiles is {side}', f'give 1 (the whole image alone) to {MOST_TILES}')
        self._detector, self._side = detector, side
        self.reset()

    def reset(self) -> None:
        """Look at every tile of the next image: nobody is known in it."""
        self._next, self._all = 0, True

    def find(self, image: Pixels) -> Found:
        """People in the whole image, and those in the tile whose turn it is who are whole there."""
        looks = [self._detector.find(image)]
        tiles = list(self._tiles(image)) if self._side > 1 else []
        if not self._all and tiles:
            tiles = [tiles[self._next % len(tiles)]]
        self._next, self._all = self._next + 1, False
        looks += [self._look(image, *tile) for tile in tiles]
        if len(looks) == 1:
            return looks[0]
        parts = [(f.points, f.confidence) for f in looks if f.points is not None and f.confidence is not None]
        points, confidence = (np.concatenate(p) for p in zip(*parts, strict=True)) if parts else (None, None)
        return Found(np.concatenate([f.boxes for f in looks]), np.concatenate([f.score for f in looks]), points,
                     confidence)

    def _tiles(self, image: Pixels) -> Iterator[tuple[int, int, int, int]]:
        """x1, y1, x2, y2 of the tiles, px, row by row."""
        spans = []
        for length in (image.shape[1], image.shape[0]):
            tile = length / (self._side - (self._side - 1) * _OVERLAP)
            starts = np.linspace(0, length - tile, self._side)
            spans.append([(int(s), min(int(np.ceil(s + tile)), length)) for s in starts])
        for y1, y2 in spans[1]:
            for x1, x2 in spans[0]:
                yield x1, y1, x2, y2

    def _look(self, image: Pixels, x1: int, y1: int, x2: int, y2: int) -> Found:
        """Who is whole in a tile, px of the image."""
        found = self._detector.find(image[y1:y2, x1:x2])
        h, w = image.shape[:2]
        margin = _EDGE * np.array([x2 - x1, y2 - y1, x2 - x1, y2 - y1])
        inner = np.array([x1 > 0, y1 > 0, x2 < w, y2 < h])
        apart = np.column_stack([found.boxes[:, :2], [x2 - x1 - 1, y2 - y1 - 1] - found.boxes[:, 2:]])
        whole = ((apart > margin) | ~inner).all(1)
        corner = np.array([x1, y1], float)
        return replace(found, boxes=found.boxes[whole] + np.tile(corner, 2), score=found.score[whole],
                       points=None if found.points is None else found.points[whole] + corner,
                       confidence=None if found.confidence is None else found.confidence[whole])
