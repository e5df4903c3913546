# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose view --live`: what the nodes publish, logged with a stand-in for rerun."""
from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from ros_world import LATCHED, World
from sensor_msgs.msg import CompressedImage, PointCloud2
from std_msgs.msg import Header, String

from selfpose_ros import cli
from selfpose_ros.commands import rerun_scene
from selfpose_ros.core.observation import Skeleton3D
from selfpose_ros.nodes.live_view import LiveView
from selfpose_ros.nodes.messages import rig_text, skeletons_from, time_from
from selfpose_ros.synthetic import ring_rig, walker


class Kind:
    """Any archetype: remembers what it was made of."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


class Rerun:
    """Remembers what is logged, by entity and time."""

    def __init__(self) -> None:
        self.logged: dict[str, list[tuple[float | None, Any]]] = {}
        self.layouts: list[Any] = []
        self.now: float | None = None
        self.blueprint = self
        self.ViewCoordinates = types.SimpleNamespace(RIGHT_HAND_Z_UP='z up')

    def __getattr__(self, name: str) -> Any:
        return type(name, (Kind,), {})

    def set_time(self, _: str, duration: float) -> None:
        self.now = duration

    def send_blueprint(self, layout: Any) -> None:
        self.layouts.append(layout)

    def log(self, entity: str, what: Any, static: bool = False) -> None:
        self.logged.setdefault(entity, []).append((None if static else self.now, what))


def test_what_the_nodes_publish_is_shown(world: World) -> None:
    rerun = Rerun()
    view = world.add(LiveView(rerun, rerun_scene, context=world.context))
    clouds = world.node.create_publisher(PointCloud2, '/fusion_node/skeletons', 5)
    rigs = world.node.create_publisher(String, '/fusion_node/rig', LATCHED)
    pictures = world.node.create_publisher(CompressedImage, '/pose2d_node/overlay/cam1/compressed', 5)
    told = world.node.create_publisher(DiagnosticArray, '/diagnostics', 5)
    X, at = walker(2., 15., 1)[0], [100.]

    def send(people: int = 1) -> None:
        at[0] += .1
        rows = [Skeleton3D(7 + n, at[0], X, np.full(17, .02), np.full(17, .9), np.full(17, 3), 3)
                for n in range(people)]
        clouds.publish(skeletons_from(rows, at[0], 'selfpose_world'))

    world.until(lambda: view.instants > 2, 'skeletons', send)
    assert 'world/people/7/bones' in rerun.logged and rerun.logged['plots/level'][-1][1].args[0] == [3.]
    assert rerun.logged['plots/people'][1][0] == pytest.approx(.1, abs=.35), 'the time line begins with the first'
    rigs.publish(String(data=rig_text(ring_rig(2, 1), 'selfpose_world')))
    world.until(lambda: 'world/cameras/cam1/image' in rerun.logged, 'cameras', send)
    rigs.publish(String(data='{"solved": 1'))                 # no rig, and no end
    jpeg = b'\xff\xd8jpeg'
    world.until(lambda: '2d/cam1' in rerun.logged, 'a picture', lambda: pictures.publish(CompressedImage(
        header=Header(stamp=time_from(at[0])), format='jpeg', data=list(jpeg))))
    assert rerun.logged['2d/cam1'][0][1].kwargs == {'contents': jpeg, 'media_type': 'image/jpeg'}
    assert len(rerun.layouts) > 1, 'with a place for the picture'
    status = DiagnosticStatus(name='fusion_node: fusion', level=DiagnosticStatus.WARN, message='no rig yet')
    world.until(lambda: 'log' in rerun.logged, 'a sentence', lambda: told.publish(DiagnosticArray(status=[status])))
    said = [what for _, what in rerun.logged['log'] if 'no rig yet' in what.args[0]]
    assert len(said) == 1 and said[0].kwargs['level'] == 'WARN', 'once, however often it is told'
    world.until(lambda: 'world/people/7' in rerun.logged, 'who has left is gone', lambda: send(0))
    clouds.publish(PointCloud2(width=3, height=1))            # nothing that can be read: left out
    world.until(lambda: view.instants > 5, 'more', send)


def test_cameras_of_a_rig_that_was_there_first_are_on_the_time_line(world: World) -> None:
    """~/rig is latched: it comes before the first instant, and what has no time is not shown at any."""
    rerun = Rerun()
    view = LiveView(rerun, rerun_scene, context=world.context)
    try:
        view._on_rig(String(data=rig_text(ring_rig(2, 1), 'selfpose_world')))
        view._on_skeletons(skeletons_from([], 100., 'selfpose_world'))
        assert [at for at, _ in rerun.logged['world/cameras/cam2/image']] == [0.]
        view._on_skeletons(skeletons_from([], 101., 'selfpose_world'))
        view._on_rig(String(data=rig_text(ring_rig(1, 1), 'selfpose_world')))
        assert [at for at, _ in rerun.logged['world/cameras/cam1/image']] == [0., 1.]
        cleared = [entity for entity, logged in rerun.logged.items() if type(logged[-1][1]).__name__ == 'Clear']
        assert cleared == ['world/cameras/cam2'], 'what is logged at the same time is not cleared'
    finally:
        view.destroy_node()


@pytest.mark.parametrize(('words', 'says'), [(['--live', 'x.npz'], 'leave out the source'), ([], 'nothing to show')])
def test_live_or_a_source(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['view', *words]) == 2
    assert says in capsys.readouterr().err
