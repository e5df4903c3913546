# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Sequences of motion capture of one body, one after another: its bones keep their lengths."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.kinematics import LIMBS
from ..core.skeleton import PARENTS
from .motion_capture import Motion

__all__ = ['bodies', 'passed']

Array = NDArray[np.float64]

#: limbs of one body are as long as this in all its sequences, m
_ALIKE_M = .003


def bodies(motion: Motion) -> NDArray[np.int64]:
    """(S,) number of the body of each sequence: those whose limbs are equally long are of one person."""
    length = np.linalg.norm(np.diff(motion.joints[:, LIMBS], axis=-2), axis=-1).reshape(len(motion.joints), -1)
    of = np.array([np.median(length[a:b], axis=0) for a, b in zip(motion.start[:-1], motion.start[1:], strict=True)])
    out = np.full(len(of), -1)
    for s in range(len(of)):
        if out[s] < 0:
            out[(out < 0) & (np.abs(of - of[s]).max(1) < _ALIKE_M)] = out.max() + 1
    return out


def passed(before: Array, piece: Array, frames: int) -> Array:
    """Poses (T, 17, 3), and after them others, over so many frames what is between both; `before` may be empty.

    A mean of two poses is not one: bones turn from one direction to the other (Shoemake 1985), and keep their lengths.
    """
    if not len(before):
        return piece
    w = ((np.arange(frames) + .5) / frames)[:, None]
    a, b = before[-frames:], piece[:frames]
    out = np.empty_like(a)
    out[:, 0] = (1 - w) * a[:, 0] + w * b[:, 0]
    for j, parent in enumerate(PARENTS):
        if parent >= 0:
            u, v = a[:, j] - a[:, parent], b[:, j] - b[:, parent]
            m, n = (np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9) for x in (u, v))
            angle = np.arccos(np.clip((u * v).sum(-1, keepdims=True) / (m * n), -1, 1)).clip(1e-6, np.pi - 1e-6)
            between = (np.sin((1 - w) * angle) * u / m + np.sin(w * angle) * v / n) / np.sin(angle)
            out[:, j] = out[:, parent] + between * ((1 - w) * m + w * n)
    return np.concatenate([before[:-frames], out, piece[frames:]])
