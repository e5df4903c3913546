# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Threads that do not end: told and left behind, and the node goes on."""
from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from ros_world import DotsNetwork, World, draw, pose, raw
from sensor_msgs.msg import Image, PointCloud2

from selfpose_ros.core.estimator import EstimatorStatus
from selfpose_ros.core.observation import Skeleton3D, View2D
from selfpose_ros.nodes import fusion_worker, workers
from selfpose_ros.nodes.fusion_node import FusionNode
from selfpose_ros.nodes.pose2d_node import Pose2DNode
from selfpose_ros.nodes.thread_end import stuck


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What hangs goes on when this is set, at the latest after the test; nobody waits long for it."""
    made = threading.Event()
    for module in (fusion_worker, workers):
        monkeypatch.setattr(module, 'stuck', partial(stuck, patience_s=.2))
    yield made
    made.set()


class Hanging:
    """An estimator that hangs in its first instant."""

    rig, status = None, EstimatorStatus(0, 'hangs', True)

    def __init__(self, gate: threading.Event) -> None:
        self.gate, self.inside, self.closed = gate, threading.Event(), False

    def update(self, instant: Any) -> list[Skeleton3D]:
        self.inside.set()
        self.gate.wait(60)
        return []

    def close(self) -> None:
        self.closed = True


def test_a_fusion_that_hangs_is_left_behind_with_a_word(world: World, gate: threading.Event) -> None:
    """And the node goes on: it can be activated again, and what comes late from the old thread goes nowhere."""
    made: list[Hanging] = []

    def make(config: Any, rig: Any) -> Hanging:
        made.append(Hanging(gate))
        return made[-1]

    skeletons = world.listen('/fusion_node/skeletons', PointCloud2)
    node = world.make(FusionNode, args={'make_estimator': make, 'local_cameras': ['a', 'b']})
    at = [100.]

    def views() -> None:
        at[0] += 1 / 16
        for camera in 'ab':
            node.take(View2D(camera, at[0], pose()[None], np.ones((1, 17)), (320, 240)))

    world.until(made[0].inside.is_set, 'an instant', views)
    worker = node._worker
    node.trigger_deactivate()
    said = world.says('fusion_node: program', 'thread fusion was asked to end')
    assert said.level == b'\x02'
    assert 'wait (threading.py' in said.message and 'update (test_thread_end.py' in said.message
    node.trigger_cleanup()
    node.bring_up()
    world.until(made[1].inside.is_set, 'an instant of the new one', views)
    gate.set()
    worker._thread.join(20)
    assert not worker._thread.is_alive() and not made[0].closed and len(made) == 2
    world.until(lambda: skeletons, 'skeletons of the new one', views)


def test_a_network_that_hangs_is_not_taken_away_from_its_thread(world: World, gate: threading.Event) -> None:
    class Network(DotsNetwork):
        def infer(self, image: np.ndarray) -> Any:
            self.seen += 1
            gate.wait(60)
            return super().infer(image)

    made: list[Network] = []

    def make(*_: Any) -> Network:
        made.append(Network())
        return made[-1]

    node = world.make(Pose2DNode, cameras=['a'], args={'make_network': make})
    send = world.node.create_publisher(Image, '/a/image_raw', 5)
    t = iter(np.arange(1000) / 16 + 100.)
    world.until(lambda: made[0].seen, 'an image in work', lambda: send.publish(raw(draw(pose()), next(t))))
    node.trigger_deactivate()
    world.says('pose2d_node: program', 'thread worker-0 was asked to end')
    node.trigger_cleanup()
    assert not made[0].closed
    gate.set()
    node.bring_up()
    world.until(lambda: made[1].seen, 'the new one at work', lambda: send.publish(raw(draw(pose()), next(t))))
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert made[1].closed
