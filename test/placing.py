# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where points of an image are in what a network gets of it: what `Placement.to_image` undoes."""
from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from selfpose_ros.inference.tensors.geometry import Placement

__all__ = ['to_network']


def to_network(place: Placement, points: ArrayLike) -> NDArray[np.float64]:
    """(..., 2) image px -> (..., 2) network px; NaN stays NaN."""
    return np.asarray(np.asarray(points, float) @ place.matrix[:, :2].T + place.matrix[:, 2])
