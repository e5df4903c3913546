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

from ..association.distance import person_size, pose_distance
from ..association.matching import assign_each
from ..observation import View2D
from ..person_view import Detections
from ..quick import masked_median, padded
from ..rig_model import RigModel
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
    P = model.geometry.project(np.array([p.filter.x + (now - p.stamp) * p.filter.v for p in people]))    # N,V,17,2
    index = {c: v for v, c in enumerate(model.cameras)}
    some = [v for v in views if len(v.keypoints)]
    if not some:
        return found
    if is_alone(people, views):
        near = _near(P[0, [index[v.camera] for v in some]], np.array([v.keypoints[0] for v in some]))
        found[0] = {v.camera: 0 for v, yes in zip(some, near, strict=True) if yes}
        return found
    new = np.array([not p.confirmed for p in people])
    placed = np.array([p.alone_s(now) <= ALONE_S for p in people]) & ~new
    groups = [(np.flatnonzero(g), g is placed) for g in (placed, new, ~placed & ~new) if g.any()]
    at = P[:, [index[v.camera] for v in some]].swapaxes(0, 1)
    size = person_size(at, np.isfinite(at).all(-1).astype(float))
    far, _ = pose_distance(at, size, padded([v.keypoints for v in some]), padded([v.confidence for v in some]))
    for who, sure in groups:
        cost = far[:, who]
        if not sure:
            cost = cost - _GOES_ON * _same_tracklet(people, who, some, detections, cost.shape[-1])
        chosen = assign_each(cost, _GATE)
        k_all, n_all = np.nonzero(chosen >= 0)
        columns = chosen[k_all, n_all]
        for k, n, d in zip(k_all.tolist(), who[n_all].tolist(), columns.tolist(), strict=True):
            found[n][some[k].camera] = d
        if sure:
            far[k_all, :, columns] = np.inf                       # nobody else's any more
    return found


def _same_tracklet(people: Sequence[Person], who: NDArray[np.int64], views: Sequence[View2D], detections: Detections,
                   most: int) -> NDArray[np.bool_]:
    """(K, N, P) whether a detection, of at most P in each of K views, goes on where somebody was seen before."""
    same = np.zeros((len(views), len(who), most), bool)
    for k, view in enumerate(views):
        for i, n in enumerate(who):
            before = people[n].row.get(view.camera)
            if before is not None and before.tracklet >= 0:
                same[k, i, :len(view.keypoints)] = [d.tracklet == before.tracklet
                                                    for d in detections.people[view.camera]]
    return same


def _near(predicted: Array, kp: Array) -> NDArray[np.bool_]:
    """(K,) whether poses (K, 17, 2) px are where somebody is expected (K, 17, 2) px."""
    around, off = predicted - predicted.mean(1, keepdims=True), predicted - kp
    size = 3.4 * np.sqrt((around * around).sum((1, 2)) / 17)
    seen = np.isfinite(kp[..., 0])
    near = masked_median(np.sqrt((off * off).sum(-1)), seen) < _GATE * np.maximum(size, 20.)
    return np.where(seen.sum(1) < 4, seen.any(1), near)
