# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Keypoints topics to views, of bags and of nodes alike: clouds of 2D joints, and the text that says what they are.

Messages come from strangers: sizes are bounded before anything is made of them, and one odd number costs a joint.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import CoreError
from ...core.keypoints_info import KeypointsInfo
from ...core.observation import View2D
from ..errors import BadMessage

__all__ = ['DEPTH_FIELDS', 'KEYPOINT_FIELDS', 'KeypointsInfo', 'MOST_PEOPLE', 'columns_of', 'info_of',
           'is_keypoints', 'keypoints_table', 'view_of']

Array = NDArray[np.float64]

KEYPOINT_FIELDS = ('u', 'v', 'confidence', 'person')
#: more of them where the 2D network gives depths
DEPTH_FIELDS = ('depth', 'depth_sigma')
#: so many rows of a cloud are used where nobody asks for fewer
MOST_PEOPLE = 200
#: a cloud beyond these is no table of people: a thousand of them with a hundred joints each have a fifth of that
_MOST_BYTES, _MOST_FIELDS = 16 << 20, 64
#: sensor_msgs/PointField.datatype
_TYPES = {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 8: 'f8'}
#: a joint this many image sizes away from the image is a defect of whoever sent it, not an extrapolation
_FAR = 10.
#: depths that are surer than this share of a torso are a defect, too
_LEAST_SIGMA = 1e-3
#: float32 counts up to this
_MOST_IDENTITY = 2.**24
#: rows of a cloud that are looked at together
_AT_ONCE = 4096


def info_of(text: str, camera: str) -> KeypointsInfo:
    """The JSON of `<camera>/keypoints_info`; see `KeypointsInfo.parse`.

    Raises:
        BadMessage: there is nothing usable in it.
    """
    try:
        return KeypointsInfo.parse(text, camera)
    except CoreError as error:
        raise BadMessage.of(error) from error


def is_keypoints(cloud: Any) -> bool:
    """Whether a sensor_msgs PointCloud2 (or None) holds 2D joints."""
    return cloud is not None and {f.name for f in cloud.fields} >= set(KEYPOINT_FIELDS)


