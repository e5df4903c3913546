# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Who else is there: other hosts, mere subscribers, cameras that leave, publishers and nodes that are one too many."""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.parameter import Parameter
from ros_world import LATCHED, DotsNetwork, World, draw, jpeg, pose, raw, stamp
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header, String

from selfpose_ros.core.observation import View2D
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.nodes.fusion_node import FusionNode
from selfpose_ros.nodes.messages import keypoints_from
from selfpose_ros.nodes.pose2d_node import Pose2DNode

OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN


def see(world: World, namespace: str = '', **parameters: Any) -> Pose2DNode:
    return world.make(Pose2DNode, args={'make_network': lambda *_: DotsNetwork(), 'namespace': namespace},
                      **{'cameras': ['a'], **parameters})


def fuse(world: World, namespace: str = '', **parameters: Any) -> FusionNode:
    return world.make(FusionNode, args={'namespace': namespace},
                      **{'lifter': 'none', 'rig_solver': 'thread', **parameters})


class Keypoints:
    """One camera's keypoints from a node of their own; the next on every call."""

    def __init__(self, world: World, camera: str, name: str = 'network') -> None:
        self.world, self.camera, self.at = world, camera, 100.
        self.node = world.add(Node(name, context=world.context))
        self.cloud = self.node.create_publisher(PointCloud2, f'/{camera}/keypoints', 10)
        self.info = self.node.create_publisher(String, f'/{camera}/keypoints_info', LATCHED)
        self.info.publish(String(data=json.dumps({'joint_names': JOINTS, 'image_size': [320, 240]})))

    def __call__(self) -> None:
        self.at += 1 / 16
        view = View2D(self.camera, self.at, pose()[None], np.full((1, 17), .9), (320, 240))
        self.cloud.publish(keypoints_from(view, Header(stamp=stamp(self.at))))

    def end(self) -> None:
        for publisher in (self.cloud, self.info):
            self.node.destroy_publisher(publisher)


def images(world: World, topic: str, kind: Any = Image, name: str = 'driver') -> Callable[[], None]:
    node = world.add(Node(name, context=world.context))
    publisher, at = node.create_publisher(kind, topic, 5), [100.]

    def send() -> None:
        at[0] += 1 / 16
        publisher.publish((raw if kind is Image else jpeg)(draw(pose()), at[0]))
    return send


# -- names

def test_diagnostics_of_two_hosts_have_names_of_their_own(world: World) -> None:
    for space in ('left', 'right'):
        see(world, space)
        fuse(world, space, cameras=['a'])
    see(world, cameras=['left/a'])
    wanted = {f'{space}/{entry}': f'{space}/{thing}' for space in ('left', 'right') for entry, thing in (
        ('pose2d_node: network', 'pose2d_node'), ('pose2d_node: camera a', 'a'),
        ('fusion_node: fusion', 'fusion_node'), ('fusion_node: camera a', 'a'))}
    wanted |= {'pose2d_node: network': 'pose2d_node', 'pose2d_node: camera left/a': 'left/a'}
    world.until(lambda: set(wanted) <= set(world.status), 'all entries')
    assert {name: world.status[name].hardware_id for name in wanted} == wanted
    assert {name.partition('_node: ')[0] for name in world.status} == {
        'pose2d', *(f'{space}/{node}' for space in ('left', 'right') for node in ('pose2d', 'fusion'))}


# -- subscribers are no publishers

@pytest.mark.parametrize('kind', [None, PointCloud2], ids=['a subscriber alone', 'a publisher of another type'])
def test_who_publishes_no_keypoints_makes_no_camera(world: World, kind: Any) -> None:
    other = World()                                        # in one process a topic has one type
    try:
        other.listen('/phantom/keypoints_info', String, qos=LATCHED)
        if kind is not None:
            world.node.create_publisher(kind, '/phantom/keypoints_info', LATCHED)
        world.until(lambda: world.node.get_subscriptions_info_by_topic('/phantom/keypoints_info'), 'the subscriber')
        fuse(world)
        real = Keypoints(world, 'real')
        world.says('fusion_node: camera real', 'views/s', real)
        assert not [n for n in world.status if 'phantom' in n]
    finally:
        other.close()


