# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`~/overlay/<camera>`: what the pictures show, and that nothing is done while nobody looks."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from rclpy.parameter import Parameter
from ros_world import LATCHED, DotsNetwork, World, draw, pose, raw
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import String

from selfpose_ros.core.observation import Skeleton3D, View2D
from selfpose_ros.core.rig import Rig
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.inference.pose2d import People2D
from selfpose_ros.io.overlay import COLOURS
from selfpose_ros.nodes.messages import KeypointsInfo, rig_text, skeletons_from, view_of
from selfpose_ros.nodes.overlays import drawn
from selfpose_ros.nodes.pose2d_node import Pose2DNode

K = np.array([[300., 0, 160], [0, 300, 120], [0, 0, 1]])


def _rig() -> Rig:
    return Rig(('a', 'b'), np.stack([K, K]), np.zeros((2, 5)), np.tile([320, 240], (2, 1)), np.stack([np.eye(3)] * 2),
               np.array([[0, 0, 3.], [1, 0, 3.]]), .8)


def _person(at: float, shift_px: float, level: int = 3) -> Skeleton3D:
    """Somebody whose joints camera a sees beside the dots."""
    xy = (pose(shift_px) - [160, 120]) * 3 / 300
    joints = np.concatenate([xy, np.zeros((17, 1))], 1)
    return Skeleton3D(1, at, joints, np.full(17, .02), np.full(17, .9), np.full(17, 2), level, np.zeros((17, 3)))


def _coloured(picture: np.ndarray, points: np.ndarray, joints: tuple[int, ...], colour: str) -> int:
    """Of how many of these points the surroundings hold the colour."""
    def near(p: np.ndarray) -> bool:
        x, y = p.astype(int)
        return bool((np.abs(picture[y - 2:y + 3, x - 2:x + 3].astype(int) - COLOURS[colour]).max(-1) < 60).any())

    return sum(near(points[j]) for j in joints)


def test_joints_lie_on_the_person_and_the_skeleton_where_the_rig_has_it() -> None:
    black = np.zeros((240, 320, 3), np.uint8)
    view = View2D('a', 100., pose()[None], np.full((1, 17), .9), (320, 240))
    left = (4, 5, 6, 11, 12, 13)
    picture = drawn(black.copy(), view, [_person(100., 12.)], _rig())
    assert _coloured(picture, pose(), left, 'l') == _coloured(picture, pose(12.), left, 'l') == 6
    unplaced = drawn(black.copy(), view, [_person(100., 12., 1)], None, 'walk about')
    assert _coloured(unplaced, pose(), left, 'l') == 6 and _coloured(unplaced, pose(12.), left, 'l') == 0
    assert (picture[:15] != unplaced[:15]).any(), 'the level is told'


def test_pictures_come_while_somebody_looks_and_nothing_is_listened_to_before_and_after(world: World) -> None:
    world.make(Pose2DNode, args={'make_network': lambda *_: DotsNetwork()}, cameras=['a'], overlay_hz=100.,
               look_again=False)
    skeletons = world.node.create_publisher(PointCloud2, '/fusion_node/skeletons', 10)
    rig = world.node.create_publisher(String, '/fusion_node/rig', LATCHED)
    rig.publish(String(data=rig_text(_rig(), 'selfpose_world')))
    send, at = world.node.create_publisher(Image, '/a/image_raw', 5), [100.]
    heard = world.listen('/a/keypoints', PointCloud2)

    def images() -> None:
        at[0] += .0625
        send.publish(raw(draw(pose()), at[0]))
        skeletons.publish(skeletons_from([_person(at[0], 12.)], at[0], 'selfpose_world'))

    world.until(lambda: len(heard) > 3, 'keypoints', images)
    assert skeletons.get_subscription_count() == rig.get_subscription_count() == 0, 'nobody looks'
    pictures: list[Image] = []
    looking = world.node.create_subscription(Image, '/pose2d_node/overlay/a', pictures.append, 1)
    left = (4, 5, 6, 11, 12, 13)

    def shown() -> np.ndarray:
        return np.frombuffer(bytes(pictures[-1].data), np.uint8).reshape(240, 320, 3)

    world.until(lambda: pictures and _coloured(shown(), pose(12.), left, 'l') == 6, 'a skeleton in the picture', images)
    assert pictures[-1].header.frame_id == 'a_optical' and pictures[-1].encoding == 'bgr8'
    assert _coloured(shown(), pose(), left, 'l') == 6
    world.node.destroy_subscription(looking)
    world.until(lambda: skeletons.get_subscription_count() == 0, 'it listens no more', images)
    small = world.listen('/pose2d_node/overlay/a/compressed', CompressedImage, qos=1)
    world.until(lambda: small, 'a JPEG', images)
    assert cv2.imdecode(np.frombuffer(bytes(small[-1].data), np.uint8), cv2.IMREAD_COLOR).shape == (240, 320, 3)


class Searching(DotsNetwork):
    """One that sees by its second look whoever is expected."""

    searched = 0

    def search(self) -> None:
        self.searched += 1

    def look_again(self, image_bgr: np.ndarray, expected: np.ndarray, known: np.ndarray,
                   known_confidence: np.ndarray) -> People2D:
        return People2D(expected, np.full(expected.shape[:2], .5))


def test_whom_the_fusion_expects_is_looked_for_until_that_is_switched_off(world: World) -> None:
    network = Searching()
    node = world.make(Pose2DNode, args={'make_network': lambda *_: network}, cameras=['a'])
    skeletons = world.node.create_publisher(PointCloud2, '/fusion_node/skeletons', 10)
    rig = world.node.create_publisher(String, '/fusion_node/rig', LATCHED)
    rig.publish(String(data=rig_text(None, 'selfpose_world', 'too little motion')))
    send, at, shift = world.node.create_publisher(Image, '/a/image_raw', 5), [100.], [120.]
    heard = world.listen('/a/keypoints', PointCloud2)

    def images() -> None:
        at[0] += .0625
        send.publish(raw(draw(pose()), at[0]))
        skeletons.publish(skeletons_from([_person(at[0], shift[0])], at[0], 'selfpose_world'))

    world.until(lambda: network.searched > 1, 'without a rig everybody is looked for in every image', images)
    rig.publish(String(data=rig_text(_rig(), 'selfpose_world')))
    world.until(lambda: heard and heard[-1].height == 2, 'whom the network alone does not find', images)
    searched = network.searched
    found = view_of(heard[-1], KeypointsInfo('a', JOINTS, (320, 240)), 'a')
    np.testing.assert_allclose(found.keypoints[1], pose(120.), atol=1.)
    shift[0] = 2.
    world.until(lambda: heard[-1].height == 1, 'who is expected is the one who was found', images)
    shift[0] = 120.
    world.until(lambda: heard[-1].height == 2, 'two again', images)
    assert network.searched == searched, 'there is a rig'
    node.set_parameters([Parameter('look_again', None, False)])
    world.until(lambda: heard[-1].height == 1 and skeletons.get_subscription_count() == 0, 'no second look', images)


def test_without_a_fusion_the_joints_are_shown_all_the_same(world: World) -> None:
    world.make(Pose2DNode, args={'make_network': lambda *_: DotsNetwork()}, cameras=['a'], overlay_hz=100.)
    send, at = world.node.create_publisher(Image, '/a/image_raw', 5), [100.]
    pictures = world.listen('/pose2d_node/overlay/a', Image, qos=1)

    def images() -> None:
        at[0] += .0625
        send.publish(raw(draw(pose()), at[0]))

    world.until(lambda: pictures, 'pictures', images)
