# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""People as REP-155 (ROS4HRI) has them: `/humans/bodies/...`, joint angles, URDF, and frames on /tf."""
from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String

from ..core import rotation
from ..core.angles import AngleTracker, JointAngles
from ..core.camera import project
from ..core.kinematics import ANGLES
from ..core.observation import Skeleton3D
from ..core.rig import Rig
from ..core.skeleton import JOINTS
from ..io.urdf import urdf_of
from .messages import optical_frame, time_from

__all__ = ['Humans', 'body_id', 'body_transforms', 'hri_messages', 'joint_state_of', 'skeleton2d_points']

_STREAM = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
_LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
#: measures are sent again when one of them has changed by more than this, m, and no more often than this, s
_OTHER_M, _AGAIN_S = .01, 2.
#: points of hri_msgs/Skeleton2D (OpenPose's 18) -> our joints; nose, eyes and ears are not among them
_SKELETON2D: dict[int, str] = {
    1: 'thorax', 2: 'r_shoulder', 3: 'r_elbow', 4: 'r_wrist', 5: 'l_shoulder', 6: 'l_elbow', 7: 'l_wrist', 8: 'r_hip',
    9: 'r_knee', 10: 'r_ankle', 11: 'l_hip', 12: 'l_knee', 13: 'l_ankle'}
_POINTS = 18


def hri_messages() -> Any:
    """The module `hri_msgs.msg`, or None: it comes with ROS4HRI, which most robots do not have, and not from PyPI."""
    try:
        return import_module('hri_msgs.msg')
    except ImportError:
        return None


def body_id(person: int) -> str:
    """REP-155's name of a body: what topics and frames are named after."""
    return f'p{person}'


class _Body:
    """What is kept of one person."""

    def __init__(self) -> None:
        self.tracker = AngleTracker()
        self.angles: Any = None
        self.urdf: Any = None
        self.skeleton: Any = None
        self.published: tuple[np.ndarray, float] | None = None


class Humans:
    """The topics of people. Made, tended and closed in the executor's thread, `publish` by the fusion's.

    Args:
        tf: publishes TFMessages made by `tf_type`; None = there is no /tf.
        frames: which frames of people go there: none, body (one each), joints (all 17, too).
    """

    def __init__(self, node: LifecycleNode, frames: str, tf: Any, tf_type: Any) -> None:
        self.frames = frames
        self._node, self._tf, self._tf_type = node, tf, tf_type
        self._messages = hri_messages()
        self._tracked = None if self._messages is None else node.create_lifecycle_publisher(
            self._messages.IdsList, '/humans/bodies/tracked', _LATCHED)
        self._bodies: dict[int, _Body] = {}
        self._listed: tuple[int, ...] | None = None
        self._lock = threading.Lock()

    def tend(self, people: Sequence[int], present: Sequence[int] | None = None) -> None:
        """Make and remove the topics of single people; `tracked` has those who are present alone (None: all)."""
        self._list(set(people if present is None else present))
        for person in set(self._bodies) - set(people):
            self._close(self._bodies.pop(person))
        for person in set(people) - set(self._bodies):
            body = _Body()
            body.angles = self._late(JointState, person, 'joint_states', _STREAM)
            body.urdf = self._late(String, person, 'urdf', _LATCHED)
            if self._messages is not None:
                body.skeleton = self._late(self._messages.Skeleton2D, person, 'skeleton2d', _STREAM)
            self._bodies[person] = body

    def nobody(self) -> None:
        """Nobody is looked at any more: `tracked` says so."""
        self._list(set())

    def close(self) -> None:
        """Destroy the publishers."""
        for body in self._bodies.values():
            self._close(body)
        self._bodies = {}
        if self._tracked is not None:
            self._node.destroy_lifecycle_publisher(self._tracked)

    def publish(self, people: Sequence[Skeleton3D], stamp: float, frame: str, rig: Rig | None) -> None:
        """The people at `stamp` s; those of level 3 are in this frame."""
        with self._lock:
            if self._listed != (now := tuple(sorted(p.person for p in people))):
                self._send(now, time_from(stamp))
                self._listed = now
        for p in people:
            body = self._bodies.get(p.person)
            if body is None:
                continue
            wanted = (body.angles.get_subscription_count() or body.urdf.get_subscription_count()
                      or (self._tf is not None and self.frames != 'none'))
            angles = body.tracker.update(p) if wanted else None
            if angles is not None:
                self._angles(p, body, angles, frame)
            if body.skeleton is not None and body.skeleton.get_subscription_count() and rig is not None:
                self._skeleton2d(p, body, rig)

    def _list(self, present: set[int]) -> None:
        """Of those who are listed, these alone go on; it needs no result, for there may come none."""
        with self._lock:
            left = tuple(p for p in self._listed or () if p in present)
            if left != (self._listed or ()):
                self._send(left, self._node.get_clock().now().to_msg())
                self._listed = left

    def _send(self, now: Sequence[int], stamp: Time) -> None:
        if self._tracked is not None:
            self._tracked.publish(self._messages.IdsList(header=Header(stamp=stamp), ids=[body_id(p) for p in now]))

    def _angles(self, p: Skeleton3D, body: _Body, angles: JointAngles, frame: str) -> None:
        if body.angles.get_subscription_count():
            body.angles.publish(joint_state_of(angles, body_id(p.person)))
        measures = np.concatenate([np.ravel(getattr(angles.body, n)) for n in angles.body.__dataclass_fields__])
        now = time.monotonic()
        if body.published is None or (now - body.published[1] > _AGAIN_S
                                 and np.abs(measures - body.published[0]).max() > _OTHER_M):
            body.published = measures, now
            name = body_id(p.person)
            body.urdf.publish(String(data=urdf_of(angles.body, f'body_{name}', f'_{name}')))
        if self._tf is not None and self.frames != 'none' and p.level == 3:
            self._tf.publish(self._tf_type(transforms=body_transforms(p, angles, frame, self.frames == 'joints')))

    def _skeleton2d(self, p: Skeleton3D, body: _Body, rig: Rig) -> None:
        camera, points = skeleton2d_points(p, rig)
        if camera:
            kind = self._messages.NormalizedPointOfInterest2D
            body.skeleton.publish(self._messages.Skeleton2D(
                header=Header(stamp=time_from(p.stamp), frame_id=optical_frame(camera)),
                skeleton=[kind(x=x, y=y, c=c) for x, y, c in points.tolist()]))

    def _late(self, kind: Any, person: int, name: str, qos: QoSProfile) -> Any:
        """A publisher that comes after the node's activation, which would have enabled it."""
        made = self._node.create_lifecycle_publisher(kind, f'/humans/bodies/{body_id(person)}/{name}', qos)
        made.on_activate(None)
        return made

    def _close(self, body: _Body) -> None:
        for publisher in (body.angles, body.urdf, body.skeleton):
            if publisher is not None:
                self._node.destroy_lifecycle_publisher(publisher)


