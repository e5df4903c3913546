# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The fusion's thread with clocks that are off: put right where that is asked for, named in any case."""
from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from selfpose_ros.core.observation import MultiView
from selfpose_ros.core.view_buffer import ViewBufferConfig
from selfpose_ros.nodes.fusion_worker import FusionWorker
from selfpose_ros.synthetic import frames_of, observe, ring_rig, walker

FPS = 15.


@pytest.mark.parametrize('correct', [True, False])
def test_a_host_whose_clock_is_ahead(correct: bool) -> None:
    clock, seen = [0.], []

    class Estimator:
        status, rig = SimpleNamespace(), None

        def update(self, instant: MultiView) -> list[Any]:
            seen.append((instant.stamp, {v.camera for v in instant.views}))
            return []

        def close(self) -> None:
            pass

    worker = FusionWorker(ViewBufferConfig(max_wait_s=.15), lambda rig: Estimator(), None, lambda result: None,
                          lambda error: pytest.fail(str(error)), lambda: clock[0], 0., correct)
    try:
        frames = frames_of(observe(walker(10., FPS, 3, 'walk')[:, None], ring_rig(3, 3), FPS, 3))
        for f in frames:
            clock[0] = 100. + f.stamp
            for v in f.views:
                worker.submit(replace(v, stamp=v.stamp + 99.95 + (2.5 if v.camera == 'cam2' else 0.)))
            while worker._views:
                time.sleep(.001)
        end = time.monotonic() + 5
        while worker._views or (correct and not worker.clocks and time.monotonic() < end):
            time.sleep(.01)
    finally:
        worker.close()
    late = [cameras for t, cameras in seen if 108. < t < 109.5]
    assert late and all(('cam2' in cameras) == correct for cameras in late)
    assert ('put right' in worker.clocks.get('cam2', '')) == correct
    assert bool(worker.streams['cam2'].note) != correct
