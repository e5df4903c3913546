# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How much the poses of somebody differ: who stands still teaches one pose, and a gain on it says nothing of others."""
from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

__all__ = ['STILL_M', 'too_still', 'variety']

Array = NDArray[np.floating]

#: less is standing still, m. Motion capture, walks and exercises of 12 s and more have 0.086 and more; somebody who
#: sways a little, seen with errors of 2 cm, 0.05 at most before these errors are taken out
STILL_M = .06


def variety(joints: Array, sigma: Array) -> float:
    """Root mean square distance of joints (T, 17, 3) m, z up, from their mean place in the body's axes, m.

    Where somebody stands and which way he faces does not count, nor what sigma (T, 17) m, a standard deviation along an
    axis, explains. NaN = not known; 0 where too little is.
    """
    left = joints[:, 4] - joints[:, 1]
    angle = np.arctan2(left[:, 1], left[:, 0])
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y, z = np.moveaxis(joints - joints[:, :1], -1, 0)
    body = np.stack([c * x + s * y, c * y - s * x, z], -1)[:, 1:]
    known = np.isfinite(body).all(-1) & np.isfinite(sigma[:, 1:])
    if known.sum() < 2:
        return 0.
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)    # joints that are never known
        spread = np.nanvar(np.where(known[..., None], body, np.nan), 0).sum(-1)
        noise = 3 * np.nanmean(np.where(known, sigma[:, 1:], np.nan) ** 2, 0)
        return float(np.sqrt(max(np.nanmean(spread - noise), 0.)))


def too_still(moved_m: float) -> str:
    """Why nothing is learned from somebody whose poses differ by this; '' where they do enough."""
    if moved_m >= STILL_M:
        return ''
    return (f'somebody stands still in the time to learn from: his poses differ by {100 * moved_m:.1f} cm, '
            f'{100 * STILL_M:.0f} are needed; a network would learn that one pose. Record movement')
