# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One camera's keypoints topics: which reliability, what the columns mean, and what waits until that is known."""
from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String

from ..core.observation import View2D
from .errors import MessageError
from .graph import offers, rivals
from .messages import KeypointsInfo, view_of
from .meters import Meter

__all__ = ['INFO_TYPE', 'KeypointsInput', 'LOCAL']

_LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE,
                      durability=DurabilityPolicy.TRANSIENT_LOCAL)
_KEYPOINTS = 'sensor_msgs/msg/PointCloud2'
#: of `<camera>/keypoints_info`
INFO_TYPE = 'std_msgs/msg/String'
#: messages that wait for the joint names; the two topics come in any order at the start
_WAITING = 60
_PATIENCE = 10
#: a camera of this process is not subscribed to: its views come as they are
LOCAL = ''


class KeypointsInput:
    """Follows one camera's keypoints, from a topic or from this process.

    Args:
        topic: of the keypoints; `LOCAL` = views are handed over with `take`.
        deliver: called with each view; from the executor's thread, or from that of whoever calls `take`.

    Attributes:
        views: one event per view, value = number of people.
        refused: one event per message that could not be used.
        error: the last one's sentence, '' = all well since.
        subscribed: a publisher was found.
        rivals: '' or a sentence: several publishers of the keypoints.
    """

    def __init__(self, node: LifecycleNode, name: str, topic: str, deliver: Callable[[View2D], None]) -> None:
        self.name, self.topic = name, node.resolve_topic_name(topic) if topic else LOCAL
        self.views, self.refused, self.error, self.rivals = Meter(), Meter(), '', ''
        self.info: KeypointsInfo | None = None
        self._node, self._deliver = node, deliver
        self._subscriptions: list[Any] = []
        self._reliable: bool | None = None
        self._subscribed_at = math.inf
        self._waiting: deque[PointCloud2] = deque(maxlen=_WAITING)
        self._last_arrival: float | None = None

    @property
    def subscribed(self) -> bool:
        """Views can come."""
        return self.topic == LOCAL or self._reliable is not None

    @property
    def subscribed_s(self) -> float:
        """For how long, s; -inf = not subscribed, or of this process."""
        return time.monotonic() - self._subscribed_at

    @property
    def age_s(self) -> float:
        """Since the newest message came, s; inf = none ever came."""
        return math.inf if self._last_arrival is None else time.monotonic() - self._last_arrival

    @property
    def nameless(self) -> bool:
        """Keypoints come, but not what their columns are; at the start that may be so for a moment."""
        return len(self._waiting) > _PATIENCE

    def look(self) -> None:
        """Look at who publishes and subscribe with the reliability that is offered."""
        if self.topic == LOCAL:
            return
        there = offers(self._node, self.topic, _KEYPOINTS)
        reliable = all(o.qos_profile.reliability == ReliabilityPolicy.RELIABLE for o in there)
        self.rivals = rivals(self.topic, there)
        if not there or reliable == self._reliable:
            return
        self.close()
        self._reliable, self._subscribed_at = reliable, time.monotonic()
        policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        self._subscriptions = [
            self._node.create_subscription(String, f'{self.topic}_info', self._on_info, _LATCHED),
            self._node.create_subscription(PointCloud2, self.topic, self._on_keypoints,
                                           QoSProfile(depth=30, reliability=policy))]

    def close(self) -> None:
        """End the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions, self._reliable, self._subscribed_at = [], None, math.inf

    def take(self, view: View2D) -> None:
        """A view from this process."""
        self._last_arrival = time.monotonic()
        self.views.add(len(view.keypoints))
        self._deliver(view)

    def _on_info(self, message: String) -> None:
        try:
            self.info, self.error = KeypointsInfo.parse(message.data, self.name, f'{self.topic}_info'), ''
        except MessageError as error:
            self.info, self.error = None, str(error)
        waiting, self._waiting = self._waiting, deque(maxlen=_WAITING)
        for cloud in waiting:
            self._on_keypoints(cloud)

    def _on_keypoints(self, cloud: PointCloud2) -> None:
        self._last_arrival = time.monotonic()
        if self.info is None:
            if self.error:
                self.refused.add()
            else:
                self._waiting.append(cloud)
            return
        try:
            view = view_of(cloud, self.info, self.topic)
        except MessageError as error:
            self.refused.add()
            self.error = str(error)
            return
        self.error = ''
        self.take(view)
