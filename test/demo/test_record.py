# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The figures that the demo shows."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from selfpose_ros.core.observation import Skeleton3D
from selfpose_ros.demo.film import Truth
from selfpose_ros.demo.record import BOUND_MM, Instant, Numbers, Record, verdict
from selfpose_ros.synthetic import ring_rig, walker

TURN = Rotation.from_rotvec([.3, -.8, 2.]).as_matrix()
RIG = ring_rig(4, seed=1)


@pytest.fixture(scope='module')
def truth():
    return Truth(walker(20., 120., seed=2))


def _skeleton(time_s, joints, level=3, confidence=.9):
    return Skeleton3D(1, time_s, joints, np.full(17, .02), np.full(17, confidence), np.full(17, 4), level)


def _record(truth, error_m=.02, level=3, until=20., turn=TURN, scale=1.):
    rng = np.random.default_rng(0)
    record = Record(start_s=100.)
    for t in np.arange(.5, until, .1):
        joints = scale * (truth.at(t) @ turn.T) + [3, 2, 1] + rng.normal(0, error_m / np.sqrt(3), (17, 3))
        record.instants.append(Instant(t, .1, (_skeleton(t, joints, level),)))
    record.rigs.append((1., RIG))
    return record


def test_true_joints_between_two_samples_and_beyond_the_end():
    truth = Truth(np.stack([np.zeros((17, 3)), np.ones((17, 3))]), rate_hz=1.)
    assert truth.at(.25)[3].tolist() == [.25] * 3
    assert np.isnan(truth.at(-.1)).all() and np.isnan(truth.at(1.1)).all() and np.isnan(truth.at(np.nan)).all()


def test_a_good_run_is_called_good(truth):
    judged = verdict(_record(truth), truth, RIG, 20.)
    assert judged.ok and judged.reason == ''
    assert 12 < judged.numbers.pa_mm < 22 and 12 < judged.numbers.world_mm < 22
    assert judged.numbers.scale == pytest.approx(1, abs=.005) and judged.level3_after_s == pytest.approx(.5)
    assert judged.numbers.rate_hz == pytest.approx(10, abs=.3)


def test_a_wrong_size_shows_in_the_room_and_not_in_the_pose(truth):
    n = verdict(_record(truth, scale=1.1), truth, RIG, 20.).numbers
    assert n.scale == pytest.approx(1.1, abs=.005)
    assert n.world_mm > 40 and n.pa_mm < 22


def test_a_world_that_moves_during_the_run_shows_in_the_room_and_not_in_the_size(truth):
    record = _record(truth, until=16.)
    other = _record(truth, turn=Rotation.from_rotvec([0, 0, .5]).as_matrix() @ TURN)
    record.instants += [i for i in other.instants if i.time_s >= 16.]
    n = verdict(record, truth, RIG, 20.).numbers
    assert n.world_mm > 100 and n.pa_mm < 22 and n.scale == pytest.approx(1, abs=.005)


@pytest.mark.parametrize('change, word', [
    ({'error_m': .25}, f'more than {BOUND_MM:.0f} mm'), ({'level': 2}, 'level 3 was not reached'),
    ({'until': 13.}, 'only'), ({'until': .4}, 'no skeletons'),
])
def test_a_bad_run_is_called_bad_and_why(truth, change, word):
    record = _record(truth, **change)
    if change.get('until') == 13.:                          # messages go on, the person is gone
        record.instants += [Instant(t, .1, ()) for t in np.arange(13., 20., .1)]
    judged = verdict(record, truth, RIG, 20.)
    assert not judged.ok and word in judged.reason


def test_a_run_with_nothing_in_it_can_be_written_as_json(truth):
    import json
    text = json.dumps(verdict(Record(), truth, RIG, 20.).to_dict(), allow_nan=False)
    assert json.loads(text)['ok'] is False


def test_the_person_is_chosen_by_confidence_and_not_by_the_truth(truth):
    true, ghost = truth.at(1.), truth.at(1.) * [1, -1, 1]
    instant = Instant(1., .1, (_skeleton(1., true, confidence=.3), _skeleton(1., ghost, confidence=.8)))
    assert (instant.person.joints == ghost).all()
    assert Instant(1., .1, ()).person is None


def test_figures_of_a_stretch_without_messages_are_unknown(truth):
    n = Numbers.of(_record(truth), truth, RIG, 30., 32.)
    assert n.level == 0 and n.rate_hz == 0 and np.isnan([n.pa_mm, n.latency_ms, n.views]).all()
