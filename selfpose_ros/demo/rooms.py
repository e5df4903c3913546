# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Rendered rooms, in which people whose ways cross are looked for by a 2D network, without topics."""
from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..core.camera import project
from ..core.noise import Accuracy
from ..core.skeleton import joint_map
from ..evaluation.detections import DetectionScore, Picture, score_detections
from ..inference.pose2d.contract import Pose2D
from ..synthetic.views import hidden_joints
from .film import Film, make_film

__all__ = ['found_in', 'score_in_rooms']

#: of a film: images a second and camera, as the demo's with three people, and cameras
_RATE_HZ, _CAMERAS = 6., 4


def score_in_rooms(make: Callable[[], Pose2D], people: int, pictures: int, seed: int,
                   progress: Callable[[str, int, int], None] | None = None, workers: int | None = None,
                   size: tuple[int, int] = (640, 480), far: float = 1., accuracy: Accuracy | None = None,
                   bins: int = 8) -> DetectionScore:
    """What a network finds in a film of people whose ways cross.

    Args:
        make: a new network for one camera.
        people: 1 to 4.  pictures: at least, of four cameras together.  seed: of ways, cameras and noise.
        progress: called with (what, done, total).  workers: processes that render; None = one per core.
        size: (w, h) px of a picture; people get smaller with it.
        far: factor on the cameras' distances; people get smaller in the same picture.
        accuracy, bins: see `score_detections`.

    Raises:
        DemoError: numbers out of range.
        InferenceError: the network cannot look.
    """
    film = make_film(_CAMERAS, max(pictures / _CAMERAS / _RATE_HZ, 1.), seed, _RATE_HZ, size, progress, workers, people,
                     far)
    return score_detections(found_in(film, make, progress), accuracy, bins)


def found_in(film: Film, make: Callable[[], Pose2D],
             progress: Callable[[str, int, int], None] | None = None) -> Iterator[Picture]:
    """Every image of a film, with who is there and who is found; each camera has a network of its own, as live."""
    networks = [make() for _ in film.rig.cameras]
    joints = joint_map(networks[0].joint_names)
    try:
        for i, (t, v) in enumerate(zip(film.time_s, film.camera, strict=True)):
            X = np.stack([p.at(float(t)) for p in film.people])[None]
            true, visible = _seen(film, X, int(v))
            people = networks[v].infer(film.image(i))
            found, confidence = joints.apply(people.keypoints, people.confidence)
            yield Picture(true, visible, found, confidence)
            if progress is not None:
                progress('looking', i + 1, len(film.jpeg))
    finally:
        for network in networks:
            network.close()


def _seen(film: Film, X: NDArray[np.float64], v: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Joints (P, 17, 2) px of people X (1, P, 17, 3) in a camera, and which of them are inside and behind nobody."""
    rig = film.rig
    px = project(X, rig.K[v], rig.R[v], rig.t[v])
    with np.errstate(invalid='ignore'):
        inside = (px >= 0).all(-1) & (px < rig.image_size[v]).all(-1)
    return px[0], (inside & ~hidden_joints(X, px, rig, v))[0]
