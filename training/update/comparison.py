# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Two networks on the real views of time that neither was trained on, and whether one is better by more than chance.

The measure is the teacher's own 3D pose of these instants. Errors of neighbouring frames are nearly the same error,
so the unit of chance is a block of time with all its views: paired bootstrap over blocks (Kunsch 1989, with
non-overlapping blocks), its interval widened by Student's t for few blocks.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from selfpose_ros.core.skeleton import JOINTS

from .. import metrics
from ..data.arrays import EpochArrays, Sampling
from ..errors import TrainingError
from ..metrics import EVAL16
from ..networks import Lifter

__all__ = ['FIGURES', 'Change', 'Comparison', 'Example', 'changed', 'compare', 'numbered']

Array = NDArray[np.float64]

#: what is compared, mm: distance after scaling, and after a similarity
FIGURES = ('n_mpjpe', 'pa_mpjpe')
#: blocks of time, s: as long as lets there be this many, within these limits; fewer blocks than the least prove nothing
_BLOCK_S, _BLOCKS, _FEWEST_BLOCKS = (.5, 2.), 16, 6
#: a pose counts where this many joints are seen (the run time lifts no other), and the teacher is this sure, m
_SEEN, _SURE_M = 8, .08
_DRAWS, _CONFIDENCE = 4000, .95
#: a smaller gain is not worth a new model; a smaller loss is none. Shares of the parent's figure.
_LEAST_GAIN, _NO_LOSS = .01, .005


@dataclass(frozen=True)
class Change:
    """A figure of parent and child, of which less is better.

    Attributes:
        before, after: of the parent, of the child.
        low, high: interval that holds after - before with a confidence of 95 %.
    """

    before: float
    after: float
    low: float
    high: float

    @property
    def gain(self) -> float:
        """Share of the parent's error that is gone."""
        return 1 - self.after / max(self.before, 1e-9)

    @property
    def better(self) -> bool:
        """By more than chance, and by enough to be worth it."""
        return self.high < 0 and self.gain >= _LEAST_GAIN

    @property
    def worse(self) -> bool:
        """By more than chance, or by more than may be lost."""
        return self.low > 0 or self.gain < -_NO_LOSS


@dataclass(frozen=True, eq=False)
class Example:
    """One view of held-out time: the teacher's pose, the parent's and the child's, (16, 3) m in the axes of the camera
    (x right, y down, z away), the latter two scaled to the first; joints are `EVAL16`.
    """

    teacher: Array
    before: Array
    after: Array


@dataclass(frozen=True, eq=False)
class Comparison:
    """Parent and child.

    Attributes:
        changes: by the names of the figures.
        poses, blocks, block_s: poses compared (views of an instant count each), in so many blocks of so many seconds.
        joints: mean errors by joint, of parent and child.
        by_block: (blocks, 2) mean errors of parent and child, in order of time.
        examples: views at the quartiles of what changed, from the greatest gain on.
        unit: of all figures: mm, or %.
    """

    changes: Mapping[str, Change]
    poses: int
    blocks: int
    block_s: float
    joints: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    by_block: Array = field(default_factory=lambda: np.zeros((0, 2)))
    examples: tuple[Example, ...] = ()
    unit: str = 'mm'

    @property
    def better(self) -> bool:
        """On one figure at least, and worse on none."""
        changes = self.changes.values()
        return any(c.better for c in changes) and not any(c.worse for c in changes)

    @property
    def reason(self) -> str:
        """One sentence."""
        def change(name: str) -> str:
            c = self.changes[name]
            return (f'{name.replace("_", "-").upper()} {c.before:.1f} -> {c.after:.1f} {self.unit} (by {c.low:+.1f} to '
                    f'{c.high:+.1f} {self.unit} with {_CONFIDENCE:.0%} confidence)')
        figures = '; '.join(change(name) for name in self.changes)
        if self.better:
            return f'better on held-out time: {figures}'
        worse = [n for n, c in self.changes.items() if c.worse]
        if worse:
            return f'worse on held-out time: {figures}'
        return f'not better on held-out time by more than chance and {_LEAST_GAIN:.0%}: {figures}'

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {'changes': {k: asdict(c) for k, c in self.changes.items()}, 'poses': self.poses, 'blocks': self.blocks,
                'block_s': self.block_s, 'joints': {k: list(v) for k, v in self.joints.items()}, 'unit': self.unit,
                'better': self.better}


