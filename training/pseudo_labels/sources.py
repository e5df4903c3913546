# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings as self-calibration takes them."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from selfpose_ros.core.camera import Intrinsics
from selfpose_ros.core.observation import MultiView, View2D
from selfpose_ros.synthetic.clips import Conditions, make_clip
from selfpose_ros.synthetic.motion_capture import Motion, pieces

from ..data.recordings import Recorded
from ..errors import TrainingError

__all__ = ['Source', 'protocol_sources', 'recorded_sources']


@dataclass(frozen=True)
class Source:
    """One recording: name, who it is (-1: somebody of their own), and its instants."""

    name: str
    subject: int
    frames: Sequence[MultiView]


def protocol_sources(motion: Motion, seed: int, *, shortest: int = 25, subjects: Sequence[int] = (),
                     conditions: Conditions | None = None) -> Iterator[Source]:
    """Clips of the benchmark protocol, as recordings: only what the cameras saw, never the motion itself.

    Args:
        seed: of rigs and noise.
        subjects: a number for each sequence; empty: every sequence is somebody else.
    """
    sequence, starts = 0, motion.start
    for piece in pieces(motion):
        while piece.first >= starts[sequence + 1]:
            sequence += 1
        if len(piece) >= shortest:
            who = int(subjects[sequence]) if len(subjects) else sequence
            yield Source(f'{piece.name} {piece.number}', who, make_clip(motion, piece, seed, conditions).frames())


def recorded_sources(recordings: Iterable[Recorded]) -> Iterator[Source]:
    """Recordings as the estimator takes them. Intrinsics are used where a recording has them.

    Raises:
        TrainingError: the cameras of a recording move.
    """
    names: dict[str, int] = {}
    for r in recordings:
        if r.moving:
            raise TrainingError('its cameras move while they record, and self-calibration is for cameras that stand '
                                'still', 'take a method without it, for instance canonpose', place=r.name)
        cameras = tuple(f'camera{v + 1}' for v in range(r.views))
        known = [_intrinsics(r, v) for v in range(r.views)]
        frames = [MultiView(float(at), tuple(
            View2D(c, float(at), r.kp[i, v][None], r.conf[i, v][None],
                   (int(r.image_size[v, 0]), int(r.image_size[v, 1])), intrinsics=known[v])
            for v, c in enumerate(cameras) if (r.conf[i, v] > 0).any())) for i, at in enumerate(r.stamp)]
        who = names.setdefault(r.subject, len(names)) if r.subject else -1
        yield Source(r.name, who, [f for f in frames if f.views])


def _intrinsics(r: Recorded, v: int) -> Intrinsics | None:
    if r.K is None or r.K.ndim != 3 or not (np.isfinite(r.K[v]).all() and r.K[v, 0, 0] > 0):
        return None
    return Intrinsics(np.asarray(r.K[v], float))
