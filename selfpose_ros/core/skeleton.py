# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The 17 joints that the product publishes, and how other joint sets map to them.

Order is that of Human3.6M as the literature uses it; see `JOINTS`. Left and right are the person's own.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import SkeletonError

__all__ = [
    'JOINTS', 'PARENTS', 'BONES', 'BONE_NAMES', 'MIRROR', 'SWAP_GROUPS', 'COCO17', 'HALPE26', 'BODY25',
    'BODY25B', 'MEDIAPIPE33', 'JOINT_SETS', 'JointMap', 'joint_map',
]

Array = NDArray[np.float64]

JOINTS: tuple[str, ...] = (
    'pelvis', 'r_hip', 'r_knee', 'r_ankle', 'l_hip', 'l_knee', 'l_ankle', 'spine', 'thorax', 'neck_nose', 'head',
    'l_shoulder', 'l_elbow', 'l_wrist', 'r_shoulder', 'r_elbow', 'r_wrist',
)
PARENTS: tuple[int, ...] = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
BONES: tuple[tuple[int, int], ...] = tuple((p, j) for j, p in enumerate(PARENTS) if p >= 0)
BONE_NAMES: tuple[str, ...] = tuple(f'{JOINTS[a]}-{JOINTS[b]}' for a, b in BONES)
#: index of the mirrored joint: left <-> right, the trunk maps to itself
MIRROR: tuple[int, ...] = (0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13)
#: joints that a 2D network exchanges together when it confuses left and right
SWAP_GROUPS: dict[str, tuple[int, ...]] = {'arms': (11, 12, 13, 14, 15, 16), 'legs': (1, 2, 3, 4, 5, 6)}

COCO17: tuple[str, ...] = (
    'nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder', 'left_elbow',
    'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle',
    'right_ankle',
)
HALPE26: tuple[str, ...] = COCO17 + (
    'head_top', 'neck', 'mid_hip', 'left_big_toe', 'right_big_toe', 'left_small_toe', 'right_small_toe',
    'left_heel', 'right_heel',
)
BODY25: tuple[str, ...] = (
    'nose', 'neck', 'right_shoulder', 'right_elbow', 'right_wrist', 'left_shoulder', 'left_elbow', 'left_wrist',
    'mid_hip', 'right_hip', 'right_knee', 'right_ankle', 'left_hip', 'left_knee', 'left_ankle', 'right_eye',
    'left_eye', 'right_ear', 'left_ear', 'left_big_toe', 'left_small_toe', 'left_heel', 'right_big_toe',
    'right_small_toe', 'right_heel',
)
BODY25B: tuple[str, ...] = COCO17 + (
    'neck', 'head_top', 'left_big_toe', 'left_small_toe', 'left_heel', 'right_big_toe', 'right_small_toe',
    'right_heel',
)
MEDIAPIPE33: tuple[str, ...] = (
    'nose', 'left_eye_inner', 'left_eye', 'left_eye_outer', 'right_eye_inner', 'right_eye', 'right_eye_outer',
    'left_ear', 'right_ear', 'mouth_left', 'mouth_right', 'left_shoulder', 'right_shoulder', 'left_elbow',
    'right_elbow', 'left_wrist', 'right_wrist', 'left_pinky', 'right_pinky', 'left_index', 'right_index',
    'left_thumb', 'right_thumb', 'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle',
    'left_heel', 'right_heel', 'left_foot_index', 'right_foot_index',
)
JOINT_SETS: dict[str, tuple[str, ...]] = {
    'h36m17': JOINTS, 'coco17': COCO17, 'halpe26': HALPE26, 'body25': BODY25, 'body25b': BODY25B,
    'mediapipe33': MEDIAPIPE33,
}

_LIMBS = ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist')
_PAIRED = (*_LIMBS, 'ear', 'eye')
#: the ears lie about a third of the way from the skull's top down: head top = ears + this x (ears - thorax)
_EARS_TO_TOP = 0.6


def _plain(name: str) -> str:
    """'RightHip', 'right hip', 'R_Hip', 'rhip' -> 'r_hip'; other names lower case with underscores."""
    spaced = ''.join(f'_{c}' if c.isupper() and i and name[i - 1].islower() else c for i, c in enumerate(name))
    plain = re.sub(r'[\s./-]+', '_', spaced.strip().lower())
    for side in ('left', 'right'):
        if plain.startswith(f'{side}_'):
            return f'{side[0]}_{plain[len(side) + 1:]}'
        if plain.endswith(f'_{side}'):
            return f'{side[0]}_{plain[:-len(side) - 1]}'
        if plain.startswith(side) and plain[len(side):] in _PAIRED:
            return f'{side[0]}_{plain[len(side):]}'
    if len(plain) > 1 and plain[0] in 'lr' and plain[1:] in _PAIRED:
        return f'{plain[0]}_{plain[1:]}'
    return plain