def keypoints_table(view: View2D) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Names of the fields, and a view as (P, 17, fields), columns in the order of `core.skeleton.JOINTS`."""
    names = KEYPOINT_FIELDS if view.depth is None else KEYPOINT_FIELDS + DEPTH_FIELDS
    table = np.empty((*view.confidence.shape, len(names)), np.float32)
    table[..., :2], table[..., 2], table[..., 3] = view.keypoints, view.confidence, view.person[:, None]
    if view.depth is not None:
        table[..., 4], table[..., 5] = view.depth, view.depth_sigma
    return names, table


def columns_of(cloud: Any, names: Sequence[str], rows: slice | NDArray[np.int64] = slice(None)) -> dict[str, Array]:
    """The named fields of a PointCloud2 of any layout, each (height, width) float64, or those rows of it alone.

    Raises:
        BadMessage: a field is missing or no number, there are fewer bytes than the cloud promises, or more than any
            table of people has.
    """
    if len(cloud.data) > _MOST_BYTES or len(cloud.fields) > _MOST_FIELDS:
        raise BadMessage(f'a cloud of {len(cloud.data)} bytes and {len(cloud.fields)} fields is no table of people '
                         f'(at most {_MOST_BYTES} bytes, {_MOST_FIELDS} fields)',
                         f'publish the fields {", ".join(names)}')
    fields = {f.name: f for f in cloud.fields}
    missing = [n for n in names if n not in fields]
    if missing:
        raise BadMessage(f'no field {", ".join(missing)} in the cloud (it has: '
                         f'{", ".join(n[:20] for n in fields) or "none"})', f'publish the fields {", ".join(names)}')
    h, w, step = cloud.height, cloud.width, cloud.point_step
    order = '>' if cloud.is_bigendian else '<'
    for n in names:
        kind = _TYPES.get(fields[n].datatype)
        if kind is None or fields[n].offset + int(kind[1]) > step:
            raise BadMessage(f'field {n} of the cloud has datatype {fields[n].datatype} at offset {fields[n].offset} '
                             f'of a {step} byte point', 'publish float32 fields inside of it')
    if not h * w:
        return {n: np.zeros((h, w))[rows] for n in names}
    if cloud.row_step < w * step or len(cloud.data) < cloud.row_step * (h - 1) + w * step:
        raise BadMessage(f'{len(cloud.data)} bytes are too few for {h} x {w} points of {step} bytes',
                         'the message is cut off')
    # a field of its own each: one dtype of them all would have the size of a point, which may be of any size
    data = np.frombuffer(cloud.data, np.uint8)
    with np.errstate(invalid='ignore'):                    # a NaN of a kind of its own is still one
        return {n: np.ndarray((h, w), order + _TYPES[fields[n].datatype], data, fields[n].offset,
                              (cloud.row_step, step))[rows].astype(float) for n in names}


def view_of(cloud: Any, info: KeypointsInfo, stamp: float, most_people: int = MOST_PEOPLE) -> View2D:
    """The view of one keypoints message; of more than `most_people` rows those that are the surest, in their order.

    Args:
        cloud: a sensor_msgs PointCloud2: a row for each person, a column for each joint.
        stamp: acquisition time, s.

    Raises:
        BadMessage: the fields or bytes do not fit, or the number of columns is not that of the joint names.
    """
    if cloud.width != len(info.joint_names) and cloud.height * cloud.width:
        raise BadMessage(f'{cloud.width} columns for {len(info.joint_names)} joint names',
                         'publish both from the same network')
    deep = {f.name for f in cloud.fields[:_MOST_FIELDS]}.issuperset(DEPTH_FIELDS)
    names = KEYPOINT_FIELDS + DEPTH_FIELDS if deep else KEYPOINT_FIELDS
    if cloud.height * cloud.width == 0:
        columns = columns_of(cloud, names, slice(0))
    elif cloud.height > most_people:
        columns = columns_of(cloud, names, _surest(cloud, most_people))
    else:
        columns = columns_of(cloud, names)
    points = np.stack([columns['u'], columns['v']], -1).reshape(-1, len(info.joint_names), 2)
    size = np.array(info.image_size, float)
    with np.errstate(invalid='ignore'):
        points = np.where((np.abs(points - size / 2) < _FAR * size).all(-1, keepdims=True), points, np.nan)
    confidence = columns['confidence'].reshape(points.shape[:2])
    person = columns['person'].reshape(points.shape[:2])[:, :1].ravel()
    person = np.where((person >= 0) & (person < _MOST_IDENTITY), person, -1.)            # which a NaN is not
    try:
        depth = None
        if deep:
            raw = np.stack([columns[n] for n in DEPTH_FIELDS], -1).reshape(points.shape)
            good = (np.abs(raw[..., 0]) <= _FAR) & (raw[..., 1] >= _LEAST_SIGMA) & (raw[..., 1] <= _FAR)
            depth, _ = info.joints.apply(np.where(good[..., None], raw, np.nan), confidence)
        keypoints, confidence = info.joints.apply(points, confidence)
        return View2D(info.camera, stamp, keypoints, confidence, info.image_size,
                      person.astype(np.int64), info.intrinsics,
                      None if depth is None else depth[..., 0], None if depth is None else depth[..., 1],
                      info.accuracy)
    except CoreError as error:
        raise BadMessage.of(error) from error


def _surest(cloud: Any, most: int) -> NDArray[np.int64]:
    """Which rows have the highest sums of confidence, in the order of the cloud; without a copy of the others."""
    sums = np.concatenate([
        np.clip(np.nan_to_num(columns_of(cloud, ('confidence',), slice(i, i + _AT_ONCE))['confidence'], nan=0.),
                0., 1.).sum(1) for i in range(0, cloud.height, _AT_ONCE)])
    return np.sort(np.argsort(-sums, kind='stable')[:most])
