# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""2D joints of two 2D networks in one training: those of the second have places of their own for the joints.

`Batch.source` holds where a sample comes from. Where there is no second network at hand, one is made of the
first one's model: `ShiftedNoise`.
"""
from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.synthetic.network2d import Network2D

from ..errors import TrainingError
from .mixture import Mixture, Part, Source
from .motion import MotionViews, Poses
from .noise import NoiseSource
from .recordings import RecordedViews
from .sources import read_data

__all__ = ['SHIFTED', 'ShiftedNoise', 'with_second']

Float = NDArray[np.float32]
Int = NDArray[np.int64]

#: instead of a path: the first source's motion, seen through `ShiftedNoise`
SHIFTED = 'shifted'
#: seeds of a second source: never those of the first one or of held-out data
_SEEDS = 2_000_000
#: another annotator's joints: (joint, moved by so much of the way from one joint to another)
_PLACES: tuple[tuple[str, float, str, str], ...] = (
    ('pelvis', .4, 'pelvis', 'spine'), ('thorax', .4, 'thorax', 'neck_nose'), ('head', .6, 'head', 'thorax'),
    ('neck_nose', .5, 'neck_nose', 'thorax'),
    *((f'{side}_{joint}', share, f'{side}_{a}' if a not in JOINTS else a, f'{side}_{b}' if b not in JOINTS else b)
      for side in 'lr' for joint, share, a, b in (
          ('hip', .75, 'pelvis', 'hip'), ('knee', .35, 'knee', 'hip'), ('ankle', .3, 'knee', 'ankle'),
          ('shoulder', .4, 'shoulder', 'thorax'), ('elbow', .35, 'elbow', 'shoulder'),
          ('wrist', .6, 'elbow', 'wrist'))))


def convention() -> Float:
    """(17, 17): the other annotator's joints as weighted sums of ours."""
    out = np.eye(17, dtype=np.float32)
    for joint, share, a, b in _PLACES:
        out[JOINTS.index(joint), JOINTS.index(b)] += share
        out[JOINTS.index(joint), JOINTS.index(a)] -= share
    return out


@dataclass(frozen=True)
class ShiftedNoise:
    """A `NoiseSource`: a 2D network that learned from another annotator, and is less precise.

    Hips at the body's outside, hands and soles instead of wrists and ankles, knees, elbows, shoulders and head farther
    in: some 5 to 19 cm on a grown-up, more than networks really differ by.

    Attributes:
        noise: applied to the other joints.
        places: (17, 17) the other joints as weighted sums of ours.
    """

    noise: NoiseSource = field(default_factory=lambda: Network2D(noise_px=8.))
    places: Float = field(default_factory=convention)

    def observe(self, rng: np.random.Generator, true_px: Float, start: Int, side_px: float) -> tuple[Float, Float]:
        """See `NoiseSource.observe`."""
        return self.noise.observe(rng, np.matmul(self.places, true_px).astype(np.float32), start, side_px)


def with_second(first: Source, second: str, views: int = 4, travel: bool = False) -> Mixture:
    """Both sources, half of every batch each.

    Args:
        first: the source that the lifter is for.
        second: `SHIFTED`, or a path, see `data.sources.KINDS`.
        views, travel: of the virtual rigs, if there is motion at that path.

    Raises:
        TrainingError: it cannot be read, or `SHIFTED` is asked for where the first source is no motion.
    """
    other: Source
    seed = getattr(first, 'seed', 0) + _SEEDS
    if second == SHIFTED:
        if not isinstance(first, MotionViews):
            raise TrainingError(f'source2: {SHIFTED} needs a motion file to look at',
                                'give the path of 2D joints of another network')
        other = copy.copy(first)
        other.noise, other.seed = ShiftedNoise(), seed
    else:
        found = read_data(Path(second), split='train')
        other = MotionViews(found, views, travel, seed=seed) if isinstance(found, Poses) else RecordedViews(found, seed)
    return Mixture([Part(first, 1.), Part(other, 1.)])
