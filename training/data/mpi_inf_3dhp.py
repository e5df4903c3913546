# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""MPI-INF-3DHP (Mehta et al., 3DV 2017) as it is distributed.

Training: `S1..S8/Seq1..Seq2/annot.mat` with a cell for each of 14 cameras: `annot2 (T, 56)` px, `annot3 (T, 84)` mm in
the camera's axes, `univ_annot3` (scaled to one height; not used), `cameras` (numbers from 0), 28 joints.
Test: `TS1..TS6/annot_data.mat` (MATLAB 7.3, that is HDF5) of one camera: `annot2 (T, 1, 17, 2)` and
`annot3 (T, 1, 17, 3)` in the same units, `valid_frame (T, 1)`.

Focal lengths are those that lead from annot3 to annot2; the world's axes are those of the first camera used.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from ..errors import TrainingError
from .recordings import Recorded

__all__ = ['CHEST', 'JOINTS_OF_28', 'JOINTS_OF_TEST', 'find_annotations', 'read_3dhp']

Array = NDArray[np.floating]

#: the five cameras at chest height
CHEST = (0, 2, 4, 7, 8)
#: pelvis, right and left leg, spine, neck, head, head top, left and right arm among the 28, and among the test's 17
JOINTS_OF_28 = (4, 23, 24, 25, 18, 19, 20, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16)
JOINTS_OF_TEST = (14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4)
_SIDE_PX = 2048.
#: test sequences filmed outdoors have another camera
_OUTDOORS, _OUTDOORS_PX = ('TS5', 'TS6'), (1920., 1080.)
#: sequences recorded at 50 frames a second; all others at 25
_FAST = ('S1/Seq2', 'S3/Seq1', 'S3/Seq2', 'S5/Seq1', 'S5/Seq2')
_DAMAGED = (OSError, ValueError, TypeError, KeyError, IndexError, NotImplementedError, MatReadError, EOFError)


def find_annotations(path: Path) -> list[Path]:
    """annot.mat and annot_data.mat files: the file itself, or those below a folder, in order."""
    if path.is_file():
        return [path] if path.name in ('annot.mat', 'annot_data.mat') else []
    found = [p for depth in ('', '*/', '*/*/', '*/*/*/') for name in ('annot.mat', 'annot_data.mat')
             for p in path.glob(depth + name)]
    return sorted(set(found))


def read_3dhp(path: Path, cameras: Sequence[int] = CHEST) -> list[Recorded]:
    """All sequences below a folder, or one file.

    Args:
        path: folder of the data set, of a subject or of a sequence, or an annot.mat or annot_data.mat.
        cameras: of the training sequences.

    Raises:
        TrainingError: no such file, or one that is damaged or of another format, or without these cameras.
    """
    files = find_annotations(path)
    if not files:
        raise TrainingError('neither annot.mat (training) nor annot_data.mat (test) of MPI-INF-3DHP there',
                            'check the path', place=path)
    return [_train(f, cameras) if f.name == 'annot.mat' else _test(f) for f in files]


def _train(path: Path, cameras: Sequence[int]) -> Recorded:
    try:
        with path.open('rb') as file:
            mat = loadmat(file, variable_names=['annot2', 'annot3', 'cameras'])
        cells = {k: [np.asarray(c, float) for c in mat[k].ravel()] for k in ('annot2', 'annot3')}
        numbers = [int(np.asarray(c).item()) for c in np.asarray(mat['cameras']).ravel()] if 'cameras' in mat else []
    except _DAMAGED as error:
        raise TrainingError(f'cannot be read as an annot.mat ({" ".join(str(error).split())})', 'download it again',
                            place=path) from error
    numbers = numbers or list(range(len(cells['annot2'])))
    missing = sorted(set(cameras) - set(numbers))
    if missing or len(numbers) != len(cells['annot2']) or len(numbers) != len(cells['annot3']):
        raise TrainingError(f'its {len(cells["annot2"])} cells are of cameras {numbers}, wanted are {list(cameras)}',
                            'name cameras that are there', place=path)
    at = [numbers.index(c) for c in cameras]
    px = [_joints(f'{path}: annot2 of camera {c}', cells['annot2'][i], 2) for c, i in zip(cameras, at, strict=True)]
    mm = [_joints(f'{path}: annot3 of camera {c}', cells['annot3'][i], 3) for c, i in zip(cameras, at, strict=True)]
    T = min(map(len, [*px, *mm]))
    kp, seen3d = np.stack([p[:T] for p in px], 1), np.stack([m[:T] for m in mm], 1) / 1000
    K = np.array([_intrinsics(seen3d[:, v], kp[:, v]) for v in range(len(at))])
    R, t = zip(*(_rigid(seen3d[:, 0], seen3d[:, v]) for v in range(len(at))), strict=True)
    subject, sequence = _names(path)
    rate = 50. if f'{subject}/{sequence}' in _FAST else 25.
    size = np.full((len(at), 2), _SIDE_PX)
    return Recorded(
        str(path), kp, _inside(kp, size), np.arange(T) / rate, size, subject=f'3dhp {subject}',
        rig=f'3dhp {subject} {sequence}', K=K, R=np.array(R), t=np.array(t), X=seen3d[:, 0], split='train')


