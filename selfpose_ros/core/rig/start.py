# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a solve is started from beside its own first guesses: cameras and a body that are there already."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..cameras import Cameras

__all__ = ['Start']

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Start:
    """Cameras by name and the bones (16,) m of the body that they were found with, in any frame and at any scale.

    clock_offset_s: (V,) of their stamps, against the first one's; empty = none were found.
    """

    names: tuple[str, ...]
    cameras: Cameras
    bones: Array
    clock_offset_s: Array = field(default_factory=lambda: np.zeros(0))

    def clocks_of(self, cameras: Sequence[str]) -> Array:
        """(V,) s offsets of these cameras' stamps against the first of them; those without one count as in step."""
        late = dict(zip(self.names, self.clock_offset_s, strict=False))
        own = np.array([late.get(c, 0.) for c in cameras])
        return own - own[0] if len(own) else own
