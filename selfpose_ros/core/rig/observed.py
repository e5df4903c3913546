# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a rig is solved from: 2D joints of people in cameras that stand still, and the adjustment problem they make."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..association.distance import person_size
from ..body import BONE_PRIOR_M
from ..camera import FOCAL_PRIOR, Intrinsics
from ..cameras import Cameras
from ..fusion.triangulation import triangulate
from ..noise import Accuracy, NoiseModel
from ..skeleton import BONES
from .bundle_problem import BundleProblem, BundleState
from .lens import LensPrior
from .value import NotSolved

__all__ = ['NOWHERE_TWICE', 'Tracks', 'evenly', 'focal_prior', 'points', 'problem_of', 'usable_rows']

Array = NDArray[np.float64]

#: bones whose median length sets the scale of a first guess; pelvis to thorax skips the joint that detectors invent
_SCALE_A = np.array([0, 1, 2, 4, 5, 0, 8, 11, 12, 8, 14, 15])
_SCALE_B = np.array([1, 2, 3, 5, 6, 8, 11, 12, 13, 14, 15, 16])
_SCALE_PRIOR_M = np.array([BONE_PRIOR_M[BONES.index((a, b))] if (a, b) in BONES else BONE_PRIOR_M[6] + BONE_PRIOR_M[7]
                           for a, b in zip(_SCALE_A.tolist(), _SCALE_B.tolist(), strict=True)])
#: no instant can be used
NOWHERE_TWICE = NotSolved('no instant shows half of a body in two cameras: walk where the cameras overlap',
                          {'frames': 0})


@dataclass(frozen=True)
class Tracks:
    """2D joints of one person at common instants, or of several: then a row is one person at one instant.

    Attributes:
        cameras: (V,) names.  stamp: (N,) s, increasing; with several people, increasing for each of them.
        kp: (N, V, 17, 2) px without the distortion that is known, NaN = not seen.  confidence: (N, V, 17).
        image_size: (V, 2) px.  intrinsics: (V,) known ones, None = unknown.
        lifted: (N, V, 17, 3) what a lifter made of each view, lifted_sigma (N, V, 17), see `lifting.lift`; NaN = it was
            not asked; None = there is no lifter.
        person: (N,) whose row it is, from 0; None = all are of one person.
        accuracy: (V,) of the confidences, as in `View2D`; empty: not known of any camera.
    """

    cameras: tuple[str, ...]
    stamp: Array
    kp: Array
    confidence: Array
    image_size: NDArray[np.int64]
    intrinsics: tuple[Intrinsics | None, ...]
    lifted: Array | None = None
    lifted_sigma: Array | None = None
    person: NDArray[np.int64] | None = None
    accuracy: tuple[Accuracy | None, ...] = ()

    @property
    def prior(self) -> NoiseModel:
        """The noise of the 2D networks before it is measured: from their cards, where these are known."""
        if not any(a is not None for a in self.accuracy):
            return NoiseModel.prior(self.image_size)
        seen = [s[np.isfinite(s)] for s in person_size(self.kp, self.confidence).T]
        size = [float(np.median(s)) if len(s) else np.nan for s in seen]
        return NoiseModel.prior(self.image_size, self.accuracy, size)

    @property
    def pieces(self) -> list[NDArray[np.int64]]:
        """Rows of each person, in order of time."""
        if self.person is None:
            return [np.arange(len(self.stamp))]
        return [np.nonzero(self.person == k)[0] for k in np.unique(self.person)]

    def rows(self, index: NDArray[np.int64]) -> Tracks:
        return replace(self, stamp=self.stamp[index], kp=self.kp[index], confidence=self.confidence[index],
                       lifted=None if self.lifted is None else self.lifted[index],
                       lifted_sigma=None if self.lifted_sigma is None else self.lifted_sigma[index],
                       person=None if self.person is None else self.person[index])

    def views(self, index: NDArray[np.int64]) -> Tracks:
        return replace(self, cameras=tuple(self.cameras[i] for i in index), kp=self.kp[:, index],
                       confidence=self.confidence[:, index], image_size=self.image_size[index],
                       intrinsics=tuple(self.intrinsics[i] for i in index),
                       accuracy=tuple(self.accuracy[i] for i in index) if self.accuracy else (),
                       lifted=None if self.lifted is None else self.lifted[:, index],
                       lifted_sigma=None if self.lifted_sigma is None else self.lifted_sigma[:, index])


def focal_prior(known: Intrinsics | None, image_size: NDArray[np.int64]) -> tuple[float, float, Array]:
    """Log focal length, its spread (0 = known exactly), principal point (2,) px of a camera with images (w, h) px."""
    if known is None:
        return float(np.log(FOCAL_PRIOR[0] * image_size.max())), FOCAL_PRIOR[1], image_size / 2.
    return float(np.log(known.K[0, 0])), 0. if known.source == 'known' else .05, known.K[:2, 2]


def problem_of(tracks: Tracks, noise: NoiseModel, same_lens: Sequence[Sequence[str]] = ()) -> BundleProblem:
    """Tracks as observations with the sigmas that go with their confidences; prior intrinsics where none are known.

    Args:
        same_lens: names of cameras that have equal lenses; those with known intrinsics are left out.
    """
    V = len(tracks.cameras)
    centre, log_f, spread = np.zeros((V, 2)), np.zeros(V), np.zeros(V)
    given = np.full((2, V), np.nan)
    for v, known in enumerate(tracks.intrinsics):
        log_f[v], spread[v], centre[v] = focal_prior(known, tracks.image_size[v])
        if known is not None:
            given[:, v] = log_f[v], spread[v]
    groups = ([tracks.cameras.index(c) for c in group if c in tracks.cameras] for group in same_lens)
    same = [g for g in ([v for v in group if np.isnan(given[0, v])] for group in groups) if len(g) > 1]
    seen = np.isfinite(tracks.kp).all(-1) & (tracks.confidence > 0)
    sigma = np.where(seen, noise.sigma(np.where(seen, tracks.confidence, 0.)), np.inf)
    return BundleProblem(np.where(seen[..., None], tracks.kp, 0.), sigma, np.asarray(centre, float), log_f, spread,
                         person=tracks.person, lens=LensPrior.of(tracks.image_size, centre, given[0], given[1], same))


def points(p: BundleProblem, cameras: Cameras, bones: Array) -> BundleState:
    """State with robustly triangulated points, scaled to the body's prior size."""
    X = triangulate(cameras.rays(p.kp), cameras.ray_weight(p.sigma), cameras.R, cameras.t, rounds=4, scale=5.)
    mean = np.nanmean(X, axis=1, keepdims=True) if np.isfinite(X).any() else np.zeros_like(X[:, :1])
    X = np.where(np.isfinite(X), X, np.nan_to_num(mean))
    n = np.median(np.linalg.norm(X[:, _SCALE_B] - X[:, _SCALE_A], axis=-1), axis=0)
    k = float(np.median(_SCALE_PRIOR_M / np.maximum(n, 1e-3)))
    return BundleState(cameras.scaled(k), X * k, bones)


def usable_rows(tracks: Tracks) -> NDArray[np.int64]:
    """Instants at which two views or more show at least half of the body."""
    seen = np.isfinite(tracks.kp).all(-1) & (tracks.confidence > 0)
    return np.nonzero((seen.sum(-1) >= 8).sum(1) >= 2)[0]


def evenly(rows: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """At most n of the rows, spread over all of them."""
    return rows if len(rows) <= n else rows[np.unique(np.linspace(0, len(rows) - 1, n).astype(int))]
