# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Ages by stamps where clocks agree, by arrival where they do not; streams judged by their own period."""
from __future__ import annotations

import math
import time

import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from types import SimpleNamespace

import numpy as np

from selfpose_ros.core.observation import View2D
from selfpose_ros.core.view_buffer import ViewBufferConfig
from selfpose_ros.nodes.freshness import Freshness, Rhythm, received_at
from selfpose_ros.nodes.fusion_worker import FusionWorker, Result


class Clock:
    def __init__(self) -> None:
        self.steady, self.host = 50., 1000.

    def __call__(self) -> float:
        return self.steady

    def wait(self, seconds: float) -> None:
        self.steady, self.host = self.steady + seconds, self.host + seconds


def _arrive(fresh: Freshness, clock: Clock, stamp: float) -> tuple[float, float]:
    fresh.observe(stamp, clock.steady, clock.host)
    return stamp, clock.steady


def test_where_clocks_agree_an_age_is_that_since_the_stamp() -> None:
    clock = Clock()
    fresh = Freshness(.5, clock)
    _arrive(fresh, clock, clock.host - .03)
    # this one was on its way for 0.4 s
    stamp, received = _arrive(fresh, clock, clock.host - .4)
    assert fresh.agree and not fresh.is_late(stamp, received, clock.host)
    assert fresh.is_late(stamp, received, clock.host, kept=.25), 'what is still to be done takes its part'
    clock.wait(.2)
    assert fresh.age_s(stamp, received, clock.host) == pytest.approx(.6)
    assert fresh.is_late(stamp, received, clock.host)
    assert fresh.late.total == 2


@pytest.mark.parametrize('off', [-1e8, -1.2, 5.])
def test_where_they_do_not_agree_it_is_that_since_the_arrival(off: float) -> None:
    """A bag of years ago, cameras 1.2 s behind, cameras ahead: all used, until they wait here for too long."""
    clock = Clock()
    fresh = Freshness(.5, clock)
    stamp, received = _arrive(fresh, clock, clock.host + off)
    assert not fresh.agree and not fresh.is_late(stamp, received, clock.host)
    clock.wait(.4)
    assert not fresh.is_late(stamp, received, clock.host)
    clock.wait(.2)
    assert fresh.is_late(stamp, received, clock.host)


def test_a_host_whose_clock_is_set_anew_does_not_drop_everything() -> None:
    clock = Clock()
    fresh = Freshness(.5, clock)
    _arrive(fresh, clock, clock.host - .03)
    clock.host += 30.
    stamp, received = _arrive(fresh, clock, clock.host - 30.)
    assert not fresh.agree and not fresh.is_late(stamp, received, clock.host)


def test_cameras_whose_clock_fell_behind_are_used_again_after_a_minute() -> None:
    clock = Clock()
    fresh, taken = Freshness(.5, clock), []
    for i in range(800):
        stamp, received = _arrive(fresh, clock, clock.host - (.03 if i < 10 else .8))
        taken.append(not fresh.is_late(stamp, received, clock.host))
        clock.wait(.1)
    assert all(taken[:10]) and not any(taken[20:500]) and all(taken[650:])


def test_before_simulated_time_begins_nothing_is_late_but_what_waits_here() -> None:
    clock = Clock()
    fresh = Freshness(.5, clock)
    fresh.observe(3., clock.steady, None)
    assert not fresh.is_late(3., clock.steady, None) and fresh.is_late(3., clock.steady - .6, None)


def test_no_limit() -> None:
    fresh = Freshness(0., Clock())
    assert not fresh.is_late(0., -1e6, 1000.) and not fresh.late.total


def test_the_wait_in_the_queue_of_the_middleware_counts() -> None:
    now = time.monotonic()
    assert received_at({'received_timestamp': time.time_ns() - 300_000_000}) == pytest.approx(now - .3, abs=.2)
    assert received_at({}) >= now and received_at({'received_timestamp': time.time_ns() + 10**12}) >= now


def test_a_stream_is_silent_by_its_own_period() -> None:
    clock = Clock()
    rhythm = Rhythm(clock)
    assert math.isinf(rhythm.age_s) and rhythm.silent(2.)
    for _ in range(5):
        rhythm.beat()
        clock.wait(1.)
    clock.wait(1.5)
    assert rhythm.age_s == pytest.approx(2.5) and not rhythm.silent(2.), 'one lost image of a 1 Hz camera'
    clock.wait(1.)
    assert rhythm.silent(2.)
    for _ in range(9):
        rhythm.beat()
        clock.wait(.05)
    clock.wait(2.)
    assert rhythm.silent(2.), 'it is quick now, and the pause is forgotten'


class _Slow:
    """An estimator that takes too long for every second instant."""

    rig, status = None, SimpleNamespace(sentence='')

    def __init__(self, clock: list[float]) -> None:
        self.clock, self.updates = clock, 0

    def update(self, instant: object) -> list[object]:
        self.updates += 1
        self.clock[0] += .7 if self.updates % 2 else .01
        return []

    def close(self) -> None:
        pass


def test_the_worker_delivers_nothing_late_and_counts_it() -> None:
    clock, delivered = [time.time()], []
    estimator = _Slow(clock)

    def deliver(result: Result) -> None:
        delivered.append(clock[0] - result.stamp)

    worker = FusionWorker(ViewBufferConfig(max_wait_s=0.), lambda rig: estimator, None, deliver, lambda e: None,
                          lambda: clock[0], .5)
    end = time.monotonic() + 30
    while (len(delivered) < 5 or worker.late.total < 5) and time.monotonic() < end:
        stamp = clock[0] = clock[0] + .05
        worker.submit(View2D('a', stamp, np.zeros((0, 17, 2)), np.zeros((0, 17)), (64, 48)))
        before = estimator.updates + worker.late.total
        while estimator.updates + worker.late.total == before and time.monotonic() < end:
            time.sleep(.001)
    worker.close()
    assert len(delivered) >= 5 and max(delivered) <= .5 and worker.late.total >= 5