def test_who_looks_at_images_makes_no_driver(world: World) -> None:
    """Viewers subscribe to the topic by its name, whether it is published or not."""
    world.listen('/a/image_raw', Image)
    world.node.create_publisher(Image, '/b/image', 5)
    see(world)
    entry = world.says('pose2d_node: camera a', 'nobody publishes images on /a/image_raw')
    assert entry.level == WARN
    entry = world.says('pose2d_node: camera a', '(image topics now: /b/image)')


@pytest.mark.parametrize(('wanted', 'there', 'suffix'), [
    ('raw', CompressedImage, '/compressed'), ('compressed', Image, '')])
def test_images_of_the_other_transport_are_told(world: World, wanted: str, there: Any, suffix: str) -> None:
    images(world, f'/a/image_raw{suffix}', there)
    see(world, image_transport=wanted)
    entry = world.says('pose2d_node: camera a', f'nobody publishes {wanted} images on /a/image_raw')
    assert entry.level == WARN and 'image_transport' in entry.message


# -- coming and leaving

def test_a_camera_that_is_named_nowhere_leaves_and_comes_back(world: World) -> None:
    reports = world.listen('/diagnostics', DiagnosticArray)
    node = fuse(world, leave_after_s=.3, stale_after_s=.2)
    a, b = Keypoints(world, 'a', 'one'), Keypoints(world, 'b', 'two')
    world.until(lambda: set(node._inputs) == {'a', 'b'}, 'both cameras', lambda: (a(), b()))
    a.end()
    world.until(lambda: set(node._inputs) == {'b'}, 'the end of a', b)
    world.until(lambda: [e.name for e in reports[-1].status if ': camera' in e.name] == ['fusion_node: camera b'],
                'a report without a', b)
    assert not [i for i in world.node.get_subscriptions_info_by_topic('/a/keypoints') if i.node_name == 'fusion_node']
    again = Keypoints(world, 'a', 'three')
    again.at = b.at
    world.says('fusion_node: camera a', 'views/s', lambda: (again(), b()))


def test_a_camera_that_is_silent_but_published_does_not_leave(world: World) -> None:
    node = fuse(world, leave_after_s=.1, stale_after_s=.1)
    a, b = Keypoints(world, 'a', 'one'), Keypoints(world, 'b', 'two')
    world.until(lambda: node._inputs.keys() == {'a', 'b'} and all(i.views.total for i in node._inputs.values()),
                'both cameras', lambda: (a(), b()))
    world.says('fusion_node: camera a', 'no keypoints for 1 s', b)
    assert set(node._inputs) == {'a', 'b'}


def test_a_camera_that_is_named_stays_and_is_told_missing(world: World) -> None:
    node = fuse(world, cameras=['a', 'b'], leave_after_s=.1, stale_after_s=.2)
    a, b = Keypoints(world, 'a', 'one'), Keypoints(world, 'b', 'two')
    world.until(lambda: all(i.views.total for i in node._inputs.values()), 'both cameras', lambda: (a(), b()))
    a.end()
    entry = world.says('fusion_node: camera a', 'no keypoints for 1 s', b)
    assert entry.level == DiagnosticStatus.ERROR and set(node._inputs) == {'a', 'b'}


# -- one too many

@pytest.mark.parametrize(('topic', 'kind'), [('/a/image_raw', Image), ('/a/image_raw/compressed', CompressedImage),
                                             ('/a/camera_info', CameraInfo)])
def test_two_drivers_on_one_topic_are_named(world: World, topic: str, kind: Any) -> None:
    see(world)
    sends = [images(world, topic, kind, name) for name in ('first', 'second')]
    send = images(world, '/a/image_raw', Image, 'third') if kind is CameraInfo else sends[0]
    entry = world.says('pose2d_node: camera a', f'2 publishers on {topic} (/first, /second)', send)
    assert entry.level == WARN


