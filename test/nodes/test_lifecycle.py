# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Transitions and parameters as a lifecycle manager and `ros2 param` use them."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from ros_world import DotsNetwork, World, draw, pose, raw
from sensor_msgs.msg import Image, PointCloud2

from selfpose_ros.inference.errors import BackendUnavailable
from selfpose_ros.nodes.errors import NodeError
from selfpose_ros.nodes.fusion_node import FusionNode
from selfpose_ros.nodes.pose2d_node import Pose2DNode

#: that further lives of a node with four cameras may cost, MB
MORE_MB = 10.
#: of the whole process with MediaPipe, MB, whose first lives differ by 100: 200 to 320, 560 to 580 if nothing is given
#: back
MOST_MB = 400.


def _change(world: World, node: str, transition: int) -> bool:
    request = ChangeState.Request()
    request.transition.id = transition
    return bool(world.call(ChangeState, f'/{node}/change_state', request).success)


def _set(world: World, node: str, **values: Any) -> list[str]:
    request = SetParameters.Request(parameters=[
        Parameter(n, Parameter.Type.STRING_ARRAY if isinstance(v, list) else None, v).to_parameter_msg()
        for n, v in values.items()])
    return [r.reason for r in world.call(SetParameters, f'/{node}/set_parameters', request).results]


def _state(world: World, node: str) -> str:
    return str(world.call(GetState, f'/{node}/get_state', GetState.Request()).current_state.label)


def test_a_whole_life_and_a_second_one(world: World) -> None:
    networks: list[DotsNetwork] = []

    def make(*_: Any) -> DotsNetwork:
        networks.append(DotsNetwork())
        return networks[-1]

    world.make(Pose2DNode, up=False, args={'make_network': make}, cameras=['a'])
    heard = world.listen('/a/keypoints', PointCloud2)
    send = world.node.create_publisher(Image, '/a/image_raw', 5)
    at = [100.]

    def image() -> None:
        at[0] += 0.0625
        send.publish(raw(draw(pose()), at[0]))

    for life in (1, 2):
        assert _change(world, 'pose2d_node', Transition.TRANSITION_CONFIGURE) and len(networks) == life
        assert _change(world, 'pose2d_node', Transition.TRANSITION_ACTIVATE)
        assert _state(world, 'pose2d_node') == 'active'
        before = len(heard)
        world.until(lambda n=before: len(heard) > n + 2, 'keypoints', image)
        assert _change(world, 'pose2d_node', Transition.TRANSITION_DEACTIVATE)
        world.says('pose2d_node: network', 'not active')
        assert _change(world, 'pose2d_node', Transition.TRANSITION_ACTIVATE) and len(networks) == life
        before = len(heard)
        world.until(lambda n=before: len(heard) > n + 2, 'keypoints after a pause', image)
        assert _change(world, 'pose2d_node', Transition.TRANSITION_DEACTIVATE)
        seen = networks[-1].seen
        for _ in range(10):
            image()
        assert _change(world, 'pose2d_node', Transition.TRANSITION_CLEANUP)
        assert networks[-1].seen == seen and networks[-1].closed
    assert _change(world, 'pose2d_node', Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)


def test_configuring_without_cameras_fails_with_the_sentence_and_can_be_mended(world: World) -> None:
    node = world.make(Pose2DNode, up=False, args={'make_network': lambda *_: DotsNetwork()})
    assert not _change(world, 'pose2d_node', Transition.TRANSITION_CONFIGURE)
    assert (node.error.place, node.error.what) == ('parameter cameras', 'it is empty')
    assert _state(world, 'pose2d_node') == 'unconfigured'
    assert _set(world, 'pose2d_node', cameras=['a']) == ['']
    assert _change(world, 'pose2d_node', Transition.TRANSITION_CONFIGURE)
    assert _state(world, 'pose2d_node') == 'inactive'


def test_a_network_that_is_not_installed_is_told_and_the_first_ones_are_closed(world: World) -> None:
    made: list[DotsNetwork] = []

    def make(camera: str, _: Any) -> DotsNetwork:
        if camera == 'b':
            raise BackendUnavailable('no such network; install it')
        made.append(DotsNetwork())
        return made[-1]

    node = world.make(Pose2DNode, up=False, args={'make_network': make}, cameras=['a', 'b'])
    with pytest.raises(NodeError, match='no such network; install it'):
        node.bring_up()
    assert made[0].closed and not node._cameras


@pytest.mark.parametrize(('options', 'words'), [
    ({'model': 'openpose'}, "2D network 'openpose' is not known"),
    ({'model': 'rendered_pose', 'model_options': ['speed=3']}, 'has no option speed')])
def test_a_network_that_does_not_exist_is_told(world: World, options: dict, words: str) -> None:
    with pytest.raises(NodeError, match=words):
        world.make(Pose2DNode, cameras=['a'], **options)


def test_parameters_that_may_change_at_any_time_do_and_others_wait(world: World) -> None:
    node = world.make(FusionNode, cameras=['a', 'b'])
    assert _set(world, 'fusion_node', marker_size_m=0.1, publish_tf=False) == ['', '']
    assert node.settings.marker_size_m == 0.1 and node.settings.publish_tf is False
    reason, = _set(world, 'fusion_node', marker_size_m=-1.)
    assert reason == 'parameter marker_size_m: -1 is out of range; give 0.001 to 1 m'
    reason, = _set(world, 'fusion_node', person_height_m=1.8)
    assert 'takes effect when the node is configured' in reason and node.settings.person_height_m == 0
    reason, = _set(world, 'fusion_node', rig_solver='fast')
    assert 'give one of: process, thread, inline' in reason


def test_whole_numbers_and_empty_lists_as_yaml_writes_them(world: World) -> None:
    node = world.make(FusionNode, person_height_m=2, cameras=[], max_people=3)
    assert node.settings.person_height_m == 2. and node.settings.cameras == ()
    assert node.get_parameter('cameras').type_ == Parameter.Type.STRING_ARRAY


def test_destroying_a_node_in_any_state_is_harmless_and_so_is_a_second_time(world: World) -> None:
    for up in (False, True):
        node = world.make(Pose2DNode, up=up, cameras=['a'], args={'make_network': lambda *_: DotsNetwork()})
        world.executor.remove_node(node)
        node.destroy_node()
        node.destroy_node()


@pytest.mark.parametrize(('model', 'needs', 'lives', 'images'), [
    ('', 'rclpy', 15, 0), ('', 'rclpy', 20, 3), ('rendered_pose', 'onnxruntime', 15, 0),
    ('mediapipe', 'mediapipe', 9, 0)])
def test_cleaned_up_and_configured_again_it_needs_no_more_memory(model: str, needs: str, lives: int,
                                                                 images: int) -> None:
    """In a process of its own: what other tests have freed must not serve here."""
    pytest.importorskip(needs)
    script = Path(__file__).with_name('many_lives.py')
    done = subprocess.run([sys.executable, str(script), model, str(lives), str(images)], capture_output=True, text=True,
                          check=False, timeout=300, env={**os.environ, 'PYTHONPATH': str(script.parents[2])})
    assert done.returncode == 0, done.stderr
    used = [float(line) for line in done.stdout.split()]
    assert len(used) == lives
    assert min(used[-3:]) < (MOST_MB if model == 'mediapipe' else max(used[:3]) + MORE_MB), used
