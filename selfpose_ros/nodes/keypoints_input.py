# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One camera's keypoints topics: which reliability, what the columns mean, and what waits until that is known."""
from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String

from ..core.observation import View2D
from .errors import MessageError
from .freshness import Rhythm, received_at
from .graph import beside, offers, rivals
from .messages import MOST_PEOPLE, KeypointsInfo, info_of, view_of
from .meters import Meter

__all__ = ['INFO_TYPE', 'KeypointsInput', 'LOCAL']

_LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE,
                      durability=DurabilityPolicy.TRANSIENT_LOCAL)
_KEYPOINTS = 'sensor_msgs/msg/PointCloud2'
#: of `<camera>/keypoints_info`
INFO_TYPE = 'std_msgs/msg/String'
#: messages that wait for the joint names; the two topics come in any order at the start
_WAITING = 60
#: and so many bytes of them
_WAITING_BYTES = 4 << 20
#: too many people in a message are reported for so long, s
_CROWDED_S = 10.
_PATIENCE = 10
#: a camera of this process is not subscribed to: its views come as they are
LOCAL = ''


class KeypointsInput:
    """Follows one camera's keypoints, from a topic or from this process.

    Args:
        topic: of the keypoints; `LOCAL` = views are handed over with `take`.
        deliver: called with each view and the monotonic time at which it came, s; from the executor's thread, or from
            that of whoever calls `take`.
        most_people: of a message with more people the surest are taken.

    Attributes:
        views: one event per view, value = number of people.
        refused: one event per message that could not be used, of both topics.
        refusal: the last one's sentence.  error: the same until something that can be used comes, then ''.
        crowded: one event per message with more people than are taken, value = how many there were.
        rhythm: of the messages.
        subscribed: a publisher was found.
        rivals: '' or a sentence: several publishers of the keypoints.
    """

    def __init__(self, node: LifecycleNode, name: str, topic: str, deliver: Callable[[View2D, float], None],
                 most_people: int = MOST_PEOPLE) -> None:
        self.name, self.topic = name, node.resolve_topic_name(topic) if topic else LOCAL
        # by what names they are asked for, see `beside`
        self._asked = (topic, beside(node, topic, '_info')) if topic else (LOCAL, LOCAL)
        self.views, self.refused, self.refusal, self.error, self.rivals = Meter(), Meter(), '', '', ''
        self.crowded, self.rhythm = Meter(_CROWDED_S), Rhythm()
        self.info: KeypointsInfo | None = None
        self._node, self._deliver, self._most_people = node, deliver, most_people
        self._subscriptions: list[Any] = []
        self._reliable: bool | None = None
        self._subscribed_at = math.inf
        self._waiting: deque[tuple[PointCloud2, float]] = deque(maxlen=_WAITING)

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
        return self.rhythm.age_s

    @property
    def crowd(self) -> str:
        """'' or a sentence: messages hold more people than are taken."""
        counts = self.crowded.values()
        return '' if not counts else (f'up to {max(counts):.0f} people in a message: the {self._most_people} surest '
                                      'are taken; raise max_people, or let the 2D network report fewer')

    @property
    def flaws(self) -> str:
        """'' or a sentence: some of the newest messages could not be used, also where others can."""
        bad, good = len(self.refused.values()), len(self.views.values())
        return '' if not bad else f'{bad} of the newest {bad + good} messages could not be used: {self.refusal}'

    @property
    def nameless(self) -> bool:
        """Keypoints come, but not what their columns are; at the start that may be so for a moment."""
        return len(self._waiting) > _PATIENCE

    def look(self) -> None:
        """Look at who publishes and subscribe with the reliability that is offered."""
        if self.topic == LOCAL:
            return
        there = offers(self._node, self._asked[0], _KEYPOINTS)
        reliable = all(o.qos_profile.reliability == ReliabilityPolicy.RELIABLE for o in there)
        self.rivals = rivals(self.topic, there)
        if not there or reliable == self._reliable:
            return
        self.close()
        self._reliable, self._subscribed_at = reliable, time.monotonic()
        policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        on_keypoints: Any = self._on_keypoints              # rclpy's types leave out what it calls with two arguments
        self._subscriptions = [
            self._node.create_subscription(String, self._asked[1], self._on_info, _LATCHED),
            self._node.create_subscription(PointCloud2, self._asked[0], on_keypoints,
                                           QoSProfile(depth=30, reliability=policy))]

    def close(self) -> None:
        """End the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions, self._reliable, self._subscribed_at = [], None, math.inf

    def pause(self) -> None:
        """End the subscriptions until `look` is called again; what waits is forgotten."""
        self.close()
        self._waiting.clear()
        self.rhythm = Rhythm()                              # a pause of ours is none of the camera's

    def take(self, view: View2D) -> None:
        """A view from this process."""
        self.rhythm.beat()
        self._hand_on(view, time.monotonic())

    def _hand_on(self, view: View2D, received: float) -> None:
        self.views.add(len(view.keypoints))
        self._deliver(view, received)

    def _on_info(self, message: String) -> None:
        try:
            self.info, self.error = info_of(message.data, self.name, f'{self.topic}_info'), ''
        except MessageError as error:
            self.info = None
            self._refuse(str(error))
        waiting, self._waiting = self._waiting, deque(maxlen=_WAITING)
        for cloud, received in waiting:
            self._use(cloud, received)

    def _on_keypoints(self, cloud: PointCloud2, about: Mapping[str, Any]) -> None:
        self.rhythm.beat()
        self._use(cloud, received_at(about))

    def _refuse(self, sentence: str) -> None:
        self.error = self.refusal = sentence
        self.refused.add()

    def _use(self, cloud: PointCloud2, received: float) -> None:
        if self.info is None:
            if self.error:
                self.refused.add()
            else:
                self._waiting.append((cloud, received))
                self.refusal = f'{self.topic}_info did not come in time'
                while sum(len(c.data) for c, _ in self._waiting) > _WAITING_BYTES:
                    self._waiting.popleft()
                    self.refused.add()
            return
        try:
            view = view_of(cloud, self.info, self.topic, self._most_people)
        except MessageError as error:
            self._refuse(str(error))
            return
        self.error = ''
        if cloud.height > self._most_people:
            self.crowded.add(cloud.height)
        self._hand_on(view, received)
