# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Folders of OpenPose JSON files, one folder for each camera, one file for each frame.

Only `people[].pose_keypoints_2d` is read: x, y (px), confidence of each joint; 0 = not seen. The number of joints
tells the set: 25 BODY_25, 18 OpenPose's COCO, 17 COCO, 26 Halpe, 33 MediaPipe; BODY_25B must be named. The files
tell neither the frame rate nor the size of the image: both must be given. Frame n of every camera is the same
instant; a frame without file is an image that this camera did not give.
"""
from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.observation import MultiView, View2D
from ..core.skeleton import BODY25, COCO17, HALPE26, MEDIAPIPE33, JointMap, joint_map
from .archive import joint_set
from .errors import IoError
from .recording import Progress, Recording, names_of, row

__all__ = ['COCO18', 'frame_files', 'read_openpose']

Array = NDArray[np.float64]

#: the joints of OpenPose's COCO model, which are not COCO's
COCO18: tuple[str, ...] = (
    'nose', 'neck', 'right_shoulder', 'right_elbow', 'right_wrist', 'left_shoulder', 'left_elbow', 'left_wrist',
    'right_hip', 'right_knee', 'right_ankle', 'left_hip', 'left_knee', 'left_ankle', 'right_eye', 'left_eye',
    'right_ear', 'left_ear',
)
_BY_COUNT = {25: BODY25, 18: COCO18, 17: COCO17, 26: HALPE26, 33: MEDIAPIPE33}


def frame_files(folder: Path) -> dict[int, Path]:
    """The JSON files of a folder by frame number: the last digits of the name (before `_keypoints`).

    Raises:
        IoError: a file without number, or two with the same.
    """
    files: dict[int, Path] = {}
    for path in sorted(folder.glob('*.json')):
        digits = re.findall(r'\d+', path.stem.removesuffix('_keypoints'))
        if not digits:
            raise IoError(f'{path}: no frame number in the name; expected NAME_000000000012_keypoints.json')
        number = int(digits[-1])
        if number in files:
            raise IoError(f'{path}: frame {number} is also {files[number].name}; use one folder per camera')
        files[number] = path
    return files


def read_openpose(
    folders: Sequence[Path], fps: float, image_size: Sequence[tuple[int, int]], *, joints: str | None = None,
    name: str | None = None, progress: Progress | None = None,
) -> Recording:
    """Read one recording.

    Args:
        folders: one for each camera; the folder's name is the camera's.
        fps: frames a second.
        image_size: (w, h) px, one for all cameras or one for each.
        joints: name of the joint set; default: by the number of joints.
        name: of the recording; default: that of the folder around the cameras.
        progress: see `recording.Progress`.

    Raises:
        IoError: nothing to read, or files that are not what OpenPose writes.
    """
    if not (np.isfinite(fps) and fps > 0):
        raise IoError(f'frame rate {fps} is none; give the frames a second of the cameras')
    sizes = list(image_size) * (len(folders) if len(image_size) == 1 else 1)
    if len(sizes) != len(folders):
        raise IoError(f'{len(image_size)} image sizes for {len(folders)} folders; give one, or one for each')
    found = [frame_files(f) for f in folders]
    for folder, files in zip(folders, found, strict=True):
        if not files:
            raise IoError(f'{folder}: no OpenPose JSON files in it; expected NAME_000000000012_keypoints.json')
    cameras = names_of(folders)
    bodies, notes, names = _read_all(folders, found, joints, progress)
    frames: dict[int, list[View2D]] = {}
    mapping: JointMap = joint_map(names)
    for camera, size, frames_of in zip(cameras, sizes, bodies, strict=True):
        for number, body in frames_of.items():
            points, confidence = mapping.apply(body[..., :2], body[..., 2])
            there = np.isfinite(points).any((1, 2))
            view = View2D(camera, number / fps, points[there], confidence[there], size)
            frames.setdefault(number, []).append(view)
    rows: list[MultiView] = [row(frames[n], cameras) for n in sorted(frames)]
    name = name or folders[0].resolve().parent.name or 'openpose'
    return Recording.of(name, cameras, (v for r in rows for v in r.views), joint_names=names, rows=rows,
                        notes=notes)


def _read_all(
    folders: Sequence[Path], found: Sequence[dict[int, Path]], joints: str | None, progress: Progress | None,
) -> tuple[list[dict[int, Array]], list[str], tuple[str, ...]]:
    """People (P, J, 3) by frame for each folder; notes; joint names. Damaged files are left out and noted."""
    names = joint_set(joints) if joints else None
    total, done = sum(map(len, found)), 0
    bodies: list[dict[int, Array]] = []
    notes: list[str] = []
    for folder, files in zip(folders, found, strict=True):
        here: dict[int, Array] = {}
        damaged: list[str] = []
        for number, path in files.items():
            try:
                people = _people(path)
            except _Damaged as error:
                damaged.append(f'{path.name} ({error})')
            else:
                if people and names is None:
                    names = _guessed(path, people[0].size // 3)
                here[number] = _body(path, people, names or BODY25)
            done += 1
            if progress is not None and (done % 50 == 0 or done == total):
                progress('reading JSON files', done, total)
        if damaged and not here:
            raise IoError(f'{folder}: none of {len(files)} files can be read, the first is {damaged[0]}; '
                          'run OpenPose with --write_json again')
        if damaged:
            notes.append(f'{folder.name}: {len(damaged)} of {len(files)} files left out as damaged, the first is '
                         f'{damaged[0]}')
        bodies.append(here)
    return bodies, notes, names or BODY25


class _Damaged(Exception):
    """One file cannot be read; the others can."""


def _people(path: Path) -> list[Array]:
    try:
        content: Any = json.loads(path.read_bytes())
        return [np.array(p['pose_keypoints_2d'], float).ravel() for p in content['people']]
    except (ValueError, OSError) as error:                 # no JSON, or no numbers in it
        raise _Damaged(' '.join(str(error).split())) from error
    except (KeyError, TypeError) as error:
        raise IoError(f'{path}: no list of people with pose_keypoints_2d in it; expected what OpenPose '
                      'writes with --write_json') from error


def _guessed(path: Path, count: int) -> tuple[str, ...]:
    if count not in _BY_COUNT:
        raise IoError(f'{path}: {count} joints belong to no set that is known by its number '
                      f'({", ".join(map(str, sorted(_BY_COUNT)))}); name it with --joints')
    return _BY_COUNT[count]


def _body(path: Path, people: Sequence[Array], names: Sequence[str]) -> Array:
    for person in people:
        if person.size != 3 * len(names):
            raise IoError(f'{path}: {person.size} numbers for a person, expected 3 for each of {len(names)} '
                          'joints; name the right set with --joints')
    return np.array(people, float).reshape(len(people), len(names), 3)
