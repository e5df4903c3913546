# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A real recording with known cameras: a keypoint archive that holds its truth."""
from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.estimator import EstimatorConfig
from ..core.lifting import Lifter
from ..core.offline import reconstruct_offline
from ..core.result import Skeletons
from ..evaluation.scoring import Score, common_joints, compare
from ..io.archive import read_keypoints
from ..io.npz import NpzReader
from ..io.recording import Recording
from ..io.stamp_units import unit_of
from ..synthetic.clips import Clip, Truth
from .errors import BenchmarkError
from .rows import Row

__all__ = ['Compared', 'RealClip', 'compare_result', 'read_real', 'real_rows', 'score_real']

#: a reference whose instants are not those of the result is looked for within so many of them
_MOST_APART = 6

_TRUTH = ('truth_joints', 'truth_joint_names', 'truth_K', 'truth_R', 'truth_t')


@dataclass(frozen=True)
class RealClip:
    """What the estimator gets, and the same with the truth."""

    recording: Recording
    clip: Clip


def score_real(real: RealClip, lifter: Lifter | None = None) -> Score:
    """Reconstruct off line, focal lengths unknown, and score against the truth."""
    frames = real.recording.frames()
    people, rig = reconstruct_offline(frames, EstimatorConfig(), lifter=lifter)
    return compare(real.clip, Skeletons.of([f.stamp for f in frames], people, real.recording.cameras, rig)).score()


@dataclass(frozen=True)
class Compared:
    """A result beside the truth.

    Attributes:
        score: as both are stamped.
        late_s: by how much the result comes later than the truth where `ga` is least, in whole instants of the truth.
        in_step: the score then.
    """

    score: Score
    late_s: float
    in_step: Score

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def compare_result(real: RealClip, result: Skeletons) -> Compared:
    """Score a result against the truth of the same people at the same instants.

    Raises:
        BenchmarkError: they have no instants in common.
    """
    period = float(np.median(np.diff(real.clip.instant)))
    scores = {}
    for k in range(-_MOST_APART, _MOST_APART + 1):
        errors = compare(real.clip, replace(result, stamp=result.stamp - k * period))
        if np.isfinite(errors.joints).any():
            scores[k] = errors.score()
    known = {k: s.ga for k, s in scores.items() if np.isfinite(s.ga)}
    if 0 not in known:
        raise BenchmarkError('has nobody at the instants of the reference', 'give the result and the truth of one '
                             'recording')
    best = min(known, key=lambda k: (known[k], abs(k)))
    return Compared(scores[0], best * period, scores[best])


def read_real(path: Path) -> RealClip:
    """Read a keypoint archive (see `io.archive`) that holds `truth_joints`, `truth_joint_names` and the true cameras.

    Raises:
        IoError: not a keypoint archive.
        BenchmarkError: it holds no truth, or its cameras are known.
    """
    recording = read_keypoints(path)
    if any(v.intrinsics is not None for v in recording.views):
        raise BenchmarkError('its cameras are known (K)', 'leave K out, the benchmark is for unknown ones', place=path)
    clip = _clip(path)
    common_joints(clip.truth.names)
    return RealClip(recording, clip)


def _clip(path: Path) -> Clip:
    with NpzReader(path) as z:
        lacking = [n for n in _TRUTH if n not in z]
        if lacking:
            raise BenchmarkError(f'{", ".join(lacking)} missing', 'a recording for the benchmark needs its truth',
                                 place=path)
        keypoints, confidence = z.array('keypoints', 'T V J 2'), z.array('confidence', 'T V J')
        stamp = z.array('stamp', 'T', 'T V')
        stamp = np.repeat(stamp[:, None], keypoints.shape[1], 1) if stamp.ndim == 1 else stamp
        unit = unit_of(stamp)
        stamp = stamp if unit is None else stamp / unit.per_s
        names = tuple(str(n) for n in z.array('truth_joint_names', 'J', text=True))
        if tuple(str(n) for n in z.array('joint_names', 'J', text=True)) != names:
            raise BenchmarkError('truth_joint_names differ from joint_names', 'bring them to one order', place=path)
        truth = Truth(z.array('truth_joints', 'T J 3'), names, z.array('truth_K', 'V 3 3'), z.array('truth_R', 'V 3 3'),
                      z.array('truth_t', 'V 3'),
                      z.array('truth_distortion', 'V N') if 'truth_distortion' in z else np.zeros((0, 5)))
        size = z.array('image_size', 'V 2').astype(np.int64)
    return Clip(0, path.stem, keypoints, confidence, stamp, size, truth)


def real_rows(real: RealClip, lifter: Lifter | None = None) -> list[Row]:
    """Rotation, focal lengths and errors of a real clip."""
    s, name = score_real(real, lifter), real.clip.name
    return [Row('real', f'{name}: worst camera rotation', s.rot, 'deg'),
            Row('real', f'{name}: focal lengths, median error', s.focal, '%'),
            Row('real', f'{name}: error, one alignment a clip', s.ga, 'mm', note=(
                f'triangulation with the true cameras {s.dlt_ga:.1f}')),
            Row('real', f'{name}: error, an alignment a frame', s.pa, 'mm', note=(
                f'triangulation with the true cameras {s.dlt_pa:.1f}'))]
