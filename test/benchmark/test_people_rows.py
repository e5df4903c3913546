# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The rows of several people: a perfect result is perfect, one of nobody is not."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.benchmark import people as measured
from selfpose_ros.benchmark.errors import BenchmarkError
from selfpose_ros.benchmark.run import ROWS, Options, wanted
from selfpose_ros.core.observation import Skeleton3D
from selfpose_ros.core.rig import NotSolved
from selfpose_ros.synthetic.crowd import CrowdScene, crowd_scene
from selfpose_ros.synthetic.motion_capture import Motion
from selfpose_ros.synthetic.scripted import scripted_scene


def perfect(scene: CrowdScene, lifter: object) -> object:
    people = [[Skeleton3D(p + 1, float(s), x, np.full(17, .02), np.ones(17), np.full(17, 4), 3)
               for p, x in enumerate(X)] for s, X in zip(scene.stamp, scene.joints, strict=True)]
    return measured._result(scene, people, scene.rig)


def nobody(scene: CrowdScene, lifter: object) -> object:
    return measured._result(scene, [[] for _ in scene.frames], NotSolved('none'))


def test_rows_of_every_number_of_people_and_way(motion: Motion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, 'PEOPLE', (2,))
    monkeypatch.setattr(measured, 'SCRIPTS', ('cross',))
    monkeypatch.setattr(measured, 'crowd_scene', lambda *a: crowd_scene(*a, seconds=3.))
    monkeypatch.setattr(measured, 'scripted_scene', lambda *a: scripted_scene(*a, seconds=3.))
    for name, way in (('_true', perfect), ('_causal', perfect), ('_offline', nobody)):
        monkeypatch.setattr(measured, name, way)
    steps: list[tuple[int, int]] = []
    rows = list(measured.people_rows(motion, 1, None, lambda *a: steps.append(a), scenes=1, scripted=1))
    assert rows[0].what.startswith('cross, causal') and rows[0].value == pytest.approx(1.)
    rows = rows[2:]
    assert len(rows) == 6 and steps[-1] == (4, 4) and {r.name for r in rows} == {'people'}
    assert rows[2].value == pytest.approx(1.) and rows[3].value == 0. and '100 % of 1 scenes' in rows[3].note
    assert rows[4].value == 0. and 'rig below 3 degrees in 0 %' in rows[5].note


def test_people_are_measured_by_name_only(tmp_path) -> None:
    assert 'people' in ROWS and 'people' not in wanted(Options(tmp_path / 'm.npz'))
    assert wanted(Options(tmp_path / 'm.npz', rows=('people',))) == ('people',)
    with pytest.raises(BenchmarkError, match='give --motion'):
        wanted(Options(None, rows=('people',)))