def _test(path: Path) -> Recorded:
    try:
        with h5py.File(path, 'r') as file:
            px, mm = (np.asarray(file[k], float) for k in ('annot2', 'annot3'))
            valid = np.asarray(file['valid_frame']).ravel() > 0
    except _DAMAGED as error:
        raise TrainingError(f'cannot be read as an annot_data.mat ({" ".join(str(error).split())})',
                            'download it again', place=path) from error
    T = len(valid)
    if px.shape != (T, 1, 17, 2) or mm.shape != (T, 1, 17, 3):
        raise TrainingError(f'expected annot2 ({T}, 1, 17, 2) and annot3 ({T}, 1, 17, 3) for the {T} frames of '
                            f'valid_frame, got {px.shape} and {mm.shape}', 'download it again', place=path)
    if not valid.any():
        raise TrainingError('no valid frame', 'download it again', place=path)
    kp, X = px[valid][:, :, list(JOINTS_OF_TEST)], mm[valid, 0][:, list(JOINTS_OF_TEST)] / 1000
    subject = path.resolve().parent.name
    size = np.array([_OUTDOORS_PX if subject in _OUTDOORS else (_SIDE_PX, _SIDE_PX)])
    return Recorded(
        str(path), kp, _inside(kp, size), np.flatnonzero(valid) / 25., size, subject=f'3dhp {subject}',
        rig=f'3dhp {subject}', K=_intrinsics(X, kp[:, 0])[None], R=np.eye(3)[None], t=np.zeros((1, 3)), X=X,
        split='test')


def _joints(name: str, value: Array, axes: int) -> Array:
    """(T, 28 * axes) -> (T, 17, axes)."""
    if value.ndim != 2 or value.shape[1] != 28 * axes or not len(value):
        raise TrainingError(f'expected (T, {28 * axes}) numbers for 28 joints, got {value.shape}', 'download it again',
                            place=name)
    return value.reshape(len(value), 28, axes)[:, list(JOINTS_OF_28)]


def _names(path: Path) -> tuple[str, str]:
    parts = path.resolve().parts
    named = [p for p in parts[:-1] if re.fullmatch(r'S\d+|Seq\d+', p)][-2:]
    return (named[0], named[1]) if len(named) == 2 else (parts[-3] if len(parts) > 2 else '', parts[-2])


def _inside(kp: Array, size: Array) -> Array:
    """Confidence (T, V, 17): joints that were annotated outside of the image (V, 2) are not seen."""
    with np.errstate(invalid='ignore'):
        return ((kp >= 0) & (kp <= size[None, :, None] - 1)).all(-1).astype(float)


def _intrinsics(X: Array, px: Array) -> Any:
    """K (3, 3) that projects X (T, 17, 3) in the camera's axes to px (T, 17, 2): least squares for each axis."""
    K = np.eye(3)
    use = np.isfinite(X).all(-1) & np.isfinite(px).all(-1) & (X[..., 2] > 0)
    for k in (0, 1):
        ray = X[use][:, k] / X[use][:, 2]
        if use.sum() < 4 or np.ptp(ray) < 1e-6:
            return np.full((3, 3), np.nan)
        K[k, k], K[k, 2] = np.polyfit(ray, px[use][:, k], 1)
    return K


def _rigid(world: Array, seen: Array) -> tuple[Array, Array]:
    """R, t with seen = R world + t, (T, 17, 3) each, without reflection: least squares (Kabsch 1976)."""
    use = np.isfinite(world).all(-1) & np.isfinite(seen).all(-1)
    a, b = world[use], seen[use]
    if len(a) < 3:
        return np.full((3, 3), np.nan), np.full(3, np.nan)
    u, _, vt = np.linalg.svd((b - b.mean(0)).T @ (a - a.mean(0)))
    u[:, -1] *= np.sign(np.linalg.det(u @ vt))
    R = u @ vt
    return R, b.mean(0) - R @ a.mean(0)
