# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Top-down 2D poses: a network looks at one person at a time, where the last image or a detector says that he is."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tensors.geometry import box_of
from .contract import People2D, no_people
from .expected import HIS_JOINTS, LESS_SURE
from .network_pose2d import FollowingPose2D

__all__ = ['TopDown']

Array = NDArray[np.float64]

#: joints that must be seen for a person; share by which the box around them is enlarged, before the padding
_FEWEST, _MARGIN = 6, .1
#: boxes of which more is common than this belong to one person; poses that are nearer, in body sizes, are one
_SAME_BOX, _SAME_POSE = .65, .12


@dataclass
class _Track:
    box: Array
    points: Array
    confidence: Array
    identity: int = -1
    depth: Array | None = None


class TopDown(FollowingPose2D[_Track]):
    """A `BatchingPose2D`: people are followed from their own joints; a detector looks for more now and then.

    min_score: mean confidence of a person's joints below which there is none.
    """

    def reset(self) -> None:
        """Forget everybody."""
        self._tracks: list[_Track] = []
        if self._search is not None:
            self._search.reset()
        self._since = self._every

    def _detector_is_next(self) -> bool:
        return self._searches(1)

    def _people_in(self, image: NDArray[np.uint8]) -> People2D:
        boxes = self._boxes(image)
        followed = len(self._tracks)
        tracks: list[_Track] = []
        for i, track in enumerate(self._looked_at(image, boxes)):
            if track is not None and not any(_same(track, other) for other in tracks):
                track.identity = self._tracks[i].identity if i < followed else -1
                tracks.append(track)
        tracks = [t for t in tracks if not any(_echoes(t, other) for other in tracks)]
        known = sum(t.identity >= 0 for t in tracks)
        if known < max(followed, len(tracks)):
            self._changed()
        self._tracks = tracks[:self._most]
        return self._given(self._tracks)

    def _look_at(self, image: NDArray[np.uint8], expected: Array) -> list[_Track | None]:
        h, w = image.shape[:2]
        boxes = [box_of(x, np.ones(len(x)), (w, h), _MARGIN, least=_FEWEST) for x in expected]
        looked_at = iter(self._looked_at(image, np.reshape([b for b in boxes if b is not None], (-1, 4))))
        return [None if box is None else next(looked_at) for box in boxes]

    def _taken(self, new: list[_Track]) -> People2D:
        new = new[:max(self._most - len(self._tracks), 0)]
        self._tracks = [*self._tracks, *new]
        return self._given(new)

    def _looked_at(self, image: NDArray[np.uint8], boxes: Array) -> list[_Track | None]:
        """Who is in each of these boxes (P, 4); None = nobody."""
        points, score, depth = self._pose.poses_in_depth(image, boxes)
        tracks = [self._person(image, points[i], score[i]) for i in range(len(boxes))]
        for i, track in enumerate(tracks):
            if track is not None and depth is not None:
                track.depth = depth[i]
        return tracks

    def _given(self, tracks: list[_Track]) -> People2D:
        """What is told of these; who has no identity gets one."""
        if not tracks:
            return no_people(len(self.joint_names))
        for track in tracks:
            if track.identity < 0:
                track.identity = self._new_identity()
        depths = [t.depth for t in tracks if t.depth is not None]
        return People2D(np.array([t.points for t in tracks]), np.array([t.confidence for t in tracks]),
                        np.array([t.identity for t in tracks]), np.array(depths) if depths else None)

    def _boxes(self, image: NDArray[np.uint8]) -> Array:
        """Where to look: (P, 4), those who are followed first."""
        h, w = image.shape[:2]
        boxes = [t.box for t in self._tracks]
        self._since += 1
        if self._search is not None and self._searches():
            self._searched()
            found = self._search.find(image)
            # the nearest first: where more are there than are followed, a crowd stays quick
            for k in np.argsort([-_area(b) for b in found.boxes], kind='stable'):
                if len(boxes) < self._most and all(_common(found.boxes[k], b) < _SAME_BOX for b in boxes):
                    if _area(found.boxes[k]) > 0:
                        boxes.append(found.boxes[k])
        elif self._search is None and not boxes:
            whole = np.array([0., 0., w - 1., h - 1.])
            # twice in the same image: the second look is at what the first one found
            points, score = self._pose.poses(image, whole[None])
            box = box_of(points[0], score[0], (w, h), _MARGIN, least=_FEWEST, threshold=self._least)
            if box is not None:                            # else the second look would find as little
                boxes.append(box)
        return np.reshape(boxes, (-1, 4))

    def _searches(self, ahead: int = 0) -> bool:
        """Whether it is time for the detector, so many images from now."""
        n = len(self._tracks)
        return not n or (self._since + ahead >= self._pause and n < self._most)

    def _person(self, image: NDArray[np.uint8], points: Array, score: Array) -> _Track | None:
        h, w = image.shape[:2]
        if np.count_nonzero(score >= self._least) < _FEWEST:
            return None
        # what is far outside is made up; what is unsure keeps its place and its low confidence
        far = .05 * max(h, w)
        sure = [min(max(s, 0.), 1.) if -far <= x <= w + far and -far <= y <= h + far else 0.
                for (x, y), s in zip(points.tolist(), score.tolist(), strict=True)]
        score = np.array(sure)
        box = box_of(points, score, (w, h), _MARGIN, least=_FEWEST, threshold=self._least)
        if box is None or _area(box) <= 0:
            return None
        return _Track(box, np.where((score > 0)[:, None], points, np.nan), score)


def _area(box: Array) -> float:
    x1, y1, x2, y2 = box.tolist()
    return float(max(x2 - x1, 0.) * max(y2 - y1, 0.))


def _common(a: Array, b: Array) -> float:
    """Intersection over union."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    inner = _area(np.r_[low, high])
    return inner / max(_area(a) + _area(b) - inner, 1e-9)


def _same(a: _Track, b: _Track) -> bool:
    """Two boxes have led to one and the same person."""
    d = np.linalg.norm(a.points - b.points, axis=-1)
    both = np.isfinite(d)
    if both.sum() < _FEWEST:
        return _common(a.box, b.box) > _SAME_BOX
    size: Any = np.sqrt(max(_area(a.box), 1.))
    return bool(np.median(d[both]) < _SAME_POSE * size)


def _echoes(a: _Track, b: _Track) -> bool:
    """The first is made of joints of the second, who is surer."""
    if a.confidence.mean() >= LESS_SURE * b.confidence.mean():
        return False
    d = np.linalg.norm(a.points - b.points, axis=-1)
    return bool((d < _SAME_POSE * np.sqrt(max(_area(b.box), 1.))).mean() >= HIS_JOINTS)
