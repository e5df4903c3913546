# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras of all kinds over real DDS: CameraInfo sent once, rectified images, 12 bits, and what is no camera."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_world import LATCHED, DotsNetwork, Driver, World, draw, pose, raw, values
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from selfpose_ros.nodes.camera_input import durabilities
from selfpose_ros.nodes.pose2d_node import Pose2DNode

ERROR = b'\x02'
KEPT, FLEETING = DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture
def see(world: World) -> Iterator[Callable[..., Pose2DNode]]:
    def make(**parameters: Any) -> Pose2DNode:
        return world.make(Pose2DNode, args={'make_network': lambda *_: DotsNetwork()},
                          **{'cameras': ['a'], **parameters})
    yield make


def calibration(focal: float = 300., **changes: Any) -> CameraInfo:
    info = CameraInfo(width=320, height=240, distortion_model='plumb_bob', d=[-.3, .1, 0., 0., 0.],
                      k=[focal, 0., 160., 0., focal, 120., 0., 0., 1.],
                      p=[400., 0., 150., -40., 0., 400., 110., 0., 0., 0., 1., 0.])
    for name, value in changes.items():
        setattr(info, name, value)
    return info


def described(world: World, drive: Callable[[], Any], focal: float, topic: str = '/a/keypoints_info') -> dict[str, Any]:
    heard = world.listen(topic, String, qos=LATCHED)

    def newest() -> Any:
        told = json.loads(heard[-1].data) if heard else {}
        return told if told.get('K') and told['K'][0][0] == focal else None
    return world.until(newest, f'keypoints_info with a focal length of {focal}', drive)


@pytest.mark.parametrize('first', ['publisher', 'node'])
def test_camera_info_that_is_sent_once_is_heard(world: World, see: Callable[..., Pose2DNode], first: str) -> None:
    if first == 'node':
        see()
    a = Driver(world, 'a')
    once = world.node.create_publisher(CameraInfo, '/a/camera_info', LATCHED)
    once.publish(calibration())
    if first == 'publisher':
        see()
    assert described(world, a, 300.)['distortion'][0] == -.3


def test_publishers_of_camera_info_come_go_and_differ(world: World, see: Callable[..., Pose2DNode]) -> None:
    node = see()
    a = Driver(world, 'a')
    every = world.node.create_publisher(CameraInfo, '/a/camera_info', BEST_EFFORT)
    described(world, lambda: (every.publish(calibration(310.)), a()), 310.)
    once = world.node.create_publisher(CameraInfo, '/a/camera_info', LATCHED)
    once.publish(calibration(320.))
    described(world, a, 320.)
    described(world, lambda: (every.publish(calibration(330.)), a()), 330.)
    world.node.destroy_publisher(every)
    source = node._cameras['a'].input
    world.until(lambda: set(source._info_subscriptions) == {KEPT}, 'one subscription for the publisher that is left', a)
    again = world.node.create_publisher(CameraInfo, '/a/camera_info', 5)
    described(world, lambda: (again.publish(calibration(340.)), a()), 340.)


@pytest.mark.parametrize(('offers', 'asked'), [
    ([], {FLEETING}), ([(True, FLEETING)], {FLEETING}), ([(False, FLEETING)], {FLEETING}),
    ([(True, KEPT)], {KEPT}), ([(True, KEPT), (True, KEPT)], {KEPT}),
    ([(True, KEPT), (False, FLEETING)], {KEPT, FLEETING}),
    ([(False, KEPT)], {FLEETING})])
def test_durability_that_is_asked_for(offers: list[tuple[bool, Any]], asked: set[Any]) -> None:
    made = [SimpleNamespace(qos_profile=SimpleNamespace(
        durability=d, reliability=ReliabilityPolicy.RELIABLE if r else ReliabilityPolicy.BEST_EFFORT))
        for r, d in offers]
    assert durabilities(made) == asked


@pytest.mark.parametrize(('topic', 'model', 'focal', 'straight'), [
    ('/a/image_rect', 'plumb_bob', 400., True), ('/a/image_rect_color', 'equidistant', 400., True),
    ('/a/rect/image', 'equidistant', 400., True), ('/a/image_color', 'plumb_bob', 300., False)])
def test_rectified_images_have_p(world: World, see: Callable[..., Pose2DNode], topic: str, model: str, focal: float,
                                 straight: bool) -> None:
    see(image_topics=[topic])
    images = world.node.create_publisher(Image, topic, 5)
    infos = world.node.create_publisher(CameraInfo, f'{topic.rpartition("/")[0]}/camera_info', LATCHED)
    infos.publish(calibration(distortion_model=model))
    clock = iter(range(100, 10**6))
    told = described(world, lambda: images.publish(raw(draw(pose()), float(next(clock)))), focal)
    assert (told['distortion'][0] == 0) == straight


def test_twelve_bits_are_seen_and_counted(world: World, see: Callable[..., Pose2DNode]) -> None:
    see()
    a = Driver(world, 'a')
    a.image = lambda at: raw(draw(pose()).astype(np.uint16) << 4, at, 'bgr16')
    entry = world.says('pose2d_node: camera a', '1 person', a)
    assert values(entry)['bits_used'] == '12 of 16'


def test_a_depth_image_is_told(world: World, see: Callable[..., Pose2DNode]) -> None:
    see()
    a = Driver(world, 'a')
    a.image = lambda at: raw(np.full((240, 320), 3000, np.uint16), at, '16UC1')
    entry = world.says('pose2d_node: camera a', 'a depth image (16UC1); name a topic of colour or grey images', a)
    assert entry.level == ERROR


def test_a_topic_of_another_type_is_told(world: World, see: Callable[..., Pose2DNode]) -> None:
    see()
    world.node.create_publisher(String, '/a/image_raw', 5)
    entry = world.says('pose2d_node: camera a', '/a/image_raw is of type std_msgs/msg/String, not of images')
    assert entry.level == ERROR


def test_the_limit_of_the_size_can_be_set_while_it_runs(world: World, see: Callable[..., Pose2DNode]) -> None:
    from rclpy.parameter import Parameter
    node = see()
    a = Driver(world, 'a')
    world.says('pose2d_node: camera a', '1 person', a)
    node.set_parameters([Parameter('max_megapixels', value=.1)])
    a.image = lambda at: raw(draw(pose(), (640, 480)), at)
    world.says('pose2d_node: camera a', '640x480 px are more than the 0.1 million that are allowed', a)


def test_video_packets_are_told_by_their_type() -> None:
    from selfpose_ros.nodes.camera_input import _obstacle
    offer = SimpleNamespace(topic_type='foxglove_msgs/msg/CompressedVideo')
    assert '/a/image_raw: packets of a video' in _obstacle('/a/image_raw', [offer])
    assert 'ros2 run image_transport republish' in _obstacle('/a/image_raw', [offer])
    assert _obstacle('/a/image_raw', [SimpleNamespace(topic_type='sensor_msgs/msg/Image')]) == ''
