# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""SkiPose-PTZ (Rhodin et al., CVPR 2018): skiing before six pan-tilt-zoom cameras, `train/labels.h5`, `test/labels.h5`.

One row for each image: `3D (N, 51)` m, relative to the pelvis, in the camera's axes; `2D (N, 34)` in shares of the
image; `cam_intrinsic (N, 9)` in the same unit; `R_cam_2_world (N, 9)`, `cam_position (N, 3)` m; `seq`, `cam`, `frame`,
`subj`.
The cameras turn and zoom all the time, so every instant has a rig of its own; images are 256 x 256 px crops.
"""
from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError
from .recordings import Recorded

__all__ = ['SIDE_PX', 'find_labels', 'read_skipose']

Array = NDArray[np.floating]

SIDE_PX = 256.
_FPS = 30.
_KEYS = {'3D': 51, '2D': 34, 'cam_intrinsic': 9, 'R_cam_2_world': 9, 'cam_position': 3, 'seq': 1, 'cam': 1, 'frame': 1,
         'subj': 1}


def find_labels(path: Path) -> list[Path]:
    """labels.h5 files: the file itself, or those of the folder and of its train/ and test/."""
    if path.is_file():
        return [path] if path.suffix == '.h5' else []
    return [p for p in (path / 'labels.h5', path / 'train' / 'labels.h5', path / 'test' / 'labels.h5') if p.is_file()]


def read_skipose(path: Path) -> list[Recorded]:
    """All sequences of a labels.h5, or of the folder that holds train/ and test/.

    Raises:
        TrainingError: no such file, or one that is damaged or of another format.
    """
    files = find_labels(path)
    if not files:
        raise TrainingError('no labels.h5 there, nor in train/ or test/', 'check the path', place=path)
    return [r for f in files for r in _sequences(f)]


def _sequences(path: Path) -> list[Recorded]:
    rows = _rows(path)
    split = path.resolve().parent.name
    split = split if split in ('train', 'test') else ''
    subj, seq = (rows[k][:, 0].astype(int) for k in ('subj', 'seq'))
    cameras = np.unique(rows['cam'][:, 0].astype(int))
    return [_sequence(f'{path}: seq {q}', {k: x[(subj == s) & (seq == q)] for k, x in rows.items()}, cameras,
                      f'skipose {s}', split)
            for s, q in sorted(set(zip(subj.tolist(), seq.tolist(), strict=True)))]


def _rows(path: Path) -> dict[str, Array]:
    try:
        with h5py.File(path, 'r') as file:
            missing = [k for k in _KEYS if k not in file]
            if missing:
                raise TrainingError(f'{", ".join(missing)} missing, it holds {", ".join(file) or "nothing"}',
                                    'check that it is the labels.h5 of SkiPose-PTZ', place=path)
            rows = {k: np.asarray(file[k], float) for k in _KEYS}
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(f'cannot be read ({" ".join(str(error).split())})', 'download it again',
                            place=path) from error
    N = len(rows['seq']) if rows['seq'].ndim else 0
    for key, width in _KEYS.items():
        if not N or rows[key].size != N * width:
            raise TrainingError(f'{key} must hold {width} numbers for each of {N} images, got {rows[key].shape}',
                                'download it again', place=path)
    rows = {k: x.reshape(N, -1) for k, x in rows.items()}
    name = np.stack([rows[k][:, 0] for k in ('subj', 'seq', 'frame', 'cam')], 1)
    if len(np.unique(name, axis=0)) < N:
        raise TrainingError('the same image (seq, cam, frame) occurs twice', 'download it again', place=path)
    return rows


def _sequence(name: str, rows: dict[str, Array], cameras: NDArray[np.int64], subject: str, split: str) -> Recorded:
    frames, at = np.unique(rows['frame'][:, 0].astype(int), return_inverse=True)
    T, V = len(frames), len(cameras)
    v = np.searchsorted(cameras, rows['cam'][:, 0].astype(int))

    def placed(values: Array, *shape: int) -> Array:
        out = np.full((T, V, *shape), np.nan)
        out[at, v] = values.reshape(-1, *shape)
        return out

    kp = placed(rows['2D'], 17, 2) * SIDE_PX
    with np.errstate(invalid='ignore'):
        conf = ((kp >= 0) & (kp <= SIDE_PX - 1)).all(-1).astype(float)
    K = placed(rows['cam_intrinsic'], 3, 3)
    K[..., :2, :] *= SIDE_PX
    to_world, centre = placed(rows['R_cam_2_world'], 3, 3), placed(rows['cam_position'], 3)
    R = to_world.swapaxes(-1, -2)
    body = np.nanmean(np.einsum('tvij,tvkj->tvki', to_world, placed(rows['3D'], 17, 3)), 1)
    X = body - body[:, :1] + _meeting(kp[:, :, 0], K, to_world, centre)[:, None]
    return Recorded(
        name, kp, conf, frames / _FPS, np.full((V, 2), SIDE_PX), subject=subject, K=K, R=R,
        t=-np.einsum('tvij,tvj->tvi', R, centre), X=X, split=split, moving=True)


def _meeting(px: Array, K: Array, to_world: Array, centre: Array) -> Array:
    """(T, 3) m: point nearest to the rays through px (T, V, 2); NaN with fewer than two views."""
    known = np.isfinite(px).all(-1) & np.isfinite(K).all((-1, -2)) & np.isfinite(centre).all(-1)
    ones = np.ones((*px.shape[:2], 1))
    safe = np.where(known[..., None, None], K, np.eye(3))
    ray = np.linalg.solve(safe, np.concatenate([np.where(known[..., None], px, 0), ones], -1)[..., None])[..., 0]
    ray = np.einsum('tvij,tvj->tvi', np.where(known[..., None, None], to_world, np.eye(3)), ray)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    across = (np.eye(3) - ray[..., :, None] * ray[..., None, :]) * known[..., None, None]
    A, b = across.sum(1), np.einsum('tvij,tvj->ti', across, np.nan_to_num(centre))
    enough = known.sum(1) >= 2
    out = np.full((len(px), 3), np.nan)
    if enough.any():
        out[enough] = np.linalg.solve(A[enough] + 1e-9 * np.eye(3), b[enough][..., None])[..., 0]
    return out
