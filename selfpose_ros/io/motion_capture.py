# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Motion capture files (npz) in, `synthetic.motion_capture.Motion` out."""
from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.skeleton import JOINTS
from ..synthetic.motion_capture import Motion
from .errors import IoError
from .npz import NpzReader

__all__ = ['read_motion']


def read_motion(path: Path) -> Motion:
    """Read an npz: `pos (N, 17, 3)` m, `seq_start (S + 1,)`, `seq_name (S,)`, `fps`; `joints (17,)` optional.

    Raises:
        IoError: missing or damaged file, an array of another shape, or arrays that do not describe motion.
    """
    with NpzReader(path) as z:
        joints = z.array('pos', 'N 17 3')
        start = z.array('seq_start', 'E')
        name = tuple(str(n) for n in z.array('seq_name', 'S', text=True))
        fps = float(z.array('fps', ''))
        order = tuple(str(n) for n in z.array('joints', '17', text=True)) if 'joints' in z else JOINTS
    if order != JOINTS:
        raise IoError(f'its joints are {", ".join(order)}', f'bring them to the order {", ".join(JOINTS)}', place=path)
    if not np.isfinite(joints).all():
        bad = int(np.argmax(~np.isfinite(joints).all((1, 2))))
        raise IoError(f'pos of frame {bad} is not finite', 'cut the sequence there', place=path)
    if not (np.isfinite(fps) and fps > 0):
        raise IoError(f'fps is {fps:g}', 'give the frames a second', place=path)
    rising = len(start) > 1 and start[0] == 0 and start[-1] == len(joints) and (np.diff(start) > 0).all()
    if not rising or len(start) != len(name) + 1:
        raise IoError(f'seq_start must rise from 0 to {len(joints)} in {len(name)} steps, one for each seq_name, got '
                      f'{len(start)} numbers ({_ends(start)})', 'write it again', place=path)
    return Motion(joints, start.astype(np.int64), name, fps)


def _ends(x: NDArray[np.float64]) -> str:
    return ' to '.join(f'{v:g}' for v in (*x[:1], *x[1:][-1:])) or 'none'
