# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Sets of rendered pictures: kept as JPEG, varied anew in every epoch."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selfpose_ros.core.skeleton import MIRROR
from selfpose_ros.io.npz import atomically

from ..data.arrays import Sampling
from ..errors import SettingError, TrainingError
from . import scenes
from .boxes import MARGIN, Task, body_box, torso_px

__all__ = ['ImageBatch', 'PictureSet', 'jpegs_of', 'read_arrays']

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]


@dataclass
class ImageBatch:
    """What goes into a step.

    Attributes:
        image: (B, 3, H, W) float32 0..255, RGB.
        points: (B, P, 17, 2) px of the input, pixel centres at integers.
        weight: (B, P, 17) 1 = in the image, 0 = not; people who are not there have 0 throughout.
        box: (B, P, 4) x1 y1 x2 y2 px.
        torso: (B, P) px, the scale of PCK, see `torso_px`.
    """

    image: Tensor
    points: Tensor
    weight: Tensor
    box: Tensor
    torso: Tensor

    @property
    def samples(self) -> int:
        """B."""
        return len(self.image)


def read_arrays(file: Path, names: Sequence[str], made_of: Sequence[str]) -> dict[str, Any]:
    """Arrays of a file of pictures.

    Raises:
        TrainingError: damaged, or made otherwise.
    """
    try:
        with np.load(file, allow_pickle=False) as z:
            a = {k: z[k] for k in ('made_of', *names)}
    except Exception as error:                             # zip, numpy and the file system, each with its own
        raise TrainingError(f'no readable pictures ({" ".join(str(error).split())[:100]})',
                            'delete it, it is rendered again', place=file) from error
    if a['made_of'].tolist() != list(made_of):
        raise TrainingError(f'pictures of {" ".join(a["made_of"].tolist())}, wanted is {" ".join(made_of)}',
                            'delete it, or choose another folder', place=file)
    return a


def jpegs_of(data: Pixels, ends: Any) -> list[bytes]:
    """JPEG files that lie one behind the other."""
    whole, cuts = data.tobytes(), [0, *ends.tolist()]
    return [whole[i:j] for i, j in zip(cuts[:-1], cuts[1:], strict=True)]


