# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Results for other programs: CSV (spreadsheets, pandas), TRC (OpenSim and its relatives), and all formats by name."""
from __future__ import annotations

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from ..core.result import Skeletons
from .angle_files import write_angles, write_mot
from .bvh import write_bvh
from .c3d import write_c3d
from .errors import IoError
from .npz import atomically
from .people import Track, each_person, rate_of
from .skeletons import write_skeletons

__all__ = ['FORMATS', 'write_csv', 'write_result', 'write_trc']

#: file formats of `write_result`
FORMATS: tuple[str, ...] = ('npz', 'csv', 'trc', 'c3d', 'bvh', 'mot', 'angles.csv')


def write_csv(path: Path, result: Skeletons) -> None:
    """One row for each person and instant: stamp_s, person, level, then x, y, z (m), sigma (m), confidence and
    number of views of each joint. z is up at level 3; unknown numbers are empty.

    Raises:
        IoError: the file cannot be written.
    """
    fields = ('x_m', 'y_m', 'z_m', 'sigma_m', 'confidence', 'views')
    with atomically(path) as part, part.open('w', newline='', encoding='utf-8') as file:
        out = csv.writer(file)
        out.writerow(['stamp_s', 'person', 'level', *(f'{j}_{f}' for j in result.joint_names for f in fields)])
        for i, stamp in enumerate(result.stamp):
            for p in np.nonzero(result.person[i])[0]:
                numbers = np.concatenate([result.joints[i, p], result.sigma[i, p, :, None],
                                          result.confidence[i, p, :, None], result.views[i, p, :, None]], 1)
                cells = [_cell(x, 3 if f == 'confidence' else 0 if f == 'views' else 5)
                         for joint in numbers for x, f in zip(joint, fields, strict=True)]
                out.writerow([f'{stamp:.6f}', result.person[i, p], result.level[i, p], *cells])


def _cell(number: float, digits: int) -> str:
    return f'{number:.{digits}f}' if np.isfinite(number) else ''


def write_trc(path: Path, result: Skeletons, *, millimetres: bool = False) -> list[Path]:
    """One TRC file for each person, y up: its x, y, z are the world's x, z, -y; origin on the floor.

    Files are named as those of `people.each_person`, coordinates are those of a `people.Track`. What is not known is
    NaN: OpenSim counts the columns of every row, and loses a blank one at its end.

    Args:
        path: of the first person's file.
        result: what to write.
        millimetres: mm instead of m.

    Returns:
        The files, in order of the identities.

    Raises:
        IoError: a file cannot be written.
    """
    return each_person(path, result, partial(_trc_of, unit='mm' if millimetres else 'm'))


def _trc_of(path: Path, track: Track, unit: str) -> None:
    joints, stamp = track.joints, track.stamp
    joints = joints[..., [0, 2, 1]] * np.array([1., 1., -1.]) * (1e3 if unit == 'mm' else 1.)
    T, J = joints.shape[:2]
    rate_text = f'{rate_of(stamp):.2f}'
    with atomically(path) as part, part.open('w', encoding='utf-8', newline='') as file:
        file.write(f'PathFileType\t4\t(X/Y/Z)\t{path.name}\n'
                   'DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\t'
                   'OrigNumFrames\n'
                   f'{rate_text}\t{rate_text}\t{T}\t{J}\t{unit}\t{rate_text}\t1\t{T}\n'
                   'Frame#\tTime\t' + '\t\t\t'.join(track.joint_names) + '\t\t\n'
                   '\t\t' + '\t'.join(f'X{j}\tY{j}\tZ{j}' for j in range(1, J + 1)) + '\n\n')
        for i in range(T):
            cells = '\t'.join(_cell(x, 2 if unit == 'mm' else 5) or 'NaN' for x in joints[i].ravel())
            file.write(f'{i + 1}\t{stamp[i] - stamp[0]:.6f}\t{cells}\n')


def write_result(stem: Path, result: Skeletons, formats: tuple[str, ...]) -> list[Path]:
    """Write `stem`.npz and so on as asked, see `FORMATS`, and return the files.

    Raises:
        IoError: an unknown format, or a file that cannot be written.
    """
    unknown = [f for f in formats if f not in FORMATS]
    if unknown or not formats:
        raise IoError(f'format {", ".join(unknown) or "missing"}: choose from {", ".join(FORMATS)}')
    writers: dict[str, Callable[[Path, Skeletons], object]] = {
        'npz': write_skeletons, 'csv': write_csv, 'trc': write_trc, 'c3d': write_c3d, 'bvh': write_bvh,
        'mot': write_mot, 'angles.csv': write_angles}
    files: list[Path] = []
    for kind in formats:
        path = stem.with_name(f'{stem.name}.{kind}')
        written = writers[kind](path, result)
        files += written if isinstance(written, list) else [path]
    return files
