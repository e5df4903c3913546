# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Albums of rendered pictures: made once by several processes, kept as JPEG, varied anew in every epoch."""
from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selfpose_ros.core.camera import project
from selfpose_ros.core.skeleton import MIRROR
from selfpose_ros.inference.pose2d.geometry import letterbox, person_crop
from selfpose_ros.io.npz import atomically

from ..data.arrays import Drawing
from ..errors import TrainingError
from . import scenes

__all__ = ['Album', 'ImageBatch', 'Task', 'body_box', 'make_album', 'parted', 'person_window',
           'read_arrays', 'rendered', 'torso_px']

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]

#: a picture is kept this much wider than what the network sees, so that it can be moved, turned and scaled
MARGIN = 1.2
#: the margin of a box around the joints, share of its longer side; that of the run time's boxes
BOX_MARGIN = .1
_PIECE = 64


@dataclass(frozen=True)
class Task:
    """What a network of images is to learn.

    Attributes:
        kind: 'pose2d': the joints of the person in a box. 'detector': the boxes of everybody in the whole image.
        size: (w, h) px of the network's input.  padding: factor on a person's box.
    """

    kind: str
    size: tuple[int, int]
    padding: float = 1.25

    @property
    def canvas(self) -> tuple[int, int]:
        """(w, h) px of the pictures that are kept."""
        w, h = self.size
        return round(w * MARGIN), round(h * MARGIN)


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


def body_box(points: Array, inside: NDArray[np.bool_], limit: Array) -> Array | None:
    """(4,) px around the joints (17, 2) that are inside, with the run time's margin; None: too few are."""
    if inside.sum() < 6:
        return None
    low, high = points[inside].min(0), points[inside].max(0)
    out = BOX_MARGIN * (high - low).max()
    low, high = np.maximum(low - out, -.5), np.minimum(high + out, limit - .5)
    return np.concatenate([low, high]) if (high - low > 3).all() else None


def person_window(rng: np.random.Generator, points: Array, inside: NDArray[np.bool_], task: Task) -> Array | None:
    """Image px -> canvas px (2, 3) about somebody whose joints (17, 2) px are where they are, as a run time's box is.

    None: too little of him is inside (17,), or he is too far away.
    """
    limit = np.array(scenes.IMAGE, float)
    box = body_box(np.nan_to_num(points), inside, limit)
    if box is None or (box[2:] - box[:2]).max() < 40:      # nobody looks for a pose in so few pixels
        return None
    centre, extent = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    centre = centre + rng.normal(0, .05, 2) * extent
    extent = extent * np.exp(rng.normal(.03, .12))
    window = person_crop(np.r_[centre - extent / 2, centre + extent / 2], task.size, task.padding).matrix.copy()
    window[:, 2] += (np.array(task.canvas) - task.size) / 2   # the same, in the middle of the canvas
    return window


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
        ok, data = cv2.imencode('.jpg', made[0], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 96))])
        if not ok:
            raise TrainingError('OpenCV cannot write JPEG; install opencv-contrib-python')
        jpegs.append(data.tobytes())
        points.append(made[1])
        there.append(made[2])
    return jpegs, points, there


def make_album(poses: Array, task: Task, count: int, seed: int, file: Path | None = None, jobs: int = 1,
               progress: Callable[[int, int], None] | None = None) -> Album:
    """Render pictures of people in these poses, or read them where they were rendered before.

    Args:
        poses: (N, 17, 3) m, z up, on the floor.
        count: pictures.
        file: where they are kept; None = nowhere.
        jobs: processes.

    Raises:
        TrainingError: the file is of another album.
    """
    made_of = [task.kind, *map(str, task.size), str(task.padding), str(count), str(seed), str(len(poses))]
    if file is not None and file.is_file():
        return Album.read(file, task, made_of)
    few = poses[np.random.default_rng([seed, 7]).permutation(len(poses))[:20000]].astype(np.float32)
    pieces = [(few, task, min(_PIECE, count - i), [seed, i]) for i in range(0, count, _PIECE)]
    found = rendered(_piece, pieces, jobs, progress)
    album = Album([j for f in found for j in f[0]], [p for f in found for p in f[1]],
                  [t for f in found for t in f[2]], task, seed)
    if file is not None:
        album.write(file, made_of)
    return album


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


def read_arrays(file: Path, names: Sequence[str], made_of: Sequence[str]) -> dict[str, Any]:
    """Arrays of an album's file.

    Raises:
        TrainingError: damaged, or made otherwise.
    """
    try:
        with np.load(file, allow_pickle=False) as z:
            a = {k: z[k] for k in ('made_of', *names)}
    except Exception as error:                             # zip, numpy and the file system, each with its own
        raise TrainingError(f'{file}: not a readable album ({" ".join(str(error).split())[:100]}); delete it, it is '
                            'rendered again') from error
    if a['made_of'].tolist() != list(made_of):
        raise TrainingError(f'{file}: an album of {" ".join(a["made_of"].tolist())}, wanted is {" ".join(made_of)}; '
                            'delete it, or choose another folder')
    return a


def parted(data: Pixels, ends: Any) -> list[bytes]:
    """JPEG files that lie one behind the other."""
    whole, cuts = data.tobytes(), [0, *ends.tolist()]
    return [whole[i:j] for i, j in zip(cuts[:-1], cuts[1:], strict=True)]


class Album:
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

    def part(self, indices: Sequence[int], varied: bool = True) -> Album:
        """Some of the pictures. varied: seen otherwise in every epoch."""
        return Album([self.jpegs[i] for i in indices], [self.points[i] for i in indices],
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
    def read(cls, file: Path, task: Task, made_of: Sequence[str]) -> Album:
        """As written.

        Raises:
            TrainingError: damaged, or made otherwise.
        """
        a = read_arrays(file, ('ends', 'data', 'people', 'points', 'there'), made_of)
        jpegs = parted(a['data'], a['ends'])
        cuts = np.cumsum(a['people'])[:-1]
        return cls(jpegs, np.split(a['points'].astype(float), cuts), np.split(a['there'].astype(float), cuts), task,
                   int(made_of[-2]))

    # -- batches

    def batches(self, n: int, size: int, device: torch.device | str = 'cpu', *,
                drawing: Drawing | None = None) -> Iterator[ImageBatch]:
        """Batches of epoch n, each picture once, varied in a way of its own."""
        partial = drawing is not None and drawing.partial
        rng = np.random.default_rng([self.seed, n, 3])
        order = rng.permutation(len(self)) if self.varied else np.arange(len(self))
        for a in range(0, len(order), size):
            chosen = order[a:a + size]
            if len(chosen) < size and not partial and len(self) >= size:
                return
            yield self._batch([self._sample(int(i), rng) for i in chosen], device)

    def windows(self, n: int, size: int, T: int, device: torch.device | str = 'cpu', *,
                drawing: Drawing | None = None) -> Iterator[ImageBatch]:
        """Pictures have no time.

        Raises:
            TrainingError: always.
        """
        raise TrainingError('pictures have no time: set frames=1')

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
            # a joint in a small patch can still be told from its neighbours: it counts less
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


def torso_px(points: Array) -> float:
    """The scale of PCK: the longer diagonal of the torso, from a shoulder to the other side's hip, px."""
    return float(np.max([np.linalg.norm(points[11] - points[1]), np.linalg.norm(points[14] - points[4]), 1.]))
