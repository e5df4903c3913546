# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where the rig's world is in somebody else's frame, from what is known there: a camera's pose, or three places."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import RigError
from .rig import Rig
from .rotation import similarity_alignment

__all__ = ['Anchor', 'from_camera', 'from_places']

Array = NDArray[np.float64]

#: places whose triangle is lower than this share of its longest side say nothing of the turn about that side
_FLAT = .05


@dataclass(frozen=True)
class Anchor:
    """x_parent = R x_world + t.

    Attributes:
        R: (3, 3).  t: (3,) m.
        residual_m: root mean square of what the places are off after it, m; 0 for a single camera's pose.
        scale: of the places over that of the rig: not 1 where the rig's metre is off.
    """

    R: Array
    t: Array
    residual_m: float = 0.
    scale: float = 1.


def from_camera(rig: Rig, camera: str, place: Array, turn: Array) -> Anchor:
    """From the pose of a camera's optical frame (z forward, x right) in the parent.

    Args:
        place: (3,) m.  turn: (3, 3), parent from camera.

    Raises:
        RigError: the rig does not have this camera.
    """
    if camera not in rig.cameras:
        raise RigError(f'not in the rig ({", ".join(rig.cameras)})', 'name one that is', place=f'camera {camera}')
    i = rig.cameras.index(camera)
    return Anchor(turn @ rig.R[i], turn @ rig.t[i] + place)


def from_places(rig: Rig, places: Mapping[str, Array]) -> Anchor:
    """From the places (3,) m of three cameras or more in the parent, by name. The rig keeps its metre.

    Raises:
        RigError: fewer than three of them are in the rig, or they lie on one line.
    """
    known = [c for c in places if c in rig.cameras]
    if len(known) < 3:
        raise RigError(f'{", ".join(known) or "none"} are in the rig, three are needed',
                       f'the rig has {", ".join(rig.cameras)}', place='places')
    here = np.stack([rig.centres[rig.cameras.index(c)] for c in known])
    there = np.stack([np.asarray(places[c], float) for c in known])
    for points in (here, there):
        size = np.linalg.svd(points - points.mean(0), compute_uv=False)
        if size[1] < _FLAT * max(size[0], 1e-9):
            raise RigError(f'{", ".join(known)} lie on one line: the turn about it is not known',
                           'give the place of one beside it', place='places')
    scale, R, _ = similarity_alignment(here, there)
    t = there.mean(0) - R @ here.mean(0)
    off = np.linalg.norm(here @ R.T + t - there, axis=-1)
    return Anchor(R, t, float(np.sqrt((off ** 2).mean())), float(scale))
