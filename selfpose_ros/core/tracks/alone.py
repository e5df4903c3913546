# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The people of every camera by itself, on its own clock."""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..association.tracklets import Tracklets
from ..observation import View2D
from ..sync import Track2D

__all__ = ['tracks_of_views']

Array = NDArray[np.float64]


def tracks_of_views(views: Iterable[View2D]) -> dict[str, list[Track2D]]:
    """The people of every camera as tracks; views of a camera come in order of time. Cameras are independent."""
    open_: dict[str, Tracklets] = {}
    rows: dict[str, dict[int, list[tuple[float, Array, Array]]]] = {}
    for view in views:
        numbers = open_.setdefault(view.camera, Tracklets()).update(view)
        found = rows.setdefault(view.camera, {})
        for person, number in enumerate(numbers):
            if number >= 0:
                found.setdefault(int(number), []).append(
                    (view.stamp, view.keypoints[person], view.confidence[person]))
    return {camera: [Track2D(np.array([r[0] for r in t]), np.stack([r[1] for r in t]), np.stack([r[2] for r in t]))
                     for t in found.values()] for camera, found in rows.items()}
