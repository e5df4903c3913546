# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A run of three seconds after which a rig is known, and what goes on from a copy of it."""
from __future__ import annotations

import copy
import functools
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scenes import Run, Scene, fit, run, scene, views_changed

from selfpose_ros.core.estimator import Estimator, EstimatorConfig
from selfpose_ros.core.observation import MultiView, View2D

Array = NDArray[np.float64]

FPS, HEIGHT = 15., 1.75
WARM = 45                                        # frames of three seconds, after which the rig has settled


@functools.cache
def four() -> Scene:
    """Four views of five seconds, focal lengths unknown."""
    return scene(4, 5., FPS, 1, height_m=HEIGHT)


@functools.cache
def warm() -> tuple[Estimator, Run]:
    """The first three seconds, height known."""
    e = Estimator(EstimatorConfig(person_height_m=HEIGHT))
    return e, run(four().frames[:WARM], estimator=e)


@functools.cache
def whole() -> Run:
    """All five seconds."""
    first = warm()[1]
    rest = run(four().frames[WARM:], estimator=copy.deepcopy(warm()[0]))
    return Run(first.people + rest.people, first.rigs + rest.rigs, first.status + rest.status)


def goes_on(frames: list[MultiView]) -> Run:
    """These frames after the warm-up."""
    return run(frames, estimator=copy.deepcopy(warm()[0]))


def rest(change: Any = None) -> list[MultiView]:
    """The last two seconds, each view changed by `change(view)`; None leaves it out."""
    frames = four().frames[WARM:]
    return frames if change is None else views_changed(frames, change)


def at(stamp: float) -> int:
    """Index among the last two seconds of this time."""
    return round(stamp * FPS) - WARM


def nobody(v: View2D) -> View2D:
    return replace(v, keypoints=np.zeros((0, 17, 2)), confidence=np.zeros((0, 17)), person=np.zeros(0, np.int64))


def later(frames: list[MultiView], by_s: float) -> list[MultiView]:
    return [replace(f, stamp=f.stamp + by_s, views=tuple(replace(v, stamp=v.stamp + by_s) for v in f.views))
            for f in frames]


def accuracy(r: Run, frames: list[MultiView], s: Scene, last: int) -> float:
    """Median error of the last instants, aligned, m."""
    index = [round(f.stamp * s.fps) for f in frames[-last:]]
    return fit(r.joints()[-last:], s.first[index]).median_m