class PictureSet:
    """A data set of pictures; see `fit.Data`.

    Args:
        jpegs: of pictures of `task.canvas`.  points: for each (P, 17, 2) px.  there: for each (P, 17) 0 or 1.
        seed: of what is drawn for a batch.
    """

    def __init__(self, jpegs: Sequence[bytes], points: Sequence[Array], there: Sequence[Array], task: Task,
                 seed: int = 0, varied: bool = True) -> None:
        self.jpegs, self.points, self.there, self.task, self.seed = list(jpegs), list(points), list(there), task, seed
        self.varied = varied

    def __len__(self) -> int:
        return len(self.jpegs)

    def part(self, indices: Sequence[int], varied: bool = True) -> PictureSet:
        """Some of the pictures. varied: seen otherwise in every epoch."""
        return PictureSet([self.jpegs[i] for i in indices], [self.points[i] for i in indices],
                     [self.there[i] for i in indices], self.task, self.seed, varied)

    # -- files

    def write(self, file: Path, made_of: Sequence[str]) -> None:
        """Keep it."""
        with atomically(file) as part, part.open('wb') as out:
            np.savez(out, made_of=np.array(made_of), ends=np.cumsum([len(j) for j in self.jpegs]),
                     data=np.frombuffer(b''.join(self.jpegs), np.uint8),
                     people=np.array([len(p) for p in self.points]),
                     points=np.concatenate([p.reshape(-1, 17, 2) for p in self.points]).astype(np.float32),
                     there=np.concatenate([t.reshape(-1, 17) for t in self.there]).astype(np.uint8))

    @classmethod
    def read(cls, file: Path, task: Task, made_of: Sequence[str]) -> PictureSet:
        """As written.

        Raises:
            TrainingError: damaged, or made otherwise.
        """
        a = read_arrays(file, ('ends', 'data', 'people', 'points', 'there'), made_of)
        jpegs = jpegs_of(a['data'], a['ends'])
        cuts = np.cumsum(a['people'])[:-1]
        return cls(jpegs, np.split(a['points'].astype(float), cuts), np.split(a['there'].astype(float), cuts), task,
                   int(made_of[-2]))

    # -- batches

    def batches(self, n: int, size: int, device: torch.device | str = 'cpu', *,
                sampling: Sampling | None = None) -> Iterator[ImageBatch]:
        """Batches of epoch n, each picture once, varied in a way of its own."""
        partial = sampling is not None and sampling.partial
        rng = np.random.default_rng([self.seed, n, 3])
        order = rng.permutation(len(self)) if self.varied else np.arange(len(self))
        for a in range(0, len(order), size):
            chosen = order[a:a + size]
            if len(chosen) < size and not partial and len(self) >= size:
                return
            yield self._batch([self._sample(int(i), rng) for i in chosen], device)

    @property
    def interval_s(self) -> float:
        """Pictures have no time.

        Raises:
            TrainingError: always.
        """
        raise SettingError('must be 1: pictures have no time', setting='frames')

    def windows(self, n: int, size: int, T: int, device: torch.device | str = 'cpu', *,
                sampling: Sampling | None = None) -> Iterator[ImageBatch]:
        """Pictures have no time.

        Raises:
            TrainingError: always.
        """
        raise SettingError('must be 1: pictures have no time', setting='frames')

    def _sample(self, index: int, rng: np.random.Generator) -> tuple[Pixels, Array, Array]:
        """Picture (H, W, 3) RGB of the network's size, points (P, 17, 2), weights (P, 17)."""
        return self._as_placed(index, *self._placed(rng), rng)

    def _as_placed(self, index: int, matrix: Array, mirrored: bool,
                   rng: np.random.Generator) -> tuple[Pixels, Array, Array]:
        image = np.asarray(cv2.imdecode(np.frombuffer(self.jpegs[index], np.uint8), cv2.IMREAD_COLOR), np.uint8)
        points, there = self.points[index], self.there[index]
        w, h = self.task.size
        image = np.asarray(cv2.warpAffine(image, matrix, (w, h), flags=cv2.INTER_LINEAR,
                                          borderMode=cv2.BORDER_CONSTANT), np.uint8)
        points = points @ matrix[:, :2].T + matrix[:, 2]
        if mirrored:
            points, there = points[:, list(MIRROR)], there[:, list(MIRROR)]
        seen = ((points >= -.5) & (points <= np.array([w, h]) - .5)).all(-1)
        there = there * seen
        if self.varied:
            image, there = self._spoilt(np.asarray(image, np.uint8), points, there, rng)
        return np.asarray(image[..., ::-1], np.uint8), points, there

    def _placed(self, rng: np.random.Generator) -> tuple[Array, bool]:
        """Canvas px -> network px (2, 3), and whether left and right are exchanged."""
        w, h = self.task.size
        cw, ch = self.task.canvas
        if self.task.kind == 'pose2d':
            angle = np.deg2rad(rng.normal(0, 8)) if self.varied else 0.
            scale = np.exp(rng.normal(0, .1)) if self.varied else 1.
            shift = rng.normal(0, .02, 2) * [w, h] if self.varied else np.zeros(2)
            c, s = scale * np.cos(angle), scale * np.sin(angle)
            turn = np.array([[c, -s], [s, c]])
            matrix = np.column_stack([turn, np.array([w, h]) / 2 + shift - turn @ [cw / 2, ch / 2]])
        else:
            scale = np.exp(rng.uniform(-.15, .25)) if self.varied else 1.
            free = np.array([w, h]) * (1 - scale)
            shift = rng.uniform(np.minimum(free, 0), np.maximum(free, 0)) if self.varied else np.zeros(2)
            matrix = np.column_stack([np.eye(2) * scale / MARGIN, shift])
        if not (self.varied and rng.random() < .5):
            return matrix, False
        return np.array([[-1., 0], [0, 1]]) @ matrix + [[0, 0, w - 1.], [0, 0, 0]], True

    def _spoilt(self, image: Pixels, points: Array, there: Array,
                rng: np.random.Generator) -> tuple[Pixels, Array]:
        """Another exposure, a patch before it, blur, noise."""
        gain, lift = np.exp(rng.normal(0, .15)), rng.normal(0, 9)
        tint = np.exp(rng.normal(0, .06, 3))
        table = np.clip(np.arange(256)[:, None] * gain * tint + lift, 0, 255)
        if rng.random() < .3:
            table = 255 * (table / 255) ** np.exp(rng.normal(0, .3))
        image = np.asarray(cv2.LUT(image, table.astype(np.uint8)[None]), np.uint8)
        if self.task.kind == 'pose2d' and rng.random() < .2:
            h, w = image.shape[:2]
            half, at = rng.uniform(.04, .16, 2) * [w, h], rng.uniform(0, 1, 2) * [w, h]
            low, high = np.round(np.clip([at - half, at + half], 0, [w, h])).astype(int)
            patch = image[low[1]:high[1], low[0]:high[0]]
            wide, tall = patch.shape[1], patch.shape[0]
            patch[:] = (scenes.clutter(rng, (wide, tall)) if min(wide, tall) > 8 else rng.integers(0, 256, 3))
            covered = ((points >= low) & (points < high)).all(-1)
            # a joint in a small patch can still be estimated from its neighbours: it counts less
            there = np.where(covered, .3 * there, there)
        if rng.random() < .2:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(.4, 1.2)), np.uint8)
        if rng.random() < .3:
            grain = rng.normal(0, rng.uniform(1, 9), (*image.shape[:2], 1)).astype(np.float32)
            image = np.clip(image + grain, 0, 255).astype(np.uint8)
        return np.asarray(image, np.uint8), there

    def _batch(self, made: list[tuple[Pixels, Array, Array]], device: torch.device | str) -> ImageBatch:
        most = max([1, *(len(p) for _, p, _ in made)])
        w, h = self.task.size
        image = np.stack([m[0] for m in made]).transpose(0, 3, 1, 2).astype(np.float32)
        points, weight = np.zeros((len(made), most, 17, 2)), np.zeros((len(made), most, 17))
        box, torso = np.zeros((len(made), most, 4)), np.ones((len(made), most))
        for b, (_, p, t) in enumerate(made):
            n = len(p)
            finite = np.isfinite(p).all(-1)
            points[b, :n], weight[b, :n] = np.where(finite[..., None], p, 0.), np.where(finite, t, 0.)
            for i in range(n):
                found = body_box(points[b, i], weight[b, i] > 0, np.array([w, h], float))
                if found is None:
                    weight[b, i] = 0
                else:
                    box[b, i] = found
                torso[b, i] = torso_px(points[b, i])
        return ImageBatch(*(torch.from_numpy(np.ascontiguousarray(a, np.float32)).to(device)
                            for a in (image, points, weight, box, torso)))
