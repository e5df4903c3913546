# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Second looks: where fused people must be in a camera's image, and its 2D network did not find them."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..core.camera import Intrinsics, project
from ..core.observation import Skeleton3D, View2D
from ..core.result import Skeletons
from ..core.rig import Rig
from ..core.skeleton import JointMap
from .errors import InferenceError
from .pose2d.contract import People2D, Pose2D, SearchingPose2D, together
from .pose2d.expected import not_found
from .views import ViewNetwork

__all__ = ['NOBODY', 'ExpectedPeople', 'SecondLook', 'missed_in', 'people_in']

Array = NDArray[np.float64]

#: nobody is expected
NOBODY: Array = np.zeros((0, 17, 2))
#: people are expected where they were so long ago at most, moved on with their velocity, s
_LONGEST_S = .6
#: joints of somebody who is expected: measured by so many cameras, and so many of them inside the image
_LEAST_VIEWS, _LEAST_INSIDE = 2, 8
#: without a rig everybody is looked for in every image for so long: there mostly is one after some seconds, and where
#: there can be none, as with one camera, it is not looked for ever, s
_SEARCH_S = 20.
#: from skeletons without velocities, which are this far apart at least and at most, they are differences, s
_SHORTEST_STEP_S, _LONGEST_STEP_S = .01, .5


class ExpectedPeople:
    """Where the people of the fusion are in images to come. Any thread may ask while another one puts."""

    def __init__(self) -> None:
        self._rig: Rig | None = None
        self._wanted = False                               # there is a fusion, and it has no rig yet
        self._since = np.nan                               # stamp of the first image after that, s
        self._people: dict[int, tuple[float, Array, Array]] = {}     # by identity: stamp, joints, velocity

    def put_rig(self, rig: Rig | None, reason: str = '') -> None:
        """The rig that people are in from now on; None: there is none, for `reason`."""
        if rig is not None or not self._wanted:
            self._since = np.nan
        self._rig, self._wanted = rig, rig is None

    def forget(self) -> None:
        """There is no fusion any more: nobody is expected."""
        self._rig, self._wanted = None, False

    def put(self, people: Sequence[Skeleton3D]) -> None:
        """The people at the newest instant."""
        measured = {p.person: (p.stamp, p.joints, self._velocity(p)) for p in people
                    if p.level == 3 and p.views.max() >= _LEAST_VIEWS}
        # at another instant other cameras saw him; replaced as a whole, for others read it at any time
        newest = max((p.stamp for p in people), default=np.inf)
        self._people = {k: x for k, x in self._people.items() if abs(newest - x[0]) <= _LONGEST_S} | measured

    def at(self, camera: str, stamp: float) -> Array | None:
        """Joints (N, 17, 2) px of those who must be in an image of a camera, taken at `stamp` s; NaN = not known.

        None: anybody may be there, for the fusion has no rig yet.
        """
        rig, people = self._rig, self._people
        if rig is None and self._wanted:
            if np.isnan(self._since):
                self._since = stamp
            return None if abs(stamp - self._since) <= _SEARCH_S else NOBODY
        if rig is None or camera not in rig.cameras or not people:
            return NOBODY
        X = [x + (stamp - t) * speed for t, x, speed in people.values() if abs(stamp - t) <= _LONGEST_S]
        px = _in_image(rig, camera, np.reshape(X, (-1, 17, 3)))
        return px[np.isfinite(px).any((1, 2))]

    def _velocity(self, p: Skeleton3D) -> Array:
        velocity = p.velocity
        if not np.isfinite(velocity).any() and p.person in self._people:
            stamp, joints, _ = self._people[p.person]
            if _SHORTEST_STEP_S <= p.stamp - stamp <= _LONGEST_STEP_S:
                velocity = (p.joints - joints) / (p.stamp - stamp)
        return np.where(np.isfinite(velocity), velocity, 0.)


def people_in(network: Pose2D, joints: JointMap, image_bgr: NDArray[np.uint8], expected: Array | None) -> People2D:
    """The people in an image, with those of the expected ones (N, 17, 2) px whom only a second look finds.

    Args:
        joints: of the network.
        expected: None = anybody: it looks for more people in this image, whenever it would look for them else.

    Raises:
        InferenceError: see `Pose2D.infer`.
    """
    if expected is None and isinstance(network, SearchingPose2D):
        network.search()
    people = network.infer(image_bgr)
    if expected is not None and len(expected) and isinstance(network, SearchingPose2D):
        known = joints.apply(people.keypoints, people.confidence)
        left = not_found(expected, *known)
        if len(left):
            people = together(people, network.look_again(image_bgr, expected[left], *known))
    return people


