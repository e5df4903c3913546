# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Motion seen by virtual rigs: new rigs and new noise for every clip in every epoch.

The motion is a motion capture file, or poses that our own self-calibration made of recordings (a teacher's).
Conditions are those of the benchmark protocol unless noted, see `selfpose_ros.synthetic.clips`.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.skeleton import MIRROR
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.motion_capture import read_motion
from selfpose_ros.io.npz import NpzReader
from selfpose_ros.synthetic.clips import PLACE_M
from selfpose_ros.synthetic.motion_capture import LONGEST_CLIP, Motion
from selfpose_ros.synthetic.network2d import Network2D
from selfpose_ros.synthetic.rigs import RigRange, draw_rigs, project

from ..errors import TrainingError
from .arrays import EpochArrays, Epochs
from .noise import NoiseSource
from .wider_motion import Widening, widened

__all__ = ['Change', 'MotionViews', 'Poses', 'read_poses']

Float = NDArray[np.float32]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Poses:
    """Poses over time, sequences of one person each, one after another.

    Attributes:
        joints: (N, 17, 3) m in the order of `core.skeleton.JOINTS`, z up, floor about z = 0; NaN = not known.
        start: (S + 1,) first frame of each sequence, and N.
        fps: frames a second.
        sigma: (N, 17) m, how well each joint is known, or None: as good as truth.
        subject: (S,) numbers; empty: every sequence is somebody else.
    """

    joints: Float
    start: Int
    fps: float = 25.
    sigma: Float | None = None
    subject: Int = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        joints, start = np.asarray(self.joints, np.float32), np.asarray(self.start, np.int64)
        if joints.ndim != 3 or joints.shape[1:] != (17, 3):
            raise TrainingError(f'poses: joints must have shape (N, 17, 3), got {joints.shape}',
                                'map them to the 17 joints of core.skeleton first')
        rising = len(start) > 1 and start[0] == 0 and start[-1] == len(joints) and (np.diff(start) > 0).all()
        if not rising:
            raise TrainingError(f'poses: start must rise from 0 to {len(joints)}, got {start[:6].tolist()}...',
                                'leave empty sequences out')
        sigma = None if self.sigma is None else np.asarray(self.sigma, np.float32)
        if sigma is not None and sigma.shape != joints.shape[:2]:
            raise TrainingError(f'poses: sigma must have shape {joints.shape[:2]}, got {sigma.shape}')
        subject = np.asarray(self.subject, np.int64) if len(self.subject) else np.arange(len(start) - 1)
        if subject.shape != (len(start) - 1,):
            raise TrainingError(f'poses: {len(subject)} subjects for {len(start) - 1} sequences', 'give one for each')
        for name, value in (('joints', joints), ('start', start), ('sigma', sigma), ('subject', subject)):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.joints)


def read_poses(path: Path) -> Poses:
    """A motion file in the format of `selfpose_ros.io.motion_capture.read_motion`; `subject (S,)` optional.

    Raises:
        TrainingError: missing or damaged file, or not of this format.
    """
    try:
        motion = read_motion(path)
        with NpzReader(path) as z:
            named = tuple(z.array('subject', 'S', text=True)) if 'subject' in z else motion.name
    except IoError as error:
        raise TrainingError.of(error) from error
    if len(named) != len(motion.name):
        raise TrainingError(f'{len(named)} subjects for {len(motion.name)} sequences', 'write one for each', place=path)
    subject = np.unique(named, return_inverse=True)[1]
    return Poses(motion.joints.astype(np.float32), motion.start, motion.fps, subject=subject)


@dataclass(frozen=True)
class Change:
    """What is done to every clip's poses before cameras see them, drawn anew in every epoch.

    Attributes:
        turn: about the vertical, by any angle.
        mirror: left and right of the whole clip are exchanged in half of the clips.
        scale: least and largest factor on the size of the body and its way.
        widening: new poses made of those that are there; None = none.
    """

    turn: bool = False
    mirror: bool = False
    scale: tuple[float, float] = (1., 1.)
    widening: Widening | None = None


