# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A recording split in time: one part with pseudo labels to learn from, one to compare with."""
from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.arrays import EpochArrays
from ..data.recordings import Recorded, RecordedViews
from ..errors import TrainingError
from ..pseudo_labels.sources import Source, recorded_sources
from ..pseudo_labels.teacher import PseudoLabels, label_recording
from .variety import too_still, variety

__all__ = ['LabelledViews', 'LabelledDataSet', 'SplitRecording', 'split_recording']

#: between what is learned from and what is held out, s: longer than poses and 2D errors remember
_GAP_S = 1.
#: least time to learn from and to compare, s, and least instants in each
_LEARN_S, _COMPARE_S, _INSTANTS = 5., 3., 20


@dataclass(frozen=True)
class LabelledViews:
    """Real views with pseudo labels.

    Attributes:
        views: with R, t and X as the teacher found them, and K where the recording has it.
        sigma: (T, 17) m, inf = not known.
    """

    views: Recorded
    sigma: NDArray[np.float32]


@dataclass(frozen=True)
class SplitRecording:
    """A recording, split in time.

    Attributes:
        labels: of the first part, calibrated by itself.
        training: its real views.  held_out: those of the last part, with poses from the whole recording.
        quality: of the rigs of the first part and of the whole.
        learn_s, compare_s: length of the parts, s.
    """

    labels: PseudoLabels
    training: LabelledViews
    held_out: LabelledViews
    quality: tuple[float, float]
    learn_s: float
    compare_s: float

    def summary(self) -> dict[str, Any]:
        """For reports."""
        return {'cameras': self.training.views.views, 'learn_s': self.learn_s, 'compare_s': self.compare_s,
                'instants': [len(self.training.views), len(self.held_out.views)], 'rig_quality': list(self.quality)}


def split_recording(recording: Recorded, held_out: float) -> SplitRecording | str:
    """Split a recording in time and calibrate it twice; or the reason why nothing is learned from it.

    Args:
        held_out: share of its time for comparing; at least some seconds are taken.
    """
    if recording.views < 2:
        return f'{recording.name}: a single camera; self-calibration needs two or more that see the same person'
    source = next(recorded_sources([recording]))
    stamp = np.array([f.stamp for f in source.frames])
    span = float(stamp[-1] - stamp[0])
    second = stamp[-1] - max(held_out * span, _COMPARE_S)
    first = second - _GAP_S
    learn, compare = int((stamp < first).sum()), int((stamp >= second).sum())
    if first - stamp[0] < _LEARN_S or min(learn, compare) < _INSTANTS:
        needed = max((_LEARN_S + _GAP_S) / (1 - held_out), _COMPARE_S + _GAP_S + _LEARN_S,
                     _INSTANTS * span / len(stamp) / held_out)
        return (f'{recording.name}: {span:.1f} s with {len(stamp)} instants are too short to learn from one part and '
                f'compare on another; record {np.ceil(1.1 * needed):.0f} s or more')
    labels = label_recording(Source(source.name, source.subject, source.frames[:learn]))
    if isinstance(labels, str):
        return labels
    still = too_still(variety(labels.joints, labels.sigma))
    if still:
        return f'{recording.name}: {still}'
    whole = label_recording(source)
    if isinstance(whole, str):
        return whole
    try:
        training, later = _labelled(labels, recording, 0), _labelled(whole, recording, len(stamp) - compare)
    except TrainingError as error:
        return str(error)
    return SplitRecording(labels, training, later, (labels.rig.quality, whole.rig.quality),
                          float(stamp[learn - 1] - stamp[0]), float(stamp[-1] - stamp[-compare]))


def _labelled(labels: PseudoLabels, recording: Recorded, first: int) -> LabelledViews:
    """Instants from `first` on with labels of the person that is seen."""
    known = np.isfinite(labels.joints).all(-1)
    index = np.flatnonzero(known.any(1) & (labels.conf > 0).any((1, 2)))
    index = index[index >= first]
    if not len(index):
        part = 'its held-out time' if first else 'the time to learn from'
        raise TrainingError(f'nobody whose pose is known in {part}', 'record longer', place=recording.name)
    K = None
    if recording.K is not None and recording.K.ndim == 3:
        column = [int(c.removeprefix('camera')) - 1 for c in labels.rig.cameras]      # names of `recorded_sources`
        K = recording.K[column]
    views = Recorded(recording.name, labels.observed[index], labels.conf[index], labels.stamp[index],
                     labels.image_size.astype(float), subject=recording.subject, K=K, R=labels.rig.R, t=labels.rig.t,
                     X=labels.joints[index])
    sigma = np.where(known & np.isfinite(labels.sigma), labels.sigma, np.inf)[index]
    return LabelledViews(views, sigma.astype(np.float32))


class LabelledDataSet(RecordedViews):
    """Real views as a data set; X and X_sigma are the teacher's."""

    def __init__(self, parts: Sequence[LabelledViews], seed: int = 0) -> None:
        super().__init__([p.views for p in parts], seed)
        self._sigma = np.concatenate([p.sigma for p in parts])

    def epoch(self, n: int) -> EpochArrays:
        """See `RecordedViews.epoch`."""
        arrays = super().epoch(n)
        assert arrays.X_sigma is not None
        return dataclasses.replace(arrays, X_sigma=np.where(np.isfinite(arrays.X_sigma), self._sigma, np.inf).astype(
            np.float32))
