# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Motion capture as 17 joints: the truth that virtual cameras look at."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ['LONGEST_CLIP', 'Motion', 'Piece', 'pieces']

Array = NDArray[np.float64]

#: frames of a clip at most
LONGEST_CLIP = 250


@dataclass(frozen=True)
class Motion:
    """Sequences of one person each, one after another.

    Attributes:
        joints: (N, 17, 3) m in the order of `core.skeleton.JOINTS`, z up, floor about z = 0.
        start: (S + 1,) first frame of each sequence, and N.
        name: (S,) of the sequences.
        fps: frames a second.
    """

    joints: Array
    start: NDArray[np.int64]
    name: tuple[str, ...]
    fps: float


@dataclass(frozen=True)
class Piece:
    """A sequence, or a piece of it: number among all pieces, name of the sequence, frames first to end - 1."""

    number: int
    name: str
    first: int
    end: int

    def __len__(self) -> int:
        return self.end - self.first


def pieces(motion: Motion, longest: int = LONGEST_CLIP) -> list[Piece]:
    """All sequences, cut after every `longest` frames."""
    out: list[Piece] = []
    for name, first, end in zip(motion.name, motion.start[:-1].tolist(), motion.start[1:].tolist(), strict=True):
        for a in range(first, end, longest):
            out.append(Piece(len(out), name, a, min(a + longest, end)))
    return out
