# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings with their cameras, for methods that know the rig: as given, or as our own self-calibration finds it.

Self-calibration (`selfpose_ros.core.offline`) takes the 2D joints of a recording alone; its metres come from the
distance of the first two cameras, if that is given, else from what adults measure. Nothing 3D but the cameras goes on.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from selfpose_ros.core.estimator import EstimatorConfig
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.motion_capture import read_motion
from selfpose_ros.io.npz import NpzReader, write_npz
from selfpose_ros.synthetic.clips import Conditions, make_clip
from selfpose_ros.synthetic.motion_capture import Motion, pieces

from ..data.motion import read_poses
from ..data.recordings import Recorded
from ..data.sources import kind_of, read_data
from ..errors import TrainingError
from .sources import protocol_sources, recorded_sources
from .teacher import PseudoLabels, label_recordings

__all__ = ['load_rigs', 'save_rigs', 'with_cameras', 'with_found_rigs']

#: what is kept of a self-calibration, inside its folder
_FILE = 'rigs.npz'
#: clips of fewer frames are left out
_SHORTEST = 25

Progress = Callable[[str, int], None]


def with_cameras(path: Path, *, split: str = '', seed: int = 1, views: int = 4, travel: bool = False) -> list[Recorded]:
    """Recordings with the cameras of the data; of a motion file the clips of the benchmark protocol, with theirs.

    Args:
        split: of recordings, see `data.sources.read_data`.
        seed, views, travel: of the clips of a motion file.

    Raises:
        TrainingError: as `read_data`, or the cameras of a recording are not known.
    """
    if kind_of(path) == 'motion':
        poses = read_poses(path)
        return list(_clips(read_motion(path), poses.subject, seed, Conditions(views, travel=travel)))
    found = read_data(path, split=split)
    assert isinstance(found, list)
    for r in found:
        # a camera that saw nothing at an instant need not be known there
        there = (r.conf > 0).any(-1) if r.moving else np.ones(r.views, bool)
        known = all(x is not None and np.isfinite(x[there]).all() for x in (r.K, r.R, r.t))
        if not known or (np.asarray(r.K)[there][..., 0, 0] <= 0).any():
            raise TrainingError('does not hold where its cameras are',
                                'set rig=found to let our self-calibration find them', place=r.name)
    return found


def with_found_rigs(path: Path, cache: Path, *, split: str = '', seed: int = 1, jobs: int = 1, views: int = 4,
                    travel: bool = False, baseline_m: float = 0., progress: Progress | None = None) -> list[Recorded]:
    """Recordings with the rigs that our self-calibration finds in them; kept in `cache` for next time.

    Args:
        path: a folder that `save_rigs` wrote, or what `data.sources.read_data` reads; a motion file is seen by the
            virtual cameras of the benchmark protocol, which stay unknown.
        split: of recordings, see there.
        seed, views, travel: of these.
        jobs: processes.
        baseline_m: distance of the first two cameras of all recordings, m; 0 = not known.

    Raises:
        TrainingError: nothing to read, no recording could be calibrated, or cameras that move.
    """
    for folder in (path, cache):
        if (folder / _FILE).is_file():
            return load_rigs(folder)
    if kind_of(path) == 'motion':
        sources = protocol_sources(read_motion(path), seed, shortest=_SHORTEST,
                                   subjects=read_poses(path).subject.tolist(),
                                   conditions=Conditions(views, travel=travel))
    else:
        given = read_data(path, split=split)
        assert isinstance(given, list)
        sources = recorded_sources(given)
    labels, _ = label_recordings(sources, jobs, EstimatorConfig(baseline_m=baseline_m), progress)
    found = [_recorded(one) for one in labels]
    save_rigs(found, cache)
    return found


def _recorded(labels: PseudoLabels) -> Recorded:
    """What was seen, and the cameras found; the poses found are left behind."""
    rig = labels.rig
    return Recorded(labels.source, labels.observed, labels.conf, labels.stamp, labels.image_size.astype(float),
                    subject=str(labels.subject) if labels.subject >= 0 else '', K=rig.K, R=rig.R, t=rig.t)


def _clips(motion: Motion, subjects: Sequence[int] | np.ndarray, seed: int, conditions: Conditions,
           ) -> Iterator[Recorded]:
    sequence = 0
    for piece in pieces(motion):
        while piece.first >= motion.start[sequence + 1]:
            sequence += 1
        if len(piece) >= _SHORTEST:
            clip = make_clip(motion, piece, seed, conditions)
            truth = clip.truth
            yield Recorded(f'{piece.name} {piece.number}', clip.keypoints, clip.confidence, clip.instant,
                           clip.image_size.astype(float), subject=str(subjects[sequence]), K=truth.K, R=truth.R,
                           t=truth.t)


def save_rigs(recordings: Sequence[Recorded], folder: Path) -> None:
    """Write `rigs.npz`: 2D joints and cameras that stand still.

    Raises:
        TrainingError: it cannot be written.
    """
    V = max(r.views for r in recordings)

    def wide(arrays: Iterable[np.ndarray | None], axis: int) -> list[np.ndarray]:
        """Each with V views."""
        out = []
        for a in arrays:
            a = np.asarray(a, np.float64)
            pad = [(0, 0)] * a.ndim
            pad[axis] = (0, V - a.shape[axis])
            out.append(np.pad(a, pad, constant_values=np.nan))
        return out

    try:
        write_npz(
            folder / _FILE, kp=np.concatenate(wide((r.kp for r in recordings), 1)).astype(np.float32),
            conf=np.nan_to_num(np.concatenate(wide((r.conf for r in recordings), 1))).astype(np.float32),
            stamp=np.concatenate([r.stamp for r in recordings]), start=np.cumsum([0, *map(len, recordings)]),
            image_size=np.stack(wide((r.image_size for r in recordings), 0)),
            views=np.array([r.views for r in recordings]), name=np.array([r.name for r in recordings]),
            subject=np.array([r.subject for r in recordings]), K=np.stack(wide((r.K for r in recordings), 0)),
            R=np.stack(wide((r.R for r in recordings), 0)), t=np.stack(wide((r.t for r in recordings), 0)))
    except (IoError, OSError) as error:
        raise TrainingError(f'cannot be written ({error})', 'choose another folder', place=folder) from error


def load_rigs(folder: Path) -> list[Recorded]:
    """Read what `save_rigs` wrote.

    Raises:
        TrainingError: missing or damaged.
    """
    try:
        with NpzReader(folder / _FILE) as z:
            kp, conf, stamp = z.array('kp', 'F V 17 2'), z.array('conf', 'F V 17'), z.array('stamp', 'F')
            start, views = z.array('start', 'S').astype(int), z.array('views', 'C').astype(int)
            size, K, R, t = (z.array(k, f'C V {s}') for k, s in
                             (('image_size', '2'), ('K', '3 3'), ('R', '3 3'), ('t', '3')))
            name, subject = z.array('name', 'C', text=True), z.array('subject', 'C', text=True)
    except IoError as error:
        raise TrainingError.of(error) from error
    if len(start) != len(views) + 1 or start[-1] != len(kp):
        raise TrainingError(f'start does not fit its {len(views)} recordings', 'calibrate again', place=folder / _FILE)
    out = []
    for i, n in enumerate(views):
        f = slice(start[i], start[i + 1])
        out.append(Recorded(str(name[i]), kp[f, :n], conf[f, :n], stamp[f], size[i, :n], subject=str(subject[i]),
                            K=K[i, :n], R=R[i, :n], t=t[i, :n]))
    return out
