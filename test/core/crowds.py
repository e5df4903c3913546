# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A room with a rig that is known, and people in it."""
from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.association.tracklets import TrackletsByCamera
from selfpose_ros.core.model import RigModel, model_from_rig
from selfpose_ros.core.noise import NoiseModel
from selfpose_ros.core.observation import MultiView, Skeleton3D, View2D
from selfpose_ros.core.person_view import Detections
from selfpose_ros.core.rig import Rig
from selfpose_ros.core.tracks.people import REENTRY_S, People
from selfpose_ros.synthetic import frames_of, observe, ring_rig, walker

Array = NDArray[np.float64]

FPS = 15.


@functools.cache
def room() -> Rig:
    return replace(ring_rig(4, 1), rotation_sigma_deg=np.full(4, .3))


def new_people(most: int = 4, rig: Rig | None = None, reentry_s: float = REENTRY_S) -> People:
    people = People(most, reentry_s=reentry_s)
    people.model = model_from_rig(rig or room(), NoiseModel.prior(room().image_size), 3)
    return people


def feed(people: People, frames: list[MultiView]) -> list[list[Skeleton3D]]:
    out, tracklets = [], TrackletsByCamera()
    for f in frames:
        detections = Detections.of(f, tracklets.update(f))
        people.see(detections)
        out.append(people.update(detections, {}))
    return out


@functools.cache
def crossing() -> tuple[Array, list[MultiView]]:
    """Two people walk towards each other, pass at 0.35 m, and walk on: (T, 2, 17, 3)."""
    def line(a: tuple[float, float], b: tuple[float, float]) -> Array:
        return np.linspace(a, b, 50)
    X = np.stack([walker(4.5, FPS, 1, 'walk', path_m=line((-1.3, -.1), (1.3, 0.)), speed_m_s=.8),
                  walker(4.5, FPS, 2, 'walk', path_m=line((1.3, .25), (-1.3, .3)), speed_m_s=.8)], 1)
    return X, frames_of(observe(X, room(), FPS, 1))


@functools.cache
def alone() -> tuple[Array, list[MultiView]]:
    """One person, 4 s."""
    X = walker(4., FPS, 3, 'mixed')
    return X, frames_of(observe(X, room(), FPS, 3))


def nearest(s: Skeleton3D, X: Array) -> tuple[int, float]:
    """Which of the true people (P, 17, 3) it is, and the median error, m."""
    d = np.nanmedian(np.linalg.norm(s.joints - X, axis=-1), axis=-1)
    return int(d.argmin()), float(d.min())


def nobody(v: View2D) -> View2D:
    return replace(v, keypoints=np.zeros((0, 17, 2)), confidence=np.zeros((0, 17)), person=np.zeros(0, np.int64))


def between(a: float, b: float, change: Callable[[View2D], View2D | None]) -> Callable[[View2D], View2D | None]:
    return lambda v: change(v) if a < v.stamp < b else v


def other_world(model: RigModel, R: Array, t: Array) -> RigModel:
    """The same cameras with x' = R x + t as world."""
    rig = model.rig()
    turned = rig.R @ R.T
    return model_from_rig(replace(rig, R=turned, t=rig.t - turned @ t), model.noise, 3)
