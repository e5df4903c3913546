# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The longer it watches: rigs of one person in a room as the causal estimator has them, and steps of its world."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.estimator import Estimator, EstimatorConfig
from ..core.lifting import Lifter
from ..core.rig import Rig
from ..core.skeleton import JOINTS
from ..evaluation.rig_errors import rig_errors
from ..synthetic.clips import Truth
from ..synthetic.crowd import CrowdScene, crowd_scene
from ..synthetic.motion_capture import Motion
from .rows import Row

__all__ = ['LONGER', 'Watched', 'longer_rows']

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]

#: row group of this file; scenes, of so many seconds; times at which rigs are compared, s
LONGER, SCENES, SECONDS = ('longer',), 6, 120.
_AFTER_S = 4., 10., 30., 120.


@dataclass(frozen=True)
class Watched:
    """A scene. All arrays (R,), of the R rigs that were published one after the other.

    Attributes:
        stamp: of the first instant with it, s from the beginning.
        error, expected: mean error of the rotations between two cameras, and the root mean square of what each of the
            cameras is expected to be off, degrees.
        step: how far the cameras moved, mean, over how far they are expected to be off; NaN = in another world.
    """

    stamp: Array
    error: Array
    expected: Array
    step: Array

    def at(self, values: Array, second: float) -> float:
        """Of the rig that was there by then, NaN = none."""
        n = int(np.searchsorted(self.stamp, second, 'right'))
        return float(values[n - 1]) if n else float('nan')


def longer_rows(motion: Motion, seed: int, lifter: Lifter | None, progress: Progress, scenes: int = SCENES,
                seconds: float = SECONDS) -> tuple[list[Row], list[Watched]]:
    """Causal, rigs solved at once. progress: called with scenes done, and in all."""
    found = []
    for n in range(scenes):
        found.append(_watched(crowd_scene(motion, 1, 4, seed, 200 + n, seconds), lifter))
        progress(n + 1, scenes)
    return [*(_row(t, found) for t in _AFTER_S if t <= seconds), _step_row(found)], found


def _watched(scene: CrowdScene, lifter: Lifter | None) -> Watched:
    true, truth = scene.rig, Truth(scene.joints[:, 0], JOINTS, scene.rig.K, scene.rig.R, scene.rig.t,
                                   scene.rig.distortion)
    estimator = Estimator(EstimatorConfig(rig_solver='inline'), lifter=lifter)
    rows: list[tuple[float, float, float, float]] = []
    old: Rig | None = None
    world = 0
    try:
        for frame in scene.frames:
            estimator.update(frame)
            rig = estimator.rig
            if rig is None or set(rig.cameras) != set(true.cameras) or (old is not None and _same(rig, old)):
                continue
            at = rig.only(true.cameras)
            error = rig_errors(truth, at, list(range(len(true.cameras)))).ae
            step = np.nan
            if old is not None and world == estimator.world:
                step = float(np.linalg.norm(at.centres - old.centres, axis=1).mean() / old.centre_sigma_m.mean())
            rows.append((frame.stamp - scene.frames[0].stamp, error,
                         float(np.sqrt((at.rotation_sigma_deg[1:] ** 2).mean())), step))
            old, world = at, estimator.world
    finally:
        estimator.close()
    return Watched(*np.array(rows).reshape(-1, 4).T)


def _same(a: Rig, b: Rig) -> bool:
    """The same cameras in the same places, whatever their order."""
    return set(a.cameras) == set(b.cameras) and bool(np.array_equal(a.only(b.cameras).t, b.t))


def _row(second: float, found: Sequence[Watched]) -> Row:
    error = np.array([w.at(w.error, second) for w in found])
    expected = np.array([w.at(w.expected, second) for w in found])
    there = np.isfinite(error)
    what = f'error of the rotations between cameras after {second:g} s, mean, causal'
    if not there.any():
        return Row('longer', what, float('nan'), 'deg', f'no rig yet in any of {len(found)} scenes')
    return Row('longer', what, float(error[there].mean()), 'deg', (
        f'worst {error[there].max():.2f}, expected {expected[there].mean():.2f} deg; no rig yet in '
        f'{int((~there).sum())} of {len(found)}'))


def _step_row(found: Sequence[Watched]) -> Row:
    steps = np.concatenate([w.step for w in found])
    steps = steps[np.isfinite(steps)]
    return Row('longer', 'largest step of the cameras in one world / their expected error',
               float(steps.max()) if len(steps) else float('nan'), 'x', (
                   f'{len(steps)} steps, {int((steps > 1).sum())} above 1'))
