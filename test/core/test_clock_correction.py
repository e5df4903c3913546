# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Clocks of other hosts, put right while cameras run."""
from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest

from selfpose_ros.core.clock_correction import ClockCorrection
from selfpose_ros.core.observation import MultiView, View2D
from selfpose_ros.core.view_buffer import ViewBuffer, ViewBufferConfig
from selfpose_ros.synthetic import frames_of, observe, ring_rig, walker

FPS = 15.


@functools.cache
def frames(style: str = 'walk') -> tuple[MultiView, ...]:
    return tuple(frames_of(observe(walker(15., FPS, 3, style)[:, None], ring_rig(4, 3), FPS, 3)))


def arriving(off: Mapping[str, float], way: Mapping[str, float], style: str = 'walk') -> Iterator[tuple[View2D, float]]:
    """Views whose stamps are off, and when they arrive, s: some way after they were taken."""
    rng = np.random.default_rng(0)
    for f in frames(style):
        for v in f.views:
            came = v.stamp + .05 + way.get(v.camera, 0.) + rng.uniform(0, .02)
            yield replace(v, stamp=v.stamp + off.get(v.camera, 0.)), came


@pytest.mark.parametrize('off', [{'cam2': 3.7}, {'cam4': .25}, {'cam1': -2.2, 'cam3': .4}])
def test_clocks_that_are_off_are_found_by_how_people_move(off: dict[str, float]) -> None:
    """Of two ways of different length: 0.1 s more for one camera is not its clock."""
    clocks = ClockCorrection()
    for view, came in arriving(off, {'cam2': .1}, 'exercise'):
        right, _ = clocks.correct(view, came)
        if view.camera in clocks.offset_s or view.camera not in off:
            assert abs(right.stamp - (view.stamp - off.get(view.camera, 0.))) < .04, view.camera
    assert set(clocks.offset_s) == set(off)
    for camera, by in off.items():
        assert ('ahead of' if by > 0 else 'behind') in clocks.sentence(camera) and not clocks.sentence('cam9')


def test_a_slow_way_is_no_clock() -> None:
    """Keypoints that come 0.4 s late have good stamps: arrival says so, movement does not."""
    clocks = ClockCorrection()
    for view, came in arriving({}, {'cam3': .4}):
        assert clocks.correct(view, came) == (view, False)
    assert clocks.offset_s == {}


def test_without_movement_in_common_nothing_is_changed() -> None:
    clocks, first = ClockCorrection(), frames()[0]
    for i in range(150):
        for v in first.views:
            still = replace(v, stamp=i / FPS + (2. if v.camera == 'cam1' else 0.))
            assert clocks.correct(still, i / FPS + .05) == (still, False)


def test_a_clock_that_is_set_later_is_measured_anew() -> None:
    """As chrony does it once it has a server: the correction goes when it is no longer needed."""
    clocks, changes = ClockCorrection(), []
    for view, came in arriving({'cam2': 1.5}, {}):
        if came > 8. and view.camera == 'cam2':
            view = replace(view, stamp=view.stamp - 1.5)
        _, changed = clocks.correct(view, came)
        if changed:
            changes.append((view.camera, round(came)))
    assert [c for c, _ in changes] == ['cam2', 'cam2'] and clocks.offset_s == {}
    assert changes[1][1] == pytest.approx(9, abs=1)


def test_the_buffer_takes_them_up_at_once() -> None:
    """A camera that was left out for its clock is in every instant from then on, and its note is gone."""
    clocks, buffer = ClockCorrection(), ViewBuffer(ViewBufferConfig(max_wait_s=.15))
    views: list[tuple[float, int]] = []
    noted = False
    for view, came in arriving({'cam2': 3.7}, {}):
        right, changed = clocks.correct(view, came)
        if changed:
            noted = bool(buffer.cameras['cam2'].note)
            buffer.set_anew(right.camera)
        views += [(i.stamp, len(i.views)) for i in buffer.add(right, came)]
    assert noted and not buffer.cameras['cam2'].note
    assert {n for t, n in views if t < 5.} == {3} and {n for t, n in views if 7. < t < 13.} == {4}