def compare(parent: Lifter, child: Lifter, held_out: EpochArrays, seed: int = 0) -> Comparison:
    """Figures of both on real views.

    Args:
        held_out: with X, X_sigma, R and t of the teacher.
        seed: of the bootstrap.

    Raises:
        TrainingError: too little that both see and that has labels.
    """
    old, new = _lifted(parent, held_out), _lifted(child, held_out)
    before, after, frame = old.errors, new.errors, old.frame
    clip, stamp = held_out.clip[frame], held_out.stamp
    span = sum(float(np.ptp(stamp[a:b])) for a, b in zip(held_out.start[:-1], held_out.start[1:], strict=True))
    block_s = float(np.clip(span / _BLOCKS, *_BLOCK_S))
    first = stamp[held_out.start[:-1]][clip]
    block = numbered(clip, stamp[frame] - first, block_s)
    changes = changed(FIGURES, before, after, block, block_s, seed)
    joints = {JOINTS[j]: (float(o), float(n))
              for j, o, n in zip(EVAL16, old.by_joint.mean(0), new.by_joint.mean(0), strict=True)}
    count = np.bincount(block)
    by_block = np.stack([np.bincount(block, e[:, 0]) / count for e in (before, after)], -1)
    order = np.argsort(after[:, 0] - before[:, 0], kind='stable')
    chosen = order[np.round(np.array([0, .25, .5, .75, 1]) * (len(order) - 1)).astype(int)]
    examples = tuple(Example(old.wanted[i], old.pose[i], new.pose[i]) for i in chosen)
    return Comparison(changes, len(frame), len(count), block_s, joints, by_block, examples)


def numbered(group: NDArray[np.int64], since: Array, block_s: float) -> NDArray[np.int64]:
    """(N,) numbers of the blocks that poses (N,) of these groups lie in, `since` s after their group's first."""
    pairs = np.stack([group, np.floor(since / block_s).astype(int)])
    return np.unique(pairs, axis=1, return_inverse=True)[1].reshape(-1)


def changed(names: Sequence[str], before: Array, after: Array, block: NDArray[np.int64], block_s: float,
            seed: int) -> dict[str, Change]:
    """What has become of figures (N, K) of N poses.

    Args:
        block: (N,) number of the block of time of each, see `numbered`.  block_s: its length, for messages.
        seed: of the bootstrap.

    Raises:
        TrainingError: too few blocks.
    """
    blocks = int(block.max(initial=-1)) + 1
    if blocks < _FEWEST_BLOCKS:
        raise TrainingError(f'held-out time: {len(block)} poses that are seen and known, in {blocks} pieces of '
                            f'{block_s:g} s', f'{_FEWEST_BLOCKS} are needed to compare: record longer')
    rng = np.random.default_rng([seed, 41])
    draws = rng.integers(0, blocks, (_DRAWS, blocks))
    return {name: Change(float(before[:, k].mean()), float(after[:, k].mean()),
                         *_interval(after[:, k] - before[:, k], block, draws)) for k, name in enumerate(names)}


def _interval(difference: Array, block: NDArray[np.int64], draws: NDArray[np.int64]) -> tuple[float, float]:
    """Interval of the mean of (N,) differences that lie in these blocks (N,)."""
    sums, counts = np.bincount(block, difference), np.bincount(block)
    means = sums[draws].sum(1) / counts[draws].sum(1)
    middle, n = float(difference.mean()), len(counts)
    p = .5 + _CONFIDENCE / 2
    wider = np.sqrt(n / (n - 1)) * stats.t.ppf(p, n - 1) / stats.norm.ppf(p)
    low, high = np.quantile(means, [1 - p, p])
    return middle + wider * (float(low) - middle), middle + wider * (float(high) - middle)


@dataclass(frozen=True, eq=False)
class _Lifted:
    """N poses that count: errors (N, 2) mm by `FIGURES`, by_joint (N, 16) mm, frame (N,), and the poses and what they
    should be, (N, 16, 3) m, the former scaled to the latter.
    """

    errors: Array
    by_joint: Array
    frame: NDArray[np.int64]
    pose: Array
    wanted: Array


@torch.no_grad()
def _lifted(network: Lifter, held_out: EpochArrays, size: int = 512) -> _Lifted:
    joints = list(EVAL16)
    found: list[tuple[Array, Array, NDArray[np.int64], Array, Array]] = [
        (np.zeros((0, len(FIGURES))), np.zeros((0, 16)), np.zeros(0, np.int64), np.zeros((0, 16, 3)),
         np.zeros((0, 16, 3)))]
    sampling = Sampling(truth=True, intrinsics=True, ordered=True, partial=True, interval_s=network.interval_s)
    past = network.frames if network.frames > 1 else 0
    done = 0
    for batch in held_out.batches(size, sampling=sampling, frames=past):
        assert batch.X_sigma is not None
        known = torch.isfinite(batch.X_sigma[:, joints])
        sure = known.all(-1) & (torch.where(known, batch.X_sigma[:, joints], 0.).mean(-1) < _SURE_M)
        counts = (sure[:, None] & (batch.seen.sum(-1) >= _SEEN)).numpy()
        lifted = network.lift(batch).y_cam.numpy()[counts][:, joints].astype(float)
        wanted = batch.truth().numpy()[counts][:, joints].astype(float)
        if len(lifted):
            pose = metrics.scaled(lifted, wanted)
            each = 1e3 * metrics.joint_errors(pose, wanted)
            errors = np.stack([each.mean(-1), 1e3 * metrics.pa_errors(lifted, wanted).mean(-1)], -1)
            found.append((errors, each, done + np.nonzero(counts)[0], pose, wanted))
        done += batch.samples
    return _Lifted(*(np.concatenate(x) for x in zip(*found, strict=True)))
