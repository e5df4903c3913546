# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`~/enable`: nodes that take and send nothing for a while, without a transition, and go on as they were."""
from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from lifecycle_msgs.srv import GetState
from ros_world import DotsNetwork, World, draw, pose, raw
from scripted import Keypoints, Scripted, fuse
from sensor_msgs.msg import Image, PointCloud2
from std_srvs.srv import SetBool

from selfpose_ros.nodes.composed import both_nodes
from selfpose_ros.nodes.pose2d_node import Pose2DNode


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Scripted.made, Scripted.trust = [], False


def _enable(world: World, node: str, on: bool) -> str:
    answer = world.call(SetBool, f'/{node}/enable', SetBool.Request(data=on))
    assert answer.success
    return str(answer.message)


def _active(world: World, node: str) -> bool:
    return str(world.call(GetState, f'/{node}/get_state', GetState.Request()).current_state.label) == 'active'


class Images:
    """Sends the next image of camera a on every call."""

    def __init__(self, world: World) -> None:
        self.publisher, self.at = world.node.create_publisher(Image, '/a/image_raw', 5), 100.

    def __call__(self) -> None:
        self.at += .0625
        self.publisher.publish(raw(draw(pose()), self.at))


class ForgetfulNetwork(DotsNetwork):
    """Counts how often it began anew."""

    resets = 0

    def reset(self) -> None:
        self.resets += 1


def test_a_disabled_pose2d_node_takes_no_image_and_goes_on_with_the_same_network(world: World) -> None:
    made: list[ForgetfulNetwork] = []

    def make(*_: object) -> ForgetfulNetwork:
        made.append(ForgetfulNetwork())
        return made[-1]

    heard = world.listen('/a/keypoints', PointCloud2)
    world.make(Pose2DNode, args={'make_network': make}, cameras=['a'], stale_after_s=.1)
    images = Images(world)
    world.until(lambda: len(heard) > 2, 'keypoints', images)
    assert _enable(world, 'pose2d_node', False) == 'disabled'
    world.says('pose2d_node: network', 'disabled by ~/enable', images)
    world.until(lambda: images.publisher.get_subscription_count() == 0, 'nobody takes images')
    count, seen = len(heard), made[0].seen
    for _ in range(10):
        images()
    assert _active(world, 'pose2d_node')
    assert _enable(world, 'pose2d_node', False) == 'disabled', 'twice is as good as once'
    assert (len(heard), made[0].seen) == (count, seen)
    assert _enable(world, 'pose2d_node', True) == 'enabled'
    world.until(lambda: len(heard) > count + 2, 'keypoints again', images)
    world.says('pose2d_node: network', 'dots on', images)
    assert len(made) == 1 and made[0].resets == 1, 'the track began anew, the network did not'


def test_a_disabled_fusion_node_sends_nothing_and_keeps_its_rig(world: World) -> None:
    node = fuse(world)
    skeletons = world.listen('/fusion_node/skeletons', PointCloud2)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    Scripted.trust = True
    world.until(lambda: skeletons and skeletons[-1].header.frame_id == 'selfpose_world', 'a rig', lambda: (a(), b()))
    _enable(world, 'fusion_node', False)
    world.says('fusion_node: fusion', 'disabled by ~/enable', lambda: (a(), b()))
    count, taken = len(skeletons), len(Scripted.made[0].taken)
    for _ in range(10):
        a(), b()
    assert _active(world, 'fusion_node') and not node.get_parameter('enabled').value
    assert (len(skeletons), len(Scripted.made[0].taken)) == (count, taken)
    _enable(world, 'fusion_node', True)
    world.until(lambda: len(skeletons) > count, 'skeletons again', lambda: (a(), b()))
    assert skeletons[count].header.frame_id == 'selfpose_world' and len(Scripted.made) == 1


def test_disabled_before_it_is_active_it_stays_so(world: World) -> None:
    node = world.make(Pose2DNode, up=False, args={'make_network': lambda *_: DotsNetwork()}, cameras=['a'])
    assert _enable(world, 'pose2d_node', False) == 'the node is not active; once it is, it is disabled'
    node.bring_up()
    heard, images = world.listen('/a/keypoints', PointCloud2), Images(world)
    world.says('pose2d_node: network', 'disabled', images)
    _enable(world, 'pose2d_node', True)
    world.until(lambda: heard, 'keypoints', images)


def test_two_nodes_in_one_process_hand_views_over_unless_one_is_disabled(world: World) -> None:
    """As `composed:=true` runs them."""
    from rclpy.parameter import Parameter

    from selfpose_ros.nodes import composed
    given = {'diagnostics_period_s': .1, 'max_age_s': 0., 'startup_s': 0.}
    kinds = {name: getattr(composed, name) for name in ('Pose2DNode', 'FusionNode')}
    extra = {'Pose2DNode': {'make_network': lambda *_: DotsNetwork()}, 'FusionNode': {'make_estimator': Scripted}}

    def made(name: str):
        def make(parameter_overrides=(), **kwargs):
            more = [Parameter(k, None, v) for k, v in given.items()]
            return kinds[name](context=world.context, parameter_overrides=[*parameter_overrides, *more], **kwargs,
                               **extra[name])
        return make

    with pytest.MonkeyPatch.context() as patch:
        for name in kinds:
            patch.setattr(composed, name, made(name))
        nodes = both_nodes(['a'])
    assert [n.get_name() for n in nodes] == ['fusion_node', 'pose2d_node']
    for node in nodes:
        world.add(node).bring_up()
    images = Images(world)
    world.until(lambda: Scripted.made and len(Scripted.made[0].taken) > 2, 'views', images)
    assert world.says('fusion_node: camera a', 'views/s', images).values[0].value == 'this process'
    _enable(world, 'fusion_node', False)
    heard = world.listen('/a/keypoints', PointCloud2)
    taken = len(Scripted.made[0].taken)
    world.until(lambda: len(heard) > 3, 'keypoints are published all the same', images)
    assert len(Scripted.made[0].taken) <= taken + 1
