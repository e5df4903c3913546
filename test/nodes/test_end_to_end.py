# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""fusion_node as a process with the real estimator, fed over DDS by synthetic cameras around a synthetic man."""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from ros_world import LATCHED, Process, World, values
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header, String

from selfpose_ros.core.observation import View2D
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.nodes.messages import KeypointsInfo, keypoints_from, skeletons_of, time_from
from selfpose_ros.synthetic import observe, ring_rig, walker

START = 1000.
RIG = ring_rig(4, seed=3)
COMMAND = ['-c', 'from selfpose_ros.nodes.start import fusion; raise SystemExit(fusion())', '--ros-args']
# inline: the same rig at the same instant in every run; a long wait, so that a busy machine loses no camera; and what
# is said of the last instant stays until it is read
PARAMETERS = {'rig_solver': 'inline', 'person_height_m': '1.75', 'max_wait_s': '0.6', 'max_age_s': '0.0',
              'stale_after_s': '120.0', 'diagnostics_period_s': '0.1', 'cameras': json.dumps(RIG.cameras)}


class Room:
    """The process, the cameras, and what it answers. The cameras keep in step with the answers."""

    def __init__(self, world: World, start: Callable[..., Process]) -> None:
        self.world = world
        self.clouds = world.listen('/fusion_node/skeletons', PointCloud2, qos=30)
        self.rigs = world.listen('/fusion_node/rig', String, qos=LATCHED)
        self.process = start(*COMMAND, *(w for k, v in PARAMETERS.items() for w in ('-p', f'{k}:={v}')))
        self.send = {}
        for camera, size in zip(RIG.cameras, RIG.image_size, strict=True):
            info = world.node.create_publisher(String, f'/{camera}/keypoints_info', LATCHED)
            info.publish(String(data=KeypointsInfo(camera, JOINTS, (int(size[0]), int(size[1]))).text()))
            self.send[camera] = world.node.create_publisher(PointCloud2, f'/{camera}/keypoints', 30)
        world.until(lambda: self.rigs and all(p.get_subscription_count() for p in self.send.values()), 'the node')

    def play(self, views: list[View2D]) -> None:
        """All views, a little ahead of the answers: at the start the node waits for cameras not known yet."""
        stamps = sorted({v.stamp for v in views})
        before = len(self.clouds)
        for n, stamp in enumerate(stamps):
            for v in (v for v in views if v.stamp == stamp):
                self.send[v.camera].publish(keypoints_from(v, Header(stamp=time_from(v.stamp))))
            self.world.until(lambda n=n: len(self.clouds) - before >= n - 25, f'instant {n}')
        # an instant may have more than one answer: on a busy machine a camera comes too late for the first one
        self.world.until(lambda: self._newest() > stamps[-2] - 1e-6, 'the last instant')

    def _newest(self) -> float:
        return max((c.header.stamp.sec + 1e-9 * c.header.stamp.nanosec for c in self.clouds), default=0.)

    def people(self, frame: str) -> list[Any]:
        """Everybody in messages of this frame."""
        return [p for c in self.clouds if c.header.frame_id == frame for p in skeletons_of(c)]


@pytest.fixture
def room(world: World, start: Callable[..., Process]) -> Room:
    return Room(world, start)


def test_a_moving_person_calibrates_the_cameras_and_stands_where_he_stands(room: Room) -> None:
    truth = walker(4.5, seed=5)
    room.play(observe(truth, RIG, seed=2, noise_px=2., start_s=START))
    room.world.until(lambda: json.loads(room.rigs[-1].data)['solved'], 'the rig on its topic')
    rig = json.loads(room.rigs[-1].data)
    R = np.array(rig['R'])[[rig['cameras'].index(c) for c in RIG.cameras]]
    off = [np.rad2deg(Rotation.from_matrix(R[i] @ R[0].T @ (RIG.R[i] @ RIG.R[0].T).T).magnitude())
           for i in range(1, 4)]
    assert max(off) < 4, f'relative rotations are off by {max(off):.1f} degrees (0.4 when written)'
    placed = room.people('selfpose_world')
    assert len({p.stamp for p in placed}) > .4 * len(truth) and {p.person for p in placed} == {1}
    newest = [p for p in placed if p.stamp > START + 3.5]
    ours = np.concatenate([p.joints for p in newest])
    true = np.concatenate([truth[round((p.stamp - START) * 30)] for p in newest])
    ok = np.isfinite(ours).all(-1)
    a, b = ours[ok] - ours[ok].mean(0), true[ok] - true[ok].mean(0)
    turn = Rotation.align_vectors(b, a)[0]
    error = 1e3 * np.linalg.norm(turn.apply(a) - b, axis=-1).mean()
    assert error < 60, f'{error:.0f} mm over all instants, one alignment (33 when written)'
    assert turn.apply([0, 0, 1])[2] > np.cos(np.deg2rad(10)), 'z is up'


def test_a_still_person_gives_no_rig_and_the_reason(room: Room) -> None:
    # with less noise, 17 joints of one pose are enough for a rough rig, and the estimator says how rough
    room.play(observe(walker(1.5, seed=1, style='stand'), RIG, seed=2, noise_px=8., start_s=START))
    entry = room.world.says('fusion_node: fusion', 'level 2')
    assert values(entry)['rig'] != 'trusted' and values(entry)['rig_reason'] in entry.message
    assert len(values(entry)['rig_reason']) > 20, 'a sentence'
    assert room.people('selfpose_provisional') and not room.people('selfpose_world'), 'nobody is placed'
    assert not any(json.loads(r.data)['solved'] for r in room.rigs)


def test_an_empty_room(room: Room) -> None:
    room.play(observe(np.full((30, 17, 3), np.nan), RIG, seed=2, start_s=START))
    assert room.world.says('fusion_node: fusion', 'nobody in sight').level == b'\x00'
    assert all(c.height == 0 for c in room.clouds)
