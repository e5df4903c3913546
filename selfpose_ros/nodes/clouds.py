# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Organised PointCloud2 messages as tables: one row per person, one column per joint, named float32 fields."""
from __future__ import annotations

import array
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

__all__ = ['cloud_from', 'table_cloud']

Array = NDArray[np.float64]


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
