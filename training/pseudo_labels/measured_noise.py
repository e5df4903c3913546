# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Errors of a 2D network as measured on recordings, replayed on virtual views.

Our self-calibration of a recording gives where every joint should have been seen; what is left between that and what
was seen is a track of errors, with the durations, the correlations and the confidences that the network really has.
Nothing about the network or the recording has to be modelled, and no truth is needed.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.skeleton import MIRROR
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.npz import NpzReader, write_npz
from selfpose_ros.synthetic.network2d import ManyClips

from ..errors import TrainingError

__all__ = ['ErrorTracks', 'MeasuredNoise', 'body_size', 'measure']

Float = NDArray[np.float32]
Int = NDArray[np.int64]

#: so near to the border, px, a joint was clipped to it; so many of them, and as a share, make a network that clips
_BORDER_PX, _CLIPPED, _CLIPPED_SHARE = 1.5, 30, 5e-4
#: a body smaller than this, px, has no size that errors could be measured in
_LEAST_PX = 2.
#: least spread of log body size from which the errors' dependence on it can be estimated
_SIZES_DIFFER = .1


def body_size(px: Float) -> Float:
    """Size (...) px of bodies px (..., 17, 2): root mean square distance from their middle; NaN joints do not count.

    The same measure for the people that errors were measured on and for those that they are put on.
    """
    known = np.isfinite(px).all(-1, keepdims=True)
    n = np.maximum(known.sum(-2, keepdims=True), 1)
    middle = np.where(known, px, 0).sum(-2, keepdims=True) / n
    square = np.where(known, (px - middle) ** 2, 0).sum((-1, -2))
    return np.sqrt(square / n[..., 0, 0]).astype(np.float32)


@dataclass(frozen=True)
class ErrorTracks:
    """Tracks of errors, one after another.

    Attributes:
        error: (N, 17, 2) px / (body size px) ** power.  conf: (N, 17), 0 = not seen.
        start: (S + 1,) first frame of each track, and N.
        border: what the confidence of joints was multiplied by that were clipped to the image's border, or NaN: the
            network reports no joints outside the image.
        power: 1: errors grow with the body's size in the image, 0: they do not.
    """

    error: Float
    conf: Float
    start: Int
    border: float = float('nan')
    power: float = 1.

    def __post_init__(self) -> None:
        N = len(self.error)
        if self.error.shape != (N, 17, 2) or self.conf.shape != (N, 17):
            raise TrainingError(f'error tracks: expected (N, 17, 2) and (N, 17), got {self.error.shape} and '
                                f'{self.conf.shape}')
        if len(self.start) < 2 or self.start[0] or self.start[-1] != N or (np.diff(self.start) <= 0).any():
            raise TrainingError(f'error tracks: start must rise from 0 to {N}', 'measure them again')
        if not (np.isfinite(self.error).all() and np.isfinite(self.conf).all()):
            raise TrainingError('error tracks: a number is not finite', 'measure them again')

    @classmethod
    def joined(cls, tracks: Sequence[ErrorTracks]) -> ErrorTracks:
        """All of them; the border's factor is the mean of those known, the power must be the same.

        Raises:
            TrainingError: none given, or of different powers.
        """
        if not tracks:
            raise TrainingError('error tracks: none to join', 'measure at least one recording')
        powers = sorted({t.power for t in tracks})
        if len(powers) > 1:
            raise TrainingError(f'error tracks: powers from {powers[0]:g} to {powers[-1]:g}',
                                'measure all recordings with one power')
        ends = np.cumsum([0, *(len(t.error) for t in tracks)])
        border = [t.border for t in tracks if np.isfinite(t.border)]
        return cls(np.concatenate([t.error for t in tracks]), np.concatenate([t.conf for t in tracks]),
                   np.concatenate([t.start[:-1] + a for t, a in zip(tracks, ends, strict=False)] + [ends[-1:]]),
                   float(np.mean(border)) if border else float('nan'), powers[0])

    def save(self, path: Path) -> None:
        """Write an npz.

        Raises:
            TrainingError: it cannot be written.
        """
        try:
            write_npz(path, error=self.error, conf=self.conf, start=self.start, border=self.border,
                      power=self.power)
        except IoError as error:
            raise TrainingError.of(error) from error

    @classmethod
    def load(cls, path: Path) -> ErrorTracks:
        """Read what `save` wrote.

        Raises:
            TrainingError: missing or damaged file, or another one.
        """
        try:
            with NpzReader(path) as z:
                error, conf = z.array('error', 'N 17 2'), z.array('conf', 'N 17')
                start, border = z.array('start', 'S'), float(z.array('border', ''))
                power = float(z.array('power', ''))
        except IoError as wrong:
            raise TrainingError.of(wrong) from wrong
        return cls(error.astype(np.float32), conf.astype(np.float32), start.astype(np.int64), border, power)


