# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose record`: what is on the topics is in the bag, all of it, and a bag gives the same skeletons each time."""
from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from rcl_interfaces.srv import GetParameters
from ros_world import LATCHED, Process, World, stamp
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header, String

from selfpose_ros.core.observation import MultiView
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.sources import ReadOptions, find_sources, read_source
from selfpose_ros.nodes.fusion_node import FusionNode
from selfpose_ros.nodes.messages import KeypointsInfo, keypoints_from
from selfpose_ros.nodes.recorded_topics import expression
from selfpose_ros.nodes.recorder import Recorder
from selfpose_ros.synthetic import frames_of, observe, ring_rig, walker

FPS, T = 15., 30


def scene() -> list[MultiView]:
    rig = ring_rig(3, 1)
    return frames_of(observe(walker(T / FPS, FPS, 2), rig, FPS, 1))


class Cameras:
    """Sends instants of keypoints as pose2d_node does."""

    def __init__(self, world: World, cameras: tuple[str, ...]) -> None:
        self.clouds = {c: world.node.create_publisher(PointCloud2, f'/{c}/keypoints', 100) for c in cameras}
        infos = {c: world.node.create_publisher(String, f'/{c}/keypoints_info', LATCHED) for c in cameras}
        for c, publisher in infos.items():
            publisher.publish(String(data=KeypointsInfo(c, JOINTS, (1000, 1000)).text()))

    def __call__(self, frame: MultiView) -> None:
        for view in frame.views:
            self.clouds[view.camera].publish(keypoints_from(view, Header(stamp=stamp(100. + view.stamp))))


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_bag_has_every_message_and_can_be_reconstructed_from(world: World, tmp_path: Path, storage: str) -> None:
    frames = scene()[:20]
    cameras = Cameras(world, ('cam1', 'cam2', 'cam3'))
    recorder = world.add(Recorder(tmp_path / 'bag', expression(False), storage, context=world.context))
    world.until(lambda: all(p.get_subscription_count() for p in cameras.clouds.values()), 'the recorder listens')
    for frame in frames:
        cameras(frame)
    world.until(lambda: recorder.written.get('/cam3/keypoints') == len(frames), 'all of them')
    world.until(lambda: all(recorder.written.get(f'/{c}/keypoints_info') == 1 for c in ('cam1', 'cam2', 'cam3')),
                'what was said before it listened')
    assert recorder.close() == '' and recorder.lost == 0
    source, = find_sources([tmp_path / 'bag'])
    recording = read_source(source, ReadOptions(lambda: pytest.fail('no images')))  # type: ignore[arg-type, return-value]
    assert recording.cameras == ('cam1', 'cam2', 'cam3') and len(recording.views) == 3 * len(frames)
    sent = {(v.camera, round(100 + v.stamp, 6)): v for f in frames for v in f.views}
    for view in recording.views:
        np.testing.assert_allclose(view.keypoints, sent[view.camera, round(view.stamp, 6)].keypoints, atol=1e-3)


def test_a_bag_that_is_there_is_not_written_over(world: World, tmp_path: Path) -> None:
    (tmp_path / 'bag').mkdir()
    with pytest.raises(IoError):
        Recorder(tmp_path / 'bag', '.*', context=world.context)


def test_the_command_ends_with_ctrl_c_and_counts(world: World, start: Callable[..., Process], tmp_path: Path) -> None:
    cameras, frames = Cameras(world, ('cam1',)), iter(scene() * 50)
    p = start('-m', 'selfpose_ros', 'record', '-o', str(tmp_path / 'bag'))
    world.until(lambda: cameras.clouds['cam1'].get_subscription_count(), 'it listens')

    def send() -> None:
        frame = next(frames)
        cameras.clouds['cam1'].publish(keypoints_from(frame.views[0], Header(stamp=stamp(100. + frame.stamp))))

    for _ in range(5):
        send()
    world.until(lambda: 'recording into' in p.text, 'it says so', send)
    # it has looked at what came: subscriptions are served before services
    world.call(GetParameters, '/selfpose_recorder/get_parameters', GetParameters.Request(names=['use_sim_time']))
    assert p.end(signal.SIGINT) == 0, p.text
    assert '/cam1/keypoints' in p.text and (tmp_path / 'bag' / 'metadata.yaml').is_file()


def test_the_same_keypoints_give_the_same_skeletons_over_dds(world: World) -> None:
    """Bit by bit: what a bag was fused to once it is fused to again, with `rig_solver: inline`."""
    pytest.importorskip('onnxruntime')
    frames, cameras = scene(), ('cam1', 'cam2', 'cam3')

    def once(name: str) -> list[bytes]:
        world.make(FusionNode, args={'name': name}, cameras=list(cameras), rig_solver='inline', rig_first_solve_s=1.5,
                   person_height_m=1.75)
        heard: list[Any] = world.listen(f'/{name}/skeletons', PointCloud2)
        world.until(lambda: all(p.get_subscription_count() for p in sender.clouds.values()), 'it listens')
        world.says(f'{name}: camera cam3', 'keypoints')
        for frame in frames:
            sender(frame)
        world.until(lambda: len({m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in heard}) == len(frames),
                    'all instants')
        world.nodes[-1].trigger_deactivate()
        return [bytes(m.data) for m in heard]

    sender = Cameras(world, cameras)
    first, second = once('first'), once('second')
    assert len(first) >= T and any(first), 'somebody is seen'
    assert first == second