@dataclass(frozen=True)
class JointMap:
    """Turns joints of one source into the 17; made by `joint_map`.

    Attributes:
        source: names of the source's joints, as given.
        weights: (17, J) linear map of the 2D positions.
        needs: (17, J) bool, which source joints each of the 17 rests on.
        factor: (17,) what the smallest of those confidences is multiplied by.
        approximate: (17,) bool, joints that the source lacks and that are built from others.
        nose: index of the source's nose, or -1: the head falls back on it when the ears are not seen.
    """

    source: tuple[str, ...]
    weights: Array
    needs: NDArray[np.bool_]
    factor: Array
    approximate: NDArray[np.bool_]
    nose: int = -1

    def apply(self, keypoints: Array, confidence: Array) -> tuple[Array, Array]:
        """Map (..., J, 2) px and (..., J) to (..., 17, 2) px and (..., 17).

        A joint whose sources are not all seen (NaN, or confidence not above 0) is NaN with confidence 0.

        Raises:
            SkeletonError: the arrays do not have this map's number of joints.
        """
        keypoints, confidence = np.asarray(keypoints, float), np.asarray(confidence, float)
        n = len(self.source)
        if keypoints.shape[-2:] != (n, 2) or confidence.shape[-1:] != (n,):
            raise SkeletonError(
                f'joints: expected (..., {n}, 2) and (..., {n}) for the {n} names given, got {keypoints.shape} '
                f'and {confidence.shape}; check that joint_names belongs to these keypoints')
        seen = np.isfinite(keypoints).all(-1) & (confidence > 0)             # which a NaN is not
        conf, points = np.minimum(confidence, 1.), keypoints
        if not seen.all():
            conf, points = np.where(seen, conf, 0.), np.where(seen[..., None], keypoints, 0.)
        out = self.weights @ points
        lowest = np.where(self.needs, conf[..., None, :], np.inf).min(-1) * self.factor
        if self.nose >= 0:                                # head from ears: unsure ears, then the nose stands in
            weak = (lowest[..., 10] < 0.3 * self.factor[10]) & (0.5 * conf[..., self.nose] > lowest[..., 10])
            out[..., 10, :] = np.where(weak[..., None], points[..., self.nose, :], out[..., 10, :])
            lowest[..., 10] = np.where(weak, 0.5 * conf[..., self.nose], lowest[..., 10])
        return np.where((lowest > 0)[..., None], out, np.nan), lowest


def joint_map(names: Sequence[str]) -> JointMap:
    """Map for a source with these joint names (any spelling of left/right; see `JOINT_SETS` for known sets).

    Raises:
        SkeletonError: a limb joint is missing or a name occurs twice; the message names it.
    """
    source = tuple(str(n) for n in names)
    plain = [_plain(n) for n in source]
    double = sorted({n for n in plain if plain.count(n) > 1})
    if double:
        raise SkeletonError(f'joint names: {", ".join(double)} given twice; every joint needs a name of its own')
    at = {n: i for i, n in enumerate(plain)}
    missing = [f'{s}_{limb}' for limb in _LIMBS for s in 'lr' if f'{s}_{limb}' not in at]
    if missing:
        raise SkeletonError(
            f'joint names: {", ".join(missing)} missing among {len(source)} names ({", ".join(source[:6])}, ...); '
            'hips, knees, ankles, shoulders, elbows and wrists of both sides are needed')
    weights, factor = np.zeros((17, len(source))), np.ones(17)
    approximate = np.zeros(17, bool)

    def put(joint: int, *terms: tuple[str, float]) -> None:
        for name, w in terms:
            weights[joint, at[name]] += w

    for j, name in enumerate(JOINTS):
        if name in at:
            put(j, (name, 1.))
    mid = {'pelvis': ('pelvis', 'mid_hip', 'midhip', 'hip', 'root'), 'thorax': ('thorax',), 'spine': ('spine',),
           'neck_nose': ('neck_nose', 'nose', 'neck'), 'head': ('head', 'head_top', 'headtop', 'top_head')}
    for j, name in ((0, 'pelvis'), (8, 'thorax'), (7, 'spine'), (9, 'neck_nose'), (10, 'head')):
        known = [n for n in mid[name] if n in at]
        if known:
            weights[j] = 0
            put(j, (known[0], 1.))
            approximate[j] = known[0] not in (name, 'head_top', 'headtop', 'mid_hip')
        elif name == 'pelvis':
            put(j, ('l_hip', .5), ('r_hip', .5))
        elif name == 'thorax':
            put(j, ('l_shoulder', .5), ('r_shoulder', .5))
        elif name == 'spine':
            weights[j] = .5 * weights[0] + .5 * weights[8]
        elif name == 'neck_nose':
            weights[j] = weights[8]
        elif 'l_ear' in at and 'r_ear' in at:
            put(j, ('l_ear', .5 * (1 + _EARS_TO_TOP)), ('r_ear', .5 * (1 + _EARS_TO_TOP)))
            weights[j] -= _EARS_TO_TOP * weights[8]
            factor[j] = 0.8
        else:
            weights[j], factor[j] = weights[9], 0.5
        approximate[j] |= not known
    approximate[[0, 8]] = False                            # midpoints of joints that are themselves measured
    ears = factor[10] == 0.8
    needs = np.abs(weights) > 0
    return JointMap(source, weights, needs, factor, approximate, at['nose'] if ears and 'nose' in at else -1)
