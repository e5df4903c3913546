# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The measured body as a URDF: links, revolute joints with limits, and simple shapes, for rviz and MoveIt."""
from __future__ import annotations

import math
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from ..core.kinematics import ANGLES, Body

__all__ = ['urdf_of']

Array = NDArray[np.float64]

#: radius of a shape as a share of its length; of the head, m
_THICK = {'pelvis': .5, 'torso': .3, 'thigh': .17, 'shank': .12, 'upper_arm': .14, 'forearm': .12}
_HEAD_M = .1
_EFFORT, _SPEED = 100, 20


def urdf_of(body: Body, name: str = 'human', suffix: str = '') -> str:
    """The XML of a body.

    Args:
        name: of the robot.
        suffix: is put behind the name of every link and joint, for several people in one tree.
    """
    origin, shape = _geometry(body)
    lines = ['<?xml version="1.0"?>', f'<robot name={quoteattr(name)}>', *_link(f'pelvis{suffix}', shape['pelvis'])]
    for a in ANGLES:
        at = origin.get(a.child, origin.get(a.name, np.zeros(3)))
        lines += [*_link(f'{a.child}{suffix}', shape.get(a.child)),
                  f'  <joint name="{a.name}{suffix}" type="revolute">',
                  f'    <parent link="{a.parent}{suffix}"/><child link="{a.child}{suffix}"/>',
                  f'    <origin xyz="{_xyz(at)}"/><axis xyz="{_xyz(np.array(a.axis, float))}"/>',
                  f'    <limit lower="{a.low:.4f}" upper="{a.high:.4f}" effort="{_EFFORT}" velocity="{_SPEED}"/>',
                  '  </joint>']
    return '\n'.join([*lines, '</robot>', ''])


def _geometry(body: Body) -> tuple[dict[str, Array], dict[str, tuple[Array, float, float]]]:
    """Where the first joint of each part sits in its parent, m; shape of a link: middle, length along z and radius, m.

    A part with several angles sits where the first one is; the others have no offset.
    """
    down, zero = np.array([0., 0, -1]), np.zeros(3)
    origin = {'waist_yaw': body.spine, 'neck_pitch': body.thorax}
    high = float(body.thorax[2])
    shape = {'pelvis': (zero, *_cylinder(float(np.linalg.norm(body.hips[0] - body.hips[1])), 'pelvis')),
             'torso': (body.thorax / 2, *_cylinder(max(high, .1), 'torso')),
             'head': ((body.neck + body.head) / 2, 2 * _HEAD_M, _HEAD_M)}
    for k, s in enumerate('lr'):
        for n, (upper, lower, root, middle, at) in enumerate((
                ('thigh', 'shank', 'hip', 'knee', body.hips[k]),
                ('upper_arm', 'forearm', 'shoulder', 'elbow', body.thorax + body.shoulders[k]))):
            long, short = float(body.upper[2 * n + k]), float(body.lower[2 * n + k])
            origin[f'{s}_{root}_flexion'], origin[f'{s}_{middle}_flexion'] = at, long * down
            shape[f'{s}_{upper}'] = (long / 2 * down, *_cylinder(long, upper))
            shape[f'{s}_{lower}'] = (short / 2 * down, *_cylinder(short, lower))
    return origin, shape


def _cylinder(length: float, part: str) -> tuple[float, float]:
    return length, _THICK[part] * length


def _link(name: str, shape: tuple[Array, float, float] | None) -> list[str]:
    if shape is None:
        return [f'  <link name="{name}"/>']
    middle, length, radius = shape
    solid = (f'<origin xyz="{_xyz(middle)}"/><geometry><cylinder length="{length:.4f}" radius="{radius:.4f}"/>'
             '</geometry>')
    return [f'  <link name="{name}">', f'    <visual>{solid}</visual>', f'    <collision>{solid}</collision>',
            '  </link>']


def _xyz(x: Array) -> str:
    return ' '.join(f'{v + 0.:.4f}' if math.isfinite(v) else '0' for v in x)
