# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Folders of OpenPose JSON files, one folder for each camera, one file for each frame.

Only `people[].pose_keypoints_2d` is read: x, y (px), confidence of each joint; 0 = not seen. The number of joints
means the set, see `core.skeleton.USUAL_SETS`; BODY_25B and CrowdPose must be named. The files have neither the frame
rate nor the size of the image: both must be given. Frame n of every camera is the same instant; a frame without file
is an image that this camera did not give. Joints that OpenPose has normalised (`--keypoint_scale` 3 or 4) are scaled
by the size of the image. A person who cannot be read is not there in that image, a file that cannot be read is an
image that the camera did not give; both are counted in the notes.
"""
from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.check import in_pixels
from ..core.image_units import NORMALISED_RANGES, extent, normalised_range, to_pixels
from ..core.observation import MultiView, View2D
from ..core.skeleton import BODY25, COCO18, JOINT_SETS, USUAL_SETS, joint_map
from .archive import joint_set
from .errors import IoError
from .frame_names import FrameFiles, frame_files
from .recording import Progress, Recording, names_of, row

__all__ = ['COCO18', 'read_openpose']

Array = NDArray[np.float64]

#: a file of one image that is larger holds something else
_LARGEST_FILE_B = 1 << 25
#: OpenPose's own name of each range that it can normalise to
_SCALE_FLAG = dict(zip(NORMALISED_RANGES, (3, 4), strict=True))


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
        raise IoError(f'frame rate {fps} is none', 'give the frames a second of the cameras')
    sizes = list(image_size) * (len(folders) if len(image_size) == 1 else 1)
    if len(sizes) != len(folders):
        raise IoError(f'{len(image_size)} image sizes for {len(folders)} folders', 'give one, or one for each')
    found = frame_files(folders)
    for camera in found:
        if not camera.files and not camera.nameless:
            raise IoError('no OpenPose JSON files in it', 'expected NAME_000000000012_keypoints.json',
                          place=camera.folder)
    cameras = names_of(folders)
    read = _read_all(found, progress)
    sets = _sets(read, joints)
    bodies = [c.bodies(names) for c, names in zip(read, sets, strict=True)]
    notes = [n for c in found if (n := c.note)][:1] + [n for c in read for n in c.notes()]
    bodies, scaled = _in_pixels(cameras, bodies, sizes)
    frames: dict[int, list[View2D]] = {}
    for camera_name, size, names, frames_of in zip(cameras, sizes, sets, bodies, strict=True):
        mapping = joint_map(names)
        for number, body in frames_of.items():
            points, confidence = mapping.apply(body[..., :2], body[..., 2])
            there = np.isfinite(points).any((1, 2))
            view = View2D(camera_name, number / fps, points[there], confidence[there], size)
            frames.setdefault(number, []).append(view)
    rows: list[MultiView] = [row(frames[n], cameras) for n in sorted(frames)]
    name = name or folders[0].resolve().parent.name or 'openpose'
    return Recording.of(name, cameras, (v for r in rows for v in r.views), joint_names=sets[0], rows=rows,
                        notes=notes + scaled)


class _Damaged(Exception):
    """One file cannot be read; the others can."""


@dataclass(frozen=True)
class _Person:
    """Somebody in an image: the numbers, or why there are none."""

    numbers: Array
    why: str = ''


class _Camera:
    """What the files of one camera hold."""

    def __init__(self, files: FrameFiles) -> None:
        self.folder, self.total = files.folder, len(files.files) + len(files.nameless)
        self.people: dict[int, list[_Person]] = {}
        self.paths = files.files
        self.damaged = [f'{p.name}: no frame number in the name, expected NAME_000000000012_keypoints.json'
                        for p in files.nameless]
        self._odd: list[tuple[Path, str]] = []

    def read(self, number: int) -> None:
        """Read the file of one frame."""
        path = self.paths[number]
        try:
            self.people[number] = _people(path)
        except _Damaged as error:
            self.damaged.append(f'{path.name} ({error})')

    def lengths(self) -> Counter[int]:
        """How many people have so many numbers, three for each joint."""
        return Counter(p.numbers.size for people in self.people.values() for p in people if p.numbers.size)

    def first_of(self, length: int) -> Path:
        """The first file with a person of so many numbers."""
        return next(self.paths[n] for n, people in self.people.items() if any(p.numbers.size == length for p in people))

    def bodies(self, names: Sequence[str]) -> dict[int, Array]:
        """People (P, J, 3) by frame; who cannot be read is left out and kept for the notes."""
        out = {}
        for number, people in self.people.items():
            good = []
            for p in people:
                if not p.why and p.numbers.size == 3 * len(names):
                    good.append(p.numbers)
                else:
                    self._odd.append((self.paths[number], p.why or (
                        f'{p.numbers.size} numbers, expected 3 for each of {len(names)} joints')))
            out[number] = np.array(good, float).reshape(len(good), len(names), 3)
        return out

    def notes(self) -> list[str]:
        """What was left out."""
        out = []
        if self.damaged:
            out.append(f'{self.folder.name}: {len(self.damaged)} of {self.total} files left out as damaged, the first '
                       f'is {self.damaged[0]}')
        if self._odd:
            first, why = self._odd[0]
            images, count = len({path for path, _ in self._odd}), len(self._odd)
            who = '1 person who cannot be read counts' if count == 1 else f'{count} people who cannot be read count'
            out.append(f'{self.folder.name}: {who} as not there, in {images} of {self.total} images; the first in '
                       f'{first.name}: {why}')
        return out


def _read_all(found: Sequence[FrameFiles], progress: Progress | None) -> list[_Camera]:
    cameras = [_Camera(f) for f in found]
    total, done = sum(len(f.files) for f in found), 0
    for camera in cameras:
        for number in camera.paths:
            camera.read(number)
            done += 1
            if progress is not None and (done % 50 == 0 or done == total):
                progress('reading JSON files', done, total)
    if not any(c.people for c in cameras):
        first = cameras[0]
        examples = ', '.join(dict.fromkeys((first.damaged[0], first.damaged[-1])))
        raise IoError(f'none of {first.total} files can be read, for instance {examples}',
                      'run OpenPose with --write_json again', place=first.folder)
    return cameras


def _people(path: Path) -> list[_Person]:
    try:
        if path.stat().st_size > _LARGEST_FILE_B:
            raise _Damaged(f'{path.stat().st_size >> 20} MB are not one image')
        content: Any = json.loads(path.read_bytes())
    except (ValueError, OSError, RecursionError, MemoryError) as error:
        raise _Damaged(' '.join(str(error).split())) from error
    if not isinstance(content, dict) or 'people' not in content:
        raise _Damaged('no list of people with pose_keypoints_2d in it')
    people = content['people']
    if not isinstance(people, list):
        return [_Person(np.zeros(0), f'people is {_kind(people)}, not a list')]
    return [_person(p) for p in people]


def _person(entry: Any) -> _Person:
    numbers = entry.get('pose_keypoints_2d') if isinstance(entry, dict) else None
    if not isinstance(entry, dict):
        why = f'{_kind(entry)} in place of a person'
    elif not isinstance(numbers, list):
        why = f'pose_keypoints_2d is {_kind(numbers)}, not a list' if numbers is not None else 'no pose_keypoints_2d'
    elif not numbers:
        why = 'pose_keypoints_2d is empty'
    else:
        try:
            return _Person(np.array(numbers, float).ravel())
        except (ValueError, TypeError, OverflowError):
            why = 'pose_keypoints_2d holds something else than numbers'
    return _Person(np.zeros(0), why)


def _kind(value: Any) -> str:
    return {type(None): 'null', bool: 'true or false', int: 'a number', float: 'a number', str: 'text', list: 'a list',
            dict: 'an object'}.get(type(value), type(value).__name__)


def _sets(cameras: Sequence[_Camera], joints: str | None) -> list[tuple[str, ...]]:
    """The joint set of each camera: as named, else by the number of joints that most of its people have."""
    every: Counter[int] = sum((c.lengths() for c in cameras), Counter())
    usual = {3 * count: JOINT_SETS[name] for count, name in USUAL_SETS.items()}
    if not every:
        return [joint_set(joints) if joints else BODY25] * len(cameras)
    most = every.most_common(1)[0][0]
    path = next(c.first_of(most) for c in cameras if most in c.lengths())
    if joints:
        names = joint_set(joints)
        if 3 * len(names) not in every:
            right = f', as in --joints {USUAL_SETS[most // 3]}' if most in usual else ''
            raise IoError(f'{most} numbers for a person, expected 3 for each of {len(names)} joints',
                          f'name the right set with --joints{right}', place=path)
        return [names] * len(cameras)
    if most % 3:
        raise IoError(f'{most} numbers for a person, expected 3 for each joint', 'run OpenPose with --write_json again',
                      place=path)
    if most not in usual:
        known = ', '.join(map(str, sorted(USUAL_SETS)))
        raise IoError(f'{most // 3} joints belong to no set that is known by its number ({known})',
                      f'name it with --joints ({", ".join(JOINT_SETS)})', place=path)
    out = []
    for camera in cameras:
        own = [length for length, _ in camera.lengths().most_common() if length in usual]
        out.append(usual[own[0] if own else most])
    return out


def _in_pixels(
    cameras: Sequence[str], bodies: list[dict[int, Array]], sizes: Sequence[tuple[int, int]],
) -> tuple[list[dict[int, Array]], list[str]]:
    """The bodies of all cameras in px, and a note where they were normalised."""
    normalised: dict[int, tuple[float, float]] = {}
    for i, (frames, size) in enumerate(zip(bodies, sizes, strict=True)):
        people = [b.reshape(-1, 3) for b in frames.values()]
        every = np.concatenate(people) if people else np.zeros((0, 3))
        low, high = extent(every[:, :2], every[:, 2])
        if not in_pixels(low, high, size):
            normalised[i] = low, high
    if not normalised:
        return bodies, []
    low, high = min(r[0] for r in normalised.values()), max(r[1] for r in normalised.values())
    between = normalised_range(low, high)
    where = ', '.join(cameras[i] for i in normalised)
    if between is None:
        raise IoError(f'keypoints lie between {low:.2f} and {high:.2f}, not in pixels',
                      'multiply them by the image size, or run OpenPose with --keypoint_scale 0', place=where)
    out = [{n: np.concatenate([to_pixels(b[..., :2], between, sizes[i]), b[..., 2:]], -1) for n, b in frames.items()}
           if i in normalised else frames for i, frames in enumerate(bodies)]
    return out, [f'{where}: keypoints lie between {low:.2f} and {high:.2f}, not in pixels (--keypoint_scale '
                 f'{_SCALE_FLAG[between]} of OpenPose), and are scaled by the image size']
