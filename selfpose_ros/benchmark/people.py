# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Several people: scenes of a room through the estimator, and what tracking figures come out."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..core.causal import estimate_causally
from ..core.config import EstimatorConfig
from ..core.lifting import Lifter
from ..core.observation import Skeleton3D
from ..core.offline import reconstruct_offline
from ..core.result import Skeletons
from ..core.rig import NotSolved, Rig
from ..core.skeleton import JOINTS
from ..evaluation.people import PeopleScore, PeopleTruth, people_score, people_summary
from ..evaluation.rig_errors import rig_errors
from ..evaluation.true_rig import with_true_rig
from ..synthetic.clips import Truth
from ..synthetic.crowd import CrowdScene, crowd_scene
from ..synthetic.motion_capture import Motion
from ..synthetic.scripted import SCRIPTS, scripted_scene
from .rows import Row

__all__ = ['PEOPLE', 'people_rows']

#: numbers of people; scenes of each, and of each script
PEOPLE, SCENES, SCRIPTED = (2, 3, 5), 5, 3
_VIEWS, _GOOD_DEG, _MOST = 4, 3., 8


@dataclass(frozen=True)
class _Result:
    score: PeopleScore
    rotation_deg: float


def people_rows(motion: Motion, seed: int, lifter: Lifter | None, progress: Callable[[int, int], None],
                scenes: int = SCENES, scripted: int = SCRIPTED) -> Iterator[Row]:
    """Rows for every script (causal, the whole scene), and for every number of people: with the true rig, causal from
    level 3 on, off line.

    progress: called with scenes done, and in all.
    """
    ways = {'true rig': _true, 'causal': _causal, 'off line': _offline}
    done, total = 0, len(PEOPLE) * scenes * len(ways) + len(SCRIPTS) * scripted
    for script in SCRIPTS:
        found = []
        for n in range(scripted):
            scene = scripted_scene(motion, script, _VIEWS, seed, n)
            found.append(_judged(scene, _causal(scene, lifter), False))
            done += 1
            progress(done, total)
        yield from _rows(f'{script}, causal', found)
    for people in PEOPLE:
        some = [crowd_scene(motion, people, _VIEWS, seed, n) for n in range(scenes)]
        for name, way in ways.items():
            found = []
            for scene in some:
                found.append(_judged(scene, way(scene, lifter), name != 'off line'))
                done += 1
                progress(done, total)
            yield from _rows(f'{people} people, {name}', found)


def _rows(what: str, found: list[_Result]) -> Iterator[Row]:
    s = people_summary([r.score for r in found])
    good = [r.rotation_deg < _GOOD_DEG for r in found]
    yield Row('people', f'{what}: found of those there', s['recall'] / 100, '%', (
        f'precision {s["precision"]:.1f}, MOTA {s["mota"]:.1f}, IDF1 {s["idf1"]:.1f}, HOTA {s["hota"]:.1f} %; '
        f'{s["mpjpe"]:.0f} mm, an alignment a frame {s["pa"]:.0f} mm'))
    yield Row('people', f'{what}: identity switches', s['switches'], '', (
        f'each person and minute; rig below {_GOOD_DEG:g} degrees in {100 * float(np.mean(good)):.0f} % of '
        f'{len(found)} scenes, level 3 after {s["level3_s"]:.1f} s'))


def _config() -> EstimatorConfig:
    return EstimatorConfig(max_people=_MOST)


def _result(scene: CrowdScene, people: list[list[Skeleton3D]], rig: Rig | NotSolved) -> Skeletons:
    return Skeletons.of([f.stamp for f in scene.frames], people, scene.rig.cameras, rig)


def _true(scene: CrowdScene, lifter: Lifter | None) -> Skeletons:
    return with_true_rig(scene.frames, scene.rig, _config(), lifter)


def _causal(scene: CrowdScene, lifter: Lifter | None) -> Skeletons:
    return _result(scene, *estimate_causally(scene.frames, _config(), lifter=lifter))


def _offline(scene: CrowdScene, lifter: Lifter | None) -> Skeletons:
    return _result(scene, *reconstruct_offline(scene.frames, _config(), lifter=lifter))


def _judged(scene: CrowdScene, result: Skeletons, trusted: bool) -> _Result:
    truth = PeopleTruth(scene.stamp, scene.joints, JOINTS, scene.visible)
    rig, true = result.rig, scene.rig
    rotation = np.inf
    if isinstance(rig, Rig) and set(rig.cameras) == set(true.cameras):
        cameras = Truth(scene.joints[:, 0], JOINTS, true.K, true.R, true.t)
        rotation = rig_errors(cameras, rig, [rig.cameras.index(c) for c in true.cameras]).rot
    return _Result(people_score(truth, result, trusted), rotation)
