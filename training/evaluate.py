# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How good a lifter is on motion seen by the benchmark's virtual cameras. No PyTorch: whatever runs the lifter.

All clips of the motion, all frames, every view by itself; 16 joints, without the spine, whose place detectors invent.
Temporal lifters get each clip from its start, the first frame repeated before it, and never see the future.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.correction import CorrectionConfig
from selfpose_ros.core.lifting import Lifter, norm2d, pinhole
from selfpose_ros.core.noise import NoiseModel
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.synthetic.clips import Clip, Conditions, make_clip
from selfpose_ros.synthetic.motion_capture import Motion, pieces

from . import metrics
from .corrected import Corrections, corrected

__all__ = ['EVAL16', 'Evaluation', 'Figures', 'Honesty', 'Lifted', 'evaluate', 'figures', 'fused_views', 'honesty',
           'lift_clip', 'lift_views']

Array = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

#: joints that count
EVAL16: tuple[int, ...] = tuple(j for j, name in enumerate(JOINTS) if name != 'spine')
#: poses that the lifter gets at once
_BATCH = 2048


@dataclass(frozen=True)
class Figures:
    """Means over poses, mm, per cent, or 0..300 for `cps`; definitions in `metrics`.

    Attributes:
        n_mpjpe: scaled by least squares.  n_mpjpe_ratio: by the ratio of norms.
        pa_mpjpe: after a similarity.  pa_mpjpe_mirrored: reflection allowed.
        n_pck: joints below 150 mm, and auc: below 0..150 mm, scaled by least squares.
        cps: correct-pose score.
    """

    n_mpjpe: float
    n_mpjpe_ratio: float
    pa_mpjpe: float
    pa_mpjpe_mirrored: float
    n_pck: float
    auc: float
    cps: float


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        frames, views, clips, seed, travel: what was looked at.
        single: of single views.
        fused: of all views of an instant together, turned onto each other without any camera; None with one view.
        depth_reversed: share of poses that are nearer to the truth with their depth turned round; about 0 or 1.
        within_sigma: share of errors along an axis below 1 sigma; 0.68 where sigma is honest and errors are normal.
        sigma_ratio: root mean square of the errors over that of the sigmas; 1 where sigma is honest.
        noise: factor on the protocol's 2D noise.
        corrected, corrected_fused: as `single` and `fused`, of poses corrected by their 2D joints; None = not asked.
        accepted, accepted_fused: shares of the corrections that the guards let pass.
    """

    frames: int
    views: int
    clips: int
    seed: int
    travel: bool
    single: Figures
    fused: Figures | None
    depth_reversed: float
    within_sigma: float
    sigma_ratio: float
    noise: float = 1.
    corrected: Figures | None = None
    corrected_fused: Figures | None = None
    accepted: float | None = None
    accepted_fused: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Lifted:
    """Lifted poses of T instants and V views, and the truth.

    Attributes:
        joints: (T, V, 17, 3) in camera axes, root mean square distance 1.  sigma: (T, V, 17).
        true: (T, V, 17, 3) mm, in camera axes, relative to the pelvis.
        rays: (T, V, 17, 2) what was seen, normalised image coordinates of the guessed cameras.
        k: (T, V, 17) inverse standard deviation of these, as it is assumed before anything is known.
    """

    joints: Array
    sigma: Array
    true: Array
    rays: Array
    k: Array


def evaluate(lifter: Lifter, motion: Motion, seed: int, *, views: int = 4, travel: bool = False, noise: float = 1.,
             correction: CorrectionConfig | None = None, progress: Progress | None = None) -> Evaluation:
    """Figures of a lifter on a motion.

    Args:
        lifter: gets 2D poses normalised through virtual cameras with guessed intrinsics, as at run time.
        motion: see `selfpose_ros.synthetic.motion_capture`.
        seed: of cameras and 2D errors; the same seed gives the same clips on every machine.
        views: 1 to 4.
        travel: people keep their path over the floor; else they are kept in the middle.
        noise: factor on the protocol's 2D noise.
        correction: also correct all poses by their 2D joints, see `corrected`.
        progress: called with (what is done, clips done, clips in all).

    Raises:
        SyntheticError: a number of views that the protocol does not have.
    """
    conditions = Conditions(views, travel=travel, noise=noise)
    parts: list[Lifted] = []
    mended: list[Corrections] = []
    cut = pieces(motion)
    for i, piece in enumerate(cut):
        parts.append(lift_clip(lifter, make_clip(motion, piece, seed, conditions)))
        if correction is not None:
            p = parts[-1]
            mended.append(corrected(p.joints, p.sigma, p.rays, p.k, correction))
        if progress is not None:
            progress('clips lifted', i + 1, len(cut))
    lifted = Lifted(*(np.concatenate([getattr(p, name) for p in parts]) for name in Lifted.__annotations__))
    single = [a[:, :, EVAL16].reshape(-1, len(EVAL16), 3) for a in (lifted.joints, lifted.true)]
    fused = None
    if views > 1:
        together = fused_views(lifted.joints, lifted.sigma)
        fused = figures(together[:, :, EVAL16].reshape(-1, len(EVAL16), 3), single[1])
    after: list[Figures] = []
    if mended:
        after.append(figures(np.concatenate([m.single for m in mended])[:, :, EVAL16].reshape(-1, len(EVAL16), 3),
                             single[1]))
    if mended and views > 1:
        turned = _turned(np.broadcast_to(np.concatenate([m.fused for m in mended])[:, None], lifted.joints.shape),
                         lifted.joints)
        after.append(figures(turned[:, :, EVAL16].reshape(-1, len(EVAL16), 3), single[1]))
    shares = [float(np.concatenate([getattr(m, n) for m in mended]).mean()) if mended else None
              for n in ('accepted', 'accepted_fused')]
    told = honesty(single[0], lifted.sigma[:, :, EVAL16].reshape(-1, len(EVAL16)), single[1])
    return Evaluation(len(lifted.joints), views, len(cut), seed, travel, figures(*single), fused,
                      float(metrics.reversed_in_depth(*single).mean()), told.within, told.ratio, noise,
                      after[0] if after else None, after[1] if len(after) > 1 else None, shares[0],
                      shares[1] if views > 1 else None)


def lift_clip(lifter: Lifter, clip: Clip) -> Lifted:
    """All views of a clip, each by itself."""
    return lift_views(lifter, clip.keypoints.astype(float), clip.confidence.astype(float), clip.image_size,
                      clip.truth.R, clip.truth.joints.astype(float))


def lift_views(lifter: Lifter, kp: Array, conf: Array, image_size: Any, R: Array, X: Array,
               at: NDArray[np.int64] | None = None, first: NDArray[np.int64] | None = None) -> Lifted:
    """Every view by itself, through guessed intrinsics as at run time.

    Args:
        kp: (T, V, 17, 2) px, anything where conf (T, V, 17) is 0.  image_size: (V, 2) px.
        R: (V, 3, 3), or (T, V, 3, 3) of cameras that move: camera axes from the world's.
        X: (T, 17, 3) m, the truth; NaN = not known.
        at: (N,) the instants that are wanted; None = all. The others are the past of these.
        first: (T,) where the past of each instant begins; None = at the first one.

    Returns:
        Lifted poses of the instants `at`.
    """
    T, V = kp.shape[:2]
    at = np.arange(T) if at is None else at
    K = np.stack([pinhole(None, (int(w), int(h))) for w, h in image_size])
    n = norm2d(kp, conf, K)
    pose = np.concatenate([n.w2d, conf[..., None]], -1).astype(np.float32)                  # T, V, 17, 3
    joints, sigma = np.empty((len(at) * V, 17, 3)), np.empty((len(at) * V, 17))
    for part, batch in _batches(pose, lifter.frames, at, np.zeros(T, np.int64) if first is None else first):
        joints[part], sigma[part] = lifter.lift(batch)
    away = 1e3 * (X - X[:, :1])[at]
    true = away[:, None] @ np.swapaxes(R[at] if R.ndim == 4 else R, -1, -2)
    focal = K[:, None, 0, 0]
    k = np.stack([f / NoiseModel.prior(size).sigma(conf[at, v])
                  for v, (f, size) in enumerate(zip(focal, image_size, strict=True))], 1)
    return Lifted(joints.reshape(-1, V, 17, 3) @ n.ray_rot[at].swapaxes(-1, -2), sigma.reshape(-1, V, 17), true,
                  (kp[at] - K[:, None, :2, 2]) / focal[..., None], k)


def _batches(pose: NDArray[np.float32], frames: int, at: NDArray[np.int64], first: NDArray[np.int64],
             ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Poses (T, V, 17, 3) as (N, 17, 3), or with their past (N, frames, 17, 3), instant by instant of `at`."""
    V = pose.shape[1]
    step = max(1, _BATCH // V)
    for i in range(0, len(at), step):
        now = at[i:i + step]
        batch = pose[now]
        if frames > 1:
            past = np.maximum(now[:, None] + np.arange(1 - frames, 1), first[now][:, None])
            batch = np.moveaxis(pose[past], 1, 2)                                           # n, V, frames, 17, 3
        yield slice(i * V, (i + len(now)) * V), np.ascontiguousarray(batch).reshape(-1, *batch.shape[2:])


def figures(poses: Array, true: Array) -> Figures:
    """Figures of poses (N, J, 3) of any size against the truth (N, J, 3) mm; joint 0 is the root.

    Joints whose truth is NaN do not count, nor for the scale and place of their pose; the root must be known.
    """
    known = np.isfinite(true).all(-1)
    p, g = (_filled(a, known, a[:, :1]) for a in (poses, true))
    errors = metrics.joint_errors(metrics.scaled(p, g), g)[known]
    ratio = metrics.joint_errors(metrics.scaled(p, g, 'norm ratio'), g)
    p, g = (_filled(a, known, _middle(a, known)) for a in (poses, true))
    pa, mirrored = metrics.pa_errors(p, g), metrics.pa_errors(p, g, reflection=True)
    return Figures(float(errors.mean()), float(ratio[known].mean()), float(pa[known].mean()),
                   float(mirrored[known].mean()), float(metrics.pck(errors)), metrics.auc(errors), metrics.cps(pa))


def _filled(poses: Array, known: NDArray[np.bool_], instead: Array) -> Array:
    """Poses (N, J, 3) with a point (N, 1, 3) in place of what is not known: one that no sum feels."""
    return np.where(known[..., None], poses, instead)


def _middle(poses: Array, known: NDArray[np.bool_]) -> Array:
    there = known[..., None]
    return np.asarray(np.where(there, poses, 0.).sum(1, keepdims=True) / np.maximum(there.sum(1, keepdims=True), 1))


def fused_views(joints: Array, sigma: Array, rounds: int = 2) -> Array:
    """Poses (T, V, 17, 3) of V views made one, without cameras: turned onto their mean, averaged, turned back.

    Args:
        joints: unit size, relative to the pelvis.  sigma: (T, V, 17): joints weigh 1 / sigma^2; inf = a view that
            saw nothing.

    Returns:
        (T, V, 17, 3): the one pose of the instant in the axes of each view.
    """
    weight = sigma[..., None] ** -2.
    mean = joints[np.arange(len(joints)), np.isfinite(sigma).all(-1).argmax(1)][:, None]
    for _ in range(rounds):
        turned = _turned(joints, mean)
        mean = (turned * weight).sum(1, keepdims=True) / np.maximum(weight.sum(1, keepdims=True), 1e-12)
    return _turned(np.broadcast_to(mean, joints.shape), joints)


def _turned(poses: Array, onto: Array) -> Array:
    """Poses (T, V, 17, 3) rotated about the pelvis onto others, least squares, no reflection."""
    U, _, Vt = np.linalg.svd(np.swapaxes(poses, -1, -2) @ onto)
    U[..., -1] *= np.where(np.linalg.det(U @ Vt) < 0, -1., 1.)[..., None]
    return np.asarray(poses @ (U @ Vt))


class Honesty(NamedTuple):
    """Errors along an axis against sigma: how many are below 1 sigma, sums of the squares of both, number of errors."""

    below: float
    errors: float
    sigmas: float
    number: int

    @property
    def within(self) -> float:
        """Share of errors within 1 sigma."""
        return self.below / self.number

    @property
    def ratio(self) -> float:
        """Root mean square of the errors over that of the sigmas."""
        return float(np.sqrt(self.errors / self.sigmas))

    @classmethod
    def of_all(cls, parts: Sequence[Honesty]) -> Honesty:
        """Of several parts together."""
        return cls(*(sum(column) for column in zip(*parts, strict=True)))


def honesty(poses: Array, sigma: Array, true: Array) -> Honesty:
    """Of poses (N, J, 3), sigma (N, J), as `figures` takes them; the root, which has no error, does not count."""
    known = np.isfinite(true).all(-1)
    poses, true = (_filled(a, known, a[:, :1]) for a in (poses, true))
    scaled = metrics.scaled(poses, true)
    size = np.linalg.norm(scaled, axis=(1, 2)) / np.maximum(np.linalg.norm(poses - poses[:, :1], axis=(1, 2)), 1e-12)
    counts = known[:, 1:]
    error = np.abs(scaled - metrics.centred(true))[:, 1:][counts]
    scale = np.broadcast_to((sigma * size[:, None])[:, 1:, None], (*counts.shape, 3))[counts]
    return Honesty(float((error <= scale).sum()), float((error**2).sum()), float((scale**2).sum()), error.size)
