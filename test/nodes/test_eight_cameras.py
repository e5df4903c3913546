# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Eight cameras over real DDS, a network that costs nothing: every image is a view, or is counted where it is not.

The test sends the next image of a camera when the last one has come back, so no time decides it.
"""
from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from ros_world import PATIENCE_S, World, draw, jpeg, pose, values
from sensor_msgs.msg import CompressedImage, PointCloud2

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.inference.pose2d import People2D
from selfpose_ros.nodes.pose2d_node import Pose2DNode

CAMERAS = [f'c{i}' for i in range(8)]


class _Stub:
    """A person, at once; or as soon as it may."""

    name, joint_names, device = 'stub', JOINTS, 'nothing'

    def __init__(self) -> None:
        self.go, self.inside = threading.Event(), threading.Event()
        self.go.set()

    def infer(self, image_bgr: np.ndarray) -> People2D:
        self.inside.set()
        assert self.go.wait(PATIENCE_S)
        return People2D(pose()[None], np.ones((1, 17)))

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Ring:
    """Eight cameras, and what came back of each."""

    def __init__(self, world: World, **parameters: object) -> None:
        self.world = world
        self.stubs = {c: _Stub() for c in CAMERAS}
        self.heard = {c: world.listen(f'/{c}/keypoints', PointCloud2) for c in CAMERAS}
        self.node = world.make(Pose2DNode, args={'make_network': lambda c, _: self.stubs[c]}, cameras=CAMERAS,
                               **parameters)
        self.send = {c: world.node.create_publisher(CompressedImage, f'/{c}/image_raw/compressed', 5) for c in CAMERAS}
        self.sent = dict.fromkeys(CAMERAS, 0)
        self.image = jpeg(draw(pose()), 0.).data
        # both sides have found each other, each way, before the first image
        world.until(lambda: all(p.get_subscription_count() for p in self.send.values())
                    and all(world.node.count_publishers(f'/{c}/keypoints') for c in CAMERAS)
                    and all(self.node.count_subscribers(f'/{c}/keypoints') for c in CAMERAS)
                    and all(line.keypoints.get_subscription_count() for line in self.lines.values()), 'discovery')

    @property
    def lines(self) -> Any:
        return self.node._cameras

    def publish(self, camera: str) -> None:
        message = CompressedImage(format='jpeg', data=self.image)
        at = 100. + self.sent[camera] / 30
        message.header.stamp.sec, message.header.stamp.nanosec = int(at), int(at % 1 * 1e9)
        self.sent[camera] += 1
        self.send[camera].publish(message)

    def counts(self, camera: str) -> tuple[int, int, int, int, int]:
        """Images that came, views, images replaced by newer ones, unusable ones, old stamps."""
        line = self.lines[camera]
        return (line.input.arrivals.total, line.views.total, line.input.skipped, line.errors.total, line.maker.doubles)


def test_nothing_is_dropped_that_could_have_been_kept(world: World) -> None:
    ring, rounds = _Ring(world, workers=2), 30
    for n in range(1, rounds + 1):                         # a second of eight cameras at 30 Hz
        for c in CAMERAS:
            ring.publish(c)
        world.until(lambda n=n: all(len(ring.heard[c]) >= n for c in CAMERAS), f'views of round {n}')
    assert {c: ring.counts(c) for c in CAMERAS} == dict.fromkeys(CAMERAS, (rounds, rounds, 0, 0, 0))
    for c in CAMERAS:
        stamps = [m.header.stamp.sec + 1e-9 * m.header.stamp.nanosec for m in ring.heard[c]]
        np.testing.assert_allclose(stamps, 100. + np.arange(rounds) / 30, atol=1e-6)
    name = 'pose2d_node: camera c7'
    world.until(lambda: values(world.status[name])['views'] == str(rounds), 'the count in the diagnostics')
    told = values(world.status[name])
    assert (told['images'], told['skipped_images'], told['unusable_images']) == (str(rounds), '0', '0')


def test_what_is_dropped_is_counted_and_a_camera_that_stands_holds_up_nobody(world: World) -> None:
    ring, rounds = _Ring(world, workers=2), 12
    slow, others = CAMERAS[3], [c for c in CAMERAS if c != CAMERAS[3]]
    ring.stubs[slow].go.clear()
    ring.publish(slow)
    assert ring.stubs[slow].inside.wait(PATIENCE_S)
    for n in range(1, rounds + 1):
        for c in CAMERAS:
            ring.publish(c)
        world.until(lambda n=n: all(len(ring.heard[c]) >= n for c in others)
                    and ring.counts(slow)[0] == ring.sent[slow], f'views of round {n} of the others')
    assert not ring.heard[slow]
    ring.stubs[slow].go.set()
    world.until(lambda: sum(ring.counts(slow)[1:]) == ring.counts(slow)[0], 'the slow one is done')
    for c in others:
        assert ring.counts(c) == (rounds, rounds, 0, 0, 0)
    came, views, skipped, unusable, old = ring.counts(slow)
    assert came == rounds + 1 and views + skipped == came and (unusable, old) == (0, 0)
    assert views in (2, 3), 'the one in work, the one handed out, the newest'
