# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose view --live`: what the nodes publish now, in rerun: people, cameras, their pictures, time lines."""
from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, PointCloud2
from std_msgs.msg import String

from ..core.rig import Rig
from .errors import MessageError
from .messages import rig_of, skeletons_of, stamp_of

__all__ = ['LiveView']

_STREAM = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
_LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
#: how often new pictures are looked for, s
_LOOK_S = 1.


class LiveView(Node):
    """Subscribes and logs until it is destroyed.

    Attributes:
        instants: how many it has shown.

    Args:
        rerun: the module, initialised.  scene: what draws (`commands.rerun_scene`).
        fusion: name of fusion_node.  images: pictures, too: pose2d_node draws them then.
        kwargs: to the node.
    """

    def __init__(self, rerun: Any, scene: Any, fusion: str = 'fusion_node', images: bool = True,
                 **kwargs: Any) -> None:
        super().__init__('selfpose_view', **kwargs)
        self._rerun, self._scene, self._images = rerun, scene, images
        self.instants, self._start = 0, math.nan
        self._shown: set[int] = set()
        self._pictures: dict[str, Any] = {}
        self._rig: Rig | None = None
        self._cameras: set[str] = set()
        self._status_text: dict[str, str] = {}
        rerun.log('world', rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        self._scene.log_plots(rerun, ('latency', 'latency, ms'))
        rerun.send_blueprint(self._scene.live_blueprint(rerun, ()))
        self.create_subscription(PointCloud2, f'{fusion}/skeletons', self._on_skeletons, _STREAM)
        self.create_subscription(String, f'{fusion}/rig', self._on_rig, _LATCHED)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self.create_timer(_LOOK_S, self.look)

    def look(self) -> None:
        """Subscribe to pictures that have come since."""
        if not self._images:
            return
        before = len(self._pictures)
        for topic, kinds in self.get_topic_names_and_types():
            words = topic.split('/')
            if len(words) > 3 and words[-1] == 'compressed' and words[-3] == 'overlay' and topic not in self._pictures \
                    and 'sensor_msgs/msg/CompressedImage' in kinds:
                self._pictures[topic] = self.create_subscription(
                    CompressedImage, topic, partial(self._on_picture, words[-2]), _STREAM)
        if len(self._pictures) != before:
            cameras = tuple(sorted(t.split('/')[-2] for t in self._pictures))
            self._rerun.send_blueprint(self._scene.live_blueprint(self._rerun, cameras))

    def _at(self, stamp: float) -> None:
        first = math.isnan(self._start)
        if first:
            self._start = stamp
        self._rerun.set_time('time', duration=stamp - self._start)
        if first:
            self._log_rig()

    def _on_skeletons(self, message: PointCloud2) -> None:
        try:
            people, stamp = skeletons_of(message), stamp_of(message.header, 'skeletons')
        except MessageError:
            return
        rerun = self._rerun
        self._at(stamp)
        self.instants += 1
        for p in people:
            self._scene.log_person(rerun, p.person, p.joints, p.sigma, p.level)
        for person in self._shown - {p.person for p in people}:
            rerun.log(f'world/people/{person}', rerun.Clear(recursive=True))
        self._shown = {p.person for p in people}
        rerun.log('plots/level', rerun.Scalars([float(max((p.level for p in people), default=0))]))
        rerun.log('plots/people', rerun.Scalars([float(len(people))]))
        sigma = np.concatenate([p.sigma[np.isfinite(p.sigma)] for p in people]) if people else np.zeros(0)
        if sigma.size:
            rerun.log('plots/sigma', rerun.Scalars([float(1e3 * np.median(sigma))]))
        now = self.get_clock().now().nanoseconds * 1e-9
        rerun.log('plots/latency', rerun.Scalars([1e3 * (now - stamp)]))

    def _on_rig(self, message: String) -> None:
        try:
            self._rig, _ = rig_of(message.data)
        except MessageError:
            return
        if not math.isnan(self._start):
            self._log_rig()

    def _log_rig(self) -> None:
        """Cameras at the present time; before there is one, nothing would show them. One that is gone is cleared,
        the others are not: they are logged at that same time.
        """
        cameras = set() if self._rig is None else set(self._rig.cameras)
        for camera in sorted(self._cameras - cameras):
            self._rerun.log(f'world/cameras/{camera}', self._rerun.Clear(recursive=True))
        self._cameras = cameras
        if self._rig is not None:
            self._scene.log_cameras(self._rerun, self._rig, static=False)

    def _on_picture(self, camera: str, message: CompressedImage) -> None:
        try:
            self._at(stamp_of(message.header, 'picture'))
        except MessageError:
            return
        kind = 'image/png' if 'png' in message.format else 'image/jpeg'
        self._rerun.log(f'2d/{camera}', self._rerun.EncodedImage(contents=bytes(message.data), media_type=kind))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        """Sentences that are new, as a text log."""
        for status in message.status:
            if self._status_text.get(status.name) != status.message:
                self._status_text[status.name] = status.message
                level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
                self._rerun.log('log', self._rerun.TextLog(
                    f'{status.name}: {status.message}', level=('INFO', 'WARN', 'ERROR', 'ERROR')[min(level, 3)]))
