# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of one instant seen by several cameras: intrinsics known, positions and rotations not.

A part of the groups has its joints marked in the pictures; of the others nothing but the pictures reaches a method.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selfpose_ros.core.camera import project
from selfpose_ros.io.npz import atomically

from ..data.arrays import Sampling
from ..errors import SettingError
from . import scenes
from .boxes import Task, person_window, torso_px
from .pictures import PictureSet, jpegs_of, read_arrays
from .rendering import jpeg, rendered

__all__ = ['GroupBatch', 'Groups', 'make_groups']

Array = NDArray[np.float64]

_PIECE = 24
#: cameras of a group stand at least so far apart as seen from the person, degrees
_APART_DEG = 25.
_FIELDS = ('ends', 'data', 'views', 'points', 'there', 'to_ray', 'joints')


@dataclass
class GroupBatch:
    """What goes into a step: B instants, V views of each.

    Attributes:
        image: (B, V, 3, H, W) float32 0..255, RGB.
        to_ray: (B, V, 3, 3), px of the picture to rays of its camera (z = 1).
        mirrored: (B, V) bool: left and right are exchanged in the picture.
        labelled: (B,) bool.
        points: (B, V, 17, 2) px and  weight: (B, V, 17) 0..1, as in the picture; 0 without labels.
        torso: (B, V) px, the scale of PCK.
        joints: (B, V, 17, 3) m in camera axes; only of held-out data, for figures.
    """

    image: Tensor
    to_ray: Tensor
    mirrored: Tensor
    labelled: Tensor
    points: Tensor
    weight: Tensor
    torso: Tensor
    joints: Tensor | None = None

    @property
    def samples(self) -> int:
        """B."""
        return len(self.image)

    def part(self, wanted: Tensor) -> GroupBatch:
        """Some of the instants; wanted: (B,) bool."""
        mine = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: x[wanted] for name, x in mine.items() if x is not None})


@dataclass(frozen=True)
class _Picture:
    """A picture of a group: JPEG, joints (17, 2) px of the canvas, whether they are there, px to rays, truth."""

    jpeg: bytes
    points: Array
    there: Array
    to_ray: Array
    joints: Array


def _group(rng: np.random.Generator, poses: Array, task: Task, views: int) -> list[_Picture] | None:
    """One instant; None: somebody is hardly in a picture, or the cameras stand together."""
    people = 1 + int(rng.random() < .15)
    stage = scenes.draw_stage(rng, [poses[rng.integers(len(poses))] for _ in range(people)])
    body = stage.joints[0]
    eyes = [scenes.draw_eye(rng, body.mean(0), 1.9, 6.) for _ in range(views)]
    away = np.array([-e.R.T @ e.t - body.mean(0) for e in eyes])
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    if (np.triu(away @ away.T, 1) > np.cos(np.deg2rad(_APART_DEG))).any():
        return None
    limit, out = np.array(scenes.IMAGE, float), []
    windows = []
    for eye in eyes:                                       # before anything is rendered
        points = project(body, eye.K, eye.R, eye.t)
        inside = ((points >= 0) & (points <= limit - 1)).all(-1) & (body @ eye.R[2] + eye.t[2] > .3)
        window = person_window(rng, points, inside, task) if inside.sum() > 11 else None
        if window is None:
            return None
        windows.append(window)
    for eye, window in zip(eyes, windows, strict=True):
        picture = scenes.take(rng, stage, eye, window, task.canvas)
        out.append(_Picture(jpeg(rng, picture.image), picture.points[0],
                            (picture.inside & ~picture.hidden)[0].astype(float),
                            np.linalg.inv(np.vstack([window, [0, 0, 1]]) @ eye.K), body @ eye.R.T + eye.t))
    return out


def _piece(job: tuple[Array, Task, int, int, list[int]]) -> list[_Picture]:
    poses, task, views, count, seed = job
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    out: list[_Picture] = []
    while len(out) < count * views:
        out.extend(_group(rng, poses, task, views) or ())
    return out


def make_groups(poses: Array, task: Task, views: int, count: int, seed: int, file: Path | None = None, jobs: int = 1,
                progress: Callable[[int, int], None] | None = None) -> Groups:
    """Render groups of pictures, or read them where they were rendered before; see `rendering.make_pictures`.

    Args:
        views: cameras of a group.  count: groups.

    Raises:
        TrainingError: the file holds other pictures.
    """
    made_of = ['groups', *map(str, task.size), str(task.padding), str(views), str(count), str(seed), str(len(poses))]
    if file is not None and file.is_file():
        return Groups.read(file, task, views, seed, made_of)
    few = poses[np.random.default_rng([seed, 7]).permutation(len(poses))[:20000]].astype(np.float32)
    pieces = [(few, task, views, min(_PIECE, count - i), [seed, 5, i]) for i in range(0, count, _PIECE)]
    found = rendered(_piece, pieces, jobs, progress)
    pictures = [p for piece in found for p in piece]
    groups = Groups([p.jpeg for p in pictures], [p.points[None] for p in pictures], [p.there[None] for p in pictures],
                    np.stack([p.to_ray for p in pictures]), np.stack([p.joints for p in pictures]), task, views, seed)
    if file is not None:
        groups.keep(file, made_of)
    return groups


