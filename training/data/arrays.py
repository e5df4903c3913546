# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One epoch of multi-view frames as arrays, and the batches that are drawn from it."""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selfpose_ros.core.past_poses import window
from selfpose_ros.core.skeleton import MIRROR

from ..errors import TrainingError
from .batch import Batch

__all__ = ['Sampling', 'EpochArrays', 'Epochs']

Float = NDArray[np.float32]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Sampling:
    """How batches are drawn from an epoch.

    Attributes:
        truth: fill X, X_sigma, R and t of the batches where the source has them; off, a method cannot see them.
        intrinsics: fill K where the source has it.
        cameras: fill R, t and rig_K: the cameras, but no 3D pose, for losses that know the rig.
        drop_views: probability that a sample loses views; how many is drawn too, and two of those seen are kept.
        per_rig: samples come in groups of this many random frames of one rig, for losses that exchange cameras.
        drop_joints: mean share of joints that are taken away in a view, unsure ones first.
        mirror: probability that a sample is seen as in a mirror, all views together, with left and right exchanged;
            with `per_rig` above 1 all samples of a rig are, or none.
        ordered: in the order of the source, nothing shuffled.
        partial: give the last, smaller batch too.
        frame_gap: in windows, neighbours are so many frames of the source apart.
        interval_s: above 0: in windows, neighbours are the frames nearest to so many seconds apart, as at run time.
    """

    truth: bool = False
    intrinsics: bool = False
    cameras: bool = False
    drop_views: float = 0.
    per_rig: int = 1
    drop_joints: float = 0.
    mirror: float = 0.
    ordered: bool = False
    partial: bool = False
    frame_gap: int = 1
    interval_s: float = 0.

    def __post_init__(self) -> None:
        for name in ('drop_views', 'drop_joints', 'mirror'):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f'{name} is {getattr(self, name):g}', 'give a number from 0 to 1')
        if self.per_rig < 1:
            raise TrainingError(f'per_rig is {self.per_rig}', 'give 1 or more frames of a rig')
        if self.frame_gap < 1:
            raise TrainingError(f'frame_gap is {self.frame_gap}', 'give 1 or more frames')


