# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""People that a 2D network finds in pictures, against those who are there; and what error goes with its confidences."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.assignment import least_cost_pairs
from ..core.association.distance import person_size
from ..core.noise import LEAST_SHARE, Accuracy
from ..core.statistics import falling

__all__ = ['AccuracyCheck', 'ConfidenceBin', 'DetectionScore', 'Picture', 'checked', 'score_detections']

Array = NDArray[np.float64]

#: somebody counts who shows so many joints, and is found where the median joint is within this share of his size
_FEWEST, _NEAR = 9, .1
#: joints of one bin of confidences, at least, and bins, at most
_LEAST_IN_BIN, _MOST_BINS = 200, 8
#: median of the length of a 2D Gaussian's error, in its standard deviation along an axis
_MEDIAN = 1.1774
#: knots of an accuracy are so far apart, at least
_APART = .01


@dataclass(frozen=True)
class Picture:
    """One picture, joints in the order of `core.skeleton.JOINTS`.

    Attributes:
        true: (P, 17, 2) px.  visible: (P, 17) bool, inside the picture and behind nobody else.
        found: (Q, 17, 2) px, NaN = not seen.  confidence: (Q, 17) 0..1.
    """

    true: Array
    visible: NDArray[np.bool_]
    found: Array
    confidence: Array


@dataclass(frozen=True)
class ConfidenceBin:
    """Joints of about one confidence.

    Attributes:
        confidence: mean.  joints: how many.
        sigma: standard deviation along an axis, from the median error, share of the person's size (about the standing
            height) in the picture; it does not rise from one bin to the next.
        astray: share of joints that are further off than three times that, of the size.
    """

    confidence: float
    joints: int
    sigma: float
    astray: float


@dataclass(frozen=True)
class AccuracyCheck:
    """Errors against those that an `Accuracy` predicts, in pictures that it was not made of.

    Attributes:
        within_1, within_2: share of errors along an axis that are below one and two predicted sigmas, %; of Gaussian
            ones 68.3 and 95.4.
        ratio: median length of an error over the one that is predicted.
        ratios: the same of each bin of confidences.
    """

    within_1: float
    within_2: float
    ratio: float
    ratios: tuple[float, ...] = ()

    @property
    def sentence(self) -> str:
        """Without the bins."""
        return (f'by its card {self.within_1:.1f} % of the errors along an axis are within 1 sigma and '
                f'{self.within_2:.1f} % within 2 (Gaussian: 68.3 and 95.4); median error {self.ratio:.2f} of the '
                'predicted')


@dataclass(frozen=True)
class DetectionScore:
    """Figures over all pictures; NaN where there is nothing to count.

    Attributes:
        pictures, people: how many; people who show half of their joints or more.
        recall: share of them found, %.  precision: share of what is found that is somebody, shown little or not, %.
        size_px: median size of those people.  bins: from low to high confidence.
        check: of the accuracy that was given; None = none was.
    """

    pictures: int
    people: int
    recall: float
    precision: float
    size_px: float
    bins: tuple[ConfidenceBin, ...]
    check: AccuracyCheck | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @property
    def accuracy(self) -> Accuracy | None:
        """What error goes with a confidence, as the bins have it; None: there are none.

        Bins of about one confidence, as those of a network that is nearly always sure, become one knot.
        """
        knots: list[list[ConfidenceBin]] = []
        for b in self.bins:
            if knots and b.confidence - knots[-1][0].confidence < _APART:
                knots[-1].append(b)
            else:
                knots.append([b])
        if not knots:
            return None

        def mean(which: list[ConfidenceBin], name: str) -> float:
            return float(np.average([getattr(b, name) for b in which], weights=[b.joints for b in which]))

        # so many digits as are measured
        return Accuracy(tuple(round(min(mean(k, 'confidence'), 1.), 3) for k in knots),
                        tuple(float(f'{max(mean(k, "sigma"), LEAST_SHARE):.3g}') for k in knots))


def score_detections(pictures: Iterable[Picture], accuracy: Accuracy | None = None,
                     bins: int = _MOST_BINS) -> DetectionScore:
    """Match found with true people in each picture, and count.

    Args:
        accuracy: to be checked; None = none.
        bins: of confidences, at most.
    """
    counts = np.zeros(5, int)                              # pictures, people, found of them, found, found and somebody
    sizes: list[float] = []
    confidence: list[Array] = [np.zeros(0)]
    error: list[Array] = [np.zeros((0, 2))]
    for p in pictures:
        size = person_size(p.true, np.ones(p.true.shape[:2]))
        wanted = p.visible.sum(-1) >= _FEWEST
        who, which = _matched(p, size)
        counts += [1, wanted.sum(), wanted[who].sum(), len(p.found), len(which)]
        sizes += size[wanted].tolist()
        off = (p.found[which] - p.true[who]) / size[who, None, None]
        known = p.visible[who] & (p.confidence[which] > 0) & np.isfinite(off).all(-1)
        confidence.append(p.confidence[which][known])
        error.append(off[known])
    n, people, recalled, found, right = counts.tolist()
    return DetectionScore(n, people, 100 * recalled / people if people else np.nan,
                          100 * right / found if found else np.nan,
                          float(np.median(sizes)) if sizes else np.nan,
                          *_bins(np.concatenate(confidence), np.concatenate(error), accuracy, bins))


def _matched(p: Picture, size: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """True people and who was found as them, each once."""
    if not len(p.true) or not len(p.found):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    off = np.linalg.norm(p.true[:, None] - p.found[None], axis=-1) / size[:, None, None]
    off = np.where((p.confidence > 0)[None] & np.isfinite(off), off, np.nan)
    known = np.isfinite(off).sum(-1) >= 3
    median = np.full(off.shape[:2], np.inf)
    median[known] = np.nanmedian(off[known], axis=-1)
    cost = np.where(median < _NEAR, median, 1e3)
    who, which = least_cost_pairs(cost)
    near = cost[who, which] < _NEAR
    return who[near], which[near]


def _bins(confidence: Array, vector: Array, accuracy: Accuracy | None,
          most: int) -> tuple[tuple[ConfidenceBin, ...], AccuracyCheck | None]:
    if len(vector) < _LEAST_IN_BIN:
        return (), None
    error = np.linalg.norm(vector, axis=-1)
    parts = np.array_split(np.argsort(confidence, kind='stable'), min(len(error) // _LEAST_IN_BIN, most))
    sigma = np.array([np.median(error[k]) for k in parts]) / _MEDIAN
    sigma = np.exp(falling(np.log(np.maximum(sigma, 1e-6)), [len(k) for k in parts]))
    bins = tuple(ConfidenceBin(float(confidence[k].mean()), len(k), float(s), float((error[k] > 3 * s).mean()))
                 for k, s in zip(parts, sigma, strict=True))
    return bins, None if accuracy is None else checked(vector / accuracy.share(confidence)[:, None], parts)


def checked(error: Array, parts: Sequence[NDArray[np.int64]] = ()) -> AccuracyCheck:
    """Errors (N, 2) in predicted sigmas, N at least 1, and by bins of some of them."""
    length = np.linalg.norm(error, axis=-1) / _MEDIAN
    return AccuracyCheck(100 * float((np.abs(error) < 1).mean()), 100 * float((np.abs(error) < 2).mean()),
                         float(np.median(length)), tuple(float(np.median(length[k])) for k in parts))
