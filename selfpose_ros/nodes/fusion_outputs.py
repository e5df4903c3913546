# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Results -> topics. Costly messages are built only while somebody listens."""
from __future__ import annotations

import threading
import time
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, MultiDOFJointState, PointCloud2
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from ..core.observation import Skeleton3D
from ..core.rig import Rig
from .anchoring import Anchoring
from .diagnostics import Entry
from .fusion_worker import Result
from .humans import Humans
from .markers import people_markers, rig_markers
from .messages import (
    camera_info_from_rig,
    joint_state_from,
    rig_text,
    skeleton_model_text,
    skeletons_from,
    transforms_from,
)
from .parameters import FusionSettings

__all__ = ['FusionOutputs', 'tf_message']

_STREAM = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
_LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
#: a person not seen for this long loses the topic ~/joint_state/person_<id>
_FORGET_S = 10.
#: and is listed on /humans/bodies/tracked no more after this, s
_GONE_S = 2.
#: changing reasons for having no rig are sent no more often than this, s
_REASON_S = 1.
#: markers of the rig are sent this often, s
_RIG_MARKERS_S = 1.


def tf_message() -> Any:
    """The class of /tf's messages, or None: tf2_msgs comes with ROS, not from PyPI."""
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:
        return None
    return TFMessage


class FusionOutputs:
    """The topics of fusion_node. Made and closed by the executor's thread, fed by the fusion's.

    Camera frames go to /tf with every result, not to /tf_static: when the rig is given up, they end by themselves.
    """

    def __init__(self, node: LifecycleNode, settings: FusionSettings) -> None:
        self.settings = settings
        self._node = node
        make = node.create_lifecycle_publisher
        self._skeletons = make(PointCloud2, '~/skeletons', _STREAM)
        self._markers = make(MarkerArray, '~/markers', _STREAM)
        self._rig = make(String, '~/rig', _LATCHED)
        self._model = make(String, '~/skeleton_model', _LATCHED)
        self._tf_type: Any = tf_message() if settings.publish_tf else None
        self._tf = make(self._tf_type, '/tf', QoSProfile(depth=100)) if self._tf_type else None
        if settings.publish_tf and self._tf is None:
            node.get_logger().info('tf2_msgs is not installed: no camera frames on /tf; their poses are on ~/rig')
        self._humans = Humans(node, settings.people_frames, self._tf,
                              self._tf_type) if settings.publish_humans else None
        self._anchoring = Anchoring(node, settings, tf_message() if settings.publish_tf else None)
        self._camera_info: dict[str, Any] = {}
        self._persons: dict[int, Any] = {}
        self._lock = threading.Lock()
        self._seen: dict[int, float] = {}
        self._published: tuple[Rig | None, str, float] | None = None
        self._described: Rig | None = None
        self._rig_stamp = 0.
        self._rig_shown = 0.

    def open(self) -> None:
        """Send what is latched; the node is active."""
        self._model.publish(String(data=skeleton_model_text()))
        self._published = None
        self.publish_rig(None, 'waiting for the first views')

    def close(self) -> None:
        """Destroy the publishers."""
        self._anchoring.close()
        if self._humans is not None:
            self._humans.close()
        own = [self._skeletons, self._markers, self._rig, self._model, self._tf]
        for publisher in (*own, *self._camera_info.values(), *self._persons.values()):
            if publisher is not None:
                self._node.destroy_lifecycle_publisher(publisher)
        self._camera_info, self._persons = {}, {}

    def publish(self, result: Result) -> None:
        """One result on all topics."""
        s = self.settings
        # before the rig is trusted: a frame of its own, so that nobody takes these people for placed
        placed = [p for p in result.people if p.level == 3]
        others = [p for p in result.people if p.level != 3]
        if placed or not others:
            self._skeletons.publish(skeletons_from(placed, result.stamp, s.world_frame))
        if others:
            self._skeletons.publish(skeletons_from(others, result.stamp, s.provisional_frame))
        if self._tf is not None and s.publish_tf and result.rig is not None and not self._anchoring.settled:
            self._tf.publish(self._tf_type(transforms=transforms_from(result.rig, result.stamp, s.world_frame)))
        self._rig_stamp = result.stamp
        self.publish_rig(result.rig, result.status.rig_reason or result.status.sentence)
        self._joint_states(result)
        if self._humans is not None:
            self._humans.frames = s.people_frames if s.publish_tf else 'none'
            self._humans.publish(result.people, result.stamp, s.world_frame, result.rig)
        if self._markers.get_subscription_count():
            self._markers.publish(people_markers(result.people, result.stamp, s.world_frame, s.marker_size_m))
            if result.rig is not None and time.monotonic() - self._rig_shown > _RIG_MARKERS_S:
                self._rig_shown = time.monotonic()
                self._markers.publish(rig_markers(result.rig, result.stamp, s.world_frame, 3 * _RIG_MARKERS_S))

    def tend(self) -> None:
        """Make and remove the topics of single people and cameras; in the executor's thread."""
        now = time.monotonic()
        with self._lock:
            left = [p for p, seen in self._seen.items() if now - seen > _FORGET_S]
            for person in left:
                del self._seen[person]
            new = set(self._seen) - set(self._persons)
            there = list(self._seen)
            present = [p for p, seen in self._seen.items() if now - seen <= _GONE_S]
        if self._humans is not None:
            self._humans.tend(there, present)
        for person in left:
            if person in self._persons:
                self._node.destroy_lifecycle_publisher(self._persons.pop(person))
        for person in new:
            self._persons[person] = self._late(MultiDOFJointState, f'~/joint_state/person_{person}', _STREAM)
        rig = self._published[0] if self._published is not None else None
        self._anchoring.settings = self.settings
        self._anchoring.tend(rig, self._rig_stamp)
        if rig is not None and rig is not self._described:
            self._described = rig
            for camera in rig.cameras:
                if camera not in self._camera_info:
                    self._camera_info[camera] = self._late(CameraInfo, f'~/{camera}/camera_info', _LATCHED)
                self._camera_info[camera].publish(camera_info_from_rig(rig, camera, self._rig_stamp))

    def rest(self) -> None:
        """The node takes nothing any more for now: what is latched must not tell that somebody is there."""
        if self._humans is not None:
            self._humans.nobody()

    def entries(self) -> list[Entry]:
        """For /diagnostics."""
        return self._anchoring.entries()

    def _late(self, kind: Any, topic: str, qos: QoSProfile) -> Any:
        """A publisher that comes after the node's activation, which would have enabled it."""
        publisher = self._node.create_lifecycle_publisher(kind, topic, qos)
        publisher.on_activate(None)
        return publisher

    def publish_rig(self, rig: Rig | None, reason: str) -> None:
        """~/rig, whenever it is another one, or there is none for another reason (at most once a second)."""
        now = time.monotonic()
        if self._published is not None:
            published, why, when = self._published
            if published is rig and (rig is not None or why == reason or now - when < _REASON_S):
                return
        self._published = rig, reason, now
        self._rig.publish(String(data=rig_text(rig, self.settings.world_frame, reason)))

    def _joint_states(self, result: Result) -> None:
        now = time.monotonic()
        with self._lock:
            self._seen.update((p.person, now) for p in result.people)
        for p in result.people:
            publisher = self._persons.get(p.person)
            if publisher is not None and publisher.get_subscription_count():
                publisher.publish(joint_state_from(p, self._frame(p)))

    def _frame(self, person: Skeleton3D) -> str:
        return self.settings.world_frame if person.level == 3 else self.settings.provisional_frame
