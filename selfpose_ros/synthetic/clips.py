# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Clips of the benchmark's protocol: what uncalibrated cameras report of a motion, and the truth behind it."""
from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.observation import MultiView, View2D
from ..core.skeleton import JOINTS
from .errors import SyntheticError
from .motion_capture import Motion, Piece, pieces
from .network2d import Network2D
from .rigs import RigRange, draw_cameras

__all__ = ['Clip', 'Conditions', 'PLACE_M', 'SHORTEST_CLIP', 'Truth', 'chosen', 'make_clip']

Array = NDArray[np.float64]

#: clips of fewer frames are left out
SHORTEST_CLIP = 75
#: somebody who does not travel is kept so far from the middle, along each axis of the floor, at most, m
PLACE_M = .3
_NETWORK = Network2D()


@dataclass(frozen=True)
class Conditions:
    """How the cameras see the motion.

    Attributes:
        views: 1 to 4 cameras.
        jitter_s: cameras run free: each looks at its own phase within +- this, s, and its stamps say so.
        travel: people keep their path over the floor and leave the images; else they are kept in the middle.
        noise: factor on the noise of the 2D joints; 1 is the protocol.
        rigs: where the cameras are, and their lenses.
    """

    views: int = 4
    jitter_s: float = 0.
    travel: bool = False
    noise: float = 1.
    rigs: RigRange = RigRange()

    def __post_init__(self) -> None:
        if not 1 <= self.views <= self.rigs.drawn:
            raise SyntheticError(f'{self.views} views', f'the protocol has 1 to {self.rigs.drawn} cameras')


@dataclass(frozen=True)
class Truth:
    """What the estimator is not told.

    Attributes:
        joints: (T, J, 3) m with `names` (J,); NaN = not known.
        K (V, 3, 3) px, R (V, 3, 3), t (V, 3) m: x_cam = R x_world + t.  distortion: (V, 5).
    """

    joints: Array
    names: tuple[str, ...]
    K: Array
    R: Array
    t: Array
    distortion: Array = field(default_factory=lambda: np.zeros((0, 5)))


@dataclass(frozen=True)
class Clip:
    """One clip: 2D joints of V cameras, and the truth.

    Attributes:
        number: among all pieces of the motion.  name: of the sequence.
        keypoints: (T, V, J, 2) px of the joints in `truth.names`.  confidence: (T, V, J).
        stamp: (T, V) s, acquisition.  image_size: (V, 2) px.
    """

    number: int
    name: str
    keypoints: NDArray[np.floating[Any]]
    confidence: NDArray[np.floating[Any]]
    stamp: Array
    image_size: NDArray[np.int64]
    truth: Truth

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def instant(self) -> Array:
        """(T,) s: the instants that results are given for."""
        return np.asarray(self.stamp.mean(1))

    def frames(self) -> list[MultiView]:
        """The views as a robot gets them; for clips with the 17 joints."""
        names = tuple(f'cam{v + 1}' for v in range(self.keypoints.shape[1]))
        sizes = [(int(w), int(h)) for w, h in self.image_size]
        return [MultiView(float(stamp.mean()), tuple(
            View2D(c, stamp[v], self.keypoints[i, v][None], self.confidence[i, v][None], sizes[v])
            for v, c in enumerate(names))) for i, stamp in enumerate(self.stamp)]

    def archive(self) -> dict[str, Any]:
        """Arrays of a keypoint archive with truth, see `io.archive`."""
        t = self.truth
        return {'keypoints': self.keypoints, 'confidence': self.confidence, 'stamp': self.stamp,
                'image_size': self.image_size, 'joint_names': np.array(JOINTS), 'truth_joints': t.joints,
                'truth_joint_names': np.array(t.names), 'truth_K': t.K, 'truth_R': t.R, 'truth_t': t.t}


def chosen(motion: Motion, every: int = 1) -> list[Piece]:
    """Every `every`-th piece of the motion, without those that are too short.

    Raises:
        SyntheticError: none is left.
    """
    out = [p for p in pieces(motion)[::every] if len(p) >= SHORTEST_CLIP]
    if not out:
        raise SyntheticError(f'no clip of {SHORTEST_CLIP} frames or more among {len(pieces(motion)[::every])}',
                             'give a motion file with longer sequences, or a smaller --every')
    return out


def make_clip(motion: Motion, piece: Piece, seed: int, conditions: Conditions | None = None) -> Clip:
    """The clip of a piece: the same for the same seed, whatever other clips are made."""
    conditions = conditions or Conditions()
    V, T = conditions.views, len(piece)
    rng = np.random.default_rng([seed, piece.number])
    R, t, K = draw_cameras(rng, conditions.rigs)
    X, place = motion.joints[piece.first:piece.end].copy(), rng.uniform(-PLACE_M, PLACE_M, 2)
    network = replace(_NETWORK, noise_px=conditions.noise * _NETWORK.noise_px)
    if not conditions.travel:
        X[..., :2] -= X[:, :1, :2] - place
    keypoints, confidence = np.empty((T, V, 17, 2), np.float32), np.empty((T, V, 17), np.float32)
    for v in range(V):
        p = (X @ R[v].T + t[v]) @ K[v].T
        keypoints[:, v], confidence[:, v] = network.observe_clip(rng, p[..., :2] / p[..., 2:], conditions.rigs.side_px)
    stamp = np.repeat((np.arange(T) / motion.fps)[:, None], V, 1)
    if conditions.jitter_s:
        keypoints, stamp = _free_running(keypoints, stamp, seed, piece.number, conditions.jitter_s)
    truth = Truth(X.astype(np.float32), JOINTS, K[:V], R[:V], t[:V])
    size = np.full((V, 2), int(conditions.rigs.side_px))
    return Clip(piece.number, piece.name, keypoints, confidence, stamp, size, truth)


def _free_running(keypoints: NDArray[np.float32], stamp: Array, seed: int, number: int,
                  jitter_s: float) -> tuple[NDArray[np.float32], Array]:
    """Every camera samples its own tracks at a phase of its own."""
    V = keypoints.shape[1]
    phase = np.random.default_rng([seed, number, 7]).uniform(-jitter_s, jitter_s, V)
    moved, t = keypoints.copy(), stamp[:, 0]
    for v in range(V):
        for j in range(17):
            for k in (0, 1):
                moved[:, v, j, k] = np.interp(t + phase[v], t, keypoints[:, v, j, k])
    return moved, stamp + phase
