# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Data to train on and data that is held out: other sequences, or later time of the same recordings."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import TrainingError
from .motion import Change, MotionViews, Poses
from .recordings import Recorded, RecordedViews
from .sources import DataSet, read_data
from .wider_motion import Widening

__all__ = ['open_data', 'split_data', 'split_in_time']

#: share of sequences, or of each recording's time
_HELD_OUT = .05


def open_data(path: Path, val: Path | None, views: int | None = None, travel: bool = False,
              seed: int = 1, widen: float = 0.) -> tuple[DataSet, DataSet]:
    """Training data and held-out data.

    Args:
        path: see `data.sources.KINDS`; recordings that their data set means for the test are left out.
        val: the same for held-out data, of which those for the test are taken; None: every 20th sequence of a motion,
            the end of every recording.
        views, travel: of the virtual rigs.
        seed: of everything that is drawn.
        widen: of the motion that is trained on, see `wider_motion.Widening.times`.

    Raises:
        TrainingError: missing, damaged or of no known kind, or virtual cameras asked for where there are real ones.
    """
    given = read_data(path, split='train')
    held_out = None if val is None else read_data(val, split='held out')
    if (views is not None or travel) and not isinstance(given, Poses):
        raise TrainingError('recordings have cameras of their own', 'leave out --views and --travel', place=path)
    if widen and not isinstance(given, Poses):
        raise TrainingError('what real cameras saw cannot be widened',
                            'leave out widen, or take a method that learns from poses (system)', place=path)
    if held_out is None:
        given, held_out = split_data(given)

    def opened(source: Poses | list[Recorded], seed: int, widen: float = 0.) -> DataSet:
        if isinstance(source, Poses):
            return MotionViews(source, views or 4, travel, seed=seed, change=Change(widening=Widening.times(widen)))
        return RecordedViews(source, seed)
    # other rigs than any epoch of the training has
    return opened(given, seed, widen), opened(held_out, seed + 1_000_000)


def split_data(given: Poses | list[Recorded]) -> tuple[Poses, Poses] | tuple[list[Recorded], list[Recorded]]:
    """Training part and held-out part: other sequences, or, of recordings and single sequences, later time."""
    if not isinstance(given, Poses):
        return split_in_time(given)
    sequences = len(given.start) - 1
    if sequences == 1:
        cut = max(1, round(len(given) * (1 - _HELD_OUT)))
        return _frames(given, [(0, cut)], [0]), _frames(given, [(cut, len(given))], [0])
    every = min(sequences, round(1 / _HELD_OUT))
    spans = list(zip(given.start[:-1].tolist(), given.start[1:].tolist(), strict=True))
    out = [i for i in range(sequences) if i % every == every - 1]
    kept = [i for i in range(sequences) if i not in set(out)]
    return _frames(given, [spans[i] for i in kept], kept), _frames(given, [spans[i] for i in out], out)


def split_in_time(given: list[Recorded]) -> tuple[list[Recorded], list[Recorded]]:
    return [r.part(0, 1 - _HELD_OUT) for r in given], [r.part(1 - _HELD_OUT, 1) for r in given]


def _frames(poses: Poses, spans: list[tuple[int, int]], sequences: list[int]) -> Poses:
    index = np.concatenate([np.arange(a, b) for a, b in spans])
    return replace(poses, joints=poses.joints[index], start=np.cumsum([0, *(b - a for a, b in spans)]),
                   sigma=None if poses.sigma is None else poses.sigma[index], subject=poses.subject[sequences])