def joint_state_of(angles: JointAngles, name: str) -> JointState:
    """Angles, rad, by the names of the URDF's joints."""
    return JointState(header=Header(stamp=time_from(angles.stamp)), name=[f'{a.name}_{name}' for a in ANGLES],
                      position=angles.angle.tolist())


def body_transforms(p: Skeleton3D, angles: JointAngles, frame: str, joints: bool) -> list[TransformStamped]:
    """`body_<id>`, with the place and turn of the pelvis, and `joint_<joint>_<id>` below it, turned alike.

    The URDF's root `pelvis_<id>` is `body_<id>`, too: whoever has its joint states needs no more.
    """
    name = body_id(p.person)
    header = Header(stamp=time_from(p.stamp), frame_id=frame)

    def transform(parent: Header, child: str, at: Any, turn: Any) -> TransformStamped:
        x, y, z, w = rotation.quaternion(turn).tolist()
        return TransformStamped(header=parent, child_frame_id=child, transform=Transform(
            translation=Vector3(x=float(at[0]), y=float(at[1]), z=float(at[2])),
            rotation=Quaternion(x=x, y=y, z=z, w=w)))

    body = Header(stamp=header.stamp, frame_id=f'body_{name}')
    out = [transform(header, f'body_{name}', angles.place, angles.pelvis),
           transform(body, f'pelvis_{name}', np.zeros(3), np.eye(3))]
    if joints:
        local = (p.joints - angles.place) @ angles.pelvis
        out += [transform(body, f'joint_{j}_{name}', x, np.eye(3)) for j, x in zip(JOINTS, local, strict=True)
                if np.isfinite(x).all()]
    return out


def skeleton2d_points(p: Skeleton3D, rig: Rig) -> tuple[str, Any]:
    """The camera that has most of the person in its image, the middle first, and the 18 points (x, y, c) there.

    x, y: 0..1 of the image's width and height.  c: confidence; 0 = not known, or outside of the image.
    """
    best, found, name = -1., np.zeros((_POINTS, 3)), ''
    for i, camera in enumerate(rig.cameras):
        px = project(p.joints, rig.K[i], rig.R[i], rig.t[i], rig.distortion[i]) / rig.image_size[i]
        with np.errstate(invalid='ignore'):
            inside = np.isfinite(px).all(-1) & (px >= 0).all(-1) & (px <= 1).all(-1)
        if not inside.any():
            continue
        score = inside.sum() - float(np.abs(px[inside].mean(0) - .5).max())
        if score > best:
            best, name, found = score, camera, np.zeros((_POINTS, 3))
            for point, joint in _SKELETON2D.items():
                j = JOINTS.index(joint)
                if inside[j]:
                    found[point] = *px[j], p.confidence[j]
    return name, found
