# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Human3.6M as its users have it: the npz files of VideoPose3D (Pavllo et al., CVPR 2019, MIT-licensed converter).

`data_3d_h36m.npz`: `positions_3d`, subject -> action -> (T, 32 or 17, 3) m in the world's axes.
`data_2d_h36m_*.npz`: `positions_2d`, subject -> action -> for each of four cameras (T', 17, 2 or 3) px, T' >= T.
`cameras.h5` beside them (3d-pose-baseline, Martinez et al., ICCV 2017), where there is one: `subjectN/cameraM/R`, `T`,
`f`, `c` with x_cam = R (x_world - T), mm. Without it the cameras' focal lengths are those that the data set publishes,
and their places are found from 3D and 2D together, which serves evaluation only.
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError
from .pickled import read_dicts, table
from .recordings import Recorded

__all__ = ['CAMERAS', 'JOINTS_OF_32', 'TEST', 'TRAIN', 'read_human36m']

Array = NDArray[np.floating]

TRAIN, TEST = ('S1', 'S5', 'S6', 'S7', 'S8'), ('S9', 'S11')
#: the 17 of the 32 recorded joints that move
JOINTS_OF_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
#: camera: focal lengths fx, fy, principal point cx, cy, image width, height, px
CAMERAS = {
    '54138969': (1145.0494, 1143.7811, 512.5415, 515.4515, 1000, 1002),
    '55011271': (1149.6757, 1147.5917, 508.8486, 508.0649, 1000, 1000),
    '58860488': (1149.1407, 1148.7990, 519.8158, 501.4026, 1000, 1000),
    '60457274': (1145.5114, 1144.7739, 514.9682, 501.8820, 1000, 1002),
}
_FPS = 50.


def read_human36m(path: Path, keypoints: str | None = None, subjects: Sequence[str] = ()) -> list[Recorded]:
    """All recordings of a folder with these files.

    Args:
        path: the folder, or its data_2d_h36m_*.npz.
        keypoints: which 2D joints, the part of the name after data_2d_h36m_; None = the only ones that are there.
        subjects: as 'S1'; empty = all.

    Raises:
        TrainingError: a file is missing, damaged or of another format, or there are 2D joints of several kinds.
    """
    folder, file = (path, _keypoint_file(path, keypoints)) if path.is_dir() else (path.parent, path)
    read = read_dicts(file, 'positions_2d', 'metadata?')
    joints_2d = table(file, 'positions_2d', read['positions_2d'])
    _check_layout(file, read.get('metadata'))
    file_3d = folder / 'data_3d_h36m.npz'
    joints_3d = {}
    if file_3d.is_file():
        joints_3d = table(file_3d, 'positions_3d', read_dicts(file_3d, 'positions_3d')['positions_3d'])
    strange = [s for s in subjects if s not in joints_2d]
    if strange:
        raise TrainingError(f'no subject {", ".join(strange)} in it, but {", ".join(joints_2d)}', place=file)
    out: list[Recorded] = []
    for subject in subjects or joints_2d:
        placed = _placed(folder / 'cameras.h5', subject)
        for action, views in joints_2d[subject].items():
            X = joints_3d.get(subject, {}).get(action)
            out.append(_recording(f'{file}: {subject} {action}', subject, views, X, placed))
    if not out:
        raise TrainingError('no action of any subject', 'download or convert it again', place=file)
    return out


def _keypoint_file(folder: Path, keypoints: str | None) -> Path:
    if keypoints is not None:
        return folder / f'data_2d_h36m_{keypoints}.npz'
    files = sorted(folder.glob('data_2d_h36m_*.npz'))
    if len(files) == 1:
        return files[0]
    if not files:
        raise TrainingError('no data_2d_h36m_*.npz in this folder', 'the 2D joints are needed for training',
                            place=folder)
    names = ', '.join(f.stem.removeprefix('data_2d_h36m_') for f in files)
    raise TrainingError(f'2D joints of several kinds ({names})', f'name the file, for instance {files[0]}',
                        place=folder)


def _check_layout(file: Path, metadata: Any) -> None:
    if isinstance(metadata, dict):
        joints = metadata.get('num_joints', 17)
        layout = str(metadata.get('layout_name', 'h36m'))
        if joints != 17 or layout != 'h36m':
            raise TrainingError(f'its layout is {layout} with {joints} joints',
                                'take the files with the 17 joints of h36m', place=file)


def _recording(name: str, subject: str, views: Any, X: Any, placed: dict[str, Array] | None) -> Recorded:
    if not isinstance(views, list | tuple | np.ndarray) or len(views) != len(CAMERAS):
        raise TrainingError(f'2D joints must be {len(CAMERAS)} arrays, one for each camera', 'convert it again',
                            place=name)
    arrays = [_array(f'{name} camera {v}', x, (17,), (2, 3)) for v, x in enumerate(views)]
    T = min(map(len, arrays))
    if X is not None:
        X = _array(f'{name} 3D', X, (17, 32), (3,))
        X = X[:, list(JOINTS_OF_32)] if X.shape[1] == 32 else X
        T = min(T, len(X))
        X = X[:T]
    if not T:
        raise TrainingError('no frame', 'convert it again', place=name)
    kp = np.stack([a[:T, :, :2] for a in arrays], 1)
    conf = np.stack([a[:T, :, 2] if a.shape[-1] == 3 else np.ones((T, 17)) for a in arrays], 1)
    facts = np.array(list(CAMERAS.values()))
    K = np.zeros((len(facts), 3, 3))
    K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2], K[:, 2, 2] = *facts[:, :4].T, 1
    cameras: dict[str, Any] = {'K': K}
    if placed is not None:
        cameras = placed
    elif X is not None:
        R, t = zip(*(_place(X, kp[:, v], conf[:, v], K[v]) for v in range(len(K))), strict=True)
        cameras |= {'R': np.array(R), 't': np.array(t)}
    split = 'train' if subject in TRAIN else 'test' if subject in TEST else ''
    # the cameras were put up anew for every subject
    return Recorded(name, kp, conf, np.arange(T) / _FPS, facts[:, 4:6], subject=f'h36m {subject}',
                    rig=f'h36m {subject}', X=X, split=split, **cameras)


