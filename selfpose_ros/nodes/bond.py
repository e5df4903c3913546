# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A node's side of a bond (package `bond`), by which a lifecycle manager such as Nav2's sees that it lives.

As `nav2_util::LifecycleNode` does it: on the topic `bond` of the node's namespace, under the node's name, from activate
to deactivate. The end of the bond is said, so that a node that is deactivated in order is not taken for a dead one.
"""
from __future__ import annotations

import uuid
from collections.abc import Callable
from importlib import import_module
from typing import Any

from rclpy.clock import Clock
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Header

__all__ = ['Bond', 'bond_messages', 'bonded']

_TOPIC, _QOS = 'bond', QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
#: the manager takes this node for dead after so long without a beat, s
_TIMEOUT_S = 4.


def bond_messages() -> Any:
    """The module `bond.msg`, or None: it comes with ROS's bond_core (Nav2 has it), and not from PyPI."""
    try:
        return import_module('bond.msg')
    except ImportError:
        return None


def bonded(node: Any, period_s: float, steady: Clock) -> Bond | None:
    """A bond that beats, or None: it is not wanted (0), or the messages are not installed."""
    messages = bond_messages() if period_s > 0 else None
    return None if messages is None else Bond(node, messages, period_s, steady)


class Bond:
    """Beats until `close`, where anybody listens. In real time, also when simulated time stands still.

    Args:
        node: whose name it has.  messages: the module `bond.msg`.
    """

    def __init__(self, node: Any, messages: Any, period_s: float, steady: Clock) -> None:
        self._node, self._period_s = node, period_s
        self._status: Callable[..., Any] = messages.Status
        self._instance = str(uuid.uuid4())
        self._publisher = node.create_publisher(messages.Status, _TOPIC, _QOS)
        self._timer = node.create_timer(period_s, self._beat, clock=steady)

    def _beat(self) -> None:
        if self._publisher.get_subscription_count():
            self._publish_status(True)

    def _publish_status(self, active: bool) -> None:
        self._publisher.publish(self._status(
            header=Header(stamp=self._node.get_clock().now().to_msg()), id=self._node.get_name(),
            instance_id=self._instance, active=active, heartbeat_timeout=_TIMEOUT_S, heartbeat_period=self._period_s))

    def close(self) -> None:
        """End it, and say so."""
        self._node.destroy_timer(self._timer)
        self._publish_status(False)
        self._node.destroy_publisher(self._publisher)
