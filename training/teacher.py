# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Our own self-calibration as a teacher: recordings of uncalibrated cameras to 3D poses with sigmas, without any label.

Each recording goes through the off-line estimator of `selfpose_ros.core.offline`, which finds the cameras and the
trajectories from the 2D joints alone. What comes out are poses to project into new virtual cameras, and the errors of
the 2D network on these recordings (`data.measured`) to put on them: all that `system` learns from.
"""
from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.camera import Intrinsics
from selfpose_ros.core.estimator import EstimatorConfig
from selfpose_ros.core.observation import MultiView, Skeleton3D, View2D
from selfpose_ros.core.offline import reconstruct_offline
from selfpose_ros.core.rig import Rig
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.motion_capture import read_motion
from selfpose_ros.io.npz import NpzReader, write_npz
from selfpose_ros.synthetic.clips import Conditions, make_clip
from selfpose_ros.synthetic.motion_capture import Motion, pieces

from .data.measured import ErrorTracks, measure
from .data.motion import Poses, read_poses
from .data.recordings import Recorded
from .data.sources import kind_of, read_data
from .errors import TrainingError

__all__ = ['Lesson', 'Source', 'Teaching', 'lessons_of', 'protocol_sources', 'recorded_sources', 'take_lesson',
           'taught_by', 'teach', 'teaching_of']

Float = NDArray[np.float32]

#: shorter stretches teach nothing that longer ones do not
_FEWEST_FRAMES = 12
#: at most so many errors are kept for replay, (frame, view) pairs
_MOST_ERRORS = 400_000


@dataclass(frozen=True)
class Source:
    """One recording: name, who it is (-1: somebody of their own), and its instants."""

    name: str
    subject: int
    frames: Sequence[MultiView]


@dataclass(frozen=True)
class Lesson:
    """What the teacher makes of one recording.

    Attributes:
        joints: (T, 17, 3) m, z up, NaN = not known.  sigma: (T, 17) m.
        observed: (T, V, 17, 2) px and conf (T, V, 17): what was seen.  expected: (T, V, 17, 2) px of the joints.
        image_size: (V, 2) px.  stamp: (T,) s.  rig: the cameras found.
    """

    source: str
    subject: int
    joints: Float
    sigma: Float
    observed: Float
    conf: Float
    expected: Float
    image_size: NDArray[np.int64]
    stamp: NDArray[np.float64]
    rig: Rig


def protocol_sources(motion: Motion, seed: int, *, shortest: int = 25, subjects: Sequence[int] = (),
                     conditions: Conditions | None = None) -> Iterator[Source]:
    """Clips of the benchmark protocol, as recordings: only what the cameras saw, never the motion itself.

    Args:
        seed: of rigs and noise.
        subjects: a number for each sequence; empty: every sequence is somebody else.
    """
    sequence, starts = 0, motion.start
    for piece in pieces(motion):
        while piece.first >= starts[sequence + 1]:
            sequence += 1
        if len(piece) >= shortest:
            who = int(subjects[sequence]) if len(subjects) else sequence
            yield Source(f'{piece.name} {piece.number}', who, make_clip(motion, piece, seed, conditions).frames())


def recorded_sources(recordings: Iterable[Recorded]) -> Iterator[Source]:
    """Recordings as the estimator takes them. Intrinsics are used where a recording has them.

    Raises:
        TrainingError: the cameras of a recording move.
    """
    names: dict[str, int] = {}
    for r in recordings:
        if r.moving:
            raise TrainingError(f'{r.name}: its cameras move while they record, and self-calibration is for cameras '
                                'that stand still; take a method without it, for instance canonpose')
        cameras = tuple(f'camera{v + 1}' for v in range(r.views))
        known = [_intrinsics(r, v) for v in range(r.views)]
        frames = [MultiView(float(at), tuple(
            View2D(c, float(at), r.kp[i, v][None], r.conf[i, v][None],
                   (int(r.image_size[v, 0]), int(r.image_size[v, 1])), intrinsics=known[v])
            for v, c in enumerate(cameras) if (r.conf[i, v] > 0).any())) for i, at in enumerate(r.stamp)]
        who = names.setdefault(r.subject, len(names)) if r.subject else -1
        yield Source(r.name, who, [f for f in frames if f.views])


def _intrinsics(r: Recorded, v: int) -> Intrinsics | None:
    if r.K is None or r.K.ndim != 3 or not (np.isfinite(r.K[v]).all() and r.K[v, 0, 0] > 0):
        return None
    return Intrinsics(np.asarray(r.K[v], float))


def teaching_of(path: Path, cache: Path, *, split: str = '', seed: int = 1, jobs: int = 1, views: int = 4,
                travel: bool = False, progress: Callable[[str, int], None] | None = None) -> Teaching:
    """What is learned from recordings, or from a motion file seen by virtual cameras; kept in `cache` for next time.

    Args:
        path: a folder that `Teaching.save` wrote, or what `data.sources.read_data` reads.
        split: of recordings, see there.
        seed, views, travel: of the virtual rigs that look at a motion file.

    Raises:
        TrainingError: nothing to read, or nothing that could be calibrated, or cameras that move.
    """
    for folder in (path, cache):
        if folder.is_dir() and (folder / 'poses.npz').is_file() and (folder / 'errors.npz').is_file():
            return Teaching.load(folder)
    if kind_of(path) == 'motion':
        poses = read_poses(path)                            # complains of what is wrong with the file
        sources = protocol_sources(read_motion(path), seed, subjects=poses.subject.tolist(),
                                   conditions=Conditions(views, travel=travel))
    else:
        found = read_data(path, split=split)
        assert isinstance(found, list)
        sources = recorded_sources(found)
    taught = teach(sources, jobs=jobs, progress=progress, seed=seed)
    taught.save(cache)
    return taught


def take_lesson(source: Source, config: EstimatorConfig | None = None) -> Lesson | str:
    """Poses of the person seen longest in one recording, or the reason why there are none."""
    people, rig = reconstruct_offline(source.frames, config or EstimatorConfig())
    if not isinstance(rig, Rig):
        return f'{source.name}: {rig.reason}'
    main = _longest(people)
    if main is None:
        return f'{source.name}: nobody was followed'
    T, V = len(source.frames), len(rig.cameras)
    joints, sigma = np.full((T, 17, 3), np.nan), np.full((T, 17), np.nan)
    observed, conf = np.full((T, V, 17, 2), np.nan), np.zeros((T, V, 17))
    for i, (instant, found) in enumerate(zip(source.frames, people, strict=True)):
        for s in found:
            if s.person == main:
                joints[i], sigma[i] = s.joints, s.sigma
        for view in instant.views:
            if view.camera in rig.cameras and len(view.keypoints) == 1:
                v = rig.cameras.index(view.camera)
                observed[i, v], conf[i, v] = view.keypoints[0], view.confidence[0]
    cam = np.einsum('vab,tjb->tvja', rig.R, joints) + rig.t[:, None]
    focal, centre = rig.K[:, None, :1, 0], rig.K[:, None, :2, 2]
    expected = cam[..., :2] / np.maximum(cam[..., 2:], .2) * focal + centre
    f = np.float32
    return Lesson(source.name, source.subject, joints.astype(f), sigma.astype(f), observed.astype(f), conf.astype(f),
                  expected.astype(f), rig.image_size, np.array([i.stamp for i in source.frames]), rig)


def _longest(people: Sequence[Sequence[Skeleton3D]]) -> int | None:
    count: dict[int, int] = {}
    for found in people:
        for s in found:
            count[s.person] = count.get(s.person, 0) + 1
    return max(count, key=lambda k: count[k]) if count else None


@dataclass(frozen=True)
class Teaching:
    """Everything that was learned from a set of recordings.

    Attributes:
        poses: with sigmas.  errors: of the 2D network.
        refused: one sentence for each recording that taught nothing.
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
            raise TrainingError(f'{folder}: cannot be written ({error}); choose another folder') from error
        self.errors.save(folder / 'errors.npz')

    @classmethod
    def load(cls, folder: Path) -> Teaching:
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
            raise TrainingError(str(error)) from error
        return cls(poses, ErrorTracks.load(folder / 'errors.npz'), refused)


