# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Images that a 2D network looked at, kept as JPEG, for who shows the recording afterwards: it is read once."""
from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.camera import Intrinsics
from ..core.observation import View2D
from ..io.detect import Network

__all__ = ['KeptImages']

#: images of one camera are kept this far apart, s: an hour of four cameras would not fit into the memory otherwise
_EVERY_S = .2
_QUALITY = 70


class KeptImages:
    """By camera, in order of time: (stamp s, JPEG) of some of the images that networks of `making` look at."""

    def __init__(self) -> None:
        self.of: dict[str, list[tuple[float, bytes]]] = {}

    def making(self, make: Callable[[], Network]) -> Callable[[], Network]:
        """Makes the same networks, whose images are kept."""
        return lambda: _Keeping(make(), self)

    def add(self, camera: str, stamp: float, image_bgr: NDArray[np.uint8]) -> None:
        """Keep an image, unless one just before it was. A camera's come from one thread, in order of time."""
        kept = self.of.setdefault(camera, [])
        if kept and 0 <= stamp - kept[-1][0] < _EVERY_S - 1e-6:
            return
        ok, packed = cv2.imencode('.jpg', image_bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if ok:
            kept.append((stamp, packed.tobytes()))


class _Keeping:
    """A network whose images are kept."""

    def __init__(self, network: Network, kept: KeptImages) -> None:
        self._network, self._kept, self.joint_names = network, kept, network.joint_names

    def view(self, camera: str, stamp: float, image_bgr: NDArray[np.uint8],
             intrinsics: Intrinsics | None = None) -> View2D:
        self._kept.add(camera, stamp, image_bgr)
        return self._network.view(camera, stamp, image_bgr, intrinsics)

    def close(self) -> None:
        self._network.close()