class Groups(PictureSet):
    """A data set of groups; see `fit.Data`. Pictures lie group by group.

    Args:
        jpegs, points, there, task, seed: see `PictureSet`; N = groups times views.
        to_ray: (N, 3, 3) px of the canvas to rays.  joints: (N, 17, 3) m, camera axes.
        views: of a group.
        labelled: groups, the first ones, with 2D labels; None = of all.
        alone: in so many epochs at the beginning only these come.
    """

    def __init__(self, jpegs: Sequence[bytes], points: Sequence[Array], there: Sequence[Array], to_ray: Array,
                 joints: Array, task: Task, views: int, seed: int = 0, labelled: int | None = None,
                 alone: int = 0) -> None:
        super().__init__(jpegs, points, there, task, seed)
        self.to_ray, self.joints, self.views, self.alone = to_ray, joints, views, alone
        self.labelled = len(self.jpegs) // views if labelled is None else labelled

    def __len__(self) -> int:
        return len(self.jpegs) // self.views

    def of(self, labelled: int, unlabelled: bool = True, alone: int = 0) -> Groups:
        """Those of the first groups with 2D labels; `unlabelled`: the others, too, after `alone` epochs."""
        n = (len(self) if unlabelled else min(labelled, len(self))) * self.views
        return Groups(self.jpegs[:n], self.points[:n], self.there[:n], self.to_ray[:n], self.joints[:n], self.task,
                      self.views, self.seed, min(labelled, len(self)), alone)

    # -- files

    def keep(self, file: Path, made_of: Sequence[str]) -> None:
        """Write it."""
        with atomically(file) as part, part.open('wb') as out:
            np.savez(out, made_of=np.array(made_of), ends=np.cumsum([len(j) for j in self.jpegs]),
                     data=np.frombuffer(b''.join(self.jpegs), np.uint8), views=self.views,
                     points=np.concatenate(self.points).astype(np.float32), to_ray=self.to_ray,
                     there=np.concatenate(self.there).astype(np.uint8), joints=self.joints.astype(np.float32))

    @classmethod
    def read(cls, file: Path, task: Task, views: int, seed: int,  # type: ignore[override]
             made_of: Sequence[str]) -> Groups:
        """As kept.

        Raises:
            TrainingError: damaged, or made otherwise.
        """
        a = read_arrays(file, _FIELDS, made_of)
        return cls(jpegs_of(a['data'], a['ends']), list(a['points'][:, None].astype(float)),
                   list(a['there'][:, None].astype(float)), a['to_ray'], a['joints'].astype(float), task, views, seed)

    # -- batches

    def batches(self, n: int, size: int, device: torch.device | str = 'cpu', *,  # type: ignore[override]
                sampling: Sampling | None = None) -> Iterator[GroupBatch]:
        """Batches of epoch n; where some groups have labels and some do not, half a batch is of either."""
        partial = sampling is not None and sampling.partial
        rng = np.random.default_rng([self.seed, n, 3])
        known, others = np.arange(min(self.labelled, len(self))), np.arange(self.labelled, len(self))
        if self.varied and len(known) and len(others):
            half, count = size if n < self.alone else size // 2, len(self) // size
            if not half:
                raise SettingError('must be 2 or more: a batch of one group cannot be half labelled', setting='batch')
            a, b = _rounds(rng, known, half * count), _rounds(rng, others, (size - half) * count)
            order = np.concatenate([a.reshape(count, -1), b.reshape(count, -1)], 1).ravel()
        else:
            order = rng.permutation(len(self)) if self.varied else np.arange(len(self))
        for i in range(0, len(order), size):
            chosen = order[i:i + size]
            if len(chosen) < size and not partial and len(self) >= size:
                return
            yield self._together([self._view(int(g), v, rng) for g in chosen for v in range(self.views)],
                                 chosen < self.labelled, device)

    def _view(self, group: int, view: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Array, Array, Array,
                                                                              bool, Array]:
        """Picture, points (17, 2), weights (17,), px to rays, whether it is mirrored, truth."""
        i = group * self.views + view
        matrix, mirrored = self._placed(rng)
        image, points, there = self._as_placed(i, matrix, mirrored, rng)
        to_ray = self.to_ray[i] @ np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
        return image, points[0], there[0], to_ray, mirrored, self.joints[i]

    def _together(self, made: list[tuple[NDArray[np.uint8], Array, Array, Array, bool, Array]],
                  labelled: NDArray[np.bool_], device: torch.device | str) -> GroupBatch:
        V = self.views

        def stacked(k: int) -> NDArray[np.float32]:
            a = np.stack([m[k] for m in made]).astype(np.float32)
            return a.reshape(-1, V, *a.shape[1:])

        image = np.moveaxis(stacked(0), -1, 2)
        points, weight = stacked(1), stacked(2)
        torso = np.array([torso_px(p) for p in points.reshape(-1, 17, 2)], np.float32).reshape(-1, V)
        points, weight = (a * labelled.reshape(-1, *[1] * (a.ndim - 1)) for a in (points, weight))

        def sent(a: NDArray[np.generic]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(a)).to(device)

        return GroupBatch(sent(image), sent(stacked(3)), sent(stacked(4) > 0), sent(labelled),
                          sent(points.astype(np.float32)), sent(weight.astype(np.float32)), sent(torso),
                          None if self.varied else sent(stacked(5)))


def _rounds(rng: np.random.Generator, items: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """So many of the items, each about as often, in a new order each time."""
    return np.concatenate([items[:0], *(rng.permutation(items) for _ in range(-(-count // len(items))))])[:count]
