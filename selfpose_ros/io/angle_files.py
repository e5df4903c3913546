# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Joint angles for other programs: MOT (OpenSim's motion of a model's coordinates) and CSV (with their uncertainty)."""
from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.angles import JointAngles
from ..core.kinematics import ANGLES, link_rotations
from ..core.result import Skeletons
from .npz import atomically
from .people import Track, angles_of, each_person

__all__ = ['OPENSIM', 'write_angles', 'write_mot']

Array = NDArray[np.float64]

#: the world's x, y, z are OpenSim's x, -z, y
_TO_OPENSIM = np.array([[1., 0, 0], [0, 0, 1], [0, -1, 0]])
_ANGLE = {a.name: n for n, a in enumerate(ANGLES)}
#: coordinate of the model of Rajagopal et al. 2016 -> our angle and the factor on it
_LIMBS = {f'{theirs}_{s}': (f'{s}_{ours}', sign) for s in 'rl' for theirs, ours, sign in (
    ('hip_flexion', 'hip_flexion', 1), ('hip_adduction', 'hip_abduction', -1), ('hip_rotation', 'hip_rotation', -1),
    ('knee_angle', 'knee_flexion', 1), ('arm_flex', 'shoulder_flexion', 1), ('arm_add', 'shoulder_abduction', -1),
    ('arm_rot', 'shoulder_rotation', -1), ('elbow_flex', 'elbow_flexion', 1))}
_PELVIS = ('pelvis_tilt', 'pelvis_list', 'pelvis_rotation', 'pelvis_tx', 'pelvis_ty', 'pelvis_tz')
_LUMBAR = ('lumbar_extension', 'lumbar_bending', 'lumbar_rotation')
#: columns of the MOT
OPENSIM: tuple[str, ...] = (*_PELVIS, *_LUMBAR, *_LIMBS)
_TURNS = [n for n, name in enumerate(OPENSIM) if not name.startswith('pelvis_t') or name == 'pelvis_tilt']


def write_mot(path: Path, result: Skeletons) -> list[Path]:
    """One file for each person, named as those of `people.each_person`: coordinates of OpenSim's full-body model
    (Rajagopal 2016), deg and m, y up; rotations go on beyond half a turn. Instants at which the person is not known
    are left out. Times begin at 0.

    Raises:
        IoError: a file cannot be written.
    """
    return each_person(path, result, _mot)


def write_angles(path: Path, result: Skeletons) -> list[Path]:
    """One CSV for each person, named as those of `people.each_person`: stamp_s, then each angle and its standard
    deviation, deg, as `NAME_deg` and `NAME_sigma_deg`. Unknown instants are left out.

    Raises:
        IoError: a file cannot be written.
    """
    return each_person(path, result, _csv)


def _mot(path: Path, track: Track) -> None:
    angles, _ = angles_of(track)
    start = float(track.stamp[0]) if len(track.stamp) else 0.
    known = [a for a in angles if a is not None]
    table = np.array([coordinates(a) for a in known]).reshape(-1, len(OPENSIM))
    # whoever turns about goes on beyond 180 degrees: OpenSim filters the coordinates, and a step of 360 would whirl
    table[:, _TURNS] = np.unwrap(table[:, _TURNS], axis=0, period=360.)
    rows = list(zip([a.stamp - start for a in known], table, strict=True))
    with atomically(path) as part, part.open('w', encoding='utf-8', newline='\n') as file:
        file.write(f'Coordinates\nversion=1\nnRows={len(rows)}\nnColumns={1 + len(OPENSIM)}\ninDegrees=yes\n\n'
                   'endheader\n' + '\t'.join(('time', *OPENSIM)) + '\n')
        for time, values in rows:
            file.write('\t'.join((f'{time:.6f}', *(f'{v:.6f}' for v in values))) + '\n')


def coordinates(a: JointAngles) -> Array:
    """(25,) values of `OPENSIM`, deg and m.

    Its rotations of pelvis and trunk are about its own z, x and y one after the other (tilt or extension, list or
    bending, rotation).
    """
    M = _TO_OPENSIM
    pelvis, lumbar = _zxy(M @ a.pelvis @ M.T), _zxy(M @ link_rotations(a.angle)['torso'] @ M.T)
    limbs = [sign * a.angle[_ANGLE[ours]] for ours, sign in _LIMBS.values()]
    return np.concatenate([np.rad2deg(pelvis), M @ a.place, np.rad2deg(lumbar), np.rad2deg(limbs)])


def _zxy(R: Array) -> Array:
    """Angles, rad, of R = Rz Rx Ry."""
    return np.array([np.arctan2(-R[0, 1], R[1, 1]), np.arcsin(np.clip(R[2, 1], -1, 1)),
                     np.arctan2(-R[2, 0], R[2, 2])])


def _csv(path: Path, track: Track) -> None:
    angles, _ = angles_of(track)
    with atomically(path) as part, part.open('w', newline='', encoding='utf-8') as file:
        out = csv.writer(file)
        out.writerow(['stamp_s', *(f'{n.name}_{f}' for n in ANGLES for f in ('deg', 'sigma_deg'))])
        for a in angles:
            if a is not None:
                pairs = np.rad2deg(np.stack([a.angle, a.sigma], 1)).ravel()
                out.writerow([f'{a.stamp:.6f}', *(f'{v:.3f}' for v in pairs)])
