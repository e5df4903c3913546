# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How a tick grows with people and with views: at level 3, with a rig that is known, so that nothing is solved."""
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.estimator import Estimator, EstimatorConfig
from ..core.lifting import Lifter
from ..core.observation import MultiView
from ..core.rig import Rig
from ..synthetic import frames_of, observe, ring_rig, walker
from .rows import Row

__all__ = ['Growth', 'crowd_of', 'growth_row', 'measure']

Array = NDArray[np.float64]

#: numbers of people before `VIEWS` cameras, and of cameras with `PEOPLE` people
MANY_PEOPLE, MANY_VIEWS = (1, 2, 3, 4, 6, 8, 10), (2, 3, 4, 6, 8, 12, 16)
PEOPLE, VIEWS = 6, 8
_FPS, _SECONDS, _SEED = 30., 6., 3
#: footage before the first tick that counts, s
_WARM_S = 2.
#: people stand on a grid of this width, m
_APART_M = 1.1


@dataclass(frozen=True)
class Growth:
    """Medians of ticks, s of one core, by number of people (with `VIEWS` views) and of views (with `PEOPLE` people);
    `found`: mean number of people in the results of each.
    """

    people: dict[int, float]
    views: dict[int, float]
    found: dict[tuple[int, int], float]


def crowd_of(people: int, views: int, seconds: float = _SECONDS, fps: float = _FPS) -> tuple[list[MultiView], Rig]:
    """People who walk and exercise, each on a place of his own, and the cameras around them."""
    side = int(np.ceil(np.sqrt(people)))
    place = _APART_M * (np.arange(side) - (side - 1) / 2)
    starts = [(float(place[p % side]), float(place[p // side])) for p in range(people)]
    X = np.stack([walker(seconds, fps, seed=_SEED + p, start=start, style='exercise')
                  for p, start in enumerate(starts)], 1)
    rig = ring_rig(views, _SEED, distance_m=(5., 7.), height_m=(1.5, 2.8), focal_px=(500., 1100.),
                   room_radius_m=.7 * side * _APART_M + .3)
    return frames_of(observe(X, rig, fps, _SEED)), rig


def measure(frames: Sequence[MultiView], rig: Rig, people: int, lifter: Lifter | None) -> tuple[Array, float]:
    """Times of single updates at level 3 on one core, s, and the mean number of people in their results."""
    estimator = Estimator(EstimatorConfig(max_people=people, solve_first_s=np.inf), rig=rig, lifter=lifter)
    took, found = [], []
    for frame in frames:
        start = time.thread_time()
        people_now = estimator.update(frame)
        end = time.thread_time()
        if estimator.rig is not None and people_now and frame.stamp - frames[0].stamp >= _WARM_S:
            took.append(end - start)
            found.append(len(people_now))
    return np.array(took), float(np.mean(found)) if found else 0.


def growth_row(lifter: Lifter | None, progress: Callable[[int, int], None]) -> tuple[Row, Growth]:
    """The row, and what is drawn. progress: called with scenes done, and in all."""
    todo = sorted({(p, VIEWS) for p in MANY_PEOPLE} | {(PEOPLE, v) for v in MANY_VIEWS})
    median, found = {}, {}
    for done, (people, views) in enumerate(todo):
        progress(done, len(todo))
        took, found[people, views] = measure(*crowd_of(people, views), people, lifter)
        median[people, views] = float(np.median(took)) if len(took) else float('nan')
    g = Growth({p: median[p, VIEWS] for p in MANY_PEOPLE}, {v: median[PEOPLE, v] for v in MANY_VIEWS}, found)
    by_people, by_views = (', '.join(f'{n}: {1e3 * t:.1f}' for n, t in x.items()) for x in (g.people, g.views))
    return Row('growth', f'tick at level 3, {VIEWS} views, {PEOPLE} people', 1e3 * median[PEOPLE, VIEWS], 'ms', (
        f'{found[PEOPLE, VIEWS]:.1f} people found; by people ({VIEWS} views) {by_people}; by views ({PEOPLE} people) '
        f'{by_views}')), g
