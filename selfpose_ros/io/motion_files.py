# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Results for other programs: CSV (spreadsheets, pandas) and TRC (OpenSim and its relatives)."""
from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from ..core.result import Skeletons
from ..core.skeleton import JOINTS
from .errors import IoError
from .npz import atomically
from .skeletons import write_skeletons

__all__ = ['FORMATS', 'write_csv', 'write_result', 'write_trc']

#: file formats of `write_result`
FORMATS: tuple[str, ...] = ('npz', 'csv', 'trc')


def write_csv(path: Path, result: Skeletons) -> None:
    """One row for each person and instant: stamp_s, person, level, then x, y, z (m), sigma (m), confidence and
    number of views of each joint. z is up at level 3; unknown numbers are empty.

    Raises:
        IoError: the file cannot be written.
    """
    fields = ('x_m', 'y_m', 'z_m', 'sigma_m', 'confidence', 'views')
    with atomically(path) as part, part.open('w', newline='', encoding='utf-8') as file:
        out = csv.writer(file)
        out.writerow(['stamp_s', 'person', 'level', *(f'{j}_{f}' for j in JOINTS for f in fields)])
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

    The first person's file is `path`, the others' are `NAME_person<id>.trc`. A file has one frame of coordinates:
    when a person is known in the world at some time (level 3), the instants before are not known; when never, the
    origin is the pelvis. What is not known is NaN: OpenSim counts the columns of every row, and loses a blank one at
    its end.

    Args:
        path: of the first person's file.
        result: what to write.
        millimetres: mm instead of m.

    Returns:
        The files, in order of the identities.

    Raises:
        IoError: a file cannot be written.
    """
    people = [int(p) for p in np.unique(result.person) if p]
    files = []
    for n, person in enumerate(people or [0]):
        file = path if n == 0 else path.with_name(f'{path.stem}_person{person}{path.suffix}')
        _trc_of(file, result, person, 'mm' if millimetres else 'm')
        files.append(file)
    return files


def _trc_of(path: Path, result: Skeletons, person: int, unit: str) -> None:
    there = (result.person == person) & (person > 0)
    column = there.argmax(1)
    rows = np.arange(len(result.stamp))
    joints = np.where(there.any(1)[:, None, None], result.joints[rows, column], np.nan)
    level = np.where(there.any(1), result.level[rows, column], 0)
    if (level == 3).any():
        joints = np.where((level == 3)[:, None, None], joints, np.nan)
    joints = joints[..., [0, 2, 1]] * np.array([1., 1., -1.]) * (1e3 if unit == 'mm' else 1.)
    steps = np.diff(result.stamp)
    rate = 1 / float(np.median(steps)) if steps.size and np.median(steps) > 0 else 0.
    T, J = joints.shape[:2]
    rate_text = f'{rate:.2f}'
    with atomically(path) as part, part.open('w', encoding='utf-8', newline='') as file:
        file.write(f'PathFileType\t4\t(X/Y/Z)\t{path.name}\n'
                   'DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\t'
                   'OrigNumFrames\n'
                   f'{rate_text}\t{rate_text}\t{T}\t{J}\t{unit}\t{rate_text}\t1\t{T}\n'
                   'Frame#\tTime\t' + '\t\t\t'.join(JOINTS) + '\t\t\n'
                   '\t\t' + '\t'.join(f'X{j}\tY{j}\tZ{j}' for j in range(1, J + 1)) + '\n\n')
        for i in range(T):
            cells = '\t'.join(_cell(x, 2 if unit == 'mm' else 5) or 'NaN' for x in joints[i].ravel())
            file.write(f'{i + 1}\t{result.stamp[i] - result.stamp[0]:.6f}\t{cells}\n')


def write_result(stem: Path, result: Skeletons, formats: tuple[str, ...]) -> list[Path]:
    """Write `stem`.npz, .csv, .trc as asked, and return the files.

    Raises:
        IoError: an unknown format, or a file that cannot be written.
    """
    unknown = [f for f in formats if f not in FORMATS]
    if unknown or not formats:
        raise IoError(f'format {", ".join(unknown) or "missing"}: choose from {", ".join(FORMATS)}')
    files: list[Path] = []
    for kind in formats:
        path = stem.with_name(f'{stem.name}.{kind}')
        if kind == 'npz':
            write_skeletons(path, result)
            files.append(path)
        elif kind == 'csv':
            write_csv(path, result)
            files.append(path)
        else:
            files += write_trc(path, result)
    return files
