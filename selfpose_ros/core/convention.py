# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where a 2D network places joints, against where limbs turn: a small map, linear in the bones of the same image.

Networks have learned from people who clicked on hips, knees and shoulders, each data set in its own way. Such a joint
lies beside the centre of rotation by a part of the bones around it, in 3D and, but for perspective within a body, in
every image alike. `convention_estimate` learns the parts.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .errors import CoreError
from .observation import MultiView, View2D
from .skeleton import JOINTS

__all__ = ['MOVES', 'Convention', 'ConventionError', 'move_matrices']

Array = NDArray[np.float64]

#: joint, and the bone that it is moved along, from one joint to another; left and right alike. What makes a bone longer
#: and no other one shorter cannot be told from a longer bone: hands in place of wrists, hips down the thigh.
MOVES: tuple[tuple[str, str, str], ...] = (
    ('hip', 'pelvis', 'hip'), ('hip', 'pelvis', 'thorax'), ('knee', 'knee', 'hip'), ('knee', 'knee', 'ankle'),
    ('shoulder', 'thorax', 'shoulder'), ('shoulder', 'pelvis', 'thorax'), ('elbow', 'elbow', 'shoulder'),
    ('elbow', 'elbow', 'wrist'))
#: a joint is moved by this share of a bone at most
MOST_SHARE = .6


class ConventionError(CoreError):
    """Shares that no map of joints has, or recordings that none can be learned from."""


def sided(name: str, side: str) -> int:
    """Index of a joint of one side ('l', 'r'), or of the middle."""
    return JOINTS.index(name if name in JOINTS else f'{side}_{name}')


def move_matrices(moves: Sequence[tuple[str, str, str]] = MOVES) -> Array:
    """(M, 17, 17): what each move, by a whole bone, adds to the joints (17, 2 or 3) that they are multiplied with."""
    out = np.zeros((len(moves), 17, 17))
    for m, (joint, a, b) in enumerate(moves):
        for side in 'lr':
            out[m, sided(joint, side), sided(b, side)] += 1
            out[m, sided(joint, side), sided(a, side)] -= 1
    return out


@dataclass(frozen=True)
class Convention:
    """From the joints of a 2D network to centres of rotation.

    Attributes:
        shares: by `MOVES`, of the bone; what is not in it is 0.
        sigma: their standard deviations, as far as they are known.

    Raises:
        ConventionError: a move that there is not, or a share that is no number of -`MOST_SHARE` to `MOST_SHARE`.
    """

    shares: Mapping[tuple[str, str, str], float]
    sigma: Mapping[tuple[str, str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for move, share in {**self.sigma, **self.shares}.items():
            if move not in MOVES:
                raise ConventionError(f'no joint is moved as in {" ".join(map(str, move))}',
                                      f'choose from {"; ".join(" ".join(m) for m in MOVES)}')
            if not abs(share) <= MOST_SHARE:
                raise ConventionError(f'{" ".join(move)}: {share} of a bone, must be within {MOST_SHARE}')

    @cached_property
    def weights(self) -> Array:
        """(17, 17): the joints (17, 2 or 3) moved, as sums of those that the network gives."""
        moves = [m for m in MOVES if self.shares.get(m)]
        return np.asarray(np.eye(17) + np.tensordot([self.shares[m] for m in moves], move_matrices(moves), 1)
                          if moves else np.eye(17))

    def moved(self, joints: Array) -> Array:
        """Joints (..., 17, 2 or 3), px or m, moved; where one is NaN that a move rests on, that joint stays."""
        known = np.isfinite(joints).all(-1)
        off = self.weights - np.eye(17)
        change = off @ np.where(known[..., None], joints, 0.)
        whole = known[..., None, :] | (off == 0)
        return np.asarray(np.where(whole.all(-1)[..., None], joints + change, joints))

    def view(self, view: View2D) -> View2D:
        """The view with its joints moved; confidences stay."""
        return replace(view, keypoints=self.moved(view.keypoints)) if len(view.keypoints) else view

    def views(self, instant: MultiView) -> MultiView:
        """All views of an instant with their joints moved."""
        return replace(instant, views=tuple(map(self.view, instant.views)))
