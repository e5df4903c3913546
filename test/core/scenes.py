# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Scenes with a known truth, and how far an estimate is from it."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core import rotation
from selfpose_ros.core.camera import project
from selfpose_ros.core.estimator import Estimator, EstimatorConfig
from selfpose_ros.core.health import EstimatorStatus
from selfpose_ros.core.history import History
from selfpose_ros.core.observation import MultiView, Skeleton3D, View2D
from selfpose_ros.core.person_view import Detections
from selfpose_ros.core.rig import Rig
from selfpose_ros.core.rig.solver import Tracks
from selfpose_ros.synthetic import frames_of, observe, ring_rig, walker

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """Truth and what the cameras make of it: joints (T, 17, 3) or (T, P, 17, 3) m at i / fps."""

    rig: Rig
    joints: Array
    fps: float
    frames: list[MultiView]

    @property
    def first(self) -> Array:
        """(T, 17, 3) m of the first person."""
        return self.joints if self.joints.ndim == 3 else self.joints[:, 0]


def scene(cameras: int = 4, seconds: float = 4., fps: float = 15., seed: int = 1, style: str = 'mixed', *,
          rig: Rig | None = None, joints: Array | None = None, height_m: float = 1.75, **detector: Any) -> Scene:
    """A person in a ring of cameras, 2D with the synthetic detector's usual faults unless told otherwise."""
    rig = rig or ring_rig(cameras, seed)
    X = walker(seconds, fps, seed, style, height_m) if joints is None else joints
    return Scene(rig, X, fps, frames_of(observe(X, rig, fps, seed, **detector)))


#: a detector without any fault
EXACT = {'noise_px': 0., 'outliers': 0., 'swap': 0.}


def tracks_of(frames: Iterable[MultiView]) -> Tracks:
    """The only person's 2D as the solver wants it."""
    history = History(100000)
    for f in frames:
        history.add(f.stamp, Detections.of(f).first())
    return history.tracks()


def views_changed(frames: Sequence[MultiView], change: Any) -> list[MultiView]:
    """`change(view)` in the place of every view; None leaves the view out."""
    out = []
    for f in frames:
        views = [change(v) for v in f.views]
        out.append(replace(f, views=tuple(v for v in views if v is not None)))
    return out


def altered(view: View2D, keypoints: Array | None = None, confidence: Array | None = None, **more: Any) -> View2D:
    """A view with other joints."""
    kp = view.keypoints if keypoints is None else keypoints
    return replace(view, keypoints=kp, confidence=view.confidence if confidence is None else confidence, **more)


def rotation_errors(R: Array, true_R: Array) -> Array:
    """(V,) degrees, of rotations relative to the first camera."""
    return np.asarray(rotation.angle_deg(R @ R[0].T, true_R @ true_R[0].T))


def rig_error_deg(rig: Rig, truth: Rig) -> float:
    """Worst relative rotation, degrees."""
    i = [truth.cameras.index(c) for c in rig.cameras]
    return float(rotation_errors(rig.R, truth.R[i]).max())


@dataclass(frozen=True)
class Fit:
    """Best similarity truth = s R estimate + t, and what it leaves: errors (N, 17) m, NaN where unknown."""

    scale: float
    R: Array
    t: Array
    errors: Array

    @property
    def tilt_deg(self) -> float:
        """Angle between the estimate's up and the true one."""
        return float(np.rad2deg(np.arccos(np.clip(self.R[2, 2], -1, 1))))

    @property
    def median_m(self) -> float:
        return float(np.nanmedian(self.errors))


def fit(estimate: Array, truth: Array) -> Fit:
    """Align (N, 17, 3) with the truth."""
    known = np.isfinite(estimate).all(-1)
    s, R, t = rotation.similarity_alignment(estimate[known], truth[known])
    return Fit(s, R, t, np.linalg.norm(s * estimate @ R.T + t - truth, axis=-1))


@dataclass(frozen=True)
class Run:
    """What an estimator said at every instant."""

    people: list[list[Skeleton3D]]
    rigs: list[Rig | None]
    status: list[EstimatorStatus]

    @property
    def rig(self) -> Rig | None:
        return self.rigs[-1]

    def level(self) -> NDArray[np.int64]:
        """(T,) best level."""
        return np.array([max((p.level for p in o), default=0) for o in self.people])

    def joints(self, index: int = 0) -> Array:
        """(T, 17, 3) m of the first person told of, NaN where nobody."""
        return np.stack([o[index].joints if len(o) > index else np.full((17, 3), np.nan) for o in self.people])

    def sigma(self, index: int = 0) -> Array:
        """(T, 17) m."""
        return np.stack([o[index].sigma if len(o) > index else np.full(17, np.nan) for o in self.people])


def run(frames: Iterable[MultiView], config: EstimatorConfig | None = None, *, rig: Rig | None = None,
        estimator: Estimator | None = None) -> Run:
    """Feed an estimator."""
    e = estimator or Estimator(config, rig=rig)
    people, rigs, status = [], [], []
    for f in frames:
        people.append(e.update(f))
        rigs.append(e.rig)
        status.append(e.status)
    return Run(people, rigs, status)


def rays_of(X: Array, rig: Rig) -> Array:
    """(N, V, J, 2) normalised image coordinates of (N, J, 3)."""
    px = np.stack([project(X, rig.K[v], rig.R[v], rig.t[v]) for v in range(len(rig.cameras))], 1)
    return (px - rig.K[:, None, :2, 2]) / rig.K[:, 0, 0, None, None]


def of_cameras(rig: Rig, index: list[int]) -> Rig:
    names = tuple(f'c{k}' for k in range(len(index)))
    return Rig(names, rig.K[index], rig.distortion[index], rig.image_size[index], rig.R[index], rig.t[index], 1.)


def joints_of(people: Iterable[Sequence[Skeleton3D]]) -> Array:
    """(N, 17, 3) of the first person at each instant; NaN = nobody."""
    return np.stack([o[0].joints if o else np.full((17, 3), np.nan) for o in people])
