# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a 2D network makes of true pixels: the benchmark protocol's model of it, for all clips at once.

`selfpose_ros.benchmark.detector` holds the protocol itself, clip by clip with a stream of random numbers of its own.
Here the same distribution is drawn for all clips and views together; the numbers are others.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.skeleton import SWAP_GROUPS

__all__ = ['NoiseSource', 'ProtocolNoise', 'TimeMajor']

Float = NDArray[np.float32]
Bool = NDArray[np.bool_]
Int = NDArray[np.int64]


class NoiseSource(Protocol):
    """Observes clips."""

    def observe(self, rng: np.random.Generator, true_px: Float, start: Int, side_px: float) -> tuple[Float, Float]:
        """What is reported of the true pixels of clips that follow one another.

        Args:
            rng: the only source of chance.
            true_px: (F, V, 17, 2) px, NaN = not to be seen.
            start: (C + 1,) first frame of each clip, and F; time runs inside a clip only.
            side_px: of the square image.

        Returns:
            Pixels (F, V, 17, 2), 0 where unseen, and confidence (F, V, 17), 0 where unseen.
        """
        ...


class TimeMajor:
    """Order in which all first frames come first, then all second ones, of long clips before short ones.

    The clips that still run at step i are the first `n[i]` of those at step i - 1: recursions over time work on whole
    slices without padding.
    """

    def __init__(self, start: Int) -> None:
        length = np.diff(start)
        order = np.argsort(-length, kind='stable')
        sizes = (length[None, :] > np.arange(length.max(initial=0))[:, None]).sum(1)
        self.first = np.concatenate([[0], np.cumsum(sizes)])
        place = np.empty(len(length), np.int64)
        place[order] = np.arange(len(length))
        clip = np.repeat(np.arange(len(length)), length)
        #: (F,) where each frame, in order of the clips, lies in this order
        self.place = self.first[np.arange(start[-1]) - start[:-1][clip]] + place[clip]

    def run(self, values: NDArray[np.generic], step: Callable[..., None]) -> None:
        """Call step(previous, this) for all pairs of slices of values (F, ...), in order; works in place."""
        for i in range(1, len(self.first) - 1):
            a, b, c = self.first[i - 1:i + 2]
            step(values[a:a + c - b], values[b:c])

    def correlated(self, rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> Float:
        """Unit Gaussian noise (F, *shape), this correlated from frame to frame, in order of the clips."""
        out = rng.standard_normal((len(self.place), *shape), np.float32)
        fresh = np.float32(np.sqrt(1 - memory * memory))

        def step(last: Float, now: Float) -> None:
            now *= fresh
            now += np.float32(memory) * last

        self.run(out, step)
        return out[self.place]

    def stretches(self, rng: np.random.Generator, share: Float, length: Float) -> Bool:
        """(F, *shape) two-state Markov chains, in order of the clips.

        They are True for these shares (*shape) of time, in stretches of these mean lengths (*shape), frames.
        """
        leave, enter = 1 / length, share / (1 - share) / length
        u = rng.random((len(self.place), *share.shape), np.float32)
        out = np.empty(u.shape, np.uint8)                  # not bool: views of it are written by arithmetic
        if len(self.first) > 1:
            out[:self.first[1]] = rng.random((self.first[1], *share.shape), np.float32) < share
        # what the next state would be from either state, so that the recursion is two operations on bytes
        stay, come = (u >= leave).view(np.uint8), (u < enter).view(np.uint8)
        for i in range(1, len(self.first) - 1):
            a, b, c = self.first[i - 1:i + 2]
            last = out[a:a + c - b]
            # the protocol decides with the number of the instant before
            out[b:c] = np.where(last, stay[a:a + c - b], come[a:a + c - b])
        return out[self.place].view(bool)


def _numbers(mask: Bool, start: Int) -> tuple[Int, int]:
    """Number of the stretch (of mask (F, ...), time runs in clips) that each True belongs to, in C order; how many."""
    before = np.zeros_like(mask)
    before[1:] = mask[:-1]
    before[start[:-1]] = False
    begins = np.moveaxis(mask & ~before, 0, -1)
    number = np.cumsum(begins.ravel()).reshape(begins.shape) - 1
    return np.moveaxis(number, -1, 0)[mask], int(begins.sum())


@dataclass(frozen=True)
class ProtocolNoise:
    """The benchmark protocol's 2D network; see `selfpose_ros.benchmark.detector` for the figures' meaning.

    Attributes:
        noise_px: standard deviation of a joint of confidence 1; noise_memory, confidence_memory: correlations from
            frame to frame.
        mistaken: parts of the body that are taken for something else together, and for which share of the time.
        mistaken_frames, mistaken_px, mistaken_confidence: mean duration, how far off, with which confidence.
        swap, swap_frames, swap_doubt: share of time with left and right exchanged, mean duration, factor on confidence.
        outside_doubt: factor on the confidence of joints that were clipped to the border.
    """

    noise_px: float = 5.
    noise_memory: float = .7
    confidence_memory: float = .9
    mistaken: tuple[tuple[tuple[int, ...], float], ...] = (
        ((2, 3), .06), ((5, 6), .06), ((12, 13), .06), ((15, 16), .06), ((9, 10), .06),
        ((1, 14), .03), ((4, 11), .03), ((0, 7, 8), .03))
    mistaken_frames: float = 10.
    mistaken_px: tuple[float, float] = (20., 100.)
    mistaken_confidence: tuple[float, float] = (.05, .5)
    swap: float = .01
    swap_frames: float = 3.
    swap_doubt: tuple[float, float] = (.6, 1.)
    outside_doubt: float = .2

    def observe(self, rng: np.random.Generator, true_px: Float, start: Int, side_px: float) -> tuple[Float, Float]:
        """See `NoiseSource.observe`."""
        F, V = true_px.shape[:2]
        time = TimeMajor(start)
        confidence = time.correlated(rng, (V, 17), self.confidence_memory)
        confidence = np.float32(.55) + np.float32(.45) / (1 + np.exp(np.float32(-1.6) * confidence))
        px = time.correlated(rng, (V, 17, 2), self.noise_memory)
        px *= (np.float32(self.noise_px) / confidence)[..., None]
        px += true_px
        self._mistake(rng, time, px, confidence, start)
        self._swap(rng, time, px, confidence, start)
        lost = np.isnan(px).any(-1)
        inside = ((px >= 0) & (px <= side_px - 1)).all(-1)
        np.clip(px, 0, np.float32(side_px - 1), out=px)
        confidence[~inside] *= np.float32(self.outside_doubt)
        px[lost], confidence[lost] = 0, 0
        return px, confidence

    def _mistake(self, rng: np.random.Generator, time: TimeMajor, px: Float, confidence: Float, start: Int) -> None:
        """Put parts of the body elsewhere for a while; in place."""
        share = np.array([s for _, s in self.mistaken], np.float32)
        share = np.broadcast_to(share, (px.shape[1], len(share)))
        mask = time.stretches(rng, share, np.full(share.shape, self.mistaken_frames, np.float32))
        for k, (part, _) in enumerate(self.mistaken):
            here = mask[:, :, k]
            number, n = _numbers(here, start)
            frame, view = np.nonzero(here)
            for j in part:
                angle, far = rng.uniform(0, 2 * np.pi, n), rng.uniform(*self.mistaken_px, n)
                low = rng.uniform(*self.mistaken_confidence, n)
                shift = np.stack([far * np.cos(angle), far * np.sin(angle)], -1).astype(np.float32)
                px[frame, view, j] += shift[number]
                confidence[frame, view, j] = low[number]

    def _swap(self, rng: np.random.Generator, time: TimeMajor, px: Float, confidence: Float, start: Int) -> None:
        """Exchange arms, legs or both for a few frames; in place."""
        share = np.full(px.shape[1], self.swap, np.float32)
        mask = time.stretches(rng, share, np.full(share.shape, self.swap_frames, np.float32))
        number, n = _numbers(mask, start)
        frame, view = np.nonzero(mask)
        kind, doubt = rng.integers(0, 3, n)[number], rng.uniform(*self.swap_doubt, n).astype(np.float32)[number]
        for part, spared in ((SWAP_GROUPS['arms'], 1), (SWAP_GROUPS['legs'], 0)):
            use = kind != spared
            f, v, joints = frame[use, None], view[use, None], np.array(part)[None]
            there = np.roll(joints, 3, 1)
            px[f, v, joints] = px[f, v, there]
            confidence[f, v, joints] = confidence[f, v, there] * doubt[use, None]