def teach(sources: Iterable[Source], *, jobs: int = 1, progress: Callable[[str, int], None] | None = None,
          seed: int = 0) -> Teaching:
    """Lessons from all recordings, put together.

    Args:
        jobs: processes.
        progress: called with (name, number done) after each recording.
        seed: of the choice among errors when there are very many.

    Raises:
        TrainingError: no recording could be calibrated; the reasons are in the message.
    """
    lessons: list[Lesson] = []
    refused: list[str] = []
    for n, got in enumerate(lessons_of(sources, jobs)):
        if isinstance(got, str):
            refused.append(got)
        else:
            lessons.append(got)
        if progress is not None:
            progress(got if isinstance(got, str) else got.source, n + 1)
    if not lessons:
        raise TrainingError('no recording could be calibrated from the people in it: '
                            + ('; '.join(refused[:3]) or 'there was none'))
    return taught_by(lessons, refused, seed)


def taught_by(lessons: Sequence[Lesson], refused: Sequence[str] = (), seed: int = 0) -> Teaching:
    """Lessons put together, one at least.

    Args:
        refused: why other recordings taught nothing.
        seed: of the choice among errors when there are very many.

    Raises:
        TrainingError: too little is known in all of them.
    """
    return Teaching(_poses(lessons), _errors(lessons, seed), tuple(refused))


