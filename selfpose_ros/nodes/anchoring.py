# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The rig in the robot's tree of frames: `parent_frame` -> world frame, from a known camera or three known places."""
from __future__ import annotations

import time
from typing import Any

import numpy as np
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Header

from ..core import rotation
from ..core.anchor import Anchor, from_camera, from_places
from ..core.errors import RigError
from ..core.rig import Rig
from .anchor_parameters import anchor_places, anchor_pose
from .diagnostics import OK, WARN, Entry, number
from .messages import time_from, transforms_from
from .parameters import FusionSettings

__all__ = ['Anchoring', 'anchor_of']

_LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
#: a rig that has not changed for this long is settled, s
_SETTLED_S = 10.
#: the metre of the rig and that of the places may differ by this share; places may be this far off, m
_SCALE, _OFF_M = .05, .1


class Anchoring:
    """Made, tended and closed in the executor's thread.

    Args:
        tf_type: the class of /tf's messages, None = there is none.
    """

    def __init__(self, node: LifecycleNode, settings: FusionSettings, tf_type: Any) -> None:
        self.settings = settings
        self._node, self._tf_type = node, tf_type
        self._transform = node.create_lifecycle_publisher(TransformStamped, '~/world_transform', _LATCHED)
        self._static = None if tf_type is None else node.create_lifecycle_publisher(tf_type, '/tf_static', _LATCHED)
        self._anchor: Anchor | None = None
        self._why = ''
        self._done: tuple[Any, ...] = ()
        self._rig: Rig | None = None
        self._since = 0.

    @property
    def settled(self) -> bool:
        """The camera frames are static now, and need not be sent again."""
        return (self.settings.static_cameras and self._static is not None and self._rig is not None
                and time.monotonic() - self._since > _SETTLED_S)

    def tend(self, rig: Rig | None, stamp: float) -> None:
        """Follow the rig and the parameters."""
        s = self.settings
        if rig is not self._rig:
            self._rig, self._since = rig, time.monotonic()
        asked = (id(rig), s.parent_frame, s.anchor_camera, s.anchor_pose, s.anchor_places, self.settled)
        if asked == self._done:
            return
        self._done = asked
        self._anchor, self._why = None, ''
        if rig is None:
            return
        sent: list[TransformStamped] = []
        if s.parent_frame:
            try:
                self._anchor = anchor_of(rig, s)
                sent.append(_transform(self._anchor, s.parent_frame, s.world_frame, stamp))
                self._transform.publish(sent[0])
            except RigError as error:
                self._why = str(error)
        if self.settled:
            sent += transforms_from(rig, stamp, s.world_frame)
        if self._static is not None and sent:
            self._static.publish(self._tf_type(transforms=sent))

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in (self._transform, self._static):
            if publisher is not None:
                self._node.destroy_lifecycle_publisher(publisher)

    def entries(self) -> list[Entry]:
        """For /diagnostics; none where there is no parent frame."""
        s, a = self.settings, self._anchor
        if not s.parent_frame:
            return []
        if a is None:
            figures = {'parent': s.parent_frame}
            if self._why:
                return [Entry('anchor', WARN, 'unplaced',
                              f'{s.world_frame} has no place in {s.parent_frame}: {self._why}', figures)]
            return [Entry('anchor', OK, 'waiting',
                          f'{s.world_frame} gets its place in {s.parent_frame} once there is a rig', figures)]
        figures = {'parent': s.parent_frame, 'residual_m': number(a.residual_m, 3), 'scale': number(a.scale, 3)}
        if abs(a.scale - 1) > _SCALE:
            return [Entry('anchor', WARN, 'scale', f'the places of anchor_places are {a.scale:.2f} times as far '
                          'apart as in the rig; set person_height_m or baseline_m, or mend the places', figures)]
        if a.residual_m > _OFF_M:
            return [Entry('anchor', WARN, 'off', f'the places of anchor_places do not fit the rig, they are '
                          f'{number(a.residual_m, 2)} m off; mend them', figures)]
        return [Entry('anchor', OK, 'ok', f'{s.world_frame} has its place in {s.parent_frame}', figures)]


def anchor_of(rig: Rig, settings: FusionSettings) -> Anchor:
    """What the parameters mean with this rig.

    Raises:
        RigError: it does not have the cameras that they name.
    """
    if settings.anchor_places:
        return from_places(rig, {c: np.array(x) for c, x in anchor_places(settings.anchor_places).items()})
    x, y, z, *turn = anchor_pose(settings.anchor_pose)
    place: NDArray[np.float64] = np.array([x, y, z])
    roll, pitch, yaw = (rotation.exp(a * axis) for a, axis in zip(turn, np.eye(3), strict=True))
    R = yaw @ pitch @ roll
    if not settings.anchor_camera:
        return Anchor(R, place)
    return from_camera(rig, settings.anchor_camera, place, R)


def _transform(a: Anchor, parent: str, child: str, stamp: float) -> TransformStamped:
    x, y, z, w = rotation.quaternion(a.R).tolist()
    return TransformStamped(header=Header(stamp=time_from(stamp), frame_id=parent), child_frame_id=child,
                            transform=Transform(translation=Vector3(**dict(zip('xyz', a.t.tolist(), strict=True))),
                                                rotation=Quaternion(x=x, y=y, z=z, w=w)))
