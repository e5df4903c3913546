# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""From a rig that is published to a better one in the same world, in steps that are smaller than what the cameras are
expected to be off: who plans in that world sees no jump that the rig's own sigma does not cover.
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from . import rotation
from .cameras import Cameras
from .rig_model import RigModel, alike

__all__ = ['Glide', 'step_size']

Array = NDArray[np.float64]

#: step of the cameras / what they are expected to be off, at most; time from one step to the next, s; the most steps
_STEP, _EVERY_S, _MOST = .7, .2, 10


def step_size(old: RigModel, new: RigModel) -> float:
    """How far the cameras move, mean, over what the old ones are expected to be off: centres or rotations, whichever is
    more; 0 where nothing is expected, and between rigs of other cameras.
    """
    if old.cameras != new.cameras:
        return 0.
    a, b = old.geometry, new.geometry
    placed = float(np.linalg.norm(b.centres - a.centres, axis=1).mean())
    turned = float(rotation.angle_deg(b.R, a.R).mean())
    sigma = float(old.centre_sigma_m.mean()), float(old.rotation_sigma_deg[1:].mean())
    return max((step / s for step, s in zip((placed, turned), sigma, strict=True) if s > 0), default=0.)


class Glide:
    """What is still to come of one change of the rig."""

    def __init__(self) -> None:
        self._next: list[RigModel] = []
        self._due = -np.inf

    def clear(self) -> None:
        """Stay where the rig is."""
        self._next.clear()

    def begin(self, old: RigModel, new: RigModel, now: float) -> RigModel:
        """The first step from one to the other, at a time, s; an earlier change that is not over ends here."""
        steps = min(int(np.ceil(step_size(old, new) / _STEP)), _MOST)
        self._next = [_between(old, new, k / steps) for k in range(1, steps)] + [new]
        self._due = now + _EVERY_S
        return self._next.pop(0)

    def step(self, now: float) -> RigModel | None:
        """The next one, once it is time for it."""
        if not self._next or now < self._due:
            return None
        self._due = now + _EVERY_S
        return self._next.pop(0)


def _between(old: RigModel, new: RigModel, share: float) -> RigModel:
    """The new model with cameras at a share of the way; it may be as far off as the worse of both."""
    a, b = old.geometry, new.geometry
    R = rotation.exp(share * rotation.log(b.R @ a.R.swapaxes(1, 2))) @ a.R
    centres = a.centres + share * (b.centres - a.centres)
    before, after = alike(old.distortion, new.distortion)
    return replace(
        new, geometry=Cameras(R, -np.einsum('vij,vj->vi', R, centres), a.focal * (b.focal / a.focal) ** share,
                              a.centre + share * (b.centre - a.centre)),
        distortion=before + share * (after - before), quality=min(old.quality, new.quality),
        **{n: np.maximum(getattr(old, n), getattr(new, n)) for n in (
            'rotation_sigma_deg', 'focal_sigma', 'centre_sigma_m')})
