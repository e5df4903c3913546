# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The 17 joints that the product publishes, and how other joint sets map to them.

Order is that of Human3.6M as the literature uses it; see `JOINTS`. Left and right are the person's own.
"""
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import SkeletonError
from .joint_sets import BODY25, BODY25B, COCO17, COCO18, HALPE26, MEDIAPIPE33, SOURCE_SETS

__all__ = [
    'JOINTS', 'PARENTS', 'BONES', 'BONE_NAMES', 'MIRROR', 'SWAP_GROUPS', 'COCO17', 'COCO18', 'HALPE26', 'BODY25',
    'BODY25B', 'MEDIAPIPE33', 'JOINT_SETS', 'USUAL_SETS', 'JointMap', 'joint_map', 'named_joints', 'set_name',
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

#: name -> joints of the sets that sources use; see `core.joint_sets` for their order
JOINT_SETS: dict[str, tuple[str, ...]] = {'h36m17': JOINTS} | SOURCE_SETS
#: number of joints -> name of the set that has so many, where the source does not name one
USUAL_SETS: dict[int, str] = {
    15: 'mpi15', 16: 'mpii16', 17: 'coco17', 18: 'coco18', 25: 'body25', 26: 'halpe26', 33: 'mediapipe33',
    133: 'wholebody133', 134: 'wholebody134', 135: 'body135', 136: 'halpe136',
}

_LIMBS = ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist')
_PAIRED = (*_LIMBS, 'ear', 'eye')
#: names of the joints in the middle of the body; the first that a source has is taken
_MIDDLE = {
    'pelvis': ('pelvis', 'mid_hip', 'midhip', 'hip', 'root'), 'thorax': ('thorax',), 'spine': ('spine',),
    'neck_nose': ('neck_nose', 'nose', 'neck', 'upper_neck'),
    'head': ('head', 'head_top', 'headtop', 'top_head'),
}
#: all that the 17 can rest on
_USED = frozenset((*JOINTS, *(f'{s}_{n}' for n in _PAIRED for s in 'lr'), *(n for m in _MIDDLE.values() for n in m)))
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
            raise SkeletonError(f'joints: expected (..., {n}, 2) and (..., {n}) for the {n} names given, got '
                                f'{keypoints.shape} and {confidence.shape}',
                                'check that joint_names belongs to these keypoints')
        seen = np.isfinite(keypoints).all(-1) & (confidence > 0)             # which a NaN is not
        conf, points = np.minimum(confidence, 1.), keypoints
        if not seen.all():
            conf, points = np.where(seen, conf, 0.), np.where(seen[..., None], keypoints, 0.)
        used = np.flatnonzero(self.needs.any(0))           # a whole body has 100 joints of face and hands more
        out = self.weights[:, used] @ points[..., used, :]
        lowest = np.where(self.needs[:, used], conf[..., None, used], np.inf).min(-1) * self.factor
        if self.nose >= 0:                                # head from ears: unsure ears, then the nose stands in
            weak = (lowest[..., 10] < 0.3 * self.factor[10]) & (0.5 * conf[..., self.nose] > lowest[..., 10])
            out[..., 10, :] = np.where(weak[..., None], points[..., self.nose, :], out[..., 10, :])
            lowest[..., 10] = np.where(weak, 0.5 * conf[..., self.nose], lowest[..., 10])
        return np.where((lowest > 0)[..., None], out, np.nan), lowest


def set_name(text: str) -> str:
    """The key of `JOINT_SETS` that a name means in any spelling: 'COCO-18', 'BODY_25B', 'coco_wholebody_133', ...

    Raises:
        SkeletonError: no such set.
    """
    key = _set_key(text)
    if key not in JOINT_SETS:
        names = sorted(JOINT_SETS, key=lambda n: [int(p) if p.isdigit() else p for p in re.split(r'(\d+)', n)])
        raise SkeletonError(f'joint set {text!r} is not known', f'choose one of: {", ".join(names)}')
    return key


def _set_key(text: str) -> str:
    return re.sub(r'[^a-z0-9]', '', text.lower()).replace('cocowholebody', 'wholebody')


def named_joints(given: str | Sequence[str]) -> tuple[str, ...]:
    """Joint names as a source gives them: one by one, or as the name of a set, alone in the list or without one.

    Raises:
        SkeletonError: a text that is not the name of a set.
    """
    if isinstance(given, str):
        return JOINT_SETS[set_name(given)]
    names = tuple(str(n) for n in given)
    return JOINT_SETS.get(_set_key(names[0]), names) if len(names) == 1 else names


def joint_map(names: Sequence[str]) -> JointMap:
    """Map for a source with these joint names (any spelling of left/right; see `JOINT_SETS` for known sets).

    Joints of faces, hands and feet may be among them, under any names; only those that the 17 rest on must differ.

    Raises:
        SkeletonError: a limb joint is missing or one that is needed occurs twice; the message names it.
    """
    source = tuple(str(n) for n in names)
    plain = [_plain(n) for n in source]
    count = Counter(plain)
    double = sorted(n for n in _USED if count[n] > 1)
    if double:
        raise SkeletonError(f'joint names: {", ".join(double)} given twice', 'every joint needs a name of its own')
    at = {n: plain.index(n) for n in count}
    missing = [f'{s}_{limb}' for limb in _LIMBS for s in 'lr' if f'{s}_{limb}' not in at]
    if missing:
        raise SkeletonError(f'joint names: {", ".join(missing)} missing among {len(source)} names '
                            f'({", ".join(source[:6])}, ...)',
                            'hips, knees, ankles, shoulders, elbows and wrists of both sides are needed')
    weights, factor = np.zeros((17, len(source))), np.ones(17)
    approximate = np.zeros(17, bool)

    def put(joint: int, *terms: tuple[str, float]) -> None:
        for name, w in terms:
            weights[joint, at[name]] += w

    for j, name in enumerate(JOINTS):
        if name in at:
            put(j, (name, 1.))
    for j, name in ((0, 'pelvis'), (8, 'thorax'), (7, 'spine'), (9, 'neck_nose'), (10, 'head')):
        known = [n for n in _MIDDLE[name] if n in at]
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
