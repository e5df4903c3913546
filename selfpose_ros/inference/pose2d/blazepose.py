# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""BlazePose for several people: a detector finds them, a landmark network follows each from its own landmarks."""
from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.skeleton import JOINTS
from ..errors import InputError
from ..tensors.decode import blazepose as blazepose_decode
from ..tensors.geometry import Placement
from .contract import People2D, no_people
from .network import VisionNetwork
from .network_pose2d import FollowingPose2D
from .outside import faded_outside

__all__ = ['BlazePose']

Array = NDArray[np.float64]
#: hips that are nearer than this share of the circle around the body belong to one person, and so do joints whose
#: median distance is less than this share of it
_SAME_HIPS, _SAME_POSE = .3, .15
#: somebody who is followed gives way only to one who is larger by this factor
_KEPT = 1.2
#: of the One Euro filter (Casiez et al. 2012) on circles: least cutoff in Hz, its rise in Hz for a speed of one
#: diameter a second, cutoff for speeds in Hz, and images a second, whatever the camera's rate: as BlazePose's graph
_CUTOFF, _RISE, _SPEED_CUTOFF, _RATE = .01, 10., 1., 30.
#: px, how far the network's points lie from pixel centres: it counts from the image's edge
_EDGE = .5
#: pelvis and thorax, from which an expected person's circle is made; how much further than his joints it goes
_CIRCLE, _REACH = [JOINTS.index('pelvis'), JOINTS.index('thorax')], 1.1
#: a circle of more than so many images' longer sides is none
_LARGEST = 4.


@dataclass
class _Person:
    """Somebody who is looked at.

    Attributes:
        circle: (2, 2) px, middle of the hips and top of the circle around the body: where to look.
        raw, speed: (2, 2), the circle as it was seen last, px, and its smoothed speed in diameters a second.
        identity: -1 = found in this image.
        points, confidence: (33, 2) px and (33,), of the last image.
    """

    circle: Array
    identity: int = -1
    points: Array | None = None
    confidence: Array | None = None
    raw: Array | None = None
    speed: Array | None = None

    def look_next(self, raw: Array) -> tuple[Array, Array]:
        """Circle and speed after one that was seen at `raw`. Where to look is steadied, what is seen there is not."""
        if self.raw is None or self.speed is None:
            return raw, np.zeros((2, 2))
        diameter = max(2 * float(np.hypot(*(raw[1] - raw[0]))), 1e-6)
        speed = self.speed + _share(_SPEED_CUTOFF) * ((raw - self.raw) / diameter * _RATE - self.speed)
        return self.circle + _share(_CUTOFF + _RISE * np.abs(speed)) * (raw - self.circle), speed

    @property
    def radius(self) -> float:
        return float(np.hypot(*(self.circle[1] - self.circle[0])))


