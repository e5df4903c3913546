# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What cameras and their drivers do wrong, over real DDS: told by name, nothing stops, nothing false comes out."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_world import DotsNetwork, Driver, World, draw, jpeg, pose, raw, values
from sensor_msgs.msg import CompressedImage, Image, PointCloud2

from selfpose_ros.nodes.pose2d_node import Pose2DNode

OK, WARN, ERROR = b'\x00', b'\x01', b'\x02'
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture
def see(world: World) -> Iterator[Callable[..., Pose2DNode]]:
    def make(**parameters: Any) -> Pose2DNode:
        return world.make(Pose2DNode, args={'make_network': lambda *_: DotsNetwork()},
                          **{'cameras': ['a', 'b'], 'stale_after_s': 0.5, **parameters})
    yield make


def test_a_camera_dies_and_comes_back_with_another_driver(world: World, see: Callable[..., Pose2DNode]) -> None:
    see()
    heard = world.listen('/a/keypoints', PointCloud2)
    others = world.listen('/b/keypoints', PointCloud2)
    a, b = Driver(world, 'a'), Driver(world, 'b')
    world.until(lambda: heard and others, 'keypoints of both', lambda: (a(), b()))
    a.die()
    entry = world.says('pose2d_node: camera a', 'the camera driver or the network has stopped', b)
    assert entry.level == ERROR and world.status['pose2d_node: camera b'].level == OK
    before = len(heard), len(others)
    again = Driver(world, 'a', CompressedImage, BEST_EFFORT, begin=200.)
    world.until(lambda: len(heard) > before[0] + 3 and len(others) > before[1] + 3, 'keypoints of both again',
                lambda: (again(), b()))
    assert heard[-1].header.stamp.sec >= 200
    entry = world.says('pose2d_node: camera a', 'images/s', lambda: (again(), b()))
    assert (values(entry)['transport'], values(entry)['reliability']) == ('compressed', 'best_effort')


def test_a_camera_that_never_comes_holds_up_nobody(world: World, see: Callable[..., Pose2DNode]) -> None:
    see(image_topics=['/a/image_raw', '/wrong/name'])
    heard = world.listen('/a/keypoints', PointCloud2)
    a = Driver(world, 'a')
    world.until(lambda: len(heard) > 3, 'keypoints of the other', a)
    entry = world.says('pose2d_node: camera b', 'nobody publishes images on /wrong/name', a)
    assert entry.level == WARN and '/a/image_raw' in entry.message, 'it names the topics that there are'


def _garbage(at: float) -> CompressedImage:
    message = jpeg(draw(pose()), at)
    message.data = np.random.default_rng(1).integers(0, 256, 2000, np.uint8).tobytes()
    return message


def _cut(at: float) -> CompressedImage:
    message = jpeg(draw(pose()), at)
    message.data = message.data[:len(message.data) // 2]
    return message


@pytest.mark.parametrize(('kind', 'image', 'words'), [
    (CompressedImage, _garbage, '2000 bytes (jpeg) are no image that can be decoded'),
    (CompressedImage, _cut, 'is cut off'),
    (Image, lambda at: raw(draw(pose()), at, 'nonsense'), "encoding 'nonsense' cannot be turned into BGR"),
    (Image, lambda at: raw(draw(pose())[:1, :1], at), 'the image has 1x1 px'),
], ids=['garbage JPEG', 'half a JPEG', 'wrong encoding', '1x1'])
def test_images_that_are_none(world: World, see: Callable[..., Pose2DNode], kind: Any,
                              image: Callable[[float], Any], words: str) -> None:
    see()
    heard = world.listen('/a/keypoints', PointCloud2)
    others = world.listen('/b/keypoints', PointCloud2)
    a, b = Driver(world, 'a', kind), Driver(world, 'b')
    good, a.image = a.image, image
    entry = world.says('pose2d_node: camera a', words, lambda: (a(), b()))
    assert entry.level == ERROR and entry.message.startswith('no image can be used: camera a: ')
    world.until(lambda: len(others) > 3, 'keypoints of the sound camera', lambda: (a(), b()))
    assert not heard, 'nothing is made up'
    a.image = good                                         # a loose contact that closes again
    world.until(lambda: len(heard) > 3, 'keypoints once the images are sound', lambda: (a(), b()))
    entry = world.says('pose2d_node: camera a', 'images cannot be used', lambda: (a(), b()))
    assert entry.level == WARN


def test_a_clock_that_jumps_back(world: World, see: Callable[..., Pose2DNode]) -> None:
    node = see()
    heard = world.listen('/a/keypoints', PointCloud2)
    a = Driver(world, 'a', begin=1000.)
    world.until(lambda: len(heard) > 3, 'keypoints', a)
    a.at = 10.
    world.until(lambda: heard[-1].header.stamp.sec < 100, 'keypoints of the new time', a)
    entry = world.says('pose2d_node: camera a', 'jumped back', a)
    assert entry.level == WARN and values(entry)['clock_jumps'] == '1'
    assert node._cameras['a'].maker.network.resets == 1, 'the track began anew'


def test_stamps_that_stand_still_are_told(world: World, see: Callable[..., Pose2DNode]) -> None:
    see()
    a = Driver(world, 'a')
    a.image = lambda at: raw(draw(pose()), 55.5)
    heard = world.listen('/a/keypoints', PointCloud2)
    entry = world.says('pose2d_node: camera a', 'none is newer than the last', a)
    assert entry.level == WARN and len(heard) == 1


def test_an_empty_scene_gives_empty_messages(world: World, see: Callable[..., Pose2DNode]) -> None:
    see()
    a = Driver(world, 'a')
    a.image = lambda at: raw(draw(None), at)
    heard = world.listen('/a/keypoints', PointCloud2)
    world.until(lambda: len(heard) > 3, 'keypoints', a)
    assert all((m.height, m.width, len(m.data)) == (0, 17, 0) for m in heard)
    entry = world.says('pose2d_node: camera a', 'nobody in sight', a)
    assert entry.level == OK, 'an empty room is no fault'


class _TooSlow(DotsNetwork):
    def infer(self, image_bgr: np.ndarray) -> Any:
        time.sleep(0.3)
        return super().infer(image_bgr)


def test_joints_of_images_that_have_become_too_old_are_not_sent(world: World) -> None:
    world.make(Pose2DNode, args={'make_network': lambda *_: _TooSlow()}, cameras=['a'], max_age_s=0.2)
    heard = world.listen('/a/keypoints', PointCloud2)
    a = Driver(world, 'a')
    entry = world.says('pose2d_node: camera a', 'images were too old when their joints were found', a)
    assert entry.level == WARN and 'max_age_s' in entry.message and int(values(entry)['late_images']) >= 3
    assert not heard


class _Defect(DotsNetwork):
    def infer(self, image_bgr: np.ndarray) -> Any:
        raise ZeroDivisionError('a bug')


def test_a_defect_in_a_network_is_told_and_the_other_camera_goes_on(world: World) -> None:
    world.make(Pose2DNode, args={'make_network': lambda c, _: _Defect() if c == 'a' else DotsNetwork()},
               cameras=['a', 'b'])
    heard = world.listen('/b/keypoints', PointCloud2)
    a, b = Driver(world, 'a'), Driver(world, 'b')
    entry = world.says('pose2d_node: camera a', 'defect: ZeroDivisionError: a bug', lambda: (a(), b()))
    assert entry.level == ERROR
    count = len(heard)
    world.until(lambda: len(heard) > count + 5, 'keypoints of the other', lambda: (a(), b()))
