# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""People as REP-155 has them, over real DDS; hri_msgs and tf2_msgs are stood in for where they are not installed."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from ros_world import LATCHED, World
from scripted import Keypoints, Scripted
from sensor_msgs.msg import JointState
from stand_ins import Message, Node, Publisher
from std_msgs.msg import String
from std_srvs.srv import SetBool

from selfpose_ros.core.angles import AngleTracker
from selfpose_ros.core.kinematics import ANGLES, Body, forward
from selfpose_ros.core.observation import Skeleton3D
from selfpose_ros.core.rig import Rig
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.nodes.fusion_node import FusionNode
from selfpose_ros.nodes.humans import Humans, body_transforms, skeleton2d_points


def person(number: int = 3, stamp: float = 5., level: int = 3) -> Skeleton3D:
    angles = np.zeros(len(ANGLES))
    angles[[8, 12, 16, 20]] = .6
    turn = np.array([[0., -1, 0], [1, 0, 0], [0, 0, 1]])                   # looks along y
    X = forward(Body.average(), np.array([1., 2, .9]), turn, angles)
    return Skeleton3D(number, stamp, X, np.full(17, .01), np.full(17, .9), np.full(17, 4), level)


class Standing(Scripted):
    """An estimator that has somebody who stands."""

    def update(self, observation: Any) -> list[Skeleton3D]:
        super().update(observation)
        return [person(1, observation.stamp)]


def rig() -> Rig:
    """Camera a looks along -x at the person, b has them behind it."""
    K = np.array([[500., 0, 320], [0, 500, 240], [0, 0, 1]])
    R = np.array([[[0., 1, 0], [0, 0, -1], [-1, 0, 0]], [[0., -1, 0], [0, 0, -1], [1, 0, 0]]])
    centre = np.array([[4., 2, 1], [4, 2, 1]])
    return Rig(('a', 'b'), np.stack([K, K]), np.zeros((2, 5)), np.tile([640, 480], (2, 1)), R,
               -np.einsum('vij,vj->vi', R, centre), .8)


HRI = SimpleNamespace(**{n: type(n, (Message,), {}) for n in ('IdsList', 'Skeleton2D', 'NormalizedPointOfInterest2D')})


def test_bodies_of_hri_msgs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('selfpose_ros.nodes.humans.hri_messages', lambda: HRI)
    node, tf = Node(), Publisher(None, '/tf')
    humans = Humans(node, 'body', tf, Message)             # type: ignore[arg-type]
    humans.tend([3])
    assert set(node.made) == {'/humans/bodies/tracked', *(f'/humans/bodies/p3/{n}' for n in (
        'joint_states', 'urdf', 'skeleton2d'))}
    for stamp in (5., 5.1):
        humans.publish([person(3, stamp)], stamp, 'selfpose_world', rig())
    tracked = node.made['/humans/bodies/tracked']
    assert [m.ids for m in tracked.sent] == [['p3']], 'told when it changes'
    seen = node.made['/humans/bodies/p3/skeleton2d'].sent[-1]
    assert seen.header.frame_id == 'a_optical' and len(seen.skeleton) == 18
    assert seen.skeleton[0].c == 0 and all(0 < seen.skeleton[n].x < 1 and seen.skeleton[n].c > 0 for n in range(1, 14))
    assert len(tf.sent) == 2 and [t.child_frame_id for t in tf.sent[0].transforms] == ['body_p3', 'pelvis_p3']
    humans.publish([], 5.2, 'selfpose_world', rig())
    assert tracked.sent[-1].ids == []
    humans.tend([])
    assert set(node.made) == {'/humans/bodies/tracked'}
    humans.close()
    assert not node.made


