# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A fusion_node whose estimator is scripted, and cameras that send it keypoints."""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from ros_world import LATCHED, World, pose, stamp
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header, String

from selfpose_ros.core.estimator import EstimatorConfig, EstimatorStatus
from selfpose_ros.core.observation import MultiView, Skeleton3D, View2D
from selfpose_ros.core.rig import Rig
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.nodes.fusion_node import FusionNode
from selfpose_ros.nodes.messages import keypoints_from


def two_cameras(cameras: tuple[str, ...] = ('a', 'b')) -> Rig:
    n = len(cameras)
    K = np.tile(np.array([[600., 0, 160], [0, 600, 120], [0, 0, 1]]), (n, 1, 1))
    R = np.tile(np.array([[1., 0, 0], [0, 0, -1], [0, 1, 0]]), (n, 1, 1))
    t = np.stack([np.linspace(0, 1, n), np.full(n, 1.), np.full(n, 4.)], -1)
    return Rig(cameras, K, np.zeros((n, 5)), np.tile([320, 240], (n, 1)), R, t, 0.8)


class Scripted:
    """An estimator that needs two cameras with people; it has a rig once `trust` says so."""

    made: list[Scripted]
    trust = False

    def __init__(self, config: EstimatorConfig, rig: Rig | None) -> None:
        self.config, self.rig, self.closed = config, rig, False
        self.taken: list[MultiView] = []
        self.status = EstimatorStatus(0, 'waiting for the first views', True)
        Scripted.made.append(self)

    def update(self, observation: MultiView) -> list[Skeleton3D]:
        self.taken.append(observation)
        assert not self.closed
        seeing = [v for v in observation.views if len(v.keypoints)]
        if any(np.nanmax(v.keypoints) > 1000 for v in seeing):
            raise FloatingPointError('a bug')
        if len(seeing) < 2:
            self.status = EstimatorStatus(0, 'nobody is seen by two cameras', not observation.views,
                                          rig_reason='not enough motion')
            return []
        if Scripted.trust and self.rig is None:
            self.rig = two_cameras()
        level = 3 if self.rig is not None else 1
        self.status = EstimatorStatus(level, f'level {level} from {len(seeing)} cameras', True,
                                      rig_quality=0.8 if level == 3 else 0., scale_source='adult prior')
        joints = np.concatenate([seeing[0].keypoints[0] / 100, np.ones((17, 1))], 1)
        return [Skeleton3D(1, observation.stamp, joints, np.full(17, 0.02), np.full(17, 0.9),
                           np.full(17, len(seeing)), level, np.zeros((17, 3)))]

    def reset(self) -> None:
        self.rig = None

    def close(self) -> None:
        self.closed = True


def fuse(world: World, **parameters: Any) -> FusionNode:
    return world.make(FusionNode, args={'make_estimator': Scripted},
                      **{'cameras': ['a', 'b'], 'stale_after_s': 0.5, **parameters})


class Keypoints:
    """Sends one camera's keypoints as pose2d_node does: the next on every call."""

    def __init__(self, world: World, camera: str, names: tuple[str, ...] = JOINTS, begin: float = 100.,
                 info: bool = True) -> None:
        self.camera, self.at, self.world = camera, begin, world
        self.change: Callable[[np.ndarray, np.ndarray], Any] = lambda kp, conf: None
        self.people = 1
        self.cloud = world.node.create_publisher(PointCloud2, f'/{camera}/keypoints', 10)
        self.info = world.node.create_publisher(String, f'/{camera}/keypoints_info', LATCHED)
        self.text = json.dumps({'joint_names': names, 'image_size': [320, 240]})
        if info:
            self.tell()

    def tell(self) -> None:
        self.info.publish(String(data=self.text))

    def __call__(self) -> None:
        self.at += 1 / 16
        kp, conf = np.tile(pose(), (self.people, 1, 1)), np.full((self.people, 17), 0.9)
        view = View2D(self.camera, self.at, kp, conf, (320, 240))
        cloud = keypoints_from(view, Header(stamp=stamp(self.at)))
        table = np.frombuffer(bytes(cloud.data), '<f4').reshape(self.people, 17, 4).copy()
        self.change(table[..., :2], table[..., 2])
        cloud.data = table.tobytes()
        self.cloud.publish(cloud)

    def die(self) -> None:
        self.world.node.destroy_publisher(self.cloud)
