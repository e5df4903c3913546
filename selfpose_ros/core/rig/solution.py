# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A rig as it was solved, with its uncertainty, in the frame of its first camera."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..noise import NoiseModel
from .bundle_problem import BONE_SIGMA_M, BundleState
from .flight import Flight
from .observed import Tracks
from .start import Start

__all__ = ['Solution']

Array = NDArray[np.float64]

#: predicted errors of a rotation and of a field of view at which the quality is one half, degrees
_HALF_ROTATION_DEG, _HALF_VIEW_DEG = 4., 8.
#: a rig may be published from this on, see `assigned.Assignment`: on the validation split right ones have .69 and more
_JOINED = .6
#: but something may stand in the way of a camera: where as long as this was seen, from this share joined on, s
_LONG_S, _BLOCKED = 8., .4


@dataclass(frozen=True)
class Solution:
    """A rig in the frame of its first camera, body of adult mean size.

    Attributes:
        state: cameras, bones, and the body at the N instants of `tracks`.
        tracks: the instants that it rests on, as they were solved: nobody looks them up elsewhere, where rows may have
            been thinned or dropped since.
        covariance: of the cameras' parameters, see `place.PlaceErrors`.
        rotation_sigma_deg, log_focal_sigma, centre_sigma: (V,) predicted errors, see `place.PlaceErrors`; of centres in
            the unit of the rig.
        noise: measured noise of the 2D network.  bone_sigma: (16,) m, measured constancy of the bones.
        clock_offset_s: (V,) of the cameras' stamps against the first camera's; empty = none found.
        clocks_moved_s: by how much they differ, at most, from those that it was found with; 0 = nothing of note.
        cost: robust cost per observation.  reprojection_px: median residual.
        forward: see `world.body_forward_score`.
        distinct: number of clearly different poses it rests on.
        flights: of people, in the frame of the state; found where all instants are at hand.
        late: cameras that are not part of it for their clocks: how much later their movements come, s.
        support, joined: 0..1, as far as several people were in sight: see `assigned.Assignment`.
        overturned: the cameras that it was started from explain clearly less of what is seen: they were wrong.
    """

    state: BundleState
    tracks: Tracks
    covariance: Array
    rotation_sigma_deg: Array
    noise: NoiseModel
    cost: float
    reprojection_px: float
    forward: float
    distinct: int
    bone_sigma: Array = field(default_factory=lambda: BONE_SIGMA_M.copy())
    clock_offset_s: Array = field(default_factory=lambda: np.zeros(0))
    clocks_moved_s: float = 0.
    flights: tuple[Flight, ...] = ()
    late: Mapping[str, float] = field(default_factory=dict)
    support: float = 1.
    joined: float = 1.
    overturned: bool = False
    log_focal_sigma: Array = field(default_factory=lambda: np.zeros(0))
    centre_sigma: Array = field(default_factory=lambda: np.zeros(0))

    @property
    def is_joined(self) -> bool:
        """Its cameras see the same people, see `assigned.Assignment`."""
        return self.joined >= (_JOINED if np.ptp(self.tracks.stamp) < _LONG_S else _BLOCKED)

    @property
    def frames(self) -> int:
        """Number of poses that it rests on: of instants, with one person."""
        return len(self.tracks.stamp)

    @property
    def start(self) -> Start:
        """To start another solve from."""
        return Start(self.tracks.cameras, self.state.cameras, self.bones, self.clock_offset_s)

    @property
    def bones(self) -> Array:
        """(16,) m, of the mean person."""
        b = self.state.bones
        return b if b.ndim == 1 else np.asarray(np.exp(np.log(b).mean(0)))

    @property
    def quality(self) -> float:
        """0..1: about the share of accuracy left of a perfectly calibrated rig, whose rotations and fields of view are
        known; the worst camera counts.
        """
        worst = max(float(self.rotation_sigma_deg.max()) / _HALF_ROTATION_DEG,
                    float(self.view_sigma_deg.max(initial=0.)) / _HALF_VIEW_DEG)
        return 1 / (1 + worst ** 2)

    @property
    def view_sigma_deg(self) -> Array:
        """(V,) predicted error of the field of view along the longer side, degrees; empty where none is predicted."""
        half = self.tracks.image_size.max(1) / (2 * self.state.cameras.focal)
        return np.asarray(np.rad2deg(2 * half / (1 + half ** 2)) * self.log_focal_sigma) if len(
            self.log_focal_sigma) else np.zeros(0)
