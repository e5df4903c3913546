# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A lifting network that has just been taken up, and the one before it, should it fail."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.lifting import Lifter
from ..inference.errors import OutputError

__all__ = ['TRIAL', 'TrialLifter']

Array = NDArray[np.float64]

#: calls in which a network that has just been taken up may be found unfit
TRIAL = 100


class TrialLifter:
    """A `core.lifting.Lifter`: the new one; the spare one answers the call in which it fails, and from then on.

    Args:
        spare: None, or one that takes the same frames.
        failed: called with it.
    """

    def __init__(self, lifter: Lifter, spare: Lifter | None, failed: Callable[[Exception], None]) -> None:
        self._lifter, self._failed = lifter, failed
        same = spare is not None and (spare.frames, spare.interval_s) == (lifter.frames, lifter.interval_s)
        self._spare = spare if same else None
        self._calls = 0

    @property
    def frames(self) -> int:
        """See `core.lifting.Lifter`."""
        return self._lifter.frames

    @property
    def interval_s(self) -> float:
        """See `core.lifting.Lifter`."""
        return self._lifter.interval_s

    @property
    def session(self) -> Any:
        """What runs it."""
        return getattr(self._lifter, 'session', None)

    def lift(self, pose: NDArray[np.float32]) -> tuple[Array, Array]:
        """See `core.lifting.Lifter`."""
        self._calls += 1
        try:
            joints, sigma = self._lifter.lift(pose)
            if not (np.isfinite(joints).all() and np.isfinite(sigma).all()):
                raise OutputError('the lifter gave numbers that are not finite')
        except Exception as error:
            if self._calls > TRIAL:
                raise
            self._failed(error)
            if self._spare is None:
                raise
            self._lifter, self._spare = self._spare, None
            return self._lifter.lift(pose)
        if self._calls >= TRIAL:
            self._spare = None                             # need not be kept open for this
        return joints, sigma
