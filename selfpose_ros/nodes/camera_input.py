# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One camera's subscriptions: which topic, which reliability, and the newest image that waits for a worker."""
from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ..io.ros_messages.image_topics import COMPRESSED, RAW, unusable_kind
from .freshness import Rhythm, received_at
from .graph import beside, offers, rivals
from .messages import seconds
from .meters import Meter, received_share

__all__ = ['CameraInput', 'Choice', 'choose', 'durabilities']

_RELIABLE, _BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
_LATCHED, _VOLATILE = DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE
_INFO = 'sensor_msgs/msg/CameraInfo'
#: images above this do not fit into Fast DDS's default shared memory segment
_LARGE_BYTES = 512 * 1024


@dataclass(frozen=True)
class Choice:
    """What to subscribe to."""

    topic: str
    compressed: bool
    reliable: bool

    def among(self, publishers: Sequence[TopicEndpointInfo]) -> list[TopicEndpointInfo]:
        """Those of the publishers of `topic` that send this kind of image."""
        return [o for o in publishers if o.topic_type == (COMPRESSED if self.compressed else RAW)]

    @property
    def words(self) -> str:
        """For people: 'raw images on /cam1/image_raw, reliable'."""
        return (f'{"compressed" if self.compressed else "raw"} images on {self.topic}, '
                f'{"reliable" if self.reliable else "best effort"}')


def choose(topic: str, here: Sequence[TopicEndpointInfo], beside: Sequence[TopicEndpointInfo], transport: str,
           reliability: str) -> Choice | None:
    """The subscription that fits the publishers of `topic` (here) and of `topic`/compressed (beside); None = wait.

    A subscription that asks for more reliability than a publisher offers gets nothing; one that asks for less
    loses nine of ten raw images. So it asks for what all of them offer.
    """
    def reliable(those: Sequence[TopicEndpointInfo]) -> bool:
        return all(o.qos_profile.reliability == _RELIABLE for o in those)

    raw = [o for o in here if o.topic_type == RAW]
    jpeg = [o for o in here if o.topic_type == COMPRESSED]
    jpeg_topic = topic if jpeg else f'{topic}/compressed'
    jpeg = jpeg or [o for o in beside if o.topic_type == COMPRESSED]
    take_jpeg = bool(jpeg) and transport != 'raw' and (transport == 'compressed' or not raw or not reliable(raw))
    taken = jpeg if take_jpeg else raw if transport != 'compressed' else []
    if not taken:
        return None
    ask = reliable(taken) if reliability == 'auto' else reliability == 'reliable'
    return Choice(jpeg_topic if take_jpeg else topic, take_jpeg, ask)


def durabilities(offers: Sequence[TopicEndpointInfo]) -> frozenset[DurabilityPolicy]:
    """What to ask for so that every publisher is heard, and what was published before, too, where it is kept.

    A subscription that asks for transient local gets nothing from a volatile publisher, one that asks for volatile
    nothing that was published before it. So where publishers differ, there are two subscriptions.
    """
    kept = [o.qos_profile.durability == _LATCHED and o.qos_profile.reliability == _RELIABLE for o in offers]
    return frozenset([_LATCHED] * any(kept) + [_VOLATILE] * (not all(kept) or not kept))


