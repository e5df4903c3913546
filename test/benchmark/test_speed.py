# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What is timed is what it is said to be. No time decides a test."""
from __future__ import annotations

import importlib
import signal
import time

import numpy as np
import pytest

from selfpose_ros.benchmark import speed, stack_sampler
from selfpose_ros.core.estimator import EstimatorStatus
from selfpose_ros.core.history import History
from selfpose_ros.core.observation import Skeleton3D
from selfpose_ros.core.person_view import Detections
from selfpose_ros.core.rig import NotSolved


class FakeEstimator:
    """Level 3 from the tenth update on; a solve is under way in updates 20 to 29."""

    def __init__(self, config, lifter=None):
        self.n, self.rig = -1, None

    def update(self, frame):
        self.n += 1
        self.rig = object() if self.n >= 10 else None
        return [Skeleton3D(1, frame.stamp, np.zeros((17, 3)), np.ones(17), np.ones(17), np.ones(17), 3)]

    @property
    def status(self):
        return EstimatorStatus(3, '', True, solving=20 <= self.n < 30)

    def close(self):
        pass


@pytest.fixture(scope='module')
def frames():
    return speed.scene(3, 1, 3.)


def test_updates_in_which_a_rig_is_solved_or_taken_over_are_told_apart(frames, monkeypatch):
    monkeypatch.setattr(speed, 'Estimator', FakeEstimator)
    monkeypatch.setattr(speed, '_WARM_S', 0.)
    inline, process = (speed.ticks(frames[:50], solver) for solver in ('inline', 'process'))
    # in line, the solve is inside of update 20, its result is taken over in update 30, nothing runs in between
    assert (len(inline.alone_s), len(inline.solving_s)) == (38, 0)
    assert (len(process.alone_s), len(process.solving_s)) == (29, 11)
    assert inline.people == process.people == 1


def test_the_start_is_left_out(frames, monkeypatch):
    monkeypatch.setattr(speed, 'Estimator', FakeEstimator)
    monkeypatch.setattr(speed, '_WARM_S', 1.)
    assert len(speed.ticks(frames[:50]).alone_s) == 19      # 50 less the first second, less update 30


def test_others_come_in_when_the_first_has_calibrated_the_rig(monkeypatch):
    monkeypatch.setattr(speed, '_ALONE_S', 1.)
    scene = speed.scene(3, 4, 2.)
    assert max(len(v.keypoints) for f in scene[:30] for v in f.views) == 1
    assert max(len(v.keypoints) for f in scene[30:] for v in f.views) == 4


def test_a_scene_is_solved_as_a_rig(frames, monkeypatch):
    tried = []
    solve = speed.solve
    monkeypatch.setattr(speed, 'solve', lambda *a: tried.append(solve(*a)) or tried[-1])
    assert speed.solve_time_s(frames, rows=40, repeats=1) > 0
    assert len(tried) == 1 and not isinstance(tried[0], NotSolved)


def test_too_few_updates_are_no_measurement():
    row = speed._stall_row(speed.Ticks(np.ones(200), np.ones(10), 1, {}))
    assert np.isnan(row.value) and 'too few' in row.note
    row = speed._cost_row('tick', 'x', speed.Ticks(np.zeros(0), np.zeros(0), 0, {}), 1)
    assert np.isnan(row.value) and 'level 3 was not reached' in row.note


def test_what_a_tick_is_made_of_is_drawn(tmp_path):
    pytest.importorskip('matplotlib')
    from selfpose_ros.benchmark.plots import write_plots
    from selfpose_ros.benchmark.run import Options, Report
    parts = {'update: solving': .6, 'matching': .395, 'output': .005}
    ticks = {n: speed.Ticks(np.full(9, .001), np.zeros(0), 1, p) for n, p in (('tick', parts), ('stall', {}))}
    files = write_plots(Report(Options(None), ticks=ticks), tmp_path)
    assert [f.name for f in files] == ['tick_parts.png'] and files[0].stat().st_size > 5000


def busy_for(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_the_sampler_sees_the_estimator_and_nothing_else(frames):
    sampler = stack_sampler.StackSampler()
    before = signal.getsignal(signal.SIGALRM)
    with sampler.running():
        busy_for(.05)
    assert sampler.taken and set(sampler.taken) == {''}
    history = History()
    with sampler.running():
        end = time.process_time() + .1
        while time.process_time() < end:
            history.add(0., Detections.of(frames[0]).first())
    assert 'history' in sampler.taken
    with sampler.running(False):
        busy_for(.01)
    assert sampler.taken == []
    assert signal.getsignal(signal.SIGALRM) is before and signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_the_functions_that_name_a_part_exist():
    where = {'triangulation': 'fusion.triangulation', 'people': 'tracks.people', 'claims': 'tracks.claims',
             'person': 'tracks.person', 'output': 'tracks.output', 'tracklets': 'association.tracklets'}
    for module, function in stack_sampler._FUNCTIONS:
        code = importlib.import_module(f'selfpose_ros.core.{where.get(module, module)}')
        owners = [code, *(x for x in vars(code).values() if isinstance(x, type))]
        assert any(hasattr(x, function) for x in owners), f'{module}.{function} has gone: name what took its place'


def test_the_correction_is_timed_in_turn_and_below_level_three(frames, monkeypatch):
    made = []

    class Lifted(FakeEstimator):
        def __init__(self, config, lifter=None):
            super().__init__(config, lifter)
            self.config, self.lifter = config, lifter
            made.append(self)

        def update(self, frame):
            found = super().update(frame)
            return found if self.n >= 5 else []

    monkeypatch.setattr(speed, 'Estimator', Lifted)
    off, on = speed.correction_ticks(frames[:60], lifter='a lifter')
    assert len(off) == len(on) == 55 and (off > 0).all()
    assert [e.config.correction for e in made] == [False, True] and all(e.lifter == 'a lifter' for e in made)
    assert all(np.isinf(e.config.solve_first_s) for e in made)
    row = speed._correction_row(frames[:60], 'a lifter')
    assert row.value > 0 and '55 ticks in turn' in row.note
    assert np.isnan(speed._correction_row(frames, None).value)
