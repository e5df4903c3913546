# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Errors of a result against the truth, in mm and degrees, beside those of per-frame DLT with the true cameras.

An error is the mean distance of the joints that both sides name, without the spine, whose place detectors invent.
Aligned means moved by the similarity without reflection that fits best: each frame by its own (`pa`, PA-MPJPE), or the
whole clip by one (`ga`). A frame without a skeleton counts with the error of the clip's mean pose.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..core.camera import Intrinsics, undistort_px
from ..core.result import Skeletons
from ..core.rig import Rig
from ..core.skeleton import JOINTS
from ..synthetic.clips import Clip
from .alignment import LEAST_JOINTS, residual_mm
from .errors import EvaluationError
from .rig_errors import NO_RIG, RigErrors, rig_errors

__all__ = ['FrameErrors', 'Score', 'common_joints', 'compare', 'summary', 'triangulated']

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: a clip with fewer joints in all is not aligned as a whole
_CLIP_JOINTS = 50
#: a result further from an instant, in frame periods, belongs to another one
_APART = .6
_OTHER_NAMES = {f'{side}_{limb}': f'{side[0]}_{limb}' for side in ('left', 'right')
                for limb in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist')}
#: joints that detectors place as they please
_INVENTED = ('spine', 'neck', 'head_top')


@dataclass(frozen=True)
class Score:
    """Of one clip.

    Attributes:
        pa, ga: errors, mm.  w: after one rigid motion of the clip, so that size counts, mm.
        dlt_pa, dlt_ga: of triangulation with the true cameras.  ratio: pa / dlt_pa.
        rot, focal, ae, ae_max, fov, te, s_te, quality: of the rig, see `RigErrors`.
        cover: share of frames with a skeleton.  l3: at level 3.  frames: that count.
    """

    pa: float
    dlt_pa: float
    ratio: float
    ga: float
    dlt_ga: float
    w: float
    rot: float
    focal: float
    ae: float
    ae_max: float
    fov: float
    te: float
    s_te: float
    quality: float
    cover: float
    l3: float
    frames: int


@dataclass(frozen=True)
class FrameErrors:
    """A result laid beside the truth, frame by frame.

    Attributes:
        joints, true: (T, J, 3) m of the common joints; NaN where there is no skeleton, or no truth.
        sigma: (T, J) m, as predicted.  level: (T,).
        pa, dlt_pa: (T,) mm; NaN where the truth is not known.
        dlt: (T, J, 3) m, triangulated with the true cameras.
        rig: of the cameras.
    """

    joints: Array
    true: Array
    sigma: Array
    level: NDArray[np.int64]
    pa: Array
    dlt_pa: Array
    dlt: Array
    rig: RigErrors

    @property
    def trusted(self) -> Mask:
        """(T, J) joints at level 3, where the frame of reference is one and the same."""
        return (self.level >= 3)[:, None] & np.isfinite(self.joints).all(-1) & np.isfinite(self.true).all(-1)

    def score(self, skip: float = 0.) -> Score:
        """Score without the first share `skip` of the clip."""
        T = len(self.pa)
        chosen = np.arange(T) >= skip * T
        counts = chosen & np.isfinite(self.pa)
        known = np.isfinite(self.joints).all(-1) & np.isfinite(self.true).all(-1)
        there = np.isfinite(self.true).all(-1) & chosen[:, None]
        both = known & chosen[:, None]
        ga = w = np.nan
        if both.sum() > _CLIP_JOINTS:
            ga = residual_mm(self.joints[both], self.true[both])
            w = residual_mm(self.joints[both], self.true[both], with_scale=False)
        pa, dlt_pa = float(self.pa[counts].mean()), float(self.dlt_pa[counts].mean())
        return Score(pa=pa, dlt_pa=dlt_pa, ratio=pa / dlt_pa, ga=ga, w=w, **asdict(self.rig),
                     dlt_ga=residual_mm(self.dlt[there], self.true[there]),
                     cover=float((known.sum(1) >= LEAST_JOINTS)[chosen].mean()),
                     l3=float((self.level[chosen] >= 3).mean()), frames=int(chosen.sum()))


def triangulated(clip: Clip) -> Array:
    """(T, J, 3) m: linear triangulation with the true cameras, rows weighted by confidence."""
    truth = clip.truth
    kp, confidence = clip.keypoints.astype(float), np.nan_to_num(clip.confidence.astype(float))
    for v in range(len(truth.K)):
        if v < len(truth.distortion) and np.any(truth.distortion[v]):
            kp[:, v] = undistort_px(kp[:, v], Intrinsics(truth.K[v], truth.distortion[v]))
    confidence = np.where(np.isfinite(kp).all(-1), confidence, 0.)
    x = np.where(confidence[..., None] > 0, kp, 0.) / 500.                 # pixels about one: a well-conditioned system
    P = truth.K @ np.concatenate([truth.R, truth.t[..., None]], -1) / np.array([500., 500., 1.])[:, None]
    rows = (x[..., None] * P[:, None, None, 2] - P[:, None, :2]) * confidence[..., None, None]       # T, V, J, 2, 4
    T, V, J = confidence.shape
    A = rows.transpose(0, 2, 1, 3, 4).reshape(T, J, 2 * V, 4)
    h = np.linalg.svd(A, full_matrices=False)[2][..., -1, :]
    return np.asarray(h[..., :3] / h[..., 3:])


def _short(name: str) -> str:
    return _OTHER_NAMES.get(name, name)


def common_joints(true_names: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Index of the joints that can be compared in `core.skeleton.JOINTS`, and among the true ones."""
    pairs = [(JOINTS.index(_short(n)), i) for i, n in enumerate(true_names)
             if _short(n) in JOINTS and n not in _INVENTED]
    if len(pairs) < LEAST_JOINTS:
        raise EvaluationError(f'the truth names {len(pairs)} joints that can be compared, of {", ".join(true_names)}',
                              f'at least {LEAST_JOINTS} are needed')
    ours, true = np.array(pairs).T
    return ours, true


def _rig_errors(clip: Clip, result: Skeletons) -> RigErrors:
    rig = result.rig
    if not isinstance(rig, Rig) or set(rig.cameras) != set(result.cameras) or len(rig.cameras) != len(clip.truth.R):
        return replace(NO_RIG, quality=rig.quality) if isinstance(rig, Rig) else NO_RIG
    return rig_errors(clip.truth, rig, [rig.cameras.index(c) for c in result.cameras])


def compare(clip: Clip, result: Skeletons) -> FrameErrors:
    """Lay a result beside the truth; of several people the one with the most joints counts."""
    ours, theirs = common_joints(clip.truth.names)
    true, dlt = clip.truth.joints[:, theirs].astype(float), triangulated(clip)[:, theirs]
    T, J = true.shape[:2]
    joints, sigma, level = np.full((T, J, 3), np.nan), np.full((T, J), np.nan), np.zeros(T, np.int64)
    reach = _APART * float(np.median(np.diff(clip.instant)))
    for i, stamp in enumerate(result.stamp):
        k = int(np.abs(clip.instant - stamp).argmin())
        if abs(clip.instant[k] - stamp) > reach:
            continue
        p = int(np.isfinite(result.joints[i]).all(-1).sum(-1).argmax())
        joints[k], sigma[k], level[k] = result.joints[i, p, ours], result.sigma[i, p, ours], result.level[i, p]
    pa, dlt_pa = _frame_errors(joints, true, dlt)
    return FrameErrors(joints, true, sigma, level, pa, dlt_pa, dlt, _rig_errors(clip, result))


def _frame_errors(joints: Array, true: Array, dlt: Array) -> tuple[Array, Array]:
    there = np.isfinite(true).all(-1)
    known = np.isfinite(joints).all(-1) & there
    mean_pose = np.nanmean(true - np.nanmean(true, 1, keepdims=True), 0)
    pa, dlt_pa = np.full(len(true), np.nan), np.full(len(true), np.nan)
    for k in np.flatnonzero(there.sum(1) >= LEAST_JOINTS):
        seen = known[k]
        if seen.sum() >= LEAST_JOINTS:
            pa[k] = residual_mm(joints[k][seen], true[k][seen])
        else:
            pa[k] = residual_mm(mean_pose[there[k]], true[k][there[k]])
        dlt_pa[k] = residual_mm(dlt[k][there[k]], true[k][there[k]])
    return pa, dlt_pa


def summary(scores: Sequence[Score]) -> Mapping[str, float]:
    """Of many clips: means weighted by their frames, `ratio` of the means, medians, share of good rigs."""
    frames = np.array([s.frames for s in scores], float)
    out: dict[str, float] = {}
    for name in ('pa', 'dlt_pa', 'ga', 'dlt_ga', 'w', 'ae', 'fov', 'te', 's_te', 'cover', 'l3'):
        value = np.array([getattr(s, name) for s in scores])
        known = np.isfinite(value)
        out[name] = float((frames * value)[known].sum() / frames[known].sum()) if known.any() else float('nan')
    rot = np.array([s.rot for s in scores])
    out['ratio'] = out['pa'] / out['dlt_pa']
    out['median_ratio'] = float(np.median([s.ratio for s in scores]))
    out['rot_median'] = float(np.nanmedian(rot)) if np.isfinite(rot).any() else float('nan')
    out['clips_rot_below_3deg'] = float((np.nan_to_num(rot, nan=np.inf) < 3).mean())
    out['clips'] = len(scores)
    return out