@dataclass
class EpochArrays:
    """F frames of V views, clip after clip; numpy, float32.

    Attributes:
        kp: (F, V, 17, 2) px, 0 where unseen.  conf: (F, V, 17), 0 = unseen.
        start: (C + 1,) first frame of each clip, and F: time runs inside a clip.
        stamp: (F,) s, rising inside a clip.
        clip: (F,) number of the clip.  subj: (F,) number of the subject.
        rig: (F,) number of the rig; frames of one rig may exchange their cameras' rotations. Moving cameras have a rig
            number for every frame.
        camera: (F,) row of image_size, present, K, R and t that holds for the frame.
        image_size: (N, V, 2) px.  present: (N, V) bool, cameras that are there.
        K: (N, V, 3, 3) px or None.  R (N, V, 3, 3), t (N, V, 3) m or None: x_cam = R x_world + t.
        X: (F, 17, 3) m or None, 0 where unknown.  X_sigma: (F, 17) m or None, inf where X is unknown.
        seed: of the order in which batches are drawn.
    """

    kp: Float
    conf: Float
    start: Int
    stamp: NDArray[np.float64]
    clip: Int
    subj: Int
    rig: Int
    camera: Int
    image_size: Float
    present: NDArray[np.bool_]
    K: Float | None = None
    R: Float | None = None
    t: Float | None = None
    X: Float | None = None
    X_sigma: Float | None = None
    seed: tuple[int, ...] = (0,)

    def __len__(self) -> int:
        return len(self.kp)

    @property
    def views(self) -> int:
        """V."""
        return int(self.kp.shape[1])

    def batches(self, size: int, device: torch.device | str = 'cpu', sampling: Sampling | None = None, *,
                frames: int = 0) -> Iterator[Batch]:
        """Batches of single frames, or, with frames = T > 0, of causal windows that end at each frame.

        Args:
            size: samples in a batch; an epoch of fewer frames gives one smaller batch.
            device: where the tensors go.
            sampling: see `Sampling`.
            frames: T; windows never leave their clip: before its start its first frame is repeated.

        Raises:
            TrainingError: a size below 1, or fewer than no frames.
        """
        sampling = sampling or Sampling()
        if size < 1 or frames < 0:
            raise TrainingError(f'batches of {size} samples with {frames} frames',
                                'give 1 or more samples and 0 or more frames')
        rng = np.random.default_rng([*self.seed, 1])
        order = np.arange(len(self)) if sampling.ordered else self._shuffled(rng, sampling.per_rig)
        # a mirrored camera stands elsewhere: where frames of a rig are to have the same cameras, all are mirrored
        turned = rng.random(int(self.rig.max()) + 1) < sampling.mirror if sampling.per_rig > 1 else None
        source = {name: torch.from_numpy(np.ascontiguousarray(value)).to(device)
                  for name, value in self._wanted(sampling).items()}
        if frames:
            source['past'] = torch.from_numpy(self._past(frames, sampling)).to(device)
        for a in range(0, len(order), size):
            index = order[a:a + size]
            if len(index) < size and a and not sampling.partial:
                return
            keep = torch.from_numpy(self._kept(rng, index, sampling.drop_views)).to(device)
            batch = self._batch(source, torch.from_numpy(index).to(device), keep)
            if sampling.drop_joints:
                batch = _without_joints(batch, rng, sampling.drop_joints)
            if sampling.mirror:
                drawn = rng.random(len(index)) < sampling.mirror if turned is None else turned[self.rig[index]]
                flip = torch.from_numpy(drawn).to(device)
                batch = _mirrored(batch, flip)
            yield batch

    def _wanted(self, sampling: Sampling) -> dict[str, NDArray[Any]]:
        names = ['kp', 'conf', 'subj', 'rig', 'camera', 'image_size']
        names += ['K'] * sampling.intrinsics + ['X', 'X_sigma'] * sampling.truth
        names += ['R', 't'] * (sampling.truth or sampling.cameras)
        wanted = {n: getattr(self, n) for n in names if getattr(self, n) is not None}
        return wanted | ({'rig_K': self.K} if sampling.cameras and self.K is not None else {})

    def _shuffled(self, rng: np.random.Generator, per_rig: int) -> Int:
        if per_rig == 1:
            return rng.permutation(len(self))
        order = np.lexsort((rng.random(len(self)), self.rig))
        groups = np.array_split(order, range(per_rig, len(order), per_rig))
        return np.concatenate([groups[i] for i in rng.permutation(len(groups))])

    def _kept(self, rng: np.random.Generator, index: Int, share: float) -> NDArray[np.bool_]:
        """(B, V): views that are there and not dropped: at least two of those in which anything is seen."""
        there = self.present[self.camera[index]]
        if share <= 0 or self.views <= 2:
            return there
        seen = there & (self.conf[index] > 0).any(-1)
        most = seen.sum(1)
        count = np.where(rng.random(len(index)) < share, rng.integers(2, np.maximum(most, 3)), self.views)
        rank = np.argsort(np.argsort(np.where(seen, rng.random(seen.shape), 2.), 1), 1)
        return there & (rank < count[:, None])

    def _past(self, frames: int, sampling: Sampling) -> Int:
        """(F, frames): the window of each frame, the newest last."""
        if not sampling.interval_s:
            earlier = np.arange(len(self))[:, None] + sampling.frame_gap * np.arange(1 - frames, 1)
            return np.maximum(earlier, self.start[self.clip][:, None])
        return np.concatenate([
            a + window(self.stamp[a:b], np.arange(b - a), frames, sampling.interval_s)
            for a, b in zip(self.start[:-1], self.start[1:], strict=True)])

    def _batch(self, source: dict[str, Tensor], i: Tensor, mask: Tensor) -> Batch:
        row = source['camera'][i]
        given: dict[str, Tensor] = {n: source[n][row] for n in ('K', 'R', 't', 'rig_K') if n in source}
        given.update({n: source[n][i] for n in ('X', 'X_sigma') if n in source})
        if 'past' in source:
            at = source['past'][i]
            given.update(past_px=source['kp'][at], past_conf=source['conf'][at] * mask[:, None, :, None])
        return Batch(
            kp_px=source['kp'][i], conf=source['conf'][i] * mask[..., None], image_size=source['image_size'][row],
            view_mask=mask, subj=source['subj'][i], rig=source['rig'][i], **given)