class BlazePose(FollowingPose2D[_Person]):
    """A `BatchingPose2D`: 33 joints of several people, the nearest first. Nothing is smoothed over time.

    Each person is followed from the landmarks of the last image. The detector looks in every image in which nobody is
    followed, or the last one was lost, and for more people in every so many images.

    pose: of the family blazepose; detector: of blazepose_detector; min_score: of a person's presence.
    """

    @staticmethod
    def _check_detector(detector: VisionNetwork) -> None:
        if detector.vision.family != 'blazepose_detector':
            raise InputError(f'is a {detector.vision.family}, which does not tell where the hips of a person are',
                             'name a model of family blazepose_detector', place=detector.model.folder)

    def reset(self) -> None:
        """Forget everybody."""
        self._people: list[_Person] = []
        if self._search is not None:
            self._search.reset()
        self._since = self._every

    def _detector_is_next(self) -> bool:
        return not self._people

    def _people_in(self, image: NDArray[np.uint8]) -> People2D:
        self._since += 1
        # nobody to follow; or it is time to look for more, which one who is alone in being wanted need not
        followed = len(self._people)
        searched = not self._people or (self._since >= self._pause and self._most > 1)
        people = self._looked_at(image, self._nearest(self._people + (self._found(image) if searched else [])))
        if not people and not searched:
            # lost where he was looked for: the whole of the same image is searched
            people = self._looked_at(image, self._nearest(self._found(image)))
        known = sum(p.identity >= 0 for p in people)
        if len(people) < self._most and known < max(followed, len(people)):
            self._changed()
        self._people = sorted(people, key=lambda p: -p.radius)
        return self._given(self._people)

    def _look_at(self, image: NDArray[np.uint8], expected: Array) -> list[_Person | None]:
        known = np.isfinite(expected[:, _CIRCLE]).all((1, 2))
        circles = [[_Person(_circle(x))] if k else [] for x, k in zip(expected, known, strict=True)]
        return [next(iter(self._looked_at(image, c)), None) for c in circles]

    def _taken(self, new: list[_Person]) -> People2D:
        new = new[:max(self._most - len(self._people), 0)]
        self._people = sorted([*self._people, *new], key=lambda p: -p.radius)
        return self._given(new)

    def _given(self, people: list[_Person]) -> People2D:
        """What is told of these; who has no identity gets one."""
        for person in people:
            if person.identity < 0:
                person.identity = self._new_identity()
        given = [(p.points, p.confidence, p.identity) for p in people]
        if not given:
            return no_people(len(self.joint_names))
        points, confidence, identity = zip(*given, strict=True)
        return People2D(np.array(points), np.array(confidence), np.array(identity))

    def _nearest(self, people: list[_Person]) -> list[_Person]:
        """As many as are followed, the largest first."""
        return sorted(people, key=lambda p: -p.radius * (_KEPT if p.identity >= 0 else 1.))[:self._most]

    def _found(self, image: NDArray[np.uint8]) -> list[_Person]:
        """Who is there, by the detector, and is not followed."""
        self._searched()
        h, w = image.shape[:2]
        if self._search is None:
            # as if hips were in the middle: the second look is at what the first one found
            whole = _Person(np.array([[(w - 1) / 2, (h - 1) / 2], [(w - 1) / 2, (h - 1) / 2 - max(w, h) / 2]]))
            return self._looked_at(image, [whole])
        found = self._search.find(image)
        points = np.zeros((0, 4, 2)) if found.points is None else found.points
        new: list[_Person] = []
        for k in np.argsort(-found.score, kind='stable'):
            person = _Person(points[k, :2])
            if all(_apart(person, other) for other in self._people + new):
                new.append(person)
        return new

    def _looked_at(self, image: NDArray[np.uint8], people: list[_Person]) -> list[_Person]:
        """Those of these people who are really there, with their joints and the circles of the next image."""
        places = [self._place(image, p) for p in people]
        asked = [(p, place) for p, place in zip(people, places, strict=True) if place is not None]
        if not asked:
            return []
        h, w = image.shape[:2]
        tensors = self._pose.tensors(image, [place for _, place in asked])
        points, score, presence, circle = blazepose_decode.landmarks(
            tensors['landmarks'], tensors['presence'], tensors['heatmap'], self._pose.vision.size)
        there: list[_Person] = []
        for i, (person, place) in enumerate(asked):
            if presence[i] < self._least:
                continue
            joints, confidence = faded_outside(place.to_image(points[i]) - _EDGE, score[i], (w, h))
            raw = place.to_image(circle[i])
            steady, speed = person.look_next(raw)
            seen = _Person(steady, person.identity, joints, confidence, raw, speed)
            if confidence.any() and not any(_same(seen, other) for other in there):
                there.append(seen)
        return there

    def _place(self, image: NDArray[np.uint8], person: _Person) -> Placement | None:
        """Where a person goes in the network's image; None = nowhere: too small, too large, or beside the image."""
        h, w = image.shape[:2]
        (x, y), radius = person.circle[0].tolist(), person.radius
        if not (-radius < x < w + radius and -radius < y < h + radius and radius < _LARGEST * max(w, h)):
            return None
        vision = self._pose.vision
        return blazepose_decode.region(person.circle[0], person.circle[1], vision.size, vision.padding)


def _circle(joints: Array) -> Array:
    """(2, 2) px, middle of the hips and top of the circle around somebody's joints (17, 2) px, head and feet within."""
    hips, thorax = joints[_CIRCLE]
    reach = _REACH * float(np.nanmax(np.linalg.norm(joints - hips, axis=-1)))
    up = thorax - hips
    return np.array([hips, hips + up * (reach / max(float(np.hypot(*up)), 1e-6))])


def _share(cutoff: Any) -> Any:
    """Of the newest value in a low-pass filter of this cutoff in Hz."""
    return 1 / (1 + _RATE / (2 * pi * cutoff))


def _apart(a: _Person, b: _Person) -> bool:
    """Two circles are of two people."""
    return bool(np.hypot(*(a.circle[0] - b.circle[0])) >= _SAME_HIPS * min(a.radius, b.radius))


def _same(a: _Person, b: _Person) -> bool:
    """Two circles have led to one and the same person."""
    if a.points is None or b.points is None:
        return False
    d = np.linalg.norm(a.points - b.points, axis=-1)
    return bool(np.isfinite(d).any() and np.nanmedian(d) < _SAME_POSE * min(a.radius, b.radius))
