# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings of real cameras as arrays: what every reader of this room makes, and the data set made of them."""
from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError
from .arrays import EpochArrays, Epochs

__all__ = ['Recorded', 'RecordedViews']

Array = NDArray[np.floating]
Int = NDArray[np.int64]

#: a pause is longer than so many usual steps of time; windows do not reach over it
_PAUSE = 2.5


@dataclass(frozen=True)
class Recorded:
    """One person in one recording of V cameras, T instants.

    Attributes:
        name: for messages.
        kp: (T, V, 17, 2) px in the order of `core.skeleton.JOINTS`, NaN = not seen.
        conf: (T, V, 17) 0..1, 0 where not seen.
        stamp: (T,) s, rising.
        image_size: (V, 2) px.
        subject, rig: who and which cameras in which places; recordings with the same text share them. '' = by itself.
        K: (V, 3, 3) px, or (T, V, 3, 3), or None; zero or NaN for a camera that is not known.
        R, t: (V, 3, 3) and (V, 3) m, or with T in front, or None: x_cam = R x_world + t; NaN for a camera not known.
        X: (T, 17, 3) m or None: labels of public data sets, NaN = not known; for evaluation, `supervised`, and to
            render people in these poses.
        split: 'train', 'test' or '' (not known).
        moving: cameras move: rotations of different instants must not be exchanged.
        notes: sentences on what was odd.
    """

    name: str
    kp: Array
    conf: Array
    stamp: Array
    image_size: Array
    subject: str = ''
    rig: str = ''
    K: Array | None = None
    R: Array | None = None
    t: Array | None = None
    X: Array | None = None
    split: str = ''
    moving: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        T, V = self.kp.shape[:2]
        shapes: dict[str, list[tuple[int, ...]]] = {
            'kp': [(T, V, 17, 2)], 'conf': [(T, V, 17)], 'stamp': [(T,)], 'image_size': [(V, 2)], 'X': [(T, 17, 3)],
            'K': [(V, 3, 3), (T, V, 3, 3)], 'R': [(V, 3, 3), (T, V, 3, 3)], 't': [(V, 3), (T, V, 3)]}
        for key, allowed in shapes.items():
            value = getattr(self, key)
            if value is not None and value.shape not in allowed:
                raise TrainingError(f'{key} must have shape {" or ".join(map(str, allowed))}, got {value.shape}',
                                    place=self.name)
        if not T or not V:
            raise TrainingError(f'{T} instants of {V} cameras', 'nothing to learn from', place=self.name)
        if (np.diff(self.stamp) <= 0).any() or not np.isfinite(self.stamp).all():
            raise TrainingError('stamps must rise', 'sort the instants by time', place=self.name)
        if (self.R is None) != (self.t is None):
            raise TrainingError('R without t or t without R', 'give both', place=self.name)
        seen = np.isfinite(self.kp).all(-1) & (np.nan_to_num(self.conf) > 0)
        conf = np.where(seen, np.clip(np.nan_to_num(self.conf), 0, 1), 0)
        object.__setattr__(self, 'conf', conf.astype(np.float32))
        object.__setattr__(self, 'kp', np.where(seen[..., None], self.kp, np.nan).astype(np.float32))

    def __len__(self) -> int:
        return len(self.kp)

    @property
    def views(self) -> int:
        """V."""
        return int(self.kp.shape[1])

    def part(self, first: float, last: float) -> Recorded:
        """The instants from share `first` to share `last` of the time, for instance held-out time.

        Raises:
            TrainingError: nothing is left.
        """
        T = len(self)
        a, b = round(first * T), round(last * T)
        if not 0 <= a < b <= T:
            raise TrainingError(f'nothing between {first:g} and {last:g} of its {T} instants', place=self.name)
        return self.at(slice(a, b))

    def at(self, index: slice) -> Recorded:
        """These instants."""
        cameras: dict[str, Any] = {'K': self.K, 'R': self.R, 't': self.t}
        moving = {k: x[index] for k, x in cameras.items() if x is not None and x.ndim == 3 + (k != 't')}
        given: dict[str, Any] = {k: getattr(self, k)[index] for k in ('kp', 'conf', 'stamp')}
        return dataclasses.replace(self, **given, **moving, X=None if self.X is None else self.X[index])


