# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Subscribes to the results as any user would, and keeps what comes."""
from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..core.observation import View2D
from .record import Instant, Record

if TYPE_CHECKING:
    from typing import Self

__all__ = ['FUSION', 'Observer']

#: name of the node whose results are shown
FUSION = '/fusion_node'
#: its entry on /diagnostics that speaks for all others
_OVERALL = 'fusion_node: fusion'


class Observer:
    """A node of its own that fills a `Record`; use it as a context manager.

    Args:
        cameras: names.
        record: to fill.

    Attributes:
        messages: (topic, type, receive time ns, CDR bytes) of everything that came, for the bag.
        refused: first message that could not be read, '' = none.
    """

    def __init__(self, cameras: tuple[str, ...], record: Record) -> None:
        self.record = record
        self.messages: list[tuple[str, str, int, bytes]] = []
        self.refused = ''
        self._cameras = cameras
        self._info: dict[str, Any] = {}
        self._last_rig_text = ''
        self._node: Any = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
        from sensor_msgs.msg import PointCloud2
        from std_msgs.msg import String

        from ..nodes.ros_start import nodes_begin, spin_beside, start_ros
        start_ros()
        with nodes_begin():
            self._node = rclpy.create_node('demo_observer')
        stream = QoSProfile(depth=20, reliability=ReliabilityPolicy.BEST_EFFORT)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._listen(f'{FUSION}/skeletons', PointCloud2, stream, self._skeletons)
        self._listen(f'{FUSION}/rig', String, latched, self._rig)
        self._listen(f'{FUSION}/skeleton_model', String, latched, lambda text: None)
        self._listen('/diagnostics', DiagnosticArray, stream, self._diagnostics)
        for camera in self._cameras:
            self._listen(f'/{camera}/keypoints_info', String, latched,
                         lambda text, camera=camera: self._keypoints_info(camera, text))
            self._listen(f'/{camera}/keypoints', PointCloud2, stream,
                         lambda cloud, camera=camera: self._keypoints(camera, cloud))
        self._thread = spin_beside(self._node)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        import rclpy
        rclpy.try_shutdown()
        if self._thread is not None:
            self._thread.join(3.)
        if self._node is not None:
            self._node.destroy_node()

    def _listen(self, topic: str, kind: Any, qos: Any, take: Any) -> None:
        """Subscribe to the bytes: the bag wants them as they came, `take` gets the message."""
        from rclpy.serialization import deserialize_message

        from ..nodes.errors import NodeError
        name = f'{kind.__module__.split(".")[0]}/msg/{kind.__name__}'

        def arrived(data: bytes) -> None:
            self.messages.append((topic, name, time.time_ns(), bytes(data)))
            try:
                take(deserialize_message(data, kind))
            except (NodeError, ValueError, KeyError) as error:
                self.refused = self.refused or f'{topic}: {error}'

        self._node.create_subscription(kind, topic, arrived, qos, raw=True)

    def _since_start(self, stamp_s: float) -> float:
        return stamp_s - self.record.start_s

    def _skeletons(self, cloud: Any) -> None:
        from ..nodes.messages import seconds, skeletons_of
        now, stamp = time.time(), seconds(cloud.header.stamp)
        people = tuple(skeletons_of(cloud))
        with self.record.lock:
            instants, time_s = self.record.instants, self._since_start(stamp)
            if instants and instants[-1].time_s == time_s:           # one instant, two frames of reference
                people = (*instants.pop().people, *people)
            instants.append(Instant(time_s, now - stamp, people))

    def _rig(self, text: Any) -> None:
        if text.data == self._last_rig_text:
            return
        self._last_rig_text = text.data
        from ..nodes.messages import rig_of
        rig, reason = rig_of(text.data)
        with self.record.lock:
            self.record.rigs.append((self._since_start(time.time()), rig))
            self.record.reason = reason

    def _keypoints_info(self, camera: str, text: Any) -> None:
        from ..nodes.messages import info_of
        self._info[camera] = info_of(text.data, camera, f'/{camera}/keypoints_info')

    def _keypoints(self, camera: str, cloud: Any) -> None:
        from ..nodes.messages import view_of
        if camera not in self._info:                       # the image's size is not known yet
            return
        now = time.time()
        view = view_of(cloud, self._info[camera], f'/{camera}/keypoints')
        shifted = View2D(camera, self._since_start(view.stamp), view.keypoints, view.confidence, view.image_size,
                         view.person, accuracy=view.accuracy)
        with self.record.lock:
            self.record.views.setdefault(camera, []).append(shifted)
            self.record.view_latency_s.setdefault(camera, []).append(now - view.stamp)

    def _diagnostics(self, array: Any) -> None:
        for status in array.status:
            if status.name == _OVERALL and status.message:
                with self.record.lock:
                    self.record.sentence = status.message
