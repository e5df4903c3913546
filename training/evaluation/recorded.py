# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How good a lifter is on recordings whose 3D joints are known: those of public data sets, or archives with truth.

Every view by itself, its 2D joints as they are recorded, through guessed intrinsics as at run time; 16 joints, as in
`evaluate`. Papers take every 64th frame of Human3.6M; temporal lifters see the frames before these, too.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.lifting import Lifter

from .. import metrics
from ..errors import TrainingError
from ..metrics import EVAL16
from .figures import Figures, SigmaCalibration, figures, sigma_calibration
from .lifting import fused_views, lift_views

if TYPE_CHECKING:
    from ..data.recordings import Recorded

__all__ = ['RecordedEvaluation', 'evaluate_recorded', 'measured']

Array = NDArray[np.float64]

#: a view counts in which so many joints are seen (the run time lifts no other), of which so many are known in 3D
_SEEN, _KNOWN = 8, 8


@dataclass(frozen=True)
class RecordedEvaluation:
    """What `evaluate_recorded` found.

    Attributes:
        frames, poses: instants with truth that were looked at, and single views of them.
        unseen: views that do not count because hardly anything is seen in them.
        views: of the recording that has most.  clips: recordings.
        every: every n-th frame of a recording was taken.
        single, fused, depth_reversed, within_sigma, sigma_ratio: see `evaluate.Evaluation`; fused of the recordings
            with two views or more.
    """

    frames: int
    poses: int
    unseen: int
    views: int
    clips: int
    every: int
    single: Figures
    fused: Figures | None
    depth_reversed: float
    within_sigma: float
    sigma_ratio: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class _Part(NamedTuple):
    """Figures of one recording, and what they are means over: instants, poses, known joints."""

    frames: int
    poses: int
    joints: int
    single: Figures
    fused: Figures | None
    reversed: float
    sigma_calibration: SigmaCalibration


def evaluate_recorded(lifter: Lifter, recordings: Sequence[Recorded], *, every: int = 1,
                      progress: Callable[[str, int, int], None] | None = None) -> RecordedEvaluation:
    """Figures of a lifter on recordings.

    Args:
        recordings: with X and R, see `measured`. Joints whose truth is NaN do not count, nor do instants without truth
            of the pelvis.
        every: every n-th frame of each recording counts.
        progress: called with (what is done, recordings done, recordings in all).

    Raises:
        TrainingError: nothing is left that counts.
    """
    parts: list[_Part] = []
    unseen = 0
    for i, r in enumerate(recordings):
        part, lost = _of_one(lifter, r, every)
        unseen += lost
        if part is not None:
            parts.append(part)
        if progress is not None:
            progress('recordings lifted', i + 1, len(recordings))
    if not parts:
        raise TrainingError(f'none of {len(recordings)} recordings has an instant with {_KNOWN} joints known in 3D, '
                            f'the pelvis among them, and {_SEEN} seen in a view', 'give others, or a smaller --every')
    poses = sum(p.poses for p in parts)
    calibration = SigmaCalibration.of_all([p.sigma_calibration for p in parts])
    fused = [p for p in parts if p.fused is not None]
    return RecordedEvaluation(
        sum(p.frames for p in parts), poses, unseen, max(r.views for r in recordings), len(parts), every,
        _pooled([(p.single, p) for p in parts]),
        _pooled([(p.fused, p) for p in fused if p.fused is not None]) if fused else None,
        sum(p.reversed * p.poses for p in parts) / poses, calibration.within, calibration.ratio)


def _of_one(lifter: Lifter, r: Recorded, every: int) -> tuple[_Part | None, int]:
    """Of one recording; None: nothing of it counts. And views with truth in which too little is seen."""
    assert r.X is not None and r.R is not None
    X, R = np.asarray(r.X, float), np.asarray(r.R, float)
    joints = np.isfinite(X).all(-1)
    known = joints[:, 0] & (joints[:, EVAL16].sum(1) >= _KNOWN)
    placed = np.isfinite(R).all((-1, -2)) & np.ones((len(r), 1), bool)                      # T, V
    seen = (r.conf > 0).sum(-1) >= _SEEN
    at = np.arange(0, len(r), every)
    at = at[(known[:, None] & placed & seen)[at].any(1)]
    wanted = (known[:, None] & placed)[::every]
    lost = int((wanted & ~seen[::every]).sum())
    if not len(at):
        return None, lost
    lifted = lift_views(lifter, r.kp.astype(float), r.conf.astype(float), r.image_size, R, X, r.stamp, at)
    counts = (known[:, None] & placed & seen)[at]
    single, true, sigma = (a[:, :, EVAL16][counts] for a in (lifted.joints, lifted.true, lifted.sigma))
    fused = None
    if r.views > 1:
        together = fused_views(lifted.joints, np.where(seen[at][..., None], lifted.sigma, np.inf))
        fused = figures(together[:, :, EVAL16][counts], true)
    about = [np.where(np.isfinite(true), a, a[:, :1]) for a in (single, true)]
    return _Part(len(at), len(single), int(np.isfinite(true).all(-1).sum()), figures(single, true), fused,
                 float(metrics.reversed_in_depth(about[0], about[1]).mean()),
                 sigma_calibration(single, sigma, true)), lost


def _pooled(parts: Sequence[tuple[Figures, _Part]]) -> Figures:
    """Means over all joints of all recordings; the score of correct poses over all poses."""
    def mean(name: str) -> float:
        weight = [p.poses if name == 'cps' else p.joints for _, p in parts]
        return sum(getattr(f, name) * w for (f, _), w in zip(parts, weight, strict=True)) / sum(weight)
    return Figures(**{name: mean(name) for name in Figures.__annotations__})


def _placed(r: Recorded) -> NDArray[np.bool_]:
    """(V,) whether it is known at any time how a camera is turned."""
    known = np.isfinite(np.asarray(r.R)).all((-1, -2))
    return known.any(0) if known.ndim == 2 else known


def measured(found: Sequence[Recorded], name: str) -> tuple[list[Recorded], list[str]]:
    """Those recordings with 3D joints and their cameras' rotations, and sentences on what was odd.

    Args:
        found: see `data.sources.read_data`, with split 'held out' and truth.
        name: of where they come from, for messages.

    Raises:
        TrainingError: there are none.
    """
    kept = [r for r in found if r.X is not None and r.R is not None]
    if not kept:
        raise TrainingError(f'none of its {len(found)} recordings has 3D joints to compare with',
                            'give Human3.6M (with data_3d_h36m.npz), MPI-INF-3DHP, SkiPose-PTZ or keypoint archives '
                            'with truth_joints, or motion capture with --motion', place=name)
    notes = []
    if len(kept) < len(found):
        notes.append(f'{len(found) - len(kept)} of {len(found)} recordings have no 3D joints and are left out')
    lost = sum(int((~_placed(r) & (r.conf > 0).any((0, 2))).sum()) for r in kept)
    if lost:
        notes.append(f'how the cameras are turned is not known of {lost} of {sum(r.views for r in kept)} views, which '
                     'are left out')
    if all(r.split == 'train' for r in kept):
        notes.append(f'no recording there is meant for the test: these {len(kept)} are for training, and a model that '
                     'learned from them looks better than it is')
    return [replace(r, notes=()) for r in kept], notes
