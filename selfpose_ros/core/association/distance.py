# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How far two 2D poses are from each other, in body sizes: one bad limb or exchanged sides must not decide it."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..skeleton import MIRROR, SWAP_GROUPS

__all__ = ['MIN_JOINTS', 'person_size', 'pose_distance']

Array = NDArray[np.float64]

MIN_JOINTS = 4                          # poses that share fewer joints are not compared
_CAP = .5                               # a joint half a body away is wrong; how wrong does not matter
_MIRROR = np.array(MIRROR)
_SIDES = tuple(np.array(g) for g in SWAP_GROUPS.values())
_TRUNK = np.array([j for j in range(17) if all(j not in g for g in SWAP_GROUPS.values())])


def person_size(keypoints: Array, confidence: Array) -> Array:
    """Size of people (..., 17, 2) px with confidences (..., 17): (...) px; NaN with fewer than 4 joints.

    It is 3.4 times the spread of the joints, which is about the standing height of somebody upright.
    """
    w = np.where(np.isfinite(keypoints).all(-1), confidence, 0.)
    points = np.where(w[..., None] > 0, keypoints, 0.)
    total = np.maximum(w.sum(-1), 1e-9)[..., None]
    mean = (w[..., None] * points).sum(-2) / total
    off = points - mean[..., None, :]
    spread = np.sqrt((w[..., None] * off * off).sum(-2).sum(-1) / total[..., 0])
    return np.where((w > 0).sum(-1) >= MIN_JOINTS, np.maximum(3.4 * spread, 1.), np.nan)


def pose_distance(
    known: Array, size: Array, keypoints: Array, confidence: Array,
) -> tuple[Array, NDArray[np.bool_]]:
    """Distances of N expected poses from P detected ones.

    Mean distance of the joints that both have, weighted by confidence, each capped at half a body. Arms and legs
    may each be exchanged left for right where that is clearly nearer.

    Args:
        known: (N, 17, 2) px, NaN = unknown.  size: (N,) px, `person_size`; NaN = take that of the detection.
        keypoints: (P, 17, 2) px, NaN = not seen.  confidence: (P, 17).

    Returns:
        (N, P) distance in body sizes, inf when fewer than 4 joints are shared; and (N, P, 2) whether arms and legs
        are exchanged.
    """
    other = person_size(keypoints, confidence)
    scale = np.where(np.isfinite(size)[:, None], size[:, None], other[None])[..., None]
    swapped = np.zeros((len(known), len(keypoints), len(_SIDES)), bool)

    def compare(joints: NDArray[np.int64], theirs: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        d = known[:, None, joints] - keypoints[None, :, theirs]
        far = np.sqrt((d * d).sum(-1)) / scale
        w = np.where(np.isfinite(far), confidence[None, :, theirs], 0.)
        far = np.minimum(np.where(w > 0, far, 0.), _CAP)
        return (w * far).sum(-1), w.sum(-1), (w > 0).sum(-1)

    with np.errstate(invalid='ignore'):
        total, weight, shared = compare(_TRUNK, _TRUNK)
        for k, side in enumerate(_SIDES):
            here, there = compare(side, side), compare(side, _MIRROR[side])
            # a clear gain only: people seen from the side would change sides all the time
            swap = there[0] * here[1] < .7 * here[0] * there[1]
            swapped[..., k] = swap
            total = total + np.where(swap, there[0], here[0])
            weight = weight + np.where(swap, there[1], here[1])
            shared = shared + np.where(swap, there[2], here[2])
    enough = (shared >= MIN_JOINTS) & (weight > 0)
    return np.where(enough, total / np.maximum(weight, 1e-12), np.inf), swapped