def missed_in(views: Sequence[View2D], result: Skeletons, late_s: Mapping[str, float],
              causal: bool = False) -> dict[tuple[str, float], Array]:
    """Whom the fusion of a recording expects in its views and the 2D network did not find.

    Args:
        views: of the recording, with the stamps that they were read with.
        result: what came out of them.
        late_s: by camera: what was taken off its stamps before that, s.
        causal: expect somebody where he was at the two instants before the view; else between those around it.

    Returns:
        By camera and stamp, joints (N, 17, 2) px, NaN = not known; views that miss nobody are left out.
    """
    rig = result.rig
    if not isinstance(rig, Rig):
        return {}
    first = late_s.get(rig.cameras[0], 0.)
    out: dict[tuple[str, float], Array] = {}
    for v, camera in enumerate(rig.cameras):
        own = [view for view in views if view.camera == camera]
        stamps = np.array([view.stamp for view in own]) - first - rig.clock_offset_s[v]
        people = _in_image(rig, camera, _places(result, stamps, causal))
        for view, px in zip(own, people, strict=True):
            expected = px[np.isfinite(px).any((1, 2))]
            left = not_found(expected, view.keypoints, view.confidence) if len(expected) else ()
            if len(left):
                out[camera, view.stamp] = expected[left]
    return out


def _places(result: Skeletons, stamps: Array, causal: bool) -> Array:
    """Joints (M, P, 17, 3) m of the people of level 3 at M stamps, s; NaN where they are not known."""
    out = []
    for identity in np.unique(result.person[result.level == 3]):
        n, p = np.nonzero((result.person == identity) & (result.level == 3))
        t, x = result.stamp[n], result.joints[n, p]
        sure = t[result.views[n, p].max(-1) >= _LEAST_VIEWS]
        if len(t) < 2 or not len(sure):
            continue
        b = np.clip(np.searchsorted(t, stamps) - (1 if causal else 0), 1, len(t) - 1)
        a = b - 1
        u = ((stamps - t[a]) / (t[b] - t[a]))[:, None, None]
        known = (t[b] - t[a] <= _LONGEST_STEP_S) & (np.abs(sure - stamps[:, None]).min(1) <= _LONGEST_S)
        known &= (stamps >= t[0]) & ((stamps > t[b]) & (stamps - t[b] <= _LONGEST_S) if causal else stamps <= t[-1])
        out.append(np.where(known[:, None, None], (1 - u) * x[a] + u * x[b], np.nan))
    return np.stack(out, 1) if out else np.zeros((len(stamps), 0, 17, 3))


def _in_image(rig: Rig, camera: str, X: Array) -> Array:
    """Joints (..., 17, 3) m to (..., 17, 2) px; NaN of those who are outside the image for the most part."""
    v = rig.cameras.index(camera)
    px = project(X, rig.K[v], rig.R[v], rig.t[v], rig.distortion[v])
    with np.errstate(invalid='ignore'):
        inside = ((px >= 0) & (px < rig.image_size[v])).all(-1).sum(-1)
    return np.where((inside >= _LEAST_INSIDE)[..., None, None], px, np.nan)


class SecondLook:
    """In place of a 2D network, to read the images of a recording once more: its views with whom a second look finds.

    Args:
        make: makes a 2D network.
        views: of the first reading.
        missed: see `missed_in`.
    """

    def __init__(self, make: Callable[[], ViewNetwork], views: Sequence[View2D],
                 missed: Mapping[tuple[str, float], Array]) -> None:
        self._network, self._missed = make(), missed
        self._first = {(v.camera, v.stamp): v for v in views}
        self.joint_names = self._network.joint_names

    def view(self, camera: str, stamp: float, image_bgr: NDArray[np.uint8],
             intrinsics: Intrinsics | None = None) -> View2D:
        """The people in an image.

        Raises:
            InferenceError: the network fails, or did at the first reading.
        """
        view, expected = self._first.get((camera, stamp)), self._missed.get((camera, stamp))
        if view is None:
            raise InferenceError('the first look at this image gave nothing', place=f'camera {camera}')
        return view if expected is None else self._network.look_again(view, image_bgr, expected)

    def close(self) -> None:
        """Close the network."""
        self._network.close()
