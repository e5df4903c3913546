# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The past of a temporal lifter: the same moments at every rate of the camera."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.core.past_poses import PAUSE_S, PastPoses, window

FRAMES, INTERVAL_S = 9, .04


def told(past: PastPoses, key: object, stamp: float) -> np.ndarray:
    """(T,) the moments of the poses that somebody's past consists of, s; poses are the moment itself."""
    kp, conf = past.of(key, stamp, np.full((17, 2), stamp), np.full(17, stamp))
    assert kp.shape == (past.frames, 17, 2) and (kp == conf[..., None]).all()
    return kp[:, 0, 0]


def watched(stamps: np.ndarray, key: object = ('a', 'cam1')) -> PastPoses:
    past = PastPoses(FRAMES, INTERVAL_S)
    for t in stamps:
        past.add(key, t, np.full((17, 2), t), np.full(17, t))
    return past


@pytest.mark.parametrize('rate', [10., 12.5, 15., 24., 25., 30., 50., 59.94, 60.])
@pytest.mark.parametrize('jitter', [0., .2])
def test_the_moments_are_those_of_the_training_at_every_rate(rate: float, jitter: float) -> None:
    rng = np.random.default_rng(3)
    stamps = 5 + (np.arange(100) + jitter * rng.uniform(-1, 1, 100)) / rate
    wanted = stamps[-1] - INTERVAL_S * np.arange(FRAMES - 1, -1, -1)
    found = told(watched(stamps), ('a', 'cam1'), stamps[-1])
    assert (np.abs(found - wanted) <= (.5 + jitter) / rate + 1e-9).all()
    assert (found == stamps[window(stamps, np.array([99]), FRAMES, INTERVAL_S)[0]]).all()
    every = [np.abs(stamps - t).min() for t in wanted]
    assert np.abs(found - wanted) == pytest.approx(every, abs=1e-5), 'none is nearer'


def test_frames_of_the_rate_of_the_training_follow_one_another() -> None:
    """Rounded stamps, and a clock that began long ago, change nothing."""
    for stamps in (np.arange(40) / 25, 1.7e9 + np.arange(40) / 25, np.round(np.arange(40) / 25 + .0004, 3)):
        assert (window(stamps, np.arange(40), 9, .04) == np.maximum(np.arange(40)[:, None] + np.arange(-8, 1), 0)).all()


def test_dropped_frames_are_those_beside_them() -> None:
    stamps = np.delete(np.arange(50) / 25, [44, 45, 46])
    found = 25 * told(watched(stamps), ('a', 'cam1'), stamps[-1])
    assert found.round(6).tolist() == [41, 42, 43, 43, 47, 47, 47, 48, 49]


def test_before_somebody_came_and_before_a_pause_the_first_pose_is_repeated() -> None:
    stamps = np.arange(3) / 25
    past = watched(stamps)
    assert told(past, ('a', 'cam1'), stamps[-1]).tolist() == [0.] * 7 + [.04, .08]
    assert told(past, ('b', 'cam1'), .08).tolist() == [.08] * 9 == told(past, ('a', 'cam2'), .08).tolist()
    long = .08 + 1.01 * PAUSE_S
    past.add(('a', 'cam1'), long, np.full((17, 2), long), np.full(17, long))
    assert told(past, ('a', 'cam1'), long).tolist() == [long] * 9
    both = np.array([*stamps, long])
    assert window(both, np.arange(4), 3, .04).tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [3, 3, 3]]


def test_nothing_newer_than_the_pose_is_taken_and_a_clock_set_back_begins_anew() -> None:
    stamps = np.arange(20) / 25
    past = watched(stamps)
    assert told(past, ('a', 'cam1'), stamps[18]).round(6).tolist() == stamps[10:19].round(6).tolist()
    past.add(('a', 'cam1'), .1, np.full((17, 2), .1), np.full(17, .1))
    assert told(past, ('a', 'cam1'), .1).tolist() == [.1] * 9


def test_what_is_kept_is_bounded() -> None:
    past = watched(np.arange(5000) / 1000)
    assert len(past._poses[('a', 'cam1')]) < 330, 'of a camera of 1000 Hz, a third of a second'
    for i in range(1000):
        past.add((i, 'cam1'), 10. + i, np.zeros((17, 2)), np.ones(17))
    assert len(past._poses) <= 200
    frame = PastPoses(1)
    frame.add('a', 0., np.zeros((17, 2)), np.ones(17))
    assert not frame._poses and frame.of('a', 0., np.ones((17, 2)), np.ones(17))[0].shape == (1, 17, 2)
