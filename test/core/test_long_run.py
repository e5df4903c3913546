# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Hours in seconds: a history that thins its rows while a rig is solved, and solves that break."""
from __future__ import annotations

import copy
import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from long_run import play, to_and_fro
from scenes import run, scene, tracks_of

from selfpose_ros.core import estimator as estimator_module, rig_tracker, solve_pace, solving
from selfpose_ros.core.estimator import Estimator, EstimatorConfig
from selfpose_ros.core.history import History
from selfpose_ros.core.model import model_from_solution
from selfpose_ros.core.observation import MultiView
from selfpose_ros.core.person_view import Detections
from selfpose_ros.core.rig import SolveFailed
from selfpose_ros.core.rig.solver import Solution, SolverConfig, solve
from selfpose_ros.core.solving import RigWorker

FPS = 10.


@functools.cache
def walk() -> list[MultiView]:
    """Four views of five seconds."""
    return scene(4, 5., FPS, 1).frames


#: solves begin late: the first few, of a handful of instants, are not what is tried here
LATE = EstimatorConfig(solve_first_s=3.)


def test_a_solution_does_not_look_its_instants_up_where_rows_were_thinned_since() -> None:
    """A rig solved from the rows of before, adopted after they were thinned: the world stays to 3 cm, in a smaller
    history, in a cleared one, and in one that lacks a camera.
    """
    history = History(40)
    for f in walk()[:40]:
        history.add(f.stamp, Detections.of(f).first())
    solution = solve(history.tracks(), SolverConfig(frames=40))
    assert isinstance(solution, Solution) and solution.frames == 40
    first = model_from_solution(solution, 3)
    for f in walk()[40:]:
        history.add(f.stamp, Detections.of(f).first())
    assert len(history) <= 40
    history.drop('cam1')
    again = model_from_solution(solution, 3, keep=first, hold=True)
    np.testing.assert_allclose(again.R, first.R, atol=2e-3)
    np.testing.assert_allclose(again.t, first.t, atol=.03)
    assert np.array_equal(solution.tracks.stamp, [f.stamp for f in walk()[:40]])


def test_rows_that_are_thinned_during_a_solve_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """11 s with a history of 40 rows, so that every solve ends after its rows were thinned (before, IndexError, or a
    world turned by wrong instants): no exception, one identity, level 3 to the end, and the world within 20 cm of
    itself at each of the new rigs.
    """
    monkeypatch.setattr(estimator_module, 'History', functools.partial(History, 40))
    monkeypatch.setattr(RigWorker, 'delay_s', staticmethod(lambda *given: 1.5))
    monkeypatch.setattr(solve_pace, '_MAINTENANCE_S', 1.)
    monkeypatch.setattr(solve_pace, 'SETTLED_ROWS', 20)
    monkeypatch.setattr(rig_tracker, 'SETTLED_ROWS', 20)
    estimator = Estimator(LATE)
    out = play(to_and_fro(walk(), 11.), estimator)
    assert not out.exceptions and not out.faults and not out.lost and list(out.identities) == [1]
    assert estimator.rig is not None and len(out.jumps) > 2, out.text()
    assert out.worst_jump_m < .2, out.text()


# -- solves that break

@functools.cache
def warm() -> Estimator:
    e = Estimator(LATE)
    run(walk()[:40], estimator=e)
    assert e.rig is not None
    return e


def test_a_solve_that_raises_costs_neither_people_nor_rig_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It breaks twice: level 3, the same rig and identity throughout; the status holds what broke until a solve works
    again.
    """
    e = copy.deepcopy(warm())
    real, calls = solving.solve_views, []

    def breaks(*args: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) < 3:
            raise IndexError('index 703 is out of bounds')
        return real(*args, **more)
    monkeypatch.setattr(solving, 'solve_views', breaks)
    e._rig._worker.cancel()
    e._rig._pace.at_once(0)
    r = run(list(to_and_fro(walk(), 12.))[40:], estimator=e)
    assert (r.level() == 3).all() and {p.person for o in r.people for p in o} == {1}
    broken = [s for s in r.status if 'IndexError: index 703' in s.sentence]
    assert broken and not any(s.ok for s in broken) and broken[0].rig_quality > 0
    assert len(calls) >= 3 and r.status[-1].ok and 'defect' not in r.status[-1].sentence


@pytest.mark.parametrize('where', ['inline', 'thread'])
def test_whatever_a_solve_raises_is_a_result(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*args: Any, **more: Any) -> Any:
        raise MemoryError('no room')
    monkeypatch.setattr(solving, 'solve_views', breaks)
    worker = RigWorker(where)
    worker.submit(0., tracks_of(walk()[:4]), SolverConfig(), None)
    if worker._future is not None:
        worker._future.exception(timeout=60.)
    found = worker.poll(0.)
    assert isinstance(found, SolveFailed) and 'MemoryError: no room' in found.reason and not worker.busy
    worker.close()


def test_a_rig_that_has_no_place_in_the_world_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*args: Any, **more: Any) -> Any:
        raise np.linalg.LinAlgError('singular')
    e = copy.deepcopy(warm())
    e._rig._worker.cancel()
    e._rig._pace.at_once(0)
    monkeypatch.setattr(rig_tracker, 'model_from_solution', breaks)
    r = run(list(to_and_fro(walk(), 5.))[40:], estimator=e)
    assert (r.level() == 3).all() and 'could not be placed' in r.status[-1].sentence


@pytest.mark.skipif(not os.environ.get('SELFPOSE_LONG_ARCHIVE'), reason='an hour of work; SELFPOSE_LONG_ARCHIVE=a '
                    'keypoint archive of one person who walks through a room for some minutes runs it')
def test_an_hour_of_one_person() -> None:
    """As many identities as there were exits, and one; never an exception."""
    from selfpose_ros.io.archive import read_keypoints
    frames = read_keypoints(Path(os.environ['SELFPOSE_LONG_ARCHIVE'])).frames()[::3]
    out = play(to_and_fro(frames, 3600.), Estimator(), 60.)
    assert not out.exceptions and len(out.identities) <= 1 + out.exits, out.text()