def _array(name: str, value: Any, joints: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    shape: tuple[int, ...] = getattr(value, 'shape', ())
    numbers = isinstance(value, np.ndarray) and value.dtype.kind in 'fiu'
    if not numbers or len(shape) != 3 or shape[1] not in joints or shape[2] not in axes:
        wanted = f'(T, {" or ".join(map(str, joints))}, {" or ".join(map(str, axes))})'
        raise TrainingError(f'expected numbers {wanted}, got {shape or type(value).__name__}', 'convert it again',
                            place=name)
    return np.asarray(value, float)


def _place(X: Array, px: Array, conf: Array, K: Array) -> tuple[Array, Array]:
    """R (3, 3) and t (3,) m of a camera from what it saw where, or NaN: by resection, robustly."""
    use = np.isfinite(X).all(-1) & np.isfinite(px).all(-1) & (conf > 0)
    index = np.flatnonzero(use.ravel())
    index = index[np.linspace(0, len(index) - 1, min(len(index), 1500)).astype(int)] if len(index) else index
    nothing = np.full((3, 3), np.nan), np.full(3, np.nan)
    if len(index) < 12:
        return nothing
    cv2.setRNGSeed(0)
    try:
        good, turn, shift, _ = cv2.solvePnPRansac(
            X.reshape(-1, 3)[index].copy(), px.reshape(-1, 2)[index].copy(), K, np.zeros(5), reprojectionError=15.,
            iterationsCount=300, confidence=.999)
    except cv2.error:
        return nothing
    return (np.asarray(cv2.Rodrigues(turn)[0], float), np.asarray(shift, float).ravel()) if good else nothing


def _placed(path: Path, subject: str) -> dict[str, Array] | None:
    """K, R, t of a subject's cameras from cameras.h5, or None: no such file."""
    if not path.is_file():
        return None
    import h5py
    K, R, t = [], [], []
    try:
        with h5py.File(path, 'r') as file:
            for number in range(1, len(CAMERAS) + 1):
                camera = file[f'subject{int(subject.lstrip("S"))}/camera{number}']
                rotation, f, c = (np.asarray(camera[k], float) for k in 'Rfc')
                place = np.asarray(camera['T'], float).reshape(3) / 1000
                f, c, rotation = f.reshape(2), c.reshape(2), rotation.reshape(3, 3)
                K.append([[f[0], 0, c[0]], [0, f[1], c[1]], [0, 0, 1]])
                R.append(rotation)
                t.append(-rotation @ place)
    except (OSError, KeyError, ValueError) as error:
        raise TrainingError(f'no cameras of {subject} in it ({" ".join(str(error).split())})',
                            'make it again, or move it away', place=path) from error
    return {'K': np.array(K), 'R': np.array(R), 't': np.array(t)}