def measure(observed: Float, expected: Float, conf: Float, image_size: NDArray[np.generic], *,
            power: float | None = None, seed: int = 0) -> ErrorTracks:
    """Error tracks, one for each view, of one person in one recording.

    What cannot be measured takes the place of something similar that was: a joint that was seen but not expected
    anywhere (too few views) gets an error of the same joint at about the same confidence; a joint that was clipped to
    the border gets error and confidence of the same joint at another time.

    Args:
        observed: (T, V, 17, 2) px, NaN or conf 0 = not seen.
        expected: (T, V, 17, 2) px, the self-calibrated poses projected into the views; NaN = not known.
        conf: (T, V, 17).
        image_size: (V, 2) px.
        power: see `ErrorTracks`; None = as found in the recording, where sizes differ enough, else 1.
        seed: of the choice of what is similar.

    Raises:
        TrainingError: other shapes, or hardly anything that was both seen and expected.
    """
    T, V = observed.shape[:2]
    if not observed.shape == expected.shape == (T, V, 17, 2) or conf.shape != (T, V, 17):
        raise TrainingError(f'errors: expected (T, V, 17, 2) twice and (T, V, 17), got {observed.shape}, '
                            f'{expected.shape} and {conf.shape}')
    rng = np.random.default_rng(seed)
    size = body_size(expected)
    conf = np.where(np.isfinite(observed).all(-1), np.nan_to_num(conf), 0).astype(np.float32)
    with np.errstate(invalid='ignore'):
        size = np.where(size > _LEAST_PX, size, np.float32(np.nan))
        error = observed - expected
        last = np.asarray(image_size, float)[None, :, None] - 1
        clipped = ((observed <= _BORDER_PX - 1) | (observed >= last + 1 - _BORDER_PX)).any(-1) & (conf > 0)
    good = np.isfinite(error).all(-1) & (conf > 0) & ~clipped
    if good.sum((0, 1)).min() < 10:
        raise TrainingError(f'errors: joint {int(good.sum((0, 1)).argmin())} was both seen and expected in fewer than '
                            '10 views', 'measure a longer recording')
    power = _power(error, size, good) if power is None else power
    error = np.where(good[..., None], error / (size ** power)[..., None, None], 0).astype(np.float32)
    border = float('nan')
    if clipped.sum() >= max(_CLIPPED, _CLIPPED_SHARE * clipped.size):
        border = min(1., float(conf[clipped].mean() / conf[good].mean()))
    for j in range(17):
        known = np.argwhere(good[..., j])
        t, v = known[rng.integers(0, len(known), int(clipped[..., j].sum()))].T
        error[clipped[..., j], j], conf[clipped[..., j], j] = error[t, v, j], conf[t, v, j]
        strange = ~good[..., j] & ~clipped[..., j] & (conf[..., j] > 0)
        by = known[np.argsort(conf[known[:, 0], known[:, 1], j])]
        near = np.searchsorted(conf[by[:, 0], by[:, 1], j], conf[strange, j]) + rng.integers(-3, 4, strange.sum())
        t, v = by[np.clip(near, 0, len(by) - 1)].T
        error[strange, j] = error[t, v, j]
    return ErrorTracks(error.swapaxes(0, 1).reshape(-1, 17, 2), conf.swapaxes(0, 1).reshape(-1, 17),
                       np.arange(V + 1) * T, border, power)


def _power(error: Float, size: Float, good: NDArray[np.bool_]) -> float:
    """Slope of log error over log size, from 0 to 1, or 1 where sizes hardly differ."""
    far = np.log(np.maximum(np.linalg.norm(error[good], axis=-1), .1))
    x = np.log(np.broadcast_to(size[..., None], good.shape)[good])
    x = x - x.mean()
    return 1. if x.std() < _SIZES_DIFFER else float(np.clip((x @ far) / (x @ x), 0, 1))


@dataclass(frozen=True)
class MeasuredNoise:
    """A `NoiseSource` that replays error tracks, each view of each clip from a place of its own.

    Attributes:
        tracks: see `measure`.
        mirror: replay half of them as in a mirror, with left and right exchanged.
    """

    tracks: ErrorTracks
    mirror: bool = True

    def observe(self, rng: np.random.Generator, true_px: Float, start: Int, side_px: float) -> tuple[Float, Float]:
        """See `NoiseSource.observe`."""
        F, V = true_px.shape[:2]
        at = self._places(rng, start, V)
        error, conf = self.tracks.error[at], self.tracks.conf[at]
        if self.mirror:
            clip = np.repeat(np.arange(len(start) - 1), np.diff(start))
            flip = (rng.random((len(start) - 1, V)) < .5)[clip]
            error[flip] = error[flip][:, list(MIRROR)] * np.array([-1, 1], np.float32)
            conf[flip] = conf[flip][:, list(MIRROR)]
        px = true_px + error * (body_size(true_px) ** np.float32(self.tracks.power))[..., None, None]
        inside = ((px >= 0) & (px <= side_px - 1)).all(-1)
        if np.isfinite(self.tracks.border):
            conf = np.where(inside, conf, np.float32(self.tracks.border) * conf)
            px = np.clip(px, 0, np.float32(side_px - 1))
        else:
            conf = np.where(inside, conf, np.float32(0))
        conf = np.where(np.isnan(px).any(-1), np.float32(0), conf)
        return np.where(conf[..., None] > 0, px, np.float32(0)), conf

    def _places(self, rng: np.random.Generator, start: Int, views: int) -> Int:
        """(F, V) frames of the tracks: on along a track, and at its end to a random place."""
        last = np.zeros(len(self.tracks.error), bool)
        last[self.tracks.start[1:] - 1] = True
        time = ManyClips(start)
        at = rng.integers(0, len(last), (len(time.place), views))

        def step(before: Int, now: Int) -> None:
            np.copyto(now, before + 1, where=~last[before])

        time.run(at, step)
        return at[time.place]
