# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One person in one view: made once of every detection, undistorted once, and carried to all who use it."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .camera import Intrinsics, undistort
from .noise import Accuracy
from .observation import MultiView, View2D

__all__ = ['Detections', 'Lenses', 'Lifted', 'PersonView', 'Row', 'through']

Array = NDArray[np.float64]
#: joints (17, 3) and sigma (17,) of one view as `lifting.lift` gives them
Lifted = tuple[Array, Array]


@dataclass(frozen=True, eq=False)
class PersonView:
    """One detection. Two are equal only if they are the same object; see `same`.

    Attributes:
        camera: its name.  stamp: acquisition time, s.  index: of the detection in its view.
        keypoints: (17, 2) px of a camera without distortion, with square pixels (`camera.undistort`); NaN = not seen.
        confidence: (17,) in 0..1; 0 where the joint is NaN.
        image_size: (w, h) px.  intrinsics: known ones, or None.
        tracklet: number that a camera's tracker gave, never used twice in one camera; -1 = none.
        depth, depth_sigma: (17,) as in `View2D`; None: the 2D network gives no depths.
        lifted: what a lifter made of it; None: it was not asked, or the view is carried without (`LiftedViews`).
        given: (17, 2) px as solving a rig needs them: without the distortion that is known from elsewhere, with the one
            that a rig has found; None = as `keypoints`.
        accuracy: of the confidences, as in `View2D`.
    """

    camera: str
    stamp: float
    index: int
    keypoints: Array
    confidence: Array
    image_size: tuple[int, int]
    intrinsics: Intrinsics | None = None
    tracklet: int = -1
    depth: Array | None = None
    depth_sigma: Array | None = None
    lifted: Lifted | None = None
    given: Array | None = None
    accuracy: Accuracy | None = None

    @property
    def raw(self) -> Array:
        """(17, 2) px with the distortion that a rig has found, see `given`."""
        return self.keypoints if self.given is None else self.given

    def through(self, lens: Intrinsics | None) -> PersonView:
        """The same detection, undistorted by the lens that a rig has found; None = it has none."""
        if self.intrinsics is not None or (lens is None and self.given is None):
            return self
        ideal = undistort(self.raw, lens)
        return replace(self, keypoints=ideal, given=self.raw,
                       confidence=np.where(np.isfinite(ideal[:, 0]), self.confidence, 0.))

    def same(self, other: PersonView) -> bool:
        """Whether both are of one detection."""
        return (self.camera, self.stamp, self.index) == (other.camera, other.stamp, other.index)

    @property
    def seen(self) -> int:
        """Number of joints that are seen."""
        return int(np.count_nonzero(self.confidence > 0))


#: the views of one person at one instant, by camera
Row = Mapping[str, PersonView]
#: lenses that a rig has found, by camera
Lenses = Mapping[str, Intrinsics]


def through(row: Row, lenses: Lenses) -> dict[str, PersonView]:
    """The views of one person, undistorted by the lenses of a rig."""
    return {c: v.through(lenses.get(c)) for c, v in row.items()}


@dataclass(frozen=True)
class Detections:
    """Everybody in every view of one instant.

    Attributes:
        stamp: the instant, s.
        views: in the order of the observation; undistorted pixels, without intrinsics.
        people: by camera, in the order of the view.
    """

    stamp: float
    views: tuple[View2D, ...]
    people: Mapping[str, tuple[PersonView, ...]]

    @classmethod
    def of(cls, observation: MultiView, tracklets: Mapping[str, NDArray[np.int64]] | None = None,
           lenses: Lenses | None = None) -> Detections:
        """Undistorted views of an observation.

        Args:
            tracklets: by camera (P,), the number of each detection's tracklet; None: none are known.
            lenses: that a rig has found: of cameras that come without intrinsics.
        """
        found = lenses or {}
        views = tuple(_undistorted(v, found.get(v.camera)) for v in observation.views)
        people = {}
        for seen, ideal in zip(observation.views, views, strict=True):
            numbers = (tracklets or {}).get(seen.camera)
            people[seen.camera] = tuple(PersonView(
                seen.camera, seen.stamp, k, ideal.keypoints[k], ideal.confidence[k], seen.image_size, seen.intrinsics,
                -1 if numbers is None else int(numbers[k]),
                None if seen.depth is None else seen.depth[k],
                None if seen.depth_sigma is None else seen.depth_sigma[k],
                given=seen.keypoints[k] if seen.intrinsics is None and seen.camera in found else None,
                accuracy=seen.accuracy)
                for k in range(len(seen.keypoints)))
        return cls(observation.stamp, views, people)

    def __iter__(self) -> Iterator[PersonView]:
        return (p for people in self.people.values() for p in people)

    def through(self, lenses: Lenses) -> Detections:
        """The same detections, undistorted by the lenses of another rig."""
        people = {c: tuple(p.through(lenses.get(c)) for p in some) for c, some in self.people.items()}
        views = tuple(replace(v, keypoints=np.array([p.keypoints for p in people[v.camera]]),
                              confidence=np.array([p.confidence for p in people[v.camera]])) for v in self.views)
        return Detections(self.stamp, views, people)

    def row(self, index: Mapping[str, int]) -> dict[str, PersonView]:
        """The views of one person, from the index of the detection in each camera; cameras that are not here are
        left out.
        """
        return {c: people[index[c]] for c, people in self.people.items() if c in index}

    def first(self) -> dict[str, PersonView]:
        """The first detection of every view that has one: the views of somebody who is alone."""
        return {c: people[0] for c, people in self.people.items() if people}


def _undistorted(view: View2D, found: Intrinsics | None) -> View2D:
    lens = view.intrinsics or found
    if lens is None:
        return view
    return View2D(view.camera, view.stamp, undistort(view.keypoints, lens), view.confidence, view.image_size,
                  view.person)