def test_who_is_not_seen_any_more_is_not_tracked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no result comes that would tell: cameras that died, a node that is disabled. The list is latched."""
    monkeypatch.setattr('selfpose_ros.nodes.humans.hri_messages', lambda: HRI)
    node = Node()
    humans = Humans(node, 'none', None, None)              # type: ignore[arg-type]
    humans.tend([3, 4])
    humans.publish([person(3), person(4)], 5., 'selfpose_world', None)
    tracked = node.made['/humans/bodies/tracked']
    humans.tend([3, 4], [3, 4])
    assert [m.ids for m in tracked.sent] == [['p3', 'p4']]
    humans.tend([3, 4], [4])
    assert [m.ids for m in tracked.sent[1:]] == [['p4']] and '/humans/bodies/p3/urdf' in node.made, 'may come back'
    humans.nobody()
    humans.nobody()
    assert [m.ids for m in tracked.sent[2:]] == [[]]
    humans.publish([person(4)], 6., 'selfpose_world', None)
    assert tracked.sent[-1].ids == ['p4']


@pytest.mark.parametrize('how', ['disabled', 'deactivated', 'silent'])
def test_a_node_that_sees_nobody_any_more_tracks_nobody(world: World, monkeypatch: pytest.MonkeyPatch,
                                                        how: str) -> None:
    sent: list[list[str]] = []
    monkeypatch.setattr(Humans, '_send', lambda self, now, stamp: sent.append([f'p{p}' for p in now]))
    monkeypatch.setattr('selfpose_ros.nodes.fusion_outputs._GONE_S', .5)
    Scripted.made, Scripted.trust = [], True
    node = world.make(FusionNode, args={'make_estimator': Standing}, cameras=['a', 'b'])
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    world.until(lambda: sent and sent[-1], 'somebody', lambda: (a(), b()))
    if how == 'disabled':
        assert world.call(SetBool, '/fusion_node/enable', SetBool.Request(data=False)).success
    elif how == 'deactivated':
        node.trigger_deactivate()
    world.until(lambda: not sent[-1], 'that nobody is tracked')
    assert sent == [['p1'], []]


def test_frames_are_where_the_person_is_and_look_where_they_look() -> None:
    p = person()
    angles = AngleTracker().update(p)
    assert angles is not None
    body, pelvis, *joints = body_transforms(p, angles, 'selfpose_world', True)
    t, q = body.transform.translation, body.transform.rotation
    np.testing.assert_allclose([t.x, t.y, t.z], p.joints[0], atol=.01)
    np.testing.assert_allclose(abs(q.z), np.sqrt(.5), atol=.02)
    assert body.header.frame_id == 'selfpose_world' and pelvis.header.frame_id == 'body_p3'
    names = [j.child_frame_id for j in joints]
    assert names == [f'joint_{n}_p3' for n in JOINTS]
    left = joints[JOINTS.index('l_shoulder')].transform.translation
    assert left.y > .1 and left.z > .3, 'to the left of the pelvis and above'


def test_nobody_is_seen_by_a_camera_that_has_them_behind() -> None:
    name, points = skeleton2d_points(person(), rig())
    assert name == 'a' and points[:, 2].any()
    only = rig()
    back = Rig(('b',), only.K[1:], only.distortion[1:], only.image_size[1:], only.R[1:], only.t[1:], .8)
    assert skeleton2d_points(person(), back)[0] == ''


def test_angles_and_urdf_of_a_running_node(world: World) -> None:
    Scripted.made, Scripted.trust = [], True
    world.make(FusionNode, args={'make_estimator': Standing}, cameras=['a', 'b'], hold_feet=True)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    states = world.listen('/humans/bodies/p1/joint_states', JointState)
    urdf = world.listen('/humans/bodies/p1/urdf', String, qos=LATCHED)
    world.until(lambda: states and urdf, 'angles and URDF', lambda: (a(), b()))
    assert states[-1].name == [f'{n.name}_p1' for n in ANGLES] and np.isfinite(states[-1].position).all()
    assert urdf[-1].data.startswith('<?xml') and 'link name="l_thigh_p1"' in urdf[-1].data
