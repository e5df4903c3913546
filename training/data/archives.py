# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Keypoint archives (npz, see `selfpose_ros.io.archive`) as recordings; truth in them is for evaluation only."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.camera import undistort
from selfpose_ros.core.errors import CoreError
from selfpose_ros.core.observation import View2D
from selfpose_ros.core.skeleton import joint_map
from selfpose_ros.io.archive import read_keypoints
from selfpose_ros.io.checked import checked
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.npz import NpzReader
from selfpose_ros.io.recording import Recording

from ..errors import TrainingError
from .recordings import Recorded

__all__ = ['ArchiveTruth', 'read_archives', 'recorded']

Array = NDArray[np.floating]


@dataclass(frozen=True)
class ArchiveTruth:
    """Truth of an archive: X (T, 17, 3) m, NaN = not known; R (V, 3, 3), t (V, 3) m: x_cam = R x_world + t."""

    X: Array
    R: Array
    t: Array


def read_archives(path: Path, *, truth: bool = False) -> list[Recorded]:
    """One archive, or all archives of a folder; `subject`, a text in a file, is who it is.

    Args:
        truth: also `truth_joints (T, J, 3)` m, `truth_joint_names (J,)`, `truth_R (V, 3, 3)` and `truth_t (V, 3)` m,
            where a file holds them.

    Raises:
        TrainingError: missing or damaged file, or nothing in it to learn from.
    """
    files = sorted(path.glob('*.npz')) if path.is_dir() else [path]
    if not files:
        raise TrainingError('no archive (.npz) in this folder', 'check the path', place=path)
    return [_read(f, truth) for f in files]


def _read(path: Path, truth: bool) -> Recorded:
    try:
        recording = read_keypoints(path)
        with NpzReader(path) as z:
            subject = str(z.array('subject', '', text=True)) if 'subject' in z else ''
            known = _truth(z) if truth and 'truth_joints' in z else None
    except (IoError, CoreError) as error:
        raise TrainingError.of(error) from error
    return recorded(recording, str(path), subject, known)


def _truth(z: NpzReader) -> ArchiveTruth:
    joints, R, t = z.array('truth_joints', 'T J 3'), z.array('truth_R', 'V 3 3'), z.array('truth_t', 'V 3')
    mapping = joint_map(tuple(str(n) for n in z.array('truth_joint_names', 'J', text=True)))
    known = np.isfinite(joints).all(-1)
    lacking = ~known @ mapping.needs.T | ~mapping.needs.any(1)
    return ArchiveTruth(np.where(lacking[..., None], np.nan, mapping.weights @ np.where(known[..., None], joints, 0.)),
                        R, t)


def recorded(recording: Recording, name: str, subject: str = '', truth: ArchiveTruth | None = None) -> Recorded:
    """A recording of `selfpose_ros.io` as arrays; its pixels are those of cameras without distortion, as far as known.

    Which people of different views belong together is not in a recording, so a view with several people is left
    out of its instant; a note has their number.

    Raises:
        TrainingError: the check of recordings refuses it, no instant is left in which anybody is seen, or there are
            others than those of the truth.
    """
    try:
        recording = checked(recording, keep_cameras=truth is not None)
    except IoError as error:
        raise TrainingError(f'{error}', place=name) from error
    instants = recording.frames()
    cameras = [c for c in recording.cameras if c in recording.image_size]
    column = {c: v for v, c in enumerate(cameras)}
    T, V = len(instants), len(cameras)
    if truth is not None and (len(truth.X), len(truth.R)) != (T, len(recording.cameras)):
        raise TrainingError(f'its truth is of {len(truth.X)} instants and {len(truth.R)} cameras, but there are {T} '
                            f'instants of {len(recording.cameras)}', 'write the truth of one person in each row',
                            place=name)
    kp, conf = np.full((T, V, 17, 2), np.nan, np.float32), np.zeros((T, V, 17), np.float32)
    K = np.full((V, 3, 3), np.nan)
    crowded = total = 0
    for i, instant in enumerate(instants):
        for view in instant.views:
            total += 1
            crowded += _people(view) > 1
            if _people(view) == 1:
                p, v = int(np.argmax((view.confidence > 0).any(1))), column[view.camera]
                kp[i, v], conf[i, v] = undistort(view.keypoints[p], view.intrinsics), view.confidence[p]
                if view.intrinsics is not None:
                    K[v] = view.intrinsics.K
                    K[v, 1, 1] = K[v, 0, 0]                # as undistort gives them
    stamp = np.array([i.stamp for i in instants])
    use = (conf > 0).any((1, 2)) & np.r_[True, np.diff(stamp) > 0]
    notes = list(recording.notes)
    if crowded:
        notes.append(f'{name}: {crowded} of {total} views hold several people and are left out; record one person')
    if not use.any():
        raise TrainingError(f'nobody to learn from in {T} '
                            f'instants{f" ({crowded} of {total} views hold several people)" if crowded else ""}',
                            'record one person before the cameras', place=name)
    size = np.array([recording.image_size[c] for c in cameras], float)
    known = None if np.isnan(K).all() else K
    at = [recording.cameras.index(c) for c in cameras]
    about = {} if truth is None else {'X': truth.X[use], 'R': truth.R[at], 't': truth.t[at]}
    return Recorded(name, kp[use], conf[use], stamp[use], size, subject=subject, K=known, notes=tuple(notes), **about)


def _people(view: View2D) -> int:
    """People of whom anything is seen."""
    return int((view.confidence > 0).any(1).sum())
