# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A robot learns: its bag makes a better lifter, the running node takes it, and skeletons are nearer the truth."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')
pytest.importorskip('torch', reason='the training needs torch: pip install selfpose_ros[training]')
pytest.importorskip('onnxruntime')

from bags import write_bag
from parents import spoiled_model
from ros_world import LATCHED, World
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger

from selfpose_ros import cli
from selfpose_ros.core.observation import View2D
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.nodes.fusion_node import FusionNode
from selfpose_ros.nodes.messages import KeypointsInfo, keypoints_from, seconds, skeletons_of, time_from
from selfpose_ros.synthetic import observe, ring_rig, walker
from selfpose_training import metrics

FPS, SEED = 8., 3


def error_mm(world: World, clouds: list[PointCloud2], views: list[View2D], truth: np.ndarray, later_s: float) -> float:
    """What one camera's views of somebody become, against the truth: mean PA-MPJPE, mm."""
    begin = len(clouds)
    send = world.node.create_publisher(PointCloud2, f'/{views[0].camera}/keypoints', 30)
    world.until(send.get_subscription_count, 'the node listens')
    for n, v in enumerate(views):
        send.publish(keypoints_from(v, Header(stamp=time_from(later_s + v.stamp))))
        world.until(lambda n=n: len(clouds) > begin + n, f'skeletons of instant {n}')
    world.node.destroy_publisher(send)
    found = [(s.joints, truth[round((seconds(c.header.stamp) - later_s) * FPS)])
             for c in clouds[begin:] for s in skeletons_of(c)]
    assert len(found) > .8 * len(views)
    return 1e3 * float(metrics.pa_errors(*(np.array(x, float) for x in zip(*found, strict=True))).mean())


def test_a_bag_makes_the_running_node_better(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rig, store = ring_rig(3, SEED), tmp_path / 'store'
    X = walker(24., FPS, SEED, 'mixed')
    seen = observe(X, rig, FPS, SEED, noise_px=4.)
    bag, later = tmp_path / 'bag', [v for v in seen if v.stamp >= 19 and v.camera == rig.cameras[0]]
    write_bag(bag, [v for v in seen if v.stamp < 18])
    assert cli.main(['model', 'promote', str(spoiled_model(tmp_path)), str(store), 'lifter']) == 0

    world.make(FusionNode, cameras=[rig.cameras[0]], lifter=str(store / 'lifter'), lag_s=0.)
    info = world.node.create_publisher(String, f'/{rig.cameras[0]}/keypoints_info', LATCHED)
    info.publish(String(data=KeypointsInfo(rig.cameras[0], JOINTS, later[0].image_size).text()))
    clouds = world.listen('/fusion_node/skeletons', PointCloud2)
    before = error_mm(world, clouds, later, X, 1000.)

    capsys.readouterr()
    assert cli.main(['update', str(bag), '--parent', str(store / 'lifter'), '--store', str(store), '--name', 'lifter',
                     '--threads', '1', '--device', 'cpu', '--set', 'steps=250', '--set', 'lr=0.001', '--json']) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report['decision'], report['version']) == ('promoted', '0002')
    answer = world.call(Trigger, '/fusion_node/reload_model', Trigger.Request())
    assert answer.success, answer.message
    world.says('fusion_node: model', '~/rollback_model returns to')
    after = error_mm(world, clouds, later, X, 2000.)
    assert after < .95 * before, f'{before:.1f} -> {after:.1f} mm'

    assert world.call(Trigger, '/fusion_node/rollback_model', Trigger.Request()).success
    assert error_mm(world, clouds, later, X, 3000.) == pytest.approx(before, rel=.05), 'the one before is back'
