# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What cameras saw in figures: counted instant by instant, in one way for recordings and for cameras that run."""
from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from statistics import median_low

import numpy as np
from numpy.typing import NDArray

from ..observation import MultiView, View2D
from .clocks import OTHER_CLOCK_S

__all__ = ['CORNER', 'CameraCounts', 'PairCounts', 'ViewCounts', 'unit_like']

Array = NDArray[np.float64]

#: a detection with fewer joints is nobody
_FEWEST_JOINTS = 4
#: distance of most joints, share of the body, between two images that are one: the parallax of 8 mm
_SAME_IMAGE = .005
#: share of width and height from the upper left in which all joints lie when a much larger image size is given
CORNER = .67
#: coordinates that never go beyond this are not pixels
_NOT_PIXELS = 2.
#: steps of stamps are counted in bins of this part of a decade
_BINS = 50


@dataclass
class CameraCounts:
    """Counts of one camera; floats, as they are halved from time to time.

    Attributes:
        size: (w, h) px.  views: of it.  seeing: of these, with somebody.
        people: detections.  astray: of these, with their middle outside of the image.  wide: with joints outside of
            the upper left part of it.  large: with coordinates that are none of an image from 0 to 1.
        joints: seen.  outside: of these, outside of the image; outside_turned: of one with width and height exchanged.
        low, high: coordinates of the joints, px.  right, bottom: the largest, as share of width and height.
        first, last: stamps, s.  steps: of the stamps; whole: of these, exactly 1 s; step: of these, by log10 s.
        beside: instants with other cameras.  ahead, behind: of these, with a stamp that is far from the others'.
        off: mean distance of those, s.
    """

    size: tuple[int, int]
    views: float = 0.
    seeing: float = 0.
    people: float = 0.
    astray: float = 0.
    wide: float = 0.
    large: float = 0.
    joints: float = 0.
    outside: float = 0.
    outside_turned: float = 0.
    low: float = math.inf
    high: float = -math.inf
    right: float = 0.
    bottom: float = 0.
    first: float = math.inf
    last: float = -math.inf
    step: Counter[int] = field(default_factory=Counter)
    whole: float = 0.
    steps: float = 0.
    beside: float = 0.
    ahead: float = 0.
    behind: float = 0.
    off: float = 0.

    def halve(self) -> None:
        for name in ('views', 'seeing', 'people', 'astray', 'wide', 'large', 'joints', 'outside', 'outside_turned',
                     'whole', 'steps', 'beside', 'ahead', 'behind'):
            setattr(self, name, getattr(self, name) / 2)
        self.step = Counter({k: n // 2 for k, n in self.step.items() if n > 1})
        self.first = self.last

    def usual_step(self) -> float:
        """Median, s; NaN without steps."""
        half, total = sum(self.step.values()) / 2, 0.
        for k in sorted(self.step):
            total += self.step[k]
            if total >= half:
                return float(10 ** (k / _BINS))
        return math.nan


@dataclass
class PairCounts:
    """Instants with views of both, with people in both, and of these with the same joints in both."""

    views: float = 0.
    seeing: float = 0.
    same: float = 0.

    def halve(self) -> None:
        self.views, self.seeing, self.same = self.views / 2, self.seeing / 2, self.same / 2


class ViewCounts:
    """Counts views as they come; the cost of an instant does not grow with time. Not thread safe.

    Attributes:
        cameras: by name.  pairs: by two names in order.  seen: instants in which anybody is seen.

    Args:
        window: after so many instants all counts are halved, so that what was mended is forgotten; 0 = never.
    """

    def __init__(self, window: int = 0) -> None:
        self._window = window
        self.cameras: dict[str, CameraCounts] = {}
        self.pairs: dict[tuple[str, str], PairCounts] = {}
        self._since = self.seen = 0.

    def add(self, instant: MultiView) -> None:
        """Take the views of one instant."""
        self._since += 1
        if self._window and self._since >= self._window:
            self._since = 0.
            self.seen /= 2
            for camera in self.cameras.values():
                camera.halve()
            for pair in self.pairs.values():
                pair.halve()
        views = sorted(instant.views, key=lambda v: v.camera)
        for view in views:
            self._stamp(view)
        if len(views) > 1:
            self._times(views)
        if any(len(v.keypoints) for v in views):
            self._people(views)

    def _stamp(self, view: View2D) -> None:
        c = self.cameras.get(view.camera)
        if c is None or c.size != view.image_size:
            c = self.cameras[view.camera] = CameraCounts(view.image_size)
        c.views += 1
        step = view.stamp - c.last
        if 0 < step < math.inf:
            c.step[round(_BINS * math.log10(step))] += 1
            c.whole += step == 1
            c.steps += 1
        c.first, c.last = min(c.first, view.stamp), view.stamp

    def _times(self, views: Sequence[View2D]) -> None:
        usual = median_low(v.stamp for v in views)
        for view in views:
            c, off = self.cameras[view.camera], view.stamp - usual
            c.beside += 1
            if abs(off) > OTHER_CLOCK_S:
                c.ahead += off > 0
                c.behind += off < 0
                c.off += (abs(off) - c.off) / (c.ahead + c.behind)
        for a, b in combinations([v.camera for v in views], 2):
            self.pairs.setdefault((a, b), PairCounts()).views += 1

    def _people(self, views: Sequence[View2D]) -> None:
        """Everybody in all views at once: this runs with every instant of cameras that run."""
        kp = np.concatenate([v.keypoints for v in views])
        conf = np.concatenate([v.confidence for v in views])
        of = [view for view in views for _ in view.keypoints]
        size = np.array([v.image_size for v in of], float)[:, None]
        seen = conf > 0
        joints = seen.sum(1)
        weight = conf * conf
        middle = np.einsum('njk,nj->nk', np.where(seen[..., None], kp, 0.), weight)
        middle /= np.maximum(weight.sum(1), 1e-12)[:, None]
        astray = ((middle < 0) | (middle > size[:, 0])).any(1).tolist()
        outside, turned = ((kp < 0) | (kp > size)).any(2).sum(1), joints * 0
        if outside.any():
            turned = ((kp < 0) | (kp > size[..., ::-1])).any(2).sum(1)
        low, corner = np.fmin.reduce(kp, (1, 2)).tolist(), np.fmax.reduce(kp, 1)
        right, bottom = (corner / size[:, 0]).T.tolist()
        high = corner.max(1).tolist()
        clearest: dict[str, int] = {}
        for i, (view, n, out, other) in enumerate(zip(of, joints.tolist(), outside.tolist(), turned.tolist(),
                                                      strict=True)):
            if n < _FEWEST_JOINTS:
                continue
            c = self.cameras[view.camera]
            c.people += 1
            c.astray += astray[i]
            c.wide += max(right[i], bottom[i]) > CORNER
            c.large += not unit_like(low[i], high[i])
            c.joints += n
            c.outside += out
            c.outside_turned += other
            c.low, c.high = min(c.low, low[i]), max(c.high, high[i])
            c.right, c.bottom = max(c.right, right[i]), max(c.bottom, bottom[i])
            if n > joints[clearest.setdefault(view.camera, i)]:
                clearest[view.camera] = i
        for name in clearest:
            self.cameras[name].seeing += 1
        self.seen += bool(clearest)
        if len(clearest) > 1:
            at = list(clearest.values())
            # in widths of the image, as one camera may come in two sizes
            self._same(list(clearest), kp[at] / size[at, :, :1])

    def _same(self, cameras: Sequence[str], kp: Array) -> None:
        """Whether any two show the same: joints (V, 17, 2) of one person in each."""
        A, B = _two(len(cameras))
        body = np.hypot(*(np.fmax.reduce(kp, 1) - np.fmin.reduce(kp, 1)).T)
        gap = kp[A] - kp[B]
        near = np.hypot(gap[..., 0], gap[..., 1]) <= (_SAME_IMAGE * body[A])[:, None]
        common = np.isfinite(gap[..., 0]).sum(1)
        same = (common >= _FEWEST_JOINTS) & (2 * near.sum(1) > common)
        for a, b, alike in zip(A.tolist(), B.tolist(), same.tolist(), strict=True):
            pair = self.pairs[cameras[a], cameras[b]]
            pair.seeing += 1
            pair.same += alike

@lru_cache(maxsize=64)
def _two(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    A, B = np.triu_indices(n, 1)
    return A, B


def unit_like(low: float, high: float) -> bool:
    """Whether coordinates from `low` to `high` are those of an image that goes from 0 to 1, or from -1 to 1."""
    return max(abs(low), abs(high)) <= _NOT_PIXELS
