# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A rig that was saved: taken up when its cameras are there, trusted once the views of today agree with it."""
from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from .observation import MultiView
from .rig import Rig
from .rig_state import Explanation, Reason

__all__ = ['FITS', 'SavedRig']

#: residuals (median per axis, sigmas) of a rig that fits are below
FITS = 1.3
#: it is watched for this long; waited for this long for all of its cameras, and, while two of them show somebody, for
#: all to agree, s
_CHECK_S, _WAIT_S, _CHECK_MOST_S = 1.5, 3., 4.5


class SavedRig:
    """Waits, then compares. One at a time of stream: made anew where the stream begins again."""

    def __init__(self, rig: Rig | None) -> None:
        self._pending, self._waited_s = rig, 0.
        self._since, self._checked_s = -np.inf, 0.

    def ready(self, observation: MultiView, step_s: float) -> Rig | Explanation | None:
        """The rig of the cameras that are there, once: when all are, or two that were waited with long enough.

        Args:
            step_s: since the observation before.

        Returns:
            The rig, of which a part of the cameras may be left; why it can be none; or None, which is to wait on.
        """
        rig = self._pending
        if rig is None:
            return None
        size = {v.camera: v.image_size for v in observation.views}
        there = [c for c in rig.cameras if c in size]
        self._waited_s += step_s if len(there) > 1 else 0.
        if len(there) < len(rig.cameras) and (len(there) < 2 or self._waited_s < _WAIT_S):
            return None
        rig, self._pending = rig.only(there), None
        wrong = [c for c, s in zip(rig.cameras, rig.image_size.tolist(), strict=True) if tuple(s) != size[c]]
        if wrong:
            return Explanation(Reason.SAVED_SIZE, {'cameras': ', '.join(wrong)})
        self._since, self._checked_s = observation.stamp, 0.
        return rig

    def fits(self, now: float, step_s: float, cameras: tuple[str, ...], showing: Collection[str],
             residuals: Mapping[str, float]) -> bool | Explanation | None:
        """Whether the views of today agree: True, why not, or None while that is open.

        A camera that sees nobody, or somebody else, is not waited for: those that show the person decide.

        Args:
            cameras: those of the rig.  showing: those that show the person now.
            residuals: by camera, see `HealthMonitor.agreement`.
        """
        self._checked_s += step_s if sum(c in cameras for c in showing) > 1 else 0.
        late = self._checked_s > _CHECK_MOST_S
        if len(residuals) < (min(2, len(cameras)) if late else len(cameras)):
            return Explanation(Reason.SAVED_APART) if late else None
        e = float(np.median(list(residuals.values())))
        if (late or now - self._since > _CHECK_S) and e < FITS:
            return True
        if late or now - self._since > 2 * _CHECK_S:
            return Explanation(Reason.SAVED_OFF, {'sigmas': e})
        return None