def _without_joints(batch: Batch, rng: np.random.Generator, share: float) -> Batch:
    """Joints taken away, in a window in all frames, with a probability that grows with 1 - confidence."""
    doubt = 1 - batch.conf
    chance = share * doubt / doubt.mean().clamp(min=1e-6)
    drawn = torch.from_numpy(rng.random(batch.conf.shape, np.float32)).to(batch.conf.device)
    keep = (drawn >= chance).float()
    past = None if batch.past_conf is None else batch.past_conf * keep[:, None]
    return dataclasses.replace(batch, conf=batch.conf * keep, past_conf=past)


def _mirrored(batch: Batch, flip: Tensor) -> Batch:
    """These samples (B,) as in a mirror: world and cameras, so that all views still show one person."""
    other = torch.tensor(MIRROR, device=flip.device)
    across = torch.tensor([-1., 1., 1.], device=flip.device)
    sign = torch.where(flip[:, None], across, torch.ones_like(across))
    change: dict[str, Tensor] = {}

    def exchanged(x: Tensor, joints: int) -> Tensor:
        return torch.where(flip.reshape(-1, *[1] * (x.ndim - 1)), x.index_select(joints, other), x)

    def reflected(px: Tensor, width: Tensor) -> Tensor:
        x = torch.where(flip.reshape(-1, *[1] * (px.ndim - 2)), width - 1 - px[..., 0], px[..., 0])
        return exchanged(torch.stack([x, px[..., 1]], -1), px.ndim - 2)

    width = batch.image_size[..., :1]
    change['kp_px'], change['conf'] = reflected(batch.kp_px, width), exchanged(batch.conf, 2)
    if batch.past_px is not None and batch.past_conf is not None:
        change['past_px'] = reflected(batch.past_px, width[:, None])
        change['past_conf'] = exchanged(batch.past_conf, 3)
    for name, given in (('K', batch.K), ('rig_K', batch.rig_K)):
        if given is not None:
            K = given.clone()
            K[:, :, 0, 2] = torch.where(flip[:, None], width[..., 0] - 1 - K[:, :, 0, 2], K[:, :, 0, 2])
            change[name] = K
    if batch.X is not None:
        change['X'] = exchanged(batch.X, 1) * sign[:, None]
    if batch.X_sigma is not None:
        change['X_sigma'] = exchanged(batch.X_sigma, 1)
    if batch.R is not None and batch.t is not None:
        change['R'] = batch.R * sign[:, None, :, None] * sign[:, None, None, :]
        change['t'] = batch.t * sign[:, None]
    return dataclasses.replace(batch, **change)


class Epochs:
    """A source of epochs, and the batches of each."""

    def epoch(self, n: int) -> EpochArrays:
        """Epoch `n`."""
        raise NotImplementedError

    def batches(self, n: int, size: int, device: torch.device | str = 'cpu', *, truth: bool = False,
                sampling: Sampling | None = None) -> Iterator[Batch]:
        """Epoch `n` as batches of single frames, shuffled; see `EpochArrays.batches`."""
        yield from self.epoch(n).batches(size, device, sampling or Sampling(truth=truth))

    def windows(self, n: int, size: int, T: int, device: torch.device | str = 'cpu', *, truth: bool = False,
                sampling: Sampling | None = None) -> Iterator[Batch]:
        """Epoch `n` as batches of causal windows of T frames, newest last, shuffled; see `EpochArrays.batches`."""
        yield from self.epoch(n).batches(size, device, sampling or Sampling(truth=truth), frames=T)
