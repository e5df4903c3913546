# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Pseudo labels of many recordings together: poses to project into virtual cameras, and errors of the 2D network."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from selfpose_ros.io.errors import IoError
from selfpose_ros.io.motion_capture import read_motion
from selfpose_ros.io.npz import NpzReader, write_npz
from selfpose_ros.synthetic.clips import Conditions

from ..data.motion import Poses, read_poses
from ..data.sources import kind_of, read_data
from ..errors import TrainingError
from .measured_noise import ErrorTracks, measure
from .sources import protocol_sources, recorded_sources
from .teacher import PseudoLabels, label_recordings

__all__ = ['PseudoLabelSet', 'cached_labels', 'joined_labels']

#: shorter stretches add nothing to longer ones
_FEWEST_FRAMES = 12
#: at most so many errors are kept for replay, (frame, view) pairs
_MOST_ERRORS = 400_000


@dataclass(frozen=True)
class PseudoLabelSet:
    """Of a set of recordings.

    Attributes:
        poses: with sigmas.  errors: of the 2D network.
        refused: one sentence for each recording without labels.
    """

    poses: Poses
    errors: ErrorTracks
    refused: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write `poses.npz` and `errors.npz`.

        Raises:
            TrainingError: they cannot be written.
        """
        p = self.poses
        assert p.sigma is not None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_npz(folder / 'poses.npz', joints=p.joints, sigma=p.sigma, start=p.start, fps=np.array(p.fps),
                      subject=p.subject, refused=np.array(self.refused, dtype=str))
        except (IoError, OSError) as error:
            raise TrainingError(f'cannot be written ({error})', 'choose another folder', place=folder) from error
        self.errors.save(folder / 'errors.npz')

    @classmethod
    def load(cls, folder: Path) -> PseudoLabelSet:
        """Read what `save` wrote.

        Raises:
            TrainingError: missing or damaged.
        """
        try:
            with NpzReader(folder / 'poses.npz') as z:
                poses = Poses(z.array('joints', 'N 17 3').astype(np.float32), z.array('start', 'S').astype(np.int64),
                              float(z.array('fps', '')), z.array('sigma', 'N 17').astype(np.float32),
                              z.array('subject', 'Q').astype(np.int64))
                refused = tuple(str(r) for r in z.array('refused', 'K', text=True)) if 'refused' in z else ()
        except IoError as error:
            raise TrainingError.of(error) from error
        return cls(poses, ErrorTracks.load(folder / 'errors.npz'), refused)


def cached_labels(path: Path, cache: Path, *, split: str = '', seed: int = 1, jobs: int = 1, views: int = 4,
                travel: bool = False, every: int = 1, progress: Callable[[str, int], None] | None = None,
                ) -> PseudoLabelSet:
    """Pseudo labels of recordings, or of a motion file seen by virtual cameras; kept in `cache` for next time.

    Args:
        path: a folder that `PseudoLabelSet.save` wrote, or what `data.sources.read_data` reads.
        split: of recordings, see there.
        seed, views, travel: of the virtual rigs that look at a motion file.
        every: take every n-th instant of a recording.

    Raises:
        TrainingError: nothing to read, or nothing that could be calibrated, or cameras that move.
    """
    for folder in (path, cache):
        if folder.is_dir() and (folder / 'poses.npz').is_file() and (folder / 'errors.npz').is_file():
            return PseudoLabelSet.load(folder)
    if kind_of(path) == 'motion':
        poses = read_poses(path)                            # its errors name what is wrong with the file
        sources = protocol_sources(read_motion(path), seed, subjects=poses.subject.tolist(),
                                   conditions=Conditions(views, travel=travel))
    else:
        found = read_data(path, split=split)
        assert isinstance(found, list)
        sources = recorded_sources(found)
    sources = (replace(s, frames=s.frames[::every]) for s in sources)
    labels, refused = label_recordings(sources, jobs, progress=progress)
    out = joined_labels(labels, refused, seed)
    out.save(cache)
    return out


def joined_labels(recordings: Sequence[PseudoLabels], refused: Sequence[str] = (), seed: int = 0) -> PseudoLabelSet:
    """Labels of several recordings together, one at least.

    Args:
        refused: why other recordings have no labels.
        seed: of the choice among errors when there are very many.

    Raises:
        TrainingError: too little is known in all of them.
    """
    return PseudoLabelSet(_poses(recordings), _errors(recordings, seed), tuple(refused))


def _poses(recordings: Sequence[PseudoLabels]) -> Poses:
    """Unbroken stretches of all recordings as sequences; the rate is that of most of them."""
    joints, sigma, subject, length, step = [], [], [], [], []
    for labels in recordings:
        known = np.isfinite(labels.joints).all(-1).sum(1) >= 12
        edges = np.flatnonzero(np.diff(np.r_[0, known.astype(int), 0]))
        for a, b in zip(edges[::2], edges[1::2], strict=True):
            if b - a >= _FEWEST_FRAMES:
                joints.append(labels.joints[a:b])
                sigma.append(labels.sigma[a:b])
                subject.append(labels.subject)
                length.append(b - a)
                step.append(float(np.median(np.diff(labels.stamp[a:b]))))
    if not joints:
        raise TrainingError(f'none of {len(recordings)} recordings shows somebody for {_FEWEST_FRAMES} instants in a '
                            'row', 'record longer')
    own = max([s for s in subject if s >= 0], default=-1) + 1
    who = [s if s >= 0 else own + i for i, s in enumerate(subject)]
    return Poses(np.concatenate(joints), np.cumsum([0, *length]).astype(np.int64), 1 / float(np.median(step)),
                 np.concatenate(sigma), np.array(who, np.int64))


def _errors(recordings: Sequence[PseudoLabels], seed: int) -> ErrorTracks:
    """Errors of all recordings at one power of the body's size: the median of their own."""
    def tracks(labels: PseudoLabels, power: float | None) -> ErrorTracks | None:
        try:
            return measure(labels.observed, labels.expected, labels.conf, labels.image_size, power=power, seed=seed)
        except TrainingError:                               # too short by itself: poses alone are used
            return None

    first = [(labels, e) for labels in recordings if (e := tracks(labels, None)) is not None]
    if not first:
        raise TrainingError('no recording is long enough to measure the errors of the 2D network', 'record longer')
    power = float(np.median([e.power for _, e in first]))
    chosen = np.random.default_rng(seed).permutation(len(first))
    kept: list[ErrorTracks] = []
    for k in chosen:
        e = tracks(first[k][0], power)
        if e is not None:
            kept.append(e)
        if sum(len(x.conf) for x in kept) > _MOST_ERRORS:
            break
    return ErrorTracks.joined(kept)
