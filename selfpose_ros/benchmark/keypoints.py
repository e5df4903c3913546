# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""2D joints of one network against those of another, or of somebody who clicked: PCK on the same images."""
from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.association.distance import person_size
from ..core.observation import View2D
from ..core.skeleton import JOINTS
from ..evaluation.alignment import SCORED
from ..evaluation.detections import AccuracyCheck, checked
from ..io.recording import Recording
from .errors import BenchmarkError

__all__ = ['Agreement', 'compare_keypoints']

Array = NDArray[np.float64]

#: joints of the reference that count are at least this sure; stamps of one image differ by no more than this, s
_SURE, _SAME_S = .3, .004
_USED = np.isin(np.arange(len(JOINTS)), SCORED)
_TORSO = [(JOINTS.index(f'{a}_shoulder'), JOINTS.index(f'{b}_hip')) for a, b in ('lr', 'rl')]


@dataclass(frozen=True)
class Agreement:
    """What `compare_keypoints` found.

    Attributes:
        images: of the reference with somebody in them.  found: share of these in which the other saw somebody, too.
        pck_10, pck_20: joints of the reference that the other has within a tenth and a fifth of the torso's
            diagonal, per cent; 16 joints, those of people who were not found among them.
        median_px: distance of the joints that both have.
        check: their differences against the errors that the network's card predicts, those of the reference included;
            None = its card has none.
    """

    images: int
    found: float
    pck_10: float
    pck_20: float
    median_px: float
    check: AccuracyCheck | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def compare_keypoints(found: Recording, reference: Recording) -> Agreement:
    """PCK of recorded 2D joints.

    Args:
        found: what is judged; of several people in an image, the nearest to the reference's.
        reference: one person an image.

    Raises:
        BenchmarkError: cameras or stamps have nothing in common.
    """
    if len(found.cameras) != len(reference.cameras):
        raise BenchmarkError(f'{found.name} has {len(found.cameras)} cameras, {reference.name} '
                             f'{len(reference.cameras)}', 'give recordings of the same cameras in the same order')
    begin = [min(v.stamp for v in r.views) for r in (found, reference)]
    other: dict[int, list[View2D]] = {}
    for view in found.views:
        other.setdefault(found.cameras.index(view.camera), []).append(view)
    stamps = {c: np.array([v.stamp - begin[0] for v in views]) for c, views in other.items()}
    offs: list[Array] = []
    predicted: list[Array] = []
    seen = images = matched = 0
    for view in reference.views:
        if not len(view.keypoints):
            continue
        counts = _USED & (view.confidence[0] >= _SURE) & np.isfinite(view.keypoints[0]).all(-1)
        torso = max((float(np.linalg.norm(view.keypoints[0, a] - view.keypoints[0, b])) for a, b in _TORSO
                     if counts[a] and counts[b]), default=0.)
        if torso <= 0:
            continue
        images += 1
        c = reference.cameras.index(view.camera)
        off = np.full((int(counts.sum()), 2), np.inf)
        if c in stamps:
            k = int(np.abs(stamps[c] - (view.stamp - begin[1])).argmin())
            if abs(stamps[c][k] - (view.stamp - begin[1])) <= _SAME_S:
                matched += 1
                best = _nearest(other[c][k], view, counts)
                if best is not None:
                    seen += 1
                    distance = np.nan_to_num(np.linalg.norm(best[0], axis=-1), nan=np.inf)
                    off = np.column_stack([distance / torso, distance])
                    predicted.append(best[0] / best[1][:, None])
        offs.append(off)
    if not matched:
        raise BenchmarkError(f'{found.name} and {reference.name}: no image of the one has the stamp of an image of the '
                             'other', 'give recordings of the same images that begin together')
    d = np.concatenate(offs)
    both = d[np.isfinite(d[:, 1]), 1]
    return Agreement(images, seen / images, float(100 * (d[:, 0] < .1).mean()), float(100 * (d[:, 0] < .2).mean()),
                     float(np.median(both)) if len(both) else float('nan'), _checked(predicted))


def _checked(errors: list[Array]) -> AccuracyCheck | None:
    error = np.concatenate([np.zeros((0, 2)), *errors])
    error = error[np.isfinite(error).all(-1)]
    return checked(error) if len(error) else None


def _nearest(view: View2D, reference: View2D, counts: NDArray[np.bool_]) -> tuple[Array, Array] | None:
    """Of the counted joints of the nearest person differences (K, 2) px, NaN where he has none, and the sigmas (K,) px
    that his network's card predicts, NaN = the card has none; None: nobody is there.
    """
    if not len(view.keypoints):
        return None
    off = (view.keypoints - reference.keypoints[0])[:, counts]
    d = np.nan_to_num(np.linalg.norm(off, axis=-1), nan=np.inf)
    k = int(np.median(d, 1).argmin())
    confidence = view.confidence[k]
    if view.accuracy is None:
        return off[k], np.full(len(off[k]), np.nan)
    return off[k], view.accuracy.share(confidence[counts]) * person_size(view.keypoints[k], confidence)
