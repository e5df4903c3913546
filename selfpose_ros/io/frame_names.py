# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Which number in the names of a camera's files is that of the frame.

Programs write `clip_000000000012_keypoints.json`, `cam1_0012.json`, `000012_cam1.json`, `2024-05-01_cam1_12_pose.json`
and more. The frame is the number that is another one in every file of a camera; where several are, the one that is
the closest to counting, in the same place for all cameras.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import IoError

__all__ = ['FrameFiles', 'frame_files']

#: frames that are numbered are at most that far apart; times are further
_LARGEST_STEP = 1000


@dataclass(frozen=True)
class FrameFiles:
    """The files of one camera.

    Attributes:
        folder: that holds them.
        files: frame number -> file.
        nameless: files without number in their names.
        note: which number was taken, where that is not the last one of the names; '' = the last.
    """

    folder: Path
    files: dict[int, Path]
    nameless: tuple[Path, ...] = ()
    note: str = ''


def frame_files(folders: Sequence[Path]) -> list[FrameFiles]:
    """The JSON files of the cameras by frame number.

    Raises:
        IoError: two files of a camera have the same number, or the numbers are times.
    """
    numbers: list[dict[Path, list[str]]] = []
    nameless: list[tuple[Path, ...]] = []
    for folder in folders:
        every = {p: re.findall(r'\d+', p.stem) for p in sorted(folder.glob('*.json'))}
        numbers.append({p: n for p, n in every.items() if n})
        nameless.append(tuple(p for p, n in every.items() if not n))
    place = _places(numbers)
    return [_numbered(f, n, place[i], nameless[i]) for i, (f, n) in enumerate(zip(folders, numbers, strict=True))]


def _places(cameras: Sequence[dict[Path, list[str]]]) -> list[int]:
    """Of each camera, which number of the names is the frame's, counted from the end: -1 = the last."""
    counts = [min(map(len, files.values()), default=0) for files in cameras]
    differ = [{place for place in range(-count, 0) if len(files) > 1 and _all_differ(files, place)}
              for files, count in zip(cameras, counts, strict=True)]
    places = []
    for count, own in zip(counts, differ, strict=True):
        alike = [d for d, c in zip(differ, counts, strict=True) if d and c == count]
        common = set.intersection(*alike) if alike else set()
        places.append(min(common or own or {-1}, key=lambda place: (_span(cameras, counts, count, place), -place)))
    return places


def _all_differ(files: dict[Path, list[str]], place: int) -> bool:
    return len({int(n[place]) for n in files.values()}) == len(files)


def _span(cameras: Sequence[dict[Path, list[str]]], counts: Sequence[int], count: int, place: int) -> int:
    """How far the numbers in this place lie apart, over all cameras whose names have as many of them."""
    values = [[int(n[place]) for n in files.values()] for files, c in zip(cameras, counts, strict=True)
              if c == count and files]
    return sum(max(v) - min(v) for v in values)


def _numbered(folder: Path, numbers: dict[Path, list[str]], place: int, nameless: tuple[Path, ...]) -> FrameFiles:
    files: dict[int, Path] = {}
    for path, found in numbers.items():
        number = int(found[place])
        if number in files:
            raise IoError(f'frame {number} is also {files[number].name}', 'use one folder per camera', place=path)
        files[number] = path
    files = dict(sorted(files.items()))
    if len(files) > 2:
        step = float(np.median(np.diff(np.array(list(files), float))))
        if step > _LARGEST_STEP:
            first = next(iter(files.values()))
            raise IoError(f'the numbers in the names go up by {step:.6g}, as times do and frames do not, the first is '
                          f'{first.name}', 'number the files by frame', place=folder)
    note = ''
    if place < -1 and files:
        path = next(iter(files.values()))
        note = (f'{folder.name}: frames are numbered by {numbers[path][place]} in {path.name}, which changes from file '
                'to file; the last number of the name does not count them')
    return FrameFiles(folder, files, nameless, note)
