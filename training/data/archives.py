# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Keypoint archives (npz, see `selfpose_ros.io.archive`) as recordings to learn from; truth in them is not read."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from selfpose_ros.core.camera import ideal_px
from selfpose_ros.core.observation import View2D
from selfpose_ros.io.archive import read_keypoints
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.npz import NpzReader
from selfpose_ros.io.recording import Recording

from ..errors import TrainingError
from .recordings import Recorded

__all__ = ['read_archives', 'recorded']


def read_archives(path: Path) -> list[Recorded]:
    """One archive, or all archives of a folder; `subject`, a text in a file, tells who it is.

    Raises:
        TrainingError: missing or damaged file, or nothing in it to learn from.
    """
    files = sorted(path.glob('*.npz')) if path.is_dir() else [path]
    if not files:
        raise TrainingError(f'{path}: no archive (.npz) in this folder; check the path')
    return [_read(f) for f in files]


def _read(path: Path) -> Recorded:
    try:
        recording = read_keypoints(path)
        with NpzReader(path) as z:
            subject = str(z.array('subject', '', text=True)) if 'subject' in z else ''
    except IoError as error:
        raise TrainingError(str(error)) from error
    return recorded(recording, str(path), subject)


def recorded(recording: Recording, name: str, subject: str = '') -> Recorded:
    """A recording of `selfpose_ros.io` as arrays; its pixels are those of cameras without distortion, as far as known.

    Which people of different views belong together a recording does not tell, so a view with several people is left
    out of its instant; a note tells how many were.

    Raises:
        TrainingError: no instant is left in which anybody is seen.
    """
    instants = recording.frames()
    cameras = [c for c in recording.cameras if c in recording.image_size]
    column = {c: v for v, c in enumerate(cameras)}
    T, V = len(instants), len(cameras)
    kp, conf = np.full((T, V, 17, 2), np.nan, np.float32), np.zeros((T, V, 17), np.float32)
    K = np.full((V, 3, 3), np.nan)
    crowded = total = 0
    for i, instant in enumerate(instants):
        for view in instant.views:
            total += 1
            crowded += _people(view) > 1
            if _people(view) == 1:
                p, v = int(np.argmax((view.confidence > 0).any(1))), column[view.camera]
                kp[i, v], conf[i, v] = ideal_px(view.keypoints[p], view.intrinsics), view.confidence[p]
                if view.intrinsics is not None:
                    K[v] = view.intrinsics.K
                    K[v, 1, 1] = K[v, 0, 0]                # as ideal_px gives them
    stamp = np.array([i.stamp for i in instants])
    use = (conf > 0).any((1, 2)) & np.r_[True, np.diff(stamp) > 0]
    notes = list(recording.notes)
    if crowded:
        notes.append(f'{name}: {crowded} of {total} views hold several people and are left out; record one person')
    if not use.any():
        raise TrainingError(f'{name}: nobody to learn from in {T} instants'
                            f'{f" ({crowded} of {total} views hold several people)" if crowded else ""}; record one '
                            'person before the cameras')
    size = np.array([recording.image_size[c] for c in cameras], float)
    known = None if np.isnan(K).all() else K
    return Recorded(name, kp[use], conf[use], stamp[use], size, subject=subject, K=known, notes=tuple(notes))


def _people(view: View2D) -> int:
    """People of whom anything is seen."""
    return int((view.confidence > 0).any(1).sum())
