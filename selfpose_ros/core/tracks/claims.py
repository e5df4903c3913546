# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Which detections belong to the people who are followed: matched camera by camera to where everybody is expected.

In rounds: somebody whose place is not known well, as one camera sees him, takes what the others leave. Somebody new,
who may be nobody, takes nothing from anybody: he shares detections with those whose place is not known.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..observation import View2D
from ..person_view import Detections, PersonView
from ..quick import median, padded
from ..rig_model import RigModel
from .distance import person_size, pose_distance
from .matching import assign
from .person import Person

__all__ = ['ALONE_S', 'claim', 'is_alone']

Array = NDArray[np.float64]

#: a detection whose median joint is further from the prediction, in body sizes, is somebody else
_GATE = .35
#: for somebody who is not placed well a tracklet that goes on is nearer than it looks by this, body sizes. Where two
#: people cross it may have gone over to the other
_GOES_ON = .1
#: somebody whom one camera sees for longer than this is not placed well, s
ALONE_S = .4


def is_alone(people: Sequence[Person], views: Sequence[View2D]) -> bool:
    """Whether one person is followed and no view shows more than one body."""
    return len(people) == 1 and all(len(v.keypoints) <= 1 for v in views)


def claim(people: Sequence[Person], views: Sequence[View2D], detections: Detections,
          model: RigModel) -> list[dict[str, int]]:
    """Index of each person's detection by camera; views: of the model's cameras."""
    found: list[dict[str, int]] = [{} for _ in people]
    if not people:
        return found
    now = detections.stamp
    P = np.stack([p.filter.cameras.project(p.filter.x + (now - p.stamp) * p.filter.v) for p in people])  # N,V,17,2
    index = {c: v for v, c in enumerate(model.cameras)}
    if is_alone(people, views):
        for view in views:
            if len(view.keypoints) and _near(P[0, index[view.camera]], view.keypoints[0]):
                found[0][view.camera] = 0
        return found
    some = [v for v in views if len(v.keypoints)]
    if not some:
        return found
    new = np.array([not p.confirmed for p in people])
    placed = np.array([p.alone_s(now) <= ALONE_S for p in people]) & ~new
    groups = [(np.flatnonzero(g), g is placed) for g in (placed, new, ~placed & ~new) if g.any()]
    at = P[:, [index[v.camera] for v in some]].swapaxes(0, 1)
    size = person_size(at, np.isfinite(at).all(-1).astype(float))
    far, _ = pose_distance(at, size, padded([v.keypoints for v in some]), padded([v.confidence for v in some]))
    for k, view in enumerate(some):
        left = np.arange(len(view.keypoints))
        for who, sure in groups:
            if not len(left):
                break
            cost = far[k, who][:, left]
            if not sure:
                cost = cost - _GOES_ON * _same_tracklet(people, who, detections.people[view.camera], left)
            chosen = assign(cost, _GATE)
            for n, p in zip(who, chosen, strict=True):
                if p >= 0:
                    found[n][view.camera] = int(left[p])
            if sure:
                left = np.delete(left, chosen[chosen >= 0])
    return found


def _same_tracklet(people: Sequence[Person], who: NDArray[np.int64], seen: Sequence[PersonView],
                   left: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N, P) whether a detection goes on where somebody was seen before."""
    camera, number = seen[0].camera, np.array([seen[d].tracklet for d in left])
    before = np.array([people[n].row[camera].tracklet if camera in people[n].row else -1 for n in who])
    return np.asarray((before[:, None] == number[None]) & (number[None] >= 0))


def _near(predicted: Array, kp: Array) -> bool:
    around = predicted - predicted.mean(0)
    size = 3.4 * np.sqrt((around * around).sum() / 17)
    seen = np.isfinite(kp[:, 0])
    if seen.sum() < 4:
        return bool(seen.any())
    d = predicted[seen] - kp[seen]
    return bool(median(np.sqrt((d * d).sum(1))) < _GATE * max(size, 20.))
