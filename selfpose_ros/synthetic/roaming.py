# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One person who goes about a room as the motion capture has it: feet that stood there stand here."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .crowd import faded, turned
from .motion_capture import Motion

__all__ = ['roaming']

Array = NDArray[np.float64]

#: frames over which one sequence passes into the next; headings that are tried for the next one
_FADE, _HEADINGS = 10, 24
#: the longest piece of a sequence, frames: a way that leads far off is left in time
_LONGEST = 150


def roaming(rng: np.random.Generator, motion: Motion, T: int) -> Array:
    """Sequences one after another, (T, 17, 3) m: each begins where the one before ended, and is turned about the
    vertical so that it stays as near as can be to the middle of the room.
    """
    out = np.zeros((0, 17, 3))
    while len(out) < T:
        s = int(rng.integers(len(motion.name)))
        begin, end = int(motion.start[s]), int(motion.start[s + 1])
        if end - begin < 4 * _FADE:
            continue
        begin += int(rng.integers(max(end - begin - _LONGEST, 0) + 1))
        piece = motion.joints[begin:min(begin + _LONGEST, end)].astype(float)
        at = out[-_FADE, 0, :2] if len(out) else np.zeros(2)
        piece[..., :2] -= piece[0, 0, :2]
        ways = [turned(piece, a) for a in rng.uniform(0, 2 * np.pi) + np.arange(_HEADINGS) * 2 * np.pi / _HEADINGS]
        piece = min(ways, key=lambda w: float(np.linalg.norm(w[:, 0, :2] + at, axis=-1).max()))
        piece[..., :2] += at
        out = faded(out, piece, _FADE)
    return out[:T]
