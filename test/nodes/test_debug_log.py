# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lines of level debug: they come when something changed, no more often than once a second, and cost nothing else."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from rcl_interfaces.msg import Log
from rclpy.logging import LoggingSeverity
from ros_world import DotsNetwork, World, draw, pose, raw
from scripted import Scripted
from sensor_msgs.msg import Image

from selfpose_ros.core.observation import View2D
from selfpose_ros.nodes.debug_log import DebugLog
from selfpose_ros.nodes.fusion_node import FusionNode
from selfpose_ros.nodes.pose2d_node import Pose2DNode


def test_a_line_for_each_change_and_one_a_second() -> None:
    now, said, on = [0.], [], [True]
    log = DebugLog(SimpleNamespace(is_enabled_for=lambda level: on[0], debug=said.append), lambda: now[0])

    def note(text: str, seconds: float) -> None:
        now[0] = seconds
        log.note(lambda: [('rig', text), ('stream a', 'alive')])

    for text, seconds in (('none', 0.), ('none', 5.), ('adopted', 6.), ('none', 6.1), ('adopted', 6.2), ('none', 6.9),
                          ('none', 7.)):
        note(text, seconds)
    assert said == ['rig: none', 'stream a: alive', 'rig: adopted', 'rig: none']
    on[0] = False
    log.note(lambda: pytest.fail('nothing is put together that nobody reads'))


def _debug(world: World, node: Any) -> list[str]:
    """The lines of a node at level debug, as they come."""
    lines: list[str] = []
    node.get_logger().set_level(LoggingSeverity.DEBUG)
    world.listen('/rosout', Log, lambda m: lines.append(m.msg) if m.level == Log.DEBUG else None)
    return lines


def test_solves_rigs_people_and_streams_of_the_fusion(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scripted, 'made', [], raising=False)
    monkeypatch.setattr(Scripted, 'trust', False)
    node = world.make(FusionNode, args={'make_estimator': Scripted, 'local_cameras': ['a', 'b']})
    lines, at = _debug(world, node), [100.]

    def views() -> None:
        at[0] += 1 / 16
        for camera in 'ab':
            node.take(View2D(camera, at[0], pose()[None], np.ones((1, 17)), (320, 240)))

    def told(*words: str) -> None:
        world.until(lambda: all(any(w in line for line in lines) for w in words), f'{words} in {lines}', views)

    told('rig: none', 'solve: none runs', 'association: person 1 (level 1, 2 views)', 'stream a: alive', 'stream b:')
    monkeypatch.setattr(Scripted, 'trust', True)
    told('rig: of a, b adopted, quality 0.80, metres from adult prior', 'association: person 1 (level 3, 2 views)')
    node.get_logger().set_level(LoggingSeverity.INFO)


def test_streams_of_the_cameras(world: World) -> None:
    node = world.make(Pose2DNode, args={'make_network': lambda *_: DotsNetwork()}, cameras=['a'])
    lines, at = _debug(world, node), [100.]
    sender = world.node.create_publisher(Image, '/a/image_raw', 5)

    def image() -> None:
        at[0] += 1 / 16
        sender.publish(raw(draw(pose()), at[0]))

    world.until(lambda: any('stream a: raw images on /a/image_raw, reliable, 320x240 px, not calibrated' in line
                            for line in lines) and 'people a: 1 in view' in lines, 'the lines', image)
    node.get_logger().set_level(LoggingSeverity.INFO)
