# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`parent_frame`: the transform that comes out, over real DDS, and what is told where there is none."""
from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from geometry_msgs.msg import TransformStamped
from raising import raises
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from ros_world import LATCHED, World
from scipy.spatial.transform import Rotation
from scripted import Keypoints, Scripted, fuse, two_cameras
from stand_ins import Message, Node

from selfpose_ros.nodes import anchoring
from selfpose_ros.nodes.anchoring import anchor_of
from selfpose_ros.nodes.errors import ParameterError
from selfpose_ros.nodes.parameters import FusionSettings


def test_a_known_camera_places_the_world_and_another_one_moves_it(world: World) -> None:
    Scripted.made, Scripted.trust = [], True
    heard = world.listen('/fusion_node/world_transform', TransformStamped, qos=LATCHED)
    fuse(world, parent_frame='base_link', anchor_camera='a', anchor_pose='1 2 3 0 0 1.5708')
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    world.until(lambda: heard, 'the transform', lambda: (a(), b()))
    first = heard[-1]
    assert (first.header.frame_id, first.child_frame_id) == ('base_link', 'selfpose_world')
    rig = two_cameras()
    q, t = first.transform.rotation, first.transform.translation
    R = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    np.testing.assert_allclose(R @ rig.centres[0] + [t.x, t.y, t.z], [1, 2, 3], atol=1e-6)
    np.testing.assert_allclose(R @ rig.R[0].T, Rotation.from_euler('xyz', [0, 0, 1.5708]).as_matrix(), atol=1e-6)
    world.says('fusion_node: anchor', 'selfpose_world has its place in base_link', lambda: (a(), b()))
    request = SetParameters.Request(parameters=[Parameter('anchor_camera', value='c').to_parameter_msg()])
    assert world.call(SetParameters, '/fusion_node/set_parameters', request).results[0].successful
    world.says('fusion_node: anchor', 'selfpose_world has no place in base_link: camera c: not in the rig',
               lambda: (a(), b()))


def test_camera_frames_become_static_once_the_rig_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for tf2_msgs."""
    monkeypatch.setattr(anchoring, '_SETTLED_S', -1.)
    node = Node()
    made = anchoring.Anchoring(node, FusionSettings(static_cameras=True, parent_frame='map'),  # type: ignore[arg-type]
                               Message)
    rig = two_cameras()
    made.tend(rig, 5.)
    made.tend(rig, 6.)
    sent, = node.made['/tf_static'].sent
    assert made.settled and [t.child_frame_id for t in sent.transforms] == ['selfpose_world', 'a_optical', 'b_optical']
    made.tend(None, 7.)
    assert not made.settled


def test_the_pose_of_the_world_itself() -> None:
    a = anchor_of(two_cameras(), FusionSettings(parent_frame='map', anchor_pose='1 0 0 0 0 0'))
    np.testing.assert_allclose(a.t, [1, 0, 0])
    np.testing.assert_allclose(a.R, np.eye(3), atol=1e-12)


@pytest.mark.parametrize(('name', 'given'), [
    ('anchor_pose', '1 2 3'), ('anchor_pose', '1 2 3 0 0 nan'), ('anchor_places', ('cam1: 1 2 3',)),
    ('parent_frame', 'selfpose_world')])
def test_what_cannot_be_used_is_refused_when_it_is_set(name: str, given: object) -> None:
    with raises(ParameterError, place=f'parameter {name}'):
        FusionSettings(**{name: given})