def test_two_networks_of_one_camera_are_named(world: World) -> None:
    fuse(world, cameras=['a'])
    one, _two = Keypoints(world, 'a', 'one'), Keypoints(world, 'a', 'two')
    entry = world.says('fusion_node: camera a', '2 publishers on /a/keypoints (/one, /two)', one)
    assert entry.level == WARN


@pytest.mark.parametrize('make', [see, fuse])
def test_two_nodes_of_one_name_are_told(world: World, make: Callable[..., Any]) -> None:
    name, other = ('fusion_node: fusion', 'fusion_node') if make is fuse else ('pose2d_node: network', 'pose2d_node')
    make(world, 'elsewhere')
    make(world)
    world.until(lambda: name in world.status, 'the first report')
    assert 'nodes are called' not in world.status[name].message, 'of another namespace is of another name'
    world.add(Node(other, context=world.context))
    entry = world.says(name, f'2 nodes are called /{other}')
    assert entry.level == WARN


# -- the start

def test_what_is_not_there_yet_at_the_start_is_no_fault(world: World) -> None:
    nodes = [see(world, startup_s=600.), fuse(world, cameras=['b'], startup_s=600.)]
    for name in ('pose2d_node: camera a', 'fusion_node: fusion', 'fusion_node: camera b'):
        assert world.says(name, 'waits for').level == OK, name
    for node in nodes:
        assert node.set_parameters([Parameter('startup_s', value=0)])[0].successful
    for name, words in (('pose2d_node: camera a', 'nobody publishes'), ('fusion_node: camera b', 'nobody publishes'),
                        ('fusion_node: fusion', 'no keypoints come from any camera')):
        assert world.says(name, words).level == WARN, name


def test_a_network_that_has_loaded_late_has_time_for_its_first_images(world: World) -> None:
    node = fuse(world, cameras=['a', 'b'])
    assert world.says('fusion_node: camera a', 'nobody publishes /a/keypoints').level == WARN
    Keypoints(world, 'a')
    assert world.says('fusion_node: camera a', 'no keypoints came yet').level == WARN
    node._since = -1e6                                      # it was activated long ago
    assert node.set_parameters([Parameter('startup_s', value=600)])[0].successful
    assert world.says('fusion_node: camera a', 'waits for the first keypoints').level == OK
    assert world.says('fusion_node: camera b', 'nobody publishes /b/keypoints').level == WARN


def test_two_topics_that_are_exchanged_by_remapping(world: World) -> None:
    """Each name is remapped once, as everywhere in ROS; what lies beside a topic goes with it."""
    rules = ['--ros-args', *(w for rule in ('/a/image_raw:=/b/image_raw', '/b/image_raw:=/a/image_raw',
                                            '/a/keypoints:=/b/keypoints', '/b/keypoints:=/a/keypoints')
                             for w in ('-r', rule))]
    seeing = world.make(Pose2DNode, cameras=['a', 'b'],
                        args={'make_network': lambda *_: DotsNetwork(), 'cli_args': rules})
    send_a, send_b = images(world, '/a/image_raw'), images(world, '/b/image_raw/compressed', CompressedImage, 'two')
    both = lambda: (send_a(), send_b())  # noqa: E731
    world.says('pose2d_node: camera b', 'images/s', both)
    world.says('pose2d_node: camera a', 'images/s', both)
    a, b = (seeing._cameras[c].input for c in 'ab')
    assert (a.choice.words, b.choice.words) == ('compressed images on /b/image_raw/compressed, reliable',
                                                'raw images on /a/image_raw, reliable')
    fusing = world.make(FusionNode, cameras=['a', 'b'], lifter='none', rig_solver='thread', args={'cli_args': rules})
    other = Keypoints(world, 'c')                          # of nobody's concern
    world.until(lambda: all(fusing._inputs[c].views.total for c in 'ab'), 'keypoints', lambda: (both(), other()))
    assert (fusing._inputs['a'].topic, fusing._inputs['b'].topic) == ('/b/keypoints', '/a/keypoints')
    assert [seeing._cameras[c].info_publisher.topic for c in 'ab'] == ['/b/keypoints_info', '/a/keypoints_info']