class CameraInput:
    """Follows one camera's publishers and holds its newest image.

    Args:
        wake: called after an image came (in the executor's thread).
        now_s: the node's clock.

    Attributes:
        arrivals: one event per image, value = stamp.
        skipped: images that a newer one replaced before a worker was free.
        info: newest CameraInfo.
        obstacle: '' or why what is published under the image topic's name is of no use.
        image_bytes: of the newest image.
        rhythm: of the images.
        received: monotonic time at which the image came that was taken last, s.
        rivals: '' or a sentence: several publishers on a topic that is one camera's.
    """

    def __init__(self, node: LifecycleNode, name: str, topic: str, camera_info_topic: str, transport: str,
                 reliability: str, wake: Callable[[], None]) -> None:
        self.name, self.topic = name, node.resolve_topic_name(topic)
        # by what names they are asked for: those that were given, for every question and subscription is remapped
        self._image, self._compressed, self._camera_info = topic, beside(node, topic, '/compressed'), camera_info_topic
        self.info_topic = node.resolve_topic_name(camera_info_topic)
        self.choice: Choice | None = None
        self.obstacle = ''
        self.info: CameraInfo | None = None
        self.arrivals, self.skipped, self.image_bytes, self.rivals = Meter(), 0, 0, ''
        self._node, self._wake = node, wake
        self._wanted = transport, reliability
        # one image; a deque because it is filled and emptied by different threads
        self._newest: deque[tuple[Image | CompressedImage, float]] = deque(maxlen=1)
        self._subscription: Any = None
        self._info_subscriptions: dict[DurabilityPolicy, Any] = {}
        self.rhythm, self.received = Rhythm(), math.nan

    def look(self) -> Choice | None:
        """Look at who publishes, subscribe accordingly; returns the choice if it is a new one.

        A camera that died keeps its subscription: it may come back.
        """
        self._look_for_info()
        here = self._node.get_publishers_info_by_topic(self._image)
        jpeg = self._node.get_publishers_info_by_topic(self._compressed)
        choice = choose(self.topic, here, jpeg, *self._wanted)
        self.obstacle = '' if choice else _obstacle(self.topic, here)
        images = '' if choice is None else rivals(choice.topic, choice.among(
            here if choice.topic == self.topic else jpeg))
        self.rivals = images or rivals(self.info_topic, offers(self._node, self._camera_info, _INFO))
        if choice is None or choice == self.choice:
            return None
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        # reliable: a few deep, so that a burst does not stop the publisher; they are emptied faster than they come
        qos = QoSProfile(depth=5, reliability=_RELIABLE) if choice.reliable else QoSProfile(
            depth=1, reliability=_BEST_EFFORT)
        kind = CompressedImage if choice.compressed else Image
        on_image: Any = self._on_image                     # rclpy's types leave out what it calls with two arguments
        self._subscription = self._node.create_subscription(
            kind, self._image if choice.topic == self.topic else self._compressed, on_image, qos)
        self.choice = choice
        return choice

    def _look_for_info(self) -> None:
        """Ask for the CameraInfo with the durability that its publishers offer: some drivers send it once, latched."""
        wanted = durabilities(self._node.get_publishers_info_by_topic(self._camera_info))
        for durability in self._info_subscriptions.keys() - wanted:
            self._node.destroy_subscription(self._info_subscriptions.pop(durability))
        for durability in wanted - self._info_subscriptions.keys():
            qos = QoSProfile(depth=1, durability=durability,
                             reliability=_RELIABLE if durability == _LATCHED else _BEST_EFFORT)
            self._info_subscriptions[durability] = self._node.create_subscription(
                CameraInfo, self._camera_info, self._on_info, qos)

    def close(self) -> None:
        """End the subscriptions and forget the waiting image."""
        for subscription in (self._subscription, *self._info_subscriptions.values()):
            if subscription is not None:
                self._node.destroy_subscription(subscription)
        self._subscription = self.choice = None
        self._info_subscriptions.clear()
        self._newest.clear()
        self.rhythm = Rhythm()                              # a pause of ours is none of the camera's

    def take(self) -> Image | CompressedImage | None:
        """The waiting image, which then waits no more; None = there is none."""
        try:
            message, self.received = self._newest.popleft()
            return message
        except IndexError:
            return None

    @property
    def transport(self) -> str:
        """'auto' | 'raw' | 'compressed', as the parameters want it."""
        return self._wanted[0]

    @property
    def age_s(self) -> float:
        """Since the newest image came, s; inf = none ever came."""
        return self.rhythm.age_s

    @property
    def hint(self) -> str:
        """'' or a sentence: images are being lost on the way, and what to do about it."""
        c = self.choice
        if c is None or c.compressed or c.reliable or self.image_bytes < _LARGE_BYTES:
            return ''
        share = received_share(self.arrivals.values())
        if share >= 0.8 or (math.isnan(share) and self.arrivals.rate_hz() > 5):
            return ''
        lost = '' if math.isnan(share) else f' (about {100 * (1 - share):.0f} %)'
        return (f'raw images are being lost{lost}: they are sent best effort and do not fit into the shared '
                'memory of Fast DDS; start the camera driver with FASTRTPS_DEFAULT_PROFILES_FILE set to '
                'config/fastdds_large_images.xml, or let it publish reliably or compressed')

    def _on_image(self, message: Image | CompressedImage, about: Mapping[str, Any]) -> None:
        self.skipped += len(self._newest)
        self._newest.append((message, received_at(about)))
        self.image_bytes = len(message.data)
        self.rhythm.beat()
        self.arrivals.add(seconds(message.header.stamp))
        self._wake()

    def _on_info(self, message: CameraInfo) -> None:
        self.info = message


def _obstacle(topic: str, here: Sequence[TopicEndpointInfo]) -> str:
    """'' or a sentence: the topic is there, but holds no images."""
    for kind in sorted({o.topic_type for o in here} - {RAW, COMPRESSED}):
        unusable = unusable_kind(topic, kind)
        return f'{topic}: {unusable}' if unusable else (
            f'{topic} is of type {kind}, not of images; name a topic of type {RAW} or {COMPRESSED} in image_topics')
    return ''