class MotionViews(Epochs):
    """Multi-view samples of a motion: other rigs, other noise in every epoch; the same for the same seed and epoch."""

    def __init__(
        self, motion: Poses | Motion | Path | str, views: int = 4, travel: bool = False, recentre: bool = True,
        seed: int = 0, noise: NoiseSource | None = None, *, rigs: RigRange | None = None, change: Change | None = None,
        longest: int = LONGEST_CLIP, shortest: int = 1, every: int = 1,
    ) -> None:
        """Prepare; nothing is drawn yet.

        Args:
            motion: poses, a benchmark motion, or a motion file.
            views: cameras of every rig.
            travel: people keep their path over the floor and leave the images, as in the benchmark's `--travel`;
                overrules `recentre`.
            recentre: take the pelvis' path over the floor out, so that people stay in the images.
            seed: of everything random.
            noise: what a 2D network makes of the true pixels; None = the benchmark protocol's.
            rigs: limits of the rigs; None = the protocol's.
            change: augmentation of the poses; None = none.
            longest: sequences are cut into clips of at most so many frames, a rig for each.
            shortest: shorter clips are left out.
            every: take every n-th frame of a clip.

        Raises:
            TrainingError: a file that cannot be read, fewer than one view, or no clip that is long enough.
        """
        if isinstance(motion, str | Path):
            motion = read_poses(Path(motion))
        if isinstance(motion, Motion):
            motion = Poses(motion.joints.astype(np.float32), motion.start, motion.fps)
        if views < 1:
            raise TrainingError(f'{views} views', 'give 1 or more')
        self.views, self.seed = views, seed
        self.recentre = recentre and not travel
        self.noise: NoiseSource = noise or Network2D()
        self.rigs, self.change = rigs or RigRange(), change or Change()
        self.fps = motion.fps / every
        self._cut(motion, longest, shortest, every)
        if self.recentre:
            self._way = _way(self._joints, self.start)

    def _cut(self, motion: Poses, longest: int, shortest: int, every: int) -> None:
        frames, subject = [], []
        for s, (first, end) in enumerate(zip(motion.start[:-1], motion.start[1:], strict=True)):
            for a in range(first, end, longest):
                index = np.arange(a, min(a + longest, end), every)
                if len(index) >= shortest:
                    frames.append(index)
                    subject.append(motion.subject[s])
        if not frames:
            raise TrainingError(f'motion: none of {len(motion.start) - 1} sequences has {shortest} frames or more',
                                'give longer sequences, or ask for shorter clips')
        index = np.concatenate(frames)
        self.start: Int = np.cumsum([0, *map(len, frames)]).astype(np.int64)
        self.clip: Int = np.repeat(np.arange(len(frames)), np.diff(self.start))
        self.subj: Int = np.array(subject, np.int64)[self.clip]
        self._joints = motion.joints[index]
        self._sigma = None if motion.sigma is None else motion.sigma[index]

    def __len__(self) -> int:
        """Frames in an epoch."""
        return len(self._joints)

    @property
    def interval_s(self) -> float:
        """Between neighbouring frames, s."""
        return 1 / self.fps

    def epoch(self, n: int) -> EpochArrays:
        """Epoch `n`: all clips, each with a rig of its own."""
        rng = np.random.default_rng([self.seed, n])
        clips, clip = len(self.start) - 1, self.clip
        rigs = draw_rigs(rng, clips, self.views, self.rigs)
        X = self._joints.copy()
        place = rng.uniform(-PLACE_M, PLACE_M, (clips, 2)).astype(np.float32)
        if self.recentre:
            X[..., :2] -= (self._way - place[clip])[:, None]
        sigma = None if self._sigma is None else self._sigma.copy()
        X, sigma = self._changed(rng, X, sigma)
        true_px = project(X, rigs.R[clip], rigs.t[clip], rigs.K[clip])
        kp, conf = self.noise.observe(rng, true_px, self.start, rigs.side_px)
        unknown = np.isnan(X).any(-1)
        if unknown.any():
            sigma = np.zeros(X.shape[:2], np.float32) if sigma is None else sigma
            X[unknown], sigma[unknown] = 0, np.inf
        return EpochArrays(
            kp=kp, conf=conf, start=self.start, stamp=np.arange(len(clip)) / self.fps, clip=clip,
            subj=self.subj, rig=clip, camera=clip, image_size=np.full((clips, self.views, 2), rigs.side_px, np.float32),
            present=np.ones((clips, self.views), bool), K=rigs.K, R=rigs.R, t=rigs.t, X=X, X_sigma=sigma,
            seed=(self.seed, n))

    def _changed(self, rng: np.random.Generator, X: Float, sigma: Float | None) -> tuple[Float, Float | None]:
        clips, c = len(self.start) - 1, self.change
        if c.widening is not None:
            X, sigma = widened(rng, X, sigma, self.start, self.fps, c.widening)
        if c.turn:
            angle = rng.uniform(0, 2 * np.pi, clips).astype(np.float32)[self.clip, None]
            x, y = X[..., 0].copy(), X[..., 1].copy()
            X[..., 0], X[..., 1] = np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y
        if c.mirror:
            flip = (rng.random(clips) < .5)[self.clip]
            X[flip] = X[flip][:, list(MIRROR)] * np.array([-1, 1, 1], np.float32)
            if sigma is not None:
                sigma[flip] = sigma[flip][:, list(MIRROR)]
        if c.scale != (1., 1.):
            factor = rng.uniform(*c.scale, clips).astype(np.float32)[self.clip]
            X *= factor[:, None, None]
            if sigma is not None:
                sigma *= factor[:, None]
        return X, sigma


def _way(joints: Float, start: Int) -> Float:
    """(N, 2) m: the pelvis' path over the floor; where it is unknown the hips' middle, else between its neighbours."""
    way = joints[:, 0, :2].copy()
    lost = np.isnan(way).any(1)
    if lost.any():
        way[lost] = joints[lost][:, (1, 4), :2].mean(1)
        for a, b in zip(start[:-1], start[1:], strict=True):
            known = np.flatnonzero(np.isfinite(way[a:b]).all(1))
            if 0 < len(known) < b - a:
                for k in (0, 1):
                    way[a:b, k] = np.interp(np.arange(b - a), known, way[a:b, k][known])
    return np.where(np.isfinite(way), way, 0)
