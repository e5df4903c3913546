# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Organised PointCloud2 messages as tables: one row per person, one column per joint, named float32 fields."""
from __future__ import annotations

import array
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from .errors import MessageError

__all__ = ['MOST_BYTES', 'MOST_FIELDS', 'cloud_from', 'columns_of', 'table_cloud']

Array = NDArray[np.float64]

_TYPES = {PointField.INT8: 'i1', PointField.UINT8: 'u1', PointField.INT16: 'i2', PointField.UINT16: 'u2',
          PointField.INT32: 'i4', PointField.UINT32: 'u4', PointField.FLOAT32: 'f4', PointField.FLOAT64: 'f8'}


#: a cloud beyond these is no table of people: a thousand of them with a hundred joints each have a fifth of that
MOST_BYTES, MOST_FIELDS = 16 << 20, 64


@lru_cache(maxsize=8)
def _fields(names: tuple[str, ...]) -> list[PointField]:
    return [PointField(name=n, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, n in enumerate(names)]


def cloud_from(header: Header, columns: Mapping[str, Array], width: int) -> PointCloud2:
    """A cloud of float32 fields in the order of `columns`, each (P, `width`); P = 0 gives a cloud without rows.

    One type for all fields, whole numbers too (exact up to 2^24): a reader gets the table with one `frombuffer`.
    """
    table = np.stack([np.asarray(c, np.float32) for c in columns.values()], -1)
    return table_cloud(header, tuple(columns), table, width)


def table_cloud(header: Header, names: tuple[str, ...], table: NDArray[np.float32], width: int) -> PointCloud2:
    """The same of a table (P, `width`, fields) with a field for each name."""
    step = 4 * len(names)
    data = array.array('B')                                # assigning an ndarray is a thousand times slower
    data.frombytes(np.ascontiguousarray(table, '<f4').data.cast('B') if table.size else b'')
    return PointCloud2(
        header=header, height=len(table), width=width, is_bigendian=False, point_step=step, row_step=step * width,
        is_dense=bool(np.isfinite(table).all()), fields=_fields(names), data=data)


def columns_of(cloud: PointCloud2, names: Sequence[str], topic: str,
               rows: slice | NDArray[np.int64] = slice(None)) -> dict[str, Array]:
    """The named fields of a cloud of any layout, each (height, width) float64, or those rows of it alone.

    Raises:
        MessageError: a field is missing or no number, there are fewer bytes than the cloud promises, or more than any
            table of people has.
    """
    if len(cloud.data) > MOST_BYTES or len(cloud.fields) > MOST_FIELDS:
        raise MessageError(f'a cloud of {len(cloud.data)} bytes and {len(cloud.fields)} fields is no table of people '
                           f'(at most {MOST_BYTES} bytes, {MOST_FIELDS} fields)',
                           f'publish the fields {", ".join(names)}', place=topic)
    fields = {f.name: f for f in cloud.fields}
    missing = [n for n in names if n not in fields]
    if missing:
        raise MessageError(f'no field {", ".join(missing)} in the cloud (it has: '
                           f'{", ".join(n[:20] for n in fields) or "none"})',
                           f'publish the fields {", ".join(names)}', place=topic)
    h, w, step = cloud.height, cloud.width, cloud.point_step
    order = '>' if cloud.is_bigendian else '<'
    for n in names:
        kind = _TYPES.get(fields[n].datatype)
        if kind is None or fields[n].offset + int(kind[1]) > step:
            raise MessageError(f'field {n} of the cloud has datatype {fields[n].datatype} at offset {fields[n].offset} '
                               f'of a {step} byte point', 'publish float32 fields inside of it', place=topic)
    if not h * w:
        return {n: np.zeros((h, w))[rows] for n in names}
    if cloud.row_step < w * step or len(cloud.data) < cloud.row_step * (h - 1) + w * step:
        raise MessageError(f'{len(cloud.data)} bytes are too few for {h} x {w} points of {step} bytes',
                           'the message is cut off', place=topic)
    # a field of its own each: one dtype of them all would have the size of a point, which may be of any size
    data = np.frombuffer(cloud.data, np.uint8)
    with np.errstate(invalid='ignore'):                    # a NaN of a kind of its own is still one
        return {n: np.ndarray((h, w), order + _TYPES[fields[n].datatype], data, fields[n].offset,
                              (cloud.row_step, step))[rows].astype(float) for n in names}
