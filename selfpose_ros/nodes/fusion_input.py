# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What fusion_node publishes, for nodes that look at images: skeletons and rig."""
from __future__ import annotations

from collections.abc import Callable

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String

from ..core.observation import Skeleton3D
from ..core.rig import Rig
from .errors import MessageError
from .messages import rig_of, seconds, skeletons_of

__all__ = ['FusionInput']

_STREAM = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
_LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class FusionInput:
    """Listens from now on, until it is closed.

    Args:
        fusion: name of the fusion node, relative to this node's namespace or absolute.
        on_people: called with the stamp in s and the people of one message, those of levels 1 and 2 in one of their
            own.
        on_rig: called with the rig, or None and the reason.
    """

    def __init__(self, node: LifecycleNode, fusion: str, on_people: Callable[[float, list[Skeleton3D]], None],
                 on_rig: Callable[[Rig | None, str], None]) -> None:
        self._node, self._on_people, self._on_rig = node, on_people, on_rig
        self._subscriptions = [
            node.create_subscription(PointCloud2, f'{fusion}/skeletons', self._skeletons, _STREAM),
            node.create_subscription(String, f'{fusion}/rig', self._rig, _LATCHED)]

    def close(self) -> None:
        """Listen no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _skeletons(self, message: PointCloud2) -> None:
        try:
            people = skeletons_of(message)
        except MessageError:
            return
        self._on_people(seconds(message.header.stamp), people)

    def _rig(self, message: String) -> None:
        try:
            rig, reason = rig_of(message.data)
        except MessageError:
            rig, reason = None, 'what comes on the topic of the rig is none'
        self._on_rig(rig, reason)
