# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Images as a network takes them, and joints of what comes out, by its card alone: whatever runs it."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...models.errors import ModelError
from ...models.store import Model
from ..errors import OutputError
from . import decode
from .geometry import Placement, letterbox, person_crop, warp, whole_pixels

__all__ = ['ImageTensors']

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]


class ImageTensors:
    """The way into and out of a model of kind pose2d or detector. Not thread safe: its memory is used again.

    Raises:
        ModelError: the model is another one.
    """

    def __init__(self, model: Model) -> None:
        if model.card.vision is None:
            raise ModelError(f'is a {model.card.kind}, not a network that looks at images', place=model.folder)
        self.model, self.vision, self.joints = model, model.card.vision, len(model.card.joints)
        w, h = self.vision.size
        # (pixel * scale - mean) / std as one product and one sum
        self._gain = (self.vision.scale / np.array(self.vision.std)).tolist()
        self._offset = (-np.array(self.vision.mean) / np.array(self.vision.std)).tolist()
        # written anew for every image: memory that is used is quicker than memory that is new
        self._crop = np.empty((h, w, 3), np.uint8)
        self._turned = np.empty((h, w, 3), np.uint8)
        self._planes = [np.empty((h, w), np.uint8) for _ in range(3)]

    def crop(self, box: Array, image_size: tuple[int, int]) -> Placement:
        """Where a person's box (4,) of an image of (w, h) px goes in the network's image; top-down networks."""
        mode = 'udp' if self.vision.crop == 'udp' else 'classic'
        place = person_crop(box, self.vision.size, self.vision.padding, mode)
        return whole_pixels(place, image_size, self.vision.size)

    def whole(self, image: Pixels) -> Placement:
        """Where the whole image goes."""
        h, w = image.shape[:2]
        return letterbox((w, h), self.vision.size, 'centre' if self.vision.crop == 'centre' else 'corner')

    def blob(self, image_bgr: Pixels, placements: Sequence[Placement],
             out: NDArray[Any] | None = None) -> NDArray[Any]:
        """(B, 3, H, W) or (B, H, W, 3) of parts of an image, as the network wants them; each pixel is copied once.

        Args:
            image_bgr: (H, W, 3).  placements: of each part.
            out: of that shape, to write into; None = new memory, which takes longer to write.
        """
        w, h = self.vision.size
        if out is None:
            out = self._memory(len(placements))
        for i, placement in enumerate(placements):
            part = warp(image_bgr, placement, (w, h), self.vision.border, self._crop)
            if self.vision.layout == 'nhwc':
                self._pixels(part, out[i])
                continue
            cv2.split(part, self._planes)                  # interleaved pixels would be read three times
            for c in range(3):
                plane = self._planes[2 - c if self.vision.colour == 'rgb' else c]
                cv2.addWeighted(plane, self._gain[c], plane, 0., self._offset[c], out[i, c], cv2.CV_32F)
        return out

    def _memory(self, images: int) -> NDArray[Any]:
        w, h = self.vision.size
        shape = (images, 3, h, w) if self.vision.layout == 'nchw' else (images, h, w, 3)
        return np.empty(shape, np.dtype(self.vision.dtype))

    def _pixels(self, part: Pixels, out: NDArray[Any]) -> None:
        """(H, W, 3) BGR -> the same in the network's colours and numbers."""
        if self.vision.colour == 'rgb':
            part = np.asarray(cv2.cvtColor(part, cv2.COLOR_BGR2RGB, dst=self._turned), np.uint8)
        gain, offset = self._gain, self._offset
        if self.vision.dtype != 'float32':
            np.rint(part * np.array(gain) + offset, out=out, casting='unsafe')
        elif len(set(gain)) == len(set(offset)) == 1:
            cv2.addWeighted(part, gain[0], part, 0., offset[0], out, cv2.CV_32F)
        else:
            np.multiply(part, np.array(gain, np.float32), out=out)
            out += np.array(offset, np.float32)

    def decode_people(self, tensors: dict[str, NDArray[np.float32]]) -> tuple[Array, Array]:
        """Points (B, J, 2) in the network's image, and scores (B, J)."""
        points, score = decode.POSES[self.vision.family](tensors, self.vision)
        if points.shape[1] != self.joints:
            raise OutputError(f'{points.shape[1]} joints came out, the card names {self.joints}', place=self.model.file)
        return points, score
