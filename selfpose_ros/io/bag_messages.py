# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Messages of a bag to values, without ROS: keypoint clouds and what describes them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.camera import Intrinsics
from ..core.errors import CoreError
from ..core.keypoints_info import read_keypoints_text
from ..core.noise import Accuracy
from ..core.observation import View2D
from ..core.skeleton import JointMap, joint_map
from .errors import BadMessage

__all__ = ['KeypointsInfo', 'info_of', 'is_keypoints', 'view_of']

_FIELDS = ('u', 'v', 'confidence', 'person')
#: of networks that tell depths, too
_DEPTH = ('depth', 'depth_sigma')
#: sensor_msgs/PointField.datatype
_TYPES = {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 8: 'f8'}


@dataclass(frozen=True)
class KeypointsInfo:
    """What the columns of a keypoints topic are."""

    joint_names: tuple[str, ...]
    image_size: tuple[int, int]
    intrinsics: Intrinsics | None
    joints: JointMap
    accuracy: Accuracy | None = None


def info_of(text: str) -> KeypointsInfo:
    """The content of `<camera>/keypoints_info`.

    Raises:
        BadMessage: no JSON, a field is missing, or the joints are no body.
    """
    try:
        info = read_keypoints_text(text)
        return KeypointsInfo(info.joint_names, info.image_size, info.intrinsics, joint_map(info.joint_names),
                             info.accuracy)
    except CoreError as error:
        raise BadMessage(str(error)) from error


def is_keypoints(cloud: Any) -> bool:
    """Whether a sensor_msgs PointCloud2 (or None) holds 2D joints."""
    return cloud is not None and {f.name for f in cloud.fields} >= set(_FIELDS)


def view_of(cloud: Any, info: KeypointsInfo, camera: str, stamp: float) -> View2D:
    """The view of a keypoints cloud: a row for each person, a column for each joint.

    Raises:
        BadMessage: fields, bytes or columns do not fit.
    """
    if not cloud.height * cloud.width:
        return View2D(camera, stamp, np.zeros((0, 17, 2)), np.zeros((0, 17)), info.image_size,
                      intrinsics=info.intrinsics, accuracy=info.accuracy)
    if cloud.width != len(info.joint_names):
        raise BadMessage(f'{cloud.width} columns for {len(info.joint_names)} joint names')
    deep = {f.name for f in cloud.fields}.issuperset(_DEPTH)
    table = _table(cloud, _FIELDS + _DEPTH if deep else _FIELDS)
    u, v, confidence, person = (table[name].astype(float) for name in _FIELDS)
    try:
        keypoints, certainty = info.joints.apply(np.stack([u, v], -1), confidence)
        who = np.nan_to_num(person[:, 0], nan=-1., posinf=-1., neginf=-1.).astype(np.int64)
        if not deep:
            return View2D(camera, stamp, keypoints, certainty, info.image_size, who, info.intrinsics,
                          accuracy=info.accuracy)
        depth, _ = info.joints.apply(np.stack([table[name].astype(float) for name in _DEPTH], -1), confidence)
        return View2D(camera, stamp, keypoints, certainty, info.image_size, who, info.intrinsics, depth[..., 0],
                      depth[..., 1], info.accuracy)
    except CoreError as error:
        raise BadMessage(str(error)) from error


def _table(cloud: Any, names: tuple[str, ...]) -> NDArray[Any]:
    fields = {f.name: f for f in cloud.fields}
    missing = [n for n in names if n not in fields]
    if missing:
        raise BadMessage(f'no field {", ".join(missing)}')
    order = '>' if cloud.is_bigendian else '<'
    formats = [_TYPES.get(fields[n].datatype, '') for n in names]
    offsets = [fields[n].offset for n in names]
    h, w, step = cloud.height, cloud.width, cloud.point_step
    data = np.ascontiguousarray(cloud.data, np.uint8)
    if '' in formats or max(o + int(f[1]) for o, f in zip(offsets, formats, strict=True)) > step:
        raise BadMessage('fields that are no numbers or lie outside the point')
    if cloud.row_step < w * step or data.size < cloud.row_step * (h - 1) + w * step:
        raise BadMessage(f'{data.size} bytes are too few for {h} x {w} points of {step} bytes')
    dtype = np.dtype({'names': list(names), 'formats': [order + f for f in formats], 'offsets': offsets,
                      'itemsize': step})
    return np.ndarray((h, w), dtype, data, strides=(cloud.row_step, step))