class RecordedViews(Epochs):
    """Recordings as a data set with the interface of `MotionViews`: the same frames in every epoch, other orders."""

    def __init__(self, recordings: Sequence[Recorded], seed: int = 0, *, every: int = 1) -> None:
        """Put them together.

        Args:
            recordings: of any numbers of cameras; a batch has as many views as the largest, see `present`.
            seed: of the order.
            every: take every n-th instant.

        Raises:
            TrainingError: none given.
        """
        if not recordings:
            raise TrainingError('no recording to learn from', 'check what --data names')
        self.recordings, self.seed, self._every = tuple(recordings), seed, every
        self.notes = tuple(n for r in recordings for n in r.notes)
        self.views = max(r.views for r in recordings)
        self._arrays = self._together([r.at(slice(None, None, every)) for r in recordings])

    def __len__(self) -> int:
        """Frames in an epoch."""
        return len(self._arrays)

    def epoch(self, n: int) -> EpochArrays:
        """Epoch `n`."""
        return dataclasses.replace(self._arrays, seed=(self.seed, n))

    @property
    def interval_s(self) -> float:
        """Between neighbouring frames, s, usually."""
        return float(np.median(np.concatenate([np.diff(r.stamp) for r in self.recordings]))) * self._every

    def _together(self, recordings: Sequence[Recorded]) -> EpochArrays:
        V, F = self.views, sum(map(len, recordings))
        rows = [len(r) if r.moving else 1 for r in recordings]
        ends, camera_ends = np.cumsum([0, *map(len, recordings)]), np.cumsum([0, *rows])
        N = int(camera_ends[-1])
        subjects, rigs = _numbers(recordings, 'subject'), _numbers(recordings, 'rig')
        kp, conf = np.zeros((F, V, 17, 2), np.float32), np.zeros((F, V, 17), np.float32)
        image_size, present = np.ones((N, V, 2), np.float32), np.zeros((N, V), bool)
        subj, rig, camera = (np.zeros(F, np.int64) for _ in range(3))
        cameras: dict[str, Any] = {k: np.full((N, V, *shape), np.nan, np.float32) for k, shape in
                   (('K', (3, 3)), ('R', (3, 3)), ('t', (3,))) if any(getattr(r, k) is not None for r in recordings)}
        X = np.full((F, 17, 3), np.nan, np.float32) if any(r.X is not None for r in recordings) else None
        starts: list[int] = []
        for i, r in enumerate(recordings):
            f, c, v = slice(ends[i], ends[i + 1]), slice(camera_ends[i], camera_ends[i + 1]), slice(0, r.views)
            kp[f, v], conf[f, v] = np.nan_to_num(r.kp), r.conf
            here = (r.conf > 0).any(-1)
            image_size[c, v], present[c, v] = r.image_size, here if r.moving else here.any(0)
            subj[f] = subjects[i]
            # with moving cameras every frame has a rig of its own, with a number above all others
            rig[f] = len(recordings) + np.arange(f.start, f.stop) if r.moving else rigs[i]
            camera[f] = np.arange(c.start, c.stop) if r.moving else c.start
            for k, into in cameras.items():
                if getattr(r, k) is not None:
                    into[c, v] = getattr(r, k)
            if X is not None and r.X is not None:
                X[f] = r.X
            step = np.diff(r.stamp)
            pause = step > _PAUSE * (np.median(step) if len(step) else 1)
            starts += [f.start, *(f.start + 1 + np.flatnonzero(pause))]
        start = np.array([*starts, F], np.int64)
        sigma = None
        if X is not None:
            lost = np.isnan(X).any(-1)
            # without its camera a pose cannot be brought into the camera's axes
            if 'R' in cameras:
                lost |= (np.isnan(cameras['R']).any((-1, -2)) & present).any(1)[camera][:, None]
                cameras['R'] = np.where(np.isnan(cameras['R']), np.eye(3, dtype=np.float32), cameras['R'])
                cameras['t'] = np.nan_to_num(cameras['t'])
            X, sigma = np.where(lost[..., None], 0, X), np.where(lost, np.inf, 1e-3).astype(np.float32)
        return EpochArrays(
            kp=kp, conf=conf, start=start, stamp=np.concatenate([r.stamp for r in recordings]).astype(float),
            clip=np.repeat(np.arange(len(start) - 1), np.diff(start)), subj=subj, rig=rig, camera=camera,
            image_size=image_size, present=present, X=X, X_sigma=sigma, **cameras)


def _numbers(recordings: Sequence[Recorded], key: str) -> list[int]:
    """The same number for the same text; a number of its own where there is none."""
    texts = [getattr(r, key) or f'\0{i}' for i, r in enumerate(recordings)]
    order = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return [order[text] for text in texts]
