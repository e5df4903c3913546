# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Somebody who leaves the floor for a moment."""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..core.rig.flight import CENTRE_OF_MASS, GRAVITY_M_S2

__all__ = ['jumping']

Array = NDArray[np.float64]


def jumping(X: Array, fps: float, at_s: Iterable[float], lasts_s: float = .44) -> Array:
    """Joints X (T, 17, 3) m, z up, lifted as a whole from these times on, so that the centre of mass falls freely
    between take-off and landing, whatever the limbs do.
    """
    X, n = np.array(X, float), round(lasts_s * fps)
    t = np.arange(n + 1) / fps
    for start in at_s:
        of = slice(round(start * fps), round(start * fps) + n + 1)
        z = X[of, :, 2] @ CENTRE_OF_MASS
        if len(z) == n + 1:
            X[of, :, 2] += (z[0] + (z[-1] - z[0]) * t / t[-1] + .5 * GRAVITY_M_S2 * t * (t[-1] - t) - z)[:, None]
    return X
