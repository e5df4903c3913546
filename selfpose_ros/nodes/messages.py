# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Values of the core <-> messages. Pure functions; no node, no topic, no clock.

Keypoints of a camera travel on two topics, so that bags and other hosts have all they need:

- `<camera>/keypoints`, PointCloud2: a row per person, a column per joint, float32 fields `u v` (px, NaN = not
  seen), `confidence` (0..1) and `person` (the camera's own track, -1 = none). Header: that of the image. Where the
  2D network gives how far joints lie behind the pelvis, `depth` and `depth_sigma`, too: see `View2D`; NaN = not known.
- `<camera>/keypoints_info`, String, transient local: JSON with `joint_names` (the columns, or the name of a set of
  `core.skeleton.JOINT_SETS`), `image_size` [w, h] px, `K` and `distortion` (null = not calibrated), `camera`, `model`,
  `device`, `accuracy` (`confidence` and `sigma` of `core.noise.Accuracy`; null = not known). Sent again whenever it
  changes.
"""
from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Transform, TransformStamped, Twist
from sensor_msgs.msg import CameraInfo, MultiDOFJointState, PointCloud2
from std_msgs.msg import Header

from ..core import rotation
from ..core.errors import CoreError
from ..core.observation import Skeleton3D, View2D
from ..core.rig import Rig
from ..core.skeleton import BONES, JOINTS, MIRROR, PARENTS
from ..io.errors import BadMessage
from ..io.ros_messages import keypoints
from ..io.ros_messages.keypoints import MOST_PEOPLE, KeypointsInfo, keypoints_table
from .clouds import cloud_from, table_cloud
from .errors import MessageError

__all__ = [
    'KeypointsInfo', 'MOST_PEOPLE', 'SKELETON_FIELDS', 'camera_info_from_rig', 'info_of', 'joint_state_from',
    'keypoints_from', 'optical_frame', 'rig_of', 'rig_text', 'seconds', 'skeleton_model_text', 'skeletons_from',
    'skeletons_of', 'stamp_of', 'time_from', 'transforms_from', 'view_of',
]

SKELETON_FIELDS = ('x', 'y', 'z', 'confidence', 'sigma', 'views', 'person', 'level')
#: stamps are signed 32 bits; an hour is left for what is computed from them
_LAST_SECOND = 2**31 - 3600


def seconds(stamp: Time) -> float:
    """Seconds of a message's stamp."""
    return stamp.sec + 1e-9 * stamp.nanosec


def stamp_of(header: Header, topic: str) -> float:
    """Seconds of a header's stamp.

    Raises:
        MessageError: it is no time that a message can be given back: before 1970, beyond 2038, or with too many
            nanoseconds.
    """
    sec, nanosec = header.stamp.sec, header.stamp.nanosec
    if not (0 <= sec < _LAST_SECOND and nanosec < 1_000_000_000):
        raise MessageError(f'the stamp {sec} s + {nanosec} ns is no time',
                           'set header.stamp to the time at which the image was taken', place=topic)
    return sec + 1e-9 * nanosec


def time_from(stamp_s: float) -> Time:
    """The message of a stamp in seconds."""
    ns = round(stamp_s * 1e9)
    return Time(sec=ns // 1_000_000_000, nanosec=ns % 1_000_000_000)


def optical_frame(camera: str) -> str:
    """Name of a camera's optical frame on /tf."""
    return f'{camera.replace("/", "_")}_optical'


def info_of(text: str, camera: str, topic: str) -> KeypointsInfo:
    """What the JSON of `topic` says, published for `camera`, see `KeypointsInfo.parse`.

    Raises:
        MessageError: there is nothing usable in it.
    """
    with _of(topic):
        return keypoints.info_of(text, camera)


def keypoints_from(view: View2D, header: Header) -> PointCloud2:
    """The cloud of `<camera>/keypoints`, columns in the order of `core.skeleton.JOINTS`."""
    return table_cloud(header, *keypoints_table(view), len(JOINTS))


def view_of(cloud: PointCloud2, info: KeypointsInfo, topic: str, most_people: int = MOST_PEOPLE) -> View2D:
    """The view of one keypoints message; see `io.ros_messages.keypoints.view_of`.

    Raises:
        MessageError: the fields or bytes do not fit, the stamp is no time, or the number of columns is not that of the
            joint names.
    """
    stamp = stamp_of(cloud.header, topic)
    with _of(topic):
        return keypoints.view_of(cloud, info, stamp, most_people)


@contextmanager
def _of(topic: str) -> Iterator[None]:
    """What cannot be used within is a message of this topic."""
    try:
        yield
    except BadMessage as error:
        raise MessageError.of(error).within(topic) from error


def skeletons_from(people: Sequence[Skeleton3D], stamp_s: float, frame_id: str) -> PointCloud2:
    """The cloud of `~/skeletons`: a row per person, a column per joint, `SKELETON_FIELDS`; NaN = not known."""
    ones = np.ones((1, len(JOINTS)))

    def stacked(values: list[Any]) -> Any:
        return np.array(values, float).reshape(-1, len(JOINTS))

    xyz = np.array([p.joints for p in people], float).reshape(-1, len(JOINTS), 3)
    columns = dict(zip('xyz', np.moveaxis(xyz, -1, 0), strict=True))
    columns |= {
        'confidence': stacked([p.confidence for p in people]), 'sigma': stacked([p.sigma for p in people]),
        'views': stacked([p.views for p in people]), 'person': stacked([p.person * ones for p in people]),
        'level': stacked([p.level * ones for p in people])}
    return cloud_from(Header(stamp=time_from(stamp_s), frame_id=frame_id), columns, len(JOINTS))


def skeletons_of(cloud: PointCloud2, topic: str = 'skeletons') -> list[Skeleton3D]:
    """The people of one `~/skeletons` message, without velocities.

    Raises:
        MessageError: the fields or bytes do not fit.
    """
    with _of(topic):
        c = keypoints.columns_of(cloud, SKELETON_FIELDS)
    if cloud.height and cloud.width != len(JOINTS):
        raise MessageError(f'{cloud.width} columns instead of {len(JOINTS)} joints', 'read the topic of fusion_node',
                           place=topic)
    return [Skeleton3D(int(c['person'][i, 0]), seconds(cloud.header.stamp), np.stack([c[a][i] for a in 'xyz'], -1),
                       c['sigma'][i], c['confidence'][i], c['views'][i].astype(np.int64), int(c['level'][i, 0]))
            for i in range(cloud.height)]


def skeleton_model_text() -> str:
    """The JSON of `~/skeleton_model`: what the columns and fields of `~/skeletons` are."""
    return json.dumps({
        'joints': list(JOINTS), 'parents': list(PARENTS), 'bones': [list(b) for b in BONES],
        'mirror': list(MIRROR), 'fields': list(SKELETON_FIELDS),
        'units': {'x': 'm', 'y': 'm', 'z': 'm', 'sigma': 'm'}})


def joint_state_from(person: Skeleton3D, frame_id: str) -> MultiDOFJointState:
    """One person by joint names; joints that are not known are left out.

    Translations in m, orientations are the identity (a point has none), velocities in m/s, NaN where not known.
    """
    out = MultiDOFJointState(header=Header(stamp=time_from(person.stamp), frame_id=frame_id))
    for name, xyz, velocity in zip(JOINTS, person.joints.tolist(), person.velocity.tolist(), strict=True):
        if all(np.isfinite(xyz)):
            transform, twist = Transform(), Twist()
            transform.translation.x, transform.translation.y, transform.translation.z = xyz
            twist.linear.x, twist.linear.y, twist.linear.z = velocity
            out.joint_names.append(name)
            out.transforms.append(transform)
            out.twist.append(twist)
    return out


def rig_text(rig: Rig | None, frame_id: str, reason: str = '') -> str:
    """The JSON of `~/rig`: `solved`, `frame_id` and all fields of `Rig`; or `solved` false and the `reason`."""
    if rig is None:
        return json.dumps({'solved': False, 'frame_id': frame_id, 'reason': reason})
    values: Mapping[str, Any] = rig.to_dict()
    # JSON knows no NaN, and other languages' readers refuse it
    plain = {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in values.items()}
    return json.dumps({'solved': True, 'frame_id': frame_id, **plain})


def rig_of(text: str) -> tuple[Rig | None, str]:
    """The rig that `rig_text` made this JSON of, and the reason why there is none, '' where there is one.

    Raises:
        MessageError: it is no such JSON.
    """
    try:
        content = json.loads(text)
        # what JSON cannot hold comes as null
        fields = {k: np.nan if v is None else v for k, v in content.items() if k in Rig.__dataclass_fields__}
        return Rig.from_dict(fields) if content['solved'] else None, str(content.get('reason', ''))
    except (CoreError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MessageError(f'{text[:60]!r} is no rig ({" ".join(str(error).split())[:100]})',
                           'send what fusion_node sends on ~/rig') from error


def camera_info_from_rig(rig: Rig, camera: str, stamp_s: float) -> CameraInfo:
    """The self-calibrated intrinsics of one camera of the rig."""
    i = rig.cameras.index(camera)
    K, (w, h), d = rig.K[i], rig.image_size[i], rig.distortion[i]
    rational = bool(d[5:].any())
    return CameraInfo(
        header=Header(stamp=time_from(stamp_s), frame_id=optical_frame(camera)), width=int(w), height=int(h),
        distortion_model='rational_polynomial' if rational else 'plumb_bob',
        d=(d if rational else d[:5]).tolist(), k=K.ravel().tolist(),
        r=np.eye(3).ravel().tolist(), p=np.hstack([K, np.zeros((3, 1))]).ravel().tolist())


def transforms_from(rig: Rig, stamp_s: float, world_frame: str) -> list[TransformStamped]:
    """The cameras' optical frames as children of the world frame."""
    out = []
    for camera, centre, R in zip(rig.cameras, rig.centres, rig.R, strict=True):
        t = TransformStamped(header=Header(stamp=time_from(stamp_s), frame_id=world_frame),
                             child_frame_id=optical_frame(camera))
        v, q = t.transform.translation, t.transform.rotation
        v.x, v.y, v.z = centre.tolist()
        q.x, q.y, q.z, q.w = rotation.quaternion(R.T).tolist()
        out.append(t)
    return out
