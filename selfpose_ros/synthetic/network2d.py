# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The simulated 2D network: true pixels with noise, with limbs mistaken for something else, with sides exchanged.

There is one model of it, `Network2D`, and two ways to run through time: a clip by itself (`OneClip`), in double
precision, and all clips of a training at once (`ManyClips`), in single precision. The distribution is the same, the
random numbers are not. The order in which numbers are drawn for one clip is the benchmark's protocol: with one more
drawn, clips are others, and figures cannot be compared with earlier ones.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.skeleton import SWAP_GROUPS

__all__ = ['ManyClips', 'Network2D', 'OneClip', 'PARTS', 'chain']

Array = NDArray[np.floating[Any]]
Float = NDArray[np.float32]
Bool = NDArray[np.bool_]
Int = NDArray[np.int64]

#: parts of the body that are mistaken together, limbs before the trunk
PARTS: tuple[tuple[int, ...], ...] = ((2, 3), (5, 6), (12, 13), (15, 16), (9, 10), (1, 14), (4, 11), (0, 7, 8))
_LIMBS = 5


class _Time(Protocol):
    """How random processes run over the frames of (F, V) tracks."""

    def groups(self, tracks: int) -> Sequence[slice]:
        """Tracks whose mistakes are drawn together."""
        ...

    def correlated(self, rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> Array:
        """Unit Gaussian noise (F, *shape), this correlated from frame to frame."""
        ...

    def stretches(self, rng: np.random.Generator, shares: Sequence[float], length: float,
                  tracks: int) -> Iterator[Bool]:
        """For each share (F, tracks): True for this share of time, in stretches of this mean length, frames.

        One clip draws them one by one, when they are asked for.
        """
        ...

    def numbers(self, mask: Bool) -> tuple[Int, int]:
        """Number of the stretch that each True of a mask (F, V) belongs to, in C order; and how many to draw for."""
        ...


@dataclass(frozen=True)
class Network2D:
    """A 2D network; the defaults are the benchmark's protocol.

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
    mistaken: tuple[tuple[tuple[int, ...], float], ...] = tuple(
        (part, .06 if i < _LIMBS else .03) for i, part in enumerate(PARTS))
    mistaken_frames: float = 10.
    mistaken_px: tuple[float, float] = (20., 100.)
    mistaken_confidence: tuple[float, float] = (.05, .5)
    swap: float = .01
    swap_frames: float = 3.
    swap_doubt: tuple[float, float] = (.6, 1.)
    outside_doubt: float = .2

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
        return self._inside(*self.detect(rng, ManyClips(start), true_px), side_px)

    def observe_clip(self, rng: np.random.Generator, true_px: Array, side_px: float) -> tuple[Array, Array]:
        """The same for one camera (T, 17, 2) in one clip, with the random numbers of the benchmark's protocol."""
        px, confidence = self._inside(*self.detect(rng, OneClip(len(true_px), spare=1), true_px[:, None]), side_px)
        return px[:, 0], confidence[:, 0]

    def detect(self, rng: np.random.Generator, time: _Time, true_px: Array) -> tuple[Array, Array]:
        """Pixels and confidence of tracks (F, V, 17, 2), in an image without a border."""
        V = true_px.shape[1]
        confidence = .55 + .45 / (1 + np.exp(-1.6 * time.correlated(rng, (V, 17), self.confidence_memory)))
        px = time.correlated(rng, (V, 17, 2), self.noise_memory)
        px *= (self.noise_px / confidence)[..., None]
        px += true_px
        for group in time.groups(V):
            self._mistake(rng, time, px[:, group], confidence[:, group])
            self._swap(rng, time, px[:, group], confidence[:, group])
        return px, confidence

    def _mistake(self, rng: np.random.Generator, time: _Time, px: Array, confidence: Array) -> None:
        """Put parts of the body elsewhere for a while; in place."""
        masks = time.stretches(rng, [share for _, share in self.mistaken], self.mistaken_frames, px.shape[1])
        for (part, _), mask in zip(self.mistaken, masks, strict=True):
            number, n = time.numbers(mask)
            frame, track = np.nonzero(mask)
            for j in part:
                angle, far = rng.uniform(0, 2 * np.pi, n), rng.uniform(*self.mistaken_px, n)
                low = rng.uniform(*self.mistaken_confidence, n)
                shift = np.stack([far * np.cos(angle), far * np.sin(angle)], -1).astype(px.dtype)
                px[frame, track, j] += shift[number]
                confidence[frame, track, j] = low[number]

    def _swap(self, rng: np.random.Generator, time: _Time, px: Array, confidence: Array) -> None:
        """Exchange arms, legs or both for a few frames; in place."""
        mask, = time.stretches(rng, [self.swap], self.swap_frames, px.shape[1])
        number, n = time.numbers(mask)
        frame, track = np.nonzero(mask)
        kind = rng.integers(0, 3, n)[number]
        doubt = rng.uniform(*self.swap_doubt, n).astype(confidence.dtype)[number]
        for part, spared in ((SWAP_GROUPS['arms'], 1), (SWAP_GROUPS['legs'], 0)):
            use = kind != spared
            f, v, joints = frame[use, None], track[use, None], np.array(part)[None]
            there = np.roll(joints, 3, 1)
            px[f, v, joints] = px[f, v, there]
            confidence[f, v, joints] = confidence[f, v, there] * doubt[use, None]

    def _inside(self, px: Array, confidence: Array, side_px: float) -> tuple[Array, Array]:
        """Joints outside the square image clipped to its border, those that nobody sees at 0; in place."""
        lost = np.isnan(px).any(-1)
        inside = ((px >= 0) & (px <= side_px - 1)).all(-1)
        np.clip(px, 0, side_px - 1, out=px)
        confidence[~inside] *= self.outside_doubt
        px[lost], confidence[lost] = 0, 0
        return px, confidence


def chain(rng: np.random.Generator, count: int, share: float, length: float) -> Bool:
    """(count,) two-state Markov chain: True for this share of time, in stretches of this mean length, steps."""
    out = np.zeros(count, bool)
    if share <= 0:
        return out
    leave = 1 / max(length, 1.)
    enter = share / max(1 - share, 1e-9) * leave
    state, u = bool(rng.random() < share), rng.random(count)
    for i in range(count):
        out[i] = state
        state = bool(u[i] >= leave) if state else bool(u[i] < enter)
    return out


@dataclass(frozen=True)
class OneClip:
    """Time of one clip; each track draws its mistakes by itself.

    Attributes:
        count: frames.
        spare: numbers that are drawn before those of the first stretch and serve nothing: 1 in the protocol.
    """

    count: int
    spare: int = 0

    def groups(self, tracks: int) -> Sequence[slice]:
        return [slice(k, k + 1) for k in range(tracks)]

    def correlated(self, rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> Array:
        out = rng.normal(size=(self.count, *shape))
        fresh = np.sqrt(1 - memory * memory)
        for i in range(1, self.count):
            out[i] = memory * out[i - 1] + fresh * out[i]
        return out

    def stretches(self, rng: np.random.Generator, shares: Sequence[float], length: float,
                  tracks: int) -> Iterator[Bool]:
        assert tracks == 1
        for share in shares:
            yield chain(rng, self.count, share, length)[:, None]

    def numbers(self, mask: Bool) -> tuple[Int, int]:
        number, n = _numbered(mask, np.array([0, len(mask)]))
        return number + self.spare, n + self.spare


class ManyClips:
    """Time of many clips at once: all first frames come first, then all second ones, of long clips before short ones.

    The clips that still run at step i are the first `n[i]` of those at step i - 1: recursions over time work on whole
    slices without padding.
    """

    def __init__(self, start: Int) -> None:
        length = np.diff(start)
        order = np.argsort(-length, kind='stable')
        sizes = (length[None, :] > np.arange(length.max(initial=0))[:, None]).sum(1)
        self.start = start
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

    def groups(self, tracks: int) -> Sequence[slice]:
        return [slice(tracks)]

    def correlated(self, rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> Array:
        out = rng.standard_normal((len(self.place), *shape), np.float32)
        fresh = np.float32(np.sqrt(1 - memory * memory))

        def step(last: Float, now: Float) -> None:
            now *= fresh
            now += np.float32(memory) * last

        self.run(out, step)
        return out[self.place]

    def stretches(self, rng: np.random.Generator, shares: Sequence[float], length: float,
                  tracks: int) -> Iterator[Bool]:
        share = np.broadcast_to(np.array(shares, np.float32), (tracks, len(shares)))
        frames = np.full(share.shape, length, np.float32)
        leave, enter = 1 / frames, share / (1 - share) / frames
        u = rng.random((len(self.place), *share.shape), np.float32)
        out = np.empty(u.shape, np.uint8)                  # not bool: views of it are written by arithmetic
        if len(self.first) > 1:
            out[:self.first[1]] = rng.random((self.first[1], *share.shape), np.float32) < share
        # what the next state would be from either state, so that the recursion is two operations on bytes
        stay, come = (u >= leave).view(np.uint8), (u < enter).view(np.uint8)
        for i in range(1, len(self.first) - 1):
            a, b, c = self.first[i - 1:i + 2]
            last = out[a:a + c - b]
            # as in `chain`: the number of the instant before decides
            out[b:c] = np.where(last, stay[a:a + c - b], come[a:a + c - b])
        yield from np.moveaxis(out[self.place].view(bool), -1, 0)

    def numbers(self, mask: Bool) -> tuple[Int, int]:
        return _numbered(mask, self.start)


def _numbered(mask: Bool, start: Int) -> tuple[Int, int]:
    """Number of the stretch (of mask (F, ...), time runs in clips) that each True belongs to, in C order; how many."""
    before = np.zeros_like(mask)
    before[1:] = mask[:-1]
    before[start[:-1]] = False
    begins = np.moveaxis(mask & ~before, 0, -1)
    number = np.cumsum(begins.ravel()).reshape(begins.shape) - 1
    return np.moveaxis(number, -1, 0)[mask], int(begins.sum())
