# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""People and rig as rviz markers: two lists and a label per person, a list for all cameras, one for the floor."""
from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from ..core.observation import LEVEL_NAMES, Skeleton3D
from ..core.rig import Rig
from ..core.skeleton import BONES
from .messages import time_from

__all__ = ['people_markers', 'rig_markers']

#: a person that is no longer sent disappears after this
_LIFETIME = Duration(sec=0, nanosec=500_000_000)
#: length of the drawn camera pyramids and half the side of the drawn floor, m
_PYRAMID_M, _FLOOR_M = 0.25, 3
#: neighbouring identities get colours far apart
_GOLDEN_RATIO = 0.618034


def _points(rows: NDArray[np.float64]) -> list[Point]:
    return [Point(x=x, y=y, z=z) for x, y, z in rows.reshape(-1, 3).tolist()]


def _marker(header: Header, namespace: str, number: int, kind: int, size: float) -> Marker:
    m = Marker(header=header, ns=namespace, id=number, type=kind, action=Marker.ADD)
    m.pose.orientation.w = 1.
    m.scale.x = m.scale.y = m.scale.z = size
    return m


def _colour(person: int, level: int) -> ColorRGBA:
    # pale before level 3: the place in the room is provisional
    r, g, b = colorsys.hsv_to_rgb((0.33 + _GOLDEN_RATIO * (person - 1)) % 1., 0.85 if level == 3 else 0.25, 1.)
    return ColorRGBA(r=r, g=g, b=b, a=1.)


def people_markers(people: Sequence[Skeleton3D], stamp_s: float, frame_id: str, size_m: float) -> MarkerArray:
    """Joints (spheres), bones (lines) and a label of each person; joints that are not known are left out.

    All in `frame_id`, so that rviz shows something from the first second on; the label says when the place in the
    room is not to be trusted.
    """
    header = Header(stamp=time_from(stamp_s), frame_id=frame_id)
    out = MarkerArray()
    for p in people:
        known = np.isfinite(p.joints).all(-1)
        if not known.any():
            continue
        colour = _colour(p.person, p.level)
        joints = _marker(header, 'joints', p.person, Marker.SPHERE_LIST, size_m)
        joints.points = _points(p.joints[known])
        joints.colors = [ColorRGBA(r=colour.r, g=colour.g, b=colour.b, a=a)
                         for a in np.clip(0.3 + 0.7 * p.confidence[known], 0.3, 1.).tolist()]
        bones = _marker(header, 'bones', p.person, Marker.LINE_LIST, 0.4 * size_m)
        bones.points = _points(p.joints[np.array([b for b in BONES if known[list(b)].all()], int).reshape(-1, 2)])
        bones.color = joints.color = colour
        label = _marker(header, 'labels', p.person, Marker.TEXT_VIEW_FACING, 3 * size_m)
        top = p.joints[known][p.joints[known][:, 2].argmax()]
        label.pose.position = _points(top + [0, 0, 4 * size_m])[0]
        label.color = ColorRGBA(r=1., g=1., b=1., a=1.)
        label.text = f'{p.person}: {LEVEL_NAMES[p.level]}' + ('' if p.level == 3 else ', place is provisional')
        for m in (joints, bones, label):
            m.lifetime = _LIFETIME
            out.markers.append(m)
    return out


def rig_markers(rig: Rig, stamp_s: float, frame_id: str, lifetime_s: float) -> MarkerArray:
    """Pyramids and names of the cameras and the floor's grid; a rig that is given up expires with them."""
    header = Header(stamp=time_from(stamp_s), frame_id=frame_id)
    cameras = _marker(header, 'cameras', 0, Marker.LINE_LIST, 0.01)
    cameras.color = ColorRGBA(r=1., g=0.8, b=0.2, a=1.)
    cameras.points = _points(np.concatenate([_pyramid(rig, i) for i in range(len(rig.cameras))]))
    floor = _marker(header, 'floor', 0, Marker.LINE_LIST, 0.005)
    floor.color = ColorRGBA(r=0.6, g=0.6, b=0.6, a=0.6)
    floor.points = _points(np.array(list(_grid(_FLOOR_M)), float))
    out = MarkerArray(markers=[cameras, floor, *_names(rig, header)])
    for m in out.markers:
        m.lifetime = Duration(sec=int(lifetime_s), nanosec=int(lifetime_s % 1 * 1e9))
    return out


def _names(rig: Rig, header: Header) -> Iterable[Marker]:
    for i, (name, centre) in enumerate(zip(rig.cameras, rig.centres, strict=True)):
        m = _marker(header, 'camera_names', i, Marker.TEXT_VIEW_FACING, 0.12)
        m.pose.position = _points(centre + [0, 0, 0.15])[0]
        m.color, m.text = ColorRGBA(r=1., g=0.8, b=0.2, a=1.), name
        yield m


def _pyramid(rig: Rig, i: int) -> NDArray[np.float64]:
    """(16, 3) end points of the 8 edges, world, m."""
    w, h = rig.image_size[i]
    pixels = np.array([[0, 0, 1], [w, 0, 1], [w, h, 1], [0, h, 1]], float)
    corners = pixels @ np.linalg.inv(rig.K[i]).T * _PYRAMID_M
    base = corners @ rig.R[i] + rig.centres[i]
    top = np.broadcast_to(rig.centres[i], base.shape)
    return np.concatenate([np.stack([top, base], 1), np.stack([base, np.roll(base, -1, 0)], 1)]).reshape(-1, 3)


def _grid(half: int) -> Iterable[tuple[float, float, float]]:
    for k in range(-half, half + 1):
        yield from ((k, -half, 0), (k, half, 0), (-half, k, 0), (half, k, 0))
