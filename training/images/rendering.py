# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures for a training: people in the poses of motion capture, or of recordings with their 3D joints, rendered once
into the folder of the run.
"""
from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.camera import project
from selfpose_ros.inference.tensors.geometry import letterbox

from ..data.held_out import split_data
from ..data.motion import Poses
from ..data.people import poses_of, upright
from ..data.recordings import Recorded
from ..data.sources import read_data
from ..errors import TrainingError
from . import scenes
from .boxes import MARGIN, Task, person_window
from .pictures import PictureSet

__all__ = ['jpeg', 'make_pictures', 'open_pictures', 'rendered']

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]

#: pictures that a process renders before it returns them
_PIECE = 64
#: one held-out picture for so many others, and held-out pictures at least
_FEWER, _FEWEST = 16, 64


def open_pictures(make: Callable[[Any, int, int, Path, int, bool], PictureSet], data: Path, val: Path | None,
                  count: int, seed: int, files: tuple[Path, Path],
                  note: Callable[[str], None]) -> tuple[PictureSet, PictureSet]:
    """Pictures to train on, and held-out ones of other sequences, later time, or `val`, which are always seen the same.

    Args:
        make: renders them, or reads those in the file: joints (N, 17, 3) m, z up, number, seed, file, processes, and
            whether they are held out.
        data, val: whose poses.
        count: pictures to train on.
        files: where both are kept.
        note: called with a sentence before anything is rendered.

    Raises:
        TrainingError: the data has no 3D joints, or the pictures in a file are others.
    """
    given = _people(data, 'train')
    if val is not None:
        trained, held_out = _joints(given), _joints(_people(val, 'held out'))
    else:
        trained, held_out = (_joints(part) for part in split_data(given))
    if not len(trained) or not len(held_out):
        raise TrainingError('too few poses with all joints', 'give more motion', place=data)
    sets: list[PictureSet] = []
    for joints, n, s, file in ((trained, count, seed, files[0]),
                               (held_out, max(count // _FEWER, _FEWEST), seed + 1_000_000, files[1])):
        if not file.exists():
            note(f'rendering {n} pictures of people, once')
        sets.append(make(joints, n, s, file, os.cpu_count() or 1, bool(sets)))
    sets[1].varied = False
    return sets[0], sets[1]


def _people(path: Path, split: str) -> Poses | list[Recorded]:
    found = read_data(path, split=split)
    return found if isinstance(found, Poses) else upright(found)


def _joints(people: Poses | list[Recorded]) -> Any:
    """(N, 17, 3) m, z up: all whole poses."""
    return people.joints[np.isfinite(people.joints).all((1, 2))] if isinstance(people, Poses) else poses_of(people)


def _one(rng: np.random.Generator, poses: Array, task: Task) -> tuple[Pixels, Array, Array] | None:
    """A picture, joints (P, 17, 2) px of the canvas, and whether they are there (P, 17)."""
    limit = np.array(scenes.IMAGE, float)
    pose2d = task.kind == 'pose2d'
    people = 1 + int(rng.random() < .18) if pose2d else int(rng.choice([0, 1, 2, 3, 4], p=[.08, .4, .27, .15, .1]))
    stage = scenes.draw_stage(rng, [poses[rng.integers(len(poses))] for _ in range(people)])
    target = stage.joints[0].mean(0) if people else np.array([0, 0, .9])
    eye = scenes.draw_eye(rng, target, 1.7 if pose2d else 2.2, 6.5 if pose2d else 7.5)
    canvas = np.array(task.canvas)
    if pose2d:
        points = project(stage.joints[0], eye.K, eye.R, eye.t)
        inside = ((points >= 0) & (points <= limit - 1)).all(-1) & (stage.joints[0] @ eye.R[2] + eye.t[2] > .3)
        crop = person_window(rng, points, inside, task)
        if crop is None:
            return None
        window = crop
    else:
        window = letterbox(scenes.IMAGE, task.size, 'corner').matrix * MARGIN
    picture = scenes.take(rng, stage, eye, window, (int(canvas[0]), int(canvas[1])))
    if pose2d:
        return picture.image, picture.points[:1], (picture.inside & ~picture.hidden)[:1].astype(float)
    return picture.image, picture.points, picture.inside.astype(float)


def jpeg(rng: np.random.Generator, image: Pixels) -> bytes:
    """A picture (H, W, 3) BGR as a JPEG file of any quality.

    Raises:
        TrainingError: OpenCV was built without JPEG.
    """
    ok, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 96))])
    if not ok:
        raise TrainingError('OpenCV cannot write JPEG', 'install opencv-python-headless')
    return data.tobytes()


def _piece(job: tuple[Array, Task, int, list[int]]) -> tuple[list[bytes], list[Array], list[Array]]:
    poses, task, count, seed = job
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    jpegs: list[bytes] = []
    points: list[Array] = []
    there: list[Array] = []
    while len(jpegs) < count:
        made = _one(rng, poses, task)
        if made is None:
            continue
        jpegs.append(jpeg(rng, made[0]))
        points.append(made[1])
        there.append(made[2])
    return jpegs, points, there


def make_pictures(poses: Array, task: Task, count: int, seed: int, file: Path | None = None, jobs: int = 1,
               progress: Callable[[int, int], None] | None = None) -> PictureSet:
    """Render pictures of people in these poses, or read them where they were rendered before.

    Args:
        poses: (N, 17, 3) m, z up, on the floor.
        count: pictures.
        file: where they are kept; None = nowhere.
        jobs: processes.

    Raises:
        TrainingError: the file holds other pictures.
    """
    made_of = [task.kind, *map(str, task.size), str(task.padding), str(count), str(seed), str(len(poses))]
    if file is not None and file.is_file():
        return PictureSet.read(file, task, made_of)
    few = poses[np.random.default_rng([seed, 7]).permutation(len(poses))[:20000]].astype(np.float32)
    pieces = [(few, task, min(_PIECE, count - i), [seed, i]) for i in range(0, count, _PIECE)]
    found = rendered(_piece, pieces, jobs, progress)
    pictures = PictureSet([j for f in found for j in f[0]], [p for f in found for p in f[1]],
                  [t for f in found for t in f[2]], task, seed)
    if file is not None:
        pictures.write(file, made_of)
    return pictures


def rendered(piece: Callable[[Any], Any], pieces: Sequence[Any], jobs: int,
             progress: Callable[[int, int], None] | None) -> list[Any]:
    """What `piece` makes of each of the pieces, in their order, by so many processes."""
    out = []
    with nullcontext() if jobs == 1 else ProcessPoolExecutor(
            jobs, mp_context=multiprocessing.get_context('spawn')) as pool:
        for result in (map if pool is None else pool.map)(piece, pieces):
            out.append(result)
            if progress is not None:
                progress(len(out), len(pieces))
    return out
