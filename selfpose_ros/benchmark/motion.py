# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Motion capture as 17 joints: the truth that the benchmark's cameras look at."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.skeleton import JOINTS
from ..io.npz import NpzReader
from .errors import BenchmarkError

__all__ = ['LONGEST_CLIP', 'Motion', 'Piece', 'pieces', 'read_motion']

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


def read_motion(path: Path) -> Motion:
    """Read an npz: `pos (N, 17, 3)` m, `seq_start (S + 1,)`, `seq_name (S,)`, `fps`; `joints (17,)` optional.

    Raises:
        IoError: missing or damaged file, or an array of another shape.
        BenchmarkError: the arrays do not describe motion.
    """
    with NpzReader(path) as z:
        joints = z.array('pos', 'N 17 3')
        start = z.array('seq_start', 'E')
        name = tuple(str(n) for n in z.array('seq_name', 'S', text=True))
        fps = float(z.array('fps', ''))
        order = tuple(str(n) for n in z.array('joints', '17', text=True)) if 'joints' in z else JOINTS
    if order != JOINTS:
        raise BenchmarkError(f'{path}: its joints are {", ".join(order)}; bring them to the order '
                             f'{", ".join(JOINTS)}')
    if not np.isfinite(joints).all():
        bad = int(np.argmax(~np.isfinite(joints).all((1, 2))))
        raise BenchmarkError(f'{path}: pos of frame {bad} is not finite; cut the sequence there')
    if not (np.isfinite(fps) and fps > 0):
        raise BenchmarkError(f'{path}: fps is {fps:g}; give the frames a second')
    rising = len(start) > 1 and start[0] == 0 and start[-1] == len(joints) and (np.diff(start) > 0).all()
    if not rising or len(start) != len(name) + 1:
        raise BenchmarkError(f'{path}: seq_start must rise from 0 to {len(joints)} in {len(name)} steps, one for '
                             f'each seq_name, got {len(start)} numbers ({_ends(start)}); write it again')
    return Motion(joints, start.astype(np.int64), name, fps)


def _ends(x: Array) -> str:
    return ' to '.join(f'{v:g}' for v in (*x[:1], *x[1:][-1:])) or 'none'


def pieces(motion: Motion, longest: int = LONGEST_CLIP) -> list[Piece]:
    """All sequences, cut after every `longest` frames."""
    out: list[Piece] = []
    for name, first, end in zip(motion.name, motion.start[:-1].tolist(), motion.start[1:].tolist(), strict=True):
        for a in range(first, end, longest):
            out.append(Piece(len(out), name, a, min(a + longest, end)))
    return out