def lessons_of(sources: Iterable[Source], jobs: int = 1, config: EstimatorConfig | None = None,
               ) -> Iterator[Lesson | str]:
    """`take_lesson` of each, in order, by so many processes."""
    take = partial(take_lesson, config=config)
    if jobs <= 1:
        yield from map(take, sources)
        return
    for name in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
        os.environ.setdefault(name, '1')
    with ProcessPoolExecutor(jobs, multiprocessing.get_context('spawn')) as pool:
        yield from pool.map(take, sources)


def _poses(lessons: Sequence[Lesson]) -> Poses:
    """Unbroken stretches of all lessons as sequences; the rate is that of most of them."""
    joints, sigma, subject, length, step = [], [], [], [], []
    for lesson in lessons:
        known = np.isfinite(lesson.joints).all(-1).sum(1) >= 12
        edges = np.flatnonzero(np.diff(np.r_[0, known.astype(int), 0]))
        for a, b in zip(edges[::2], edges[1::2], strict=True):
            if b - a >= _FEWEST_FRAMES:
                joints.append(lesson.joints[a:b])
                sigma.append(lesson.sigma[a:b])
                subject.append(lesson.subject)
                length.append(b - a)
                step.append(float(np.median(np.diff(lesson.stamp[a:b]))))
    if not joints:
        raise TrainingError(f'none of {len(lessons)} recordings shows somebody for {_FEWEST_FRAMES} instants in a row; '
                            'record longer')
    own = max([s for s in subject if s >= 0], default=-1) + 1
    who = [s if s >= 0 else own + i for i, s in enumerate(subject)]
    return Poses(np.concatenate(joints), np.cumsum([0, *length]).astype(np.int64), 1 / float(np.median(step)),
                 np.concatenate(sigma), np.array(who, np.int64))


def _errors(lessons: Sequence[Lesson], seed: int) -> ErrorTracks:
    """Errors of all lessons at one power of the body's size: the median of what they tell by themselves."""
    def tracks(lesson: Lesson, power: float | None) -> ErrorTracks | None:
        try:
            return measure(lesson.observed, lesson.expected, lesson.conf, lesson.image_size, power=power, seed=seed)
        except TrainingError:                               # too short by itself: it teaches poses alone
            return None

    first = [(lesson, e) for lesson in lessons if (e := tracks(lesson, None)) is not None]
    if not first:
        raise TrainingError('no recording is long enough to measure the errors of the 2D network; record longer')
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
