# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a solve is started from beside its own first guesses: cameras and a body that are there already."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cameras import Cameras

__all__ = ['Start']

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Start:
    """Cameras by name and the bones (16,) m of the body that they were found with, in any frame and at any scale."""

    names: tuple[str, ...]
    cameras: Cameras
    bones: Array
