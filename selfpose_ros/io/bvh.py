# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""BVH, for Blender, Maya, MotionBuilder and game engines: a hierarchy of joints and their rotations, y up, cm.

Its axes x, y, z are the body's left, up and forward (the world's y, z, x). The angles are those of `core.angles`.
"""
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.angles import JointAngles
from ..core.kinematics import Body, link_rotations
from ..core.result import Skeletons
from .npz import atomically
from .people import Track, angles_of, each_person, rate_of

__all__ = ['write_bvh']

Array = NDArray[np.float64]

#: joint -> its parent, in the order of the file
_PARENT = {'spine': 'pelvis', 'thorax': 'spine', 'neck': 'thorax', 'head': 'neck',
           **{f'{s}_{j}': p for s in 'lr' for j, p in (('shoulder', 'thorax'), ('elbow', f'{s}_shoulder'),
                                                       ('hip', 'pelvis'), ('knee', f'{s}_hip'))}}
#: the world's axes that become x, y, z
_AXES = [1, 2, 0]
_CM = 100.


def write_bvh(path: Path, result: Skeletons) -> list[Path]:
    """One file for each person, named as those of `people.each_person`.

    A BVH has no gaps: an instant at which the person is not known repeats the one before, and the file begins where the
    person is first known. Rotations go on beyond half a turn.

    Raises:
        IoError: a file cannot be written.
    """
    return each_person(path, result, _write)


def _write(path: Path, track: Track) -> None:
    angles, body = angles_of(track)
    known = [i for i, a in enumerate(angles) if a is not None]
    rows: list[str] = []
    last: JointAngles | None = None
    channels: Array | None = None
    for a in angles[known[0]:] if known else []:
        last = a or last
        if last is not None:
            channels = _near(_channels(last), channels)
            rows.append(' '.join(f'{x:.4f}' for x in channels))
    step = 1 / rate_of(track.stamp) if rate_of(track.stamp) else 1 / 30
    with atomically(path) as part, part.open('w', encoding='utf-8', newline='\n') as file:
        file.write('\n'.join(['HIERARCHY', *_joint('pelvis', body, 0), 'MOTION', f'Frames: {len(rows)}',
                              f'Frame Time: {step:.6f}', *rows]) + '\n')


def _offsets(body: Body) -> dict[str, Array]:
    """Of each joint from its parent; of ends from theirs, as 'NAME end'."""
    down = np.array([0, 0, -1.])
    out = {'pelvis': np.zeros(3), 'spine': body.spine, 'thorax': body.thorax, 'neck': np.zeros(3),
           'head': body.neck, 'head end': body.head - body.neck}
    for k, s in enumerate('lr'):
        out |= {f'{s}_hip': body.hips[k], f'{s}_shoulder': body.shoulders[k],
                f'{s}_knee': body.upper[k] * down, f'{s}_elbow': body.upper[2 + k] * down,
                f'{s}_knee end': body.lower[k] * down, f'{s}_elbow end': body.lower[2 + k] * down}
    return out


def _joint(name: str, body: Body, depth: int) -> Iterable[str]:
    indent, offsets = '  ' * depth, _offsets(body)
    turns = 'Zrotation Xrotation Yrotation'
    yield f'{indent}{"ROOT" if depth == 0 else "JOINT"} {name}'
    yield f'{indent}{{'
    yield f'{indent}  OFFSET {_point(offsets[name])}'
    yield f'{indent}  CHANNELS ' + (f'6 Xposition Yposition Zposition {turns}' if depth == 0 else f'3 {turns}')
    for child in (c for c, parent in _PARENT.items() if parent == name):
        yield from _joint(child, body, depth + 1)
    if f'{name} end' in offsets:
        yield f'{indent}  End Site'
        yield f'{indent}  {{'
        yield f'{indent}    OFFSET {_point(offsets[f"{name} end"])}'
        yield f'{indent}  }}'
    yield f'{indent}}}'


def _order(name: str = 'pelvis') -> list[str]:
    return [name, *(n for c, parent in _PARENT.items() if parent == name for n in _order(c))]


def _point(x: Array) -> str:
    return ' '.join(f'{v:.4f}' for v in _CM * x[_AXES])


def _channels(a: JointAngles) -> Array:
    own = link_rotations(a.angle)
    turns = {'pelvis': a.pelvis, 'spine': own['torso'], 'thorax': np.eye(3), 'neck': own['head'], 'head': np.eye(3),
             **{f'{s}_{joint}': own[link] for s in 'lr' for joint, link in (
                 ('hip', f'{s}_thigh'), ('knee', f'{s}_shank'), ('shoulder', f'{s}_upper_arm'),
                 ('elbow', f'{s}_forearm'))}}
    return np.concatenate([_CM * a.place[_AXES], *(_zxy(turns[n][np.ix_(_AXES, _AXES)]) for n in _order())])


def _near(channels: Array, before: Array | None) -> Array:
    """The same rotations as angles that are near those before: programs interpolate each channel by itself."""
    if before is None:
        return channels
    turns, old = channels[3:].reshape(-1, 3), before[3:].reshape(-1, 3)
    ways = np.stack([turns, turns * [1, -1, 1] + 180.])               # z, x, y: the two that there are
    ways += 360. * np.round((old - ways) / 360.)
    best = np.abs(ways - old).sum(-1).argmin(0)
    return np.concatenate([channels[:3], ways[best, np.arange(len(best))].ravel()])


def _zxy(R: Array) -> Array:
    """Angles, deg, of R = Rz Rx Ry."""
    x = np.arcsin(np.clip(R[2, 1], -1, 1))
    return np.rad2deg([np.arctan2(-R[0, 1], R[1, 1]), x, np.arctan2(-R[2, 0], R[2, 2])])


