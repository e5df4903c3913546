# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Rendered rooms, in which people whose ways cross are looked for by a 2D network, without topics."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..core.camera import project
from ..core.estimator import Estimator, EstimatorConfig
from ..core.noise import Accuracy
from ..core.observation import View2D
from ..core.view_buffer import ViewBuffer, ViewBufferConfig
from ..evaluation.detections import DetectionScore, Picture, score_detections
from ..inference.backend import ON_CPU
from ..inference.lifter_choice import LifterChoice
from ..inference.pose2d.contract import Pose2D
from ..inference.second_look import NOBODY, ExpectedPeople, people_in
from ..inference.views import ViewMap
from ..synthetic.views import hidden_joints
from .film import Film, make_film

__all__ = ['found_in', 'score_in_rooms']

#: of a film: images a second and camera, as the demo's with three people, and cameras
_RATE_HZ, _CAMERAS = 6., 4
#: of the fusion beside it: how long an instant waits, as fusion_node's, and how old views are when they reach it, s
_WAIT_S, _LATENCY_S = .15, .1


def score_in_rooms(make: Callable[[], Pose2D], people: int, pictures: int, seed: int,
                   progress: Callable[[str, int, int], None] | None = None, workers: int | None = None,
                   size: tuple[int, int] = (640, 480), far: float = 1., accuracy: Accuracy | None = None,
                   bins: int = 8, fused: bool = False) -> DetectionScore:
    """What a network finds in a film of people whose ways cross.

    Args:
        make: a new network for one camera.
        people: 1 to 4.  pictures: at least, of four cameras together.  seed: of ways, cameras and noise.
        progress: called with (what, done, total).  workers: processes that render; None = one per core.
        size: (w, h) px of a picture; people get smaller with it.
        far: factor on the cameras' distances; people get smaller in the same picture.
        accuracy, bins: see `score_detections`.
        fused: it looks again where the fusion of the cameras expects somebody, as live.

    Raises:
        DemoError: numbers out of range.
        InferenceError: the network cannot look.
    """
    film = make_film(_CAMERAS, max(pictures / _CAMERAS / _RATE_HZ, 1.), seed, _RATE_HZ, size, progress, workers, people,
                     far)
    return score_detections(found_in(film, make, progress, fused), accuracy, bins)


def found_in(film: Film, make: Callable[[], Pose2D], progress: Callable[[str, int, int], None] | None = None,
             fused: bool = False) -> Iterator[Picture]:
    """Every image of a film, with who is there and who is found; each camera has a network of its own, as live.

    fused: see `score_in_rooms`.
    """
    networks = [make() for _ in film.rig.cameras]
    views = ViewMap.of(networks[0])
    fusion = _Fusion() if fused else None
    try:
        for i, (t, v) in enumerate(zip(film.time_s.tolist(), film.camera.tolist(), strict=True)):
            true, visible = _seen(film, np.stack([p.at(t) for p in film.people])[None], v)
            image, camera = film.image(i), film.rig.cameras[v]
            expected = NOBODY if fusion is None else fusion.expected(camera, t)
            people = people_in(networks[v], views.joints, image, expected)
            yield Picture(true, visible, *views.joints.apply(people.keypoints, people.confidence))
            if fusion is not None:
                fusion.add(views.view(people, camera, t, (image.shape[1], image.shape[0])))
            if progress is not None:
                progress('looking', i + 1, len(film.jpeg))
    finally:
        for network in networks:
            network.close()
        if fusion is not None:
            fusion.close()


class _Fusion:
    """What fusion_node does, in this thread: views come to it, and people from it, a little later."""

    def __init__(self) -> None:
        self._estimator = Estimator(EstimatorConfig(rig_solver='inline'), lifter=LifterChoice('auto', ON_CPU).open())
        self._buffer = ViewBuffer(ViewBufferConfig(max_wait_s=_WAIT_S))
        self._people = ExpectedPeople()
        self._people.put_rig(None)
        self._under_way: deque[View2D] = deque()

    def add(self, view: View2D) -> None:
        self._under_way.append(view)

    def expected(self, camera: str, stamp: float) -> NDArray[np.float64] | None:
        """See `ExpectedPeople.at`."""
        while self._under_way and self._under_way[0].stamp <= stamp - _LATENCY_S:
            for instant in self._buffer.add(self._under_way.popleft()):
                people = self._estimator.update(instant)
                self._people.put_rig(self._estimator.rig)
                self._people.put(people)
        return self._people.at(camera, stamp)

    def close(self) -> None:
        self._estimator.close()


def _seen(film: Film, X: NDArray[np.float64], v: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Joints (P, 17, 2) px of people X (1, P, 17, 3) in a camera, and which of them are inside and behind nobody."""
    rig = film.rig
    px = project(X, rig.K[v], rig.R[v], rig.t[v])
    with np.errstate(invalid='ignore'):
        inside = (px >= 0).all(-1) & (px < rig.image_size[v]).all(-1)
    return px[0], (inside & ~hidden_joints(X, px, rig, v))[0]
