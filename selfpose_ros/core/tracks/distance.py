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
#: (17, 3) which joints belong to the trunk, the arms, the legs
_PARTS = np.stack([[float(j not in arms and j not in legs), float(j in arms), float(j in legs)]
                   for arms, legs in [(SWAP_GROUPS['arms'], SWAP_GROUPS['legs'])] for j in range(17)])


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
        are exchanged. Of several views at once: all with the views in front.
    """
    scale = size[..., :, None]
    if not np.isfinite(size).all():
        scale = np.where(np.isfinite(scale), scale, person_size(keypoints, confidence)[..., None, :])
    have = np.isfinite(known).all(-1)
    known = np.where(have[..., None], known, 0.)
    sure = np.nan_to_num(confidence)
    points = np.where(sure[..., None] > 0, np.nan_to_num(keypoints), 0.)

    def compare(theirs: Array, sure: Array) -> tuple[Array, Array, Array]:
        """Per part of the body: sum of distances, of weights, and the number of joints, each (..., N, P, 3)."""
        off = known[..., :, None, :, :] - theirs[..., None, :, :, :]
        far = np.minimum(np.sqrt((off * off).sum(-1)) / scale[..., None], _CAP)
        w = have[..., :, None, :] * sure[..., None, :, :]
        return (w * far) @ _PARTS, w @ _PARTS, (w > 0) @ _PARTS

    here, there = compare(points, sure), compare(points[..., _MIRROR, :], sure[..., _MIRROR])
    # a clear gain only: people seen from the side would change sides all the time
    swap = there[0] * here[1] < .7 * here[0] * there[1]
    total, weight, shared = (np.where(swap, y, x).sum(-1) for x, y in zip(here, there, strict=True))
    with np.errstate(invalid='ignore'):
        enough = (shared >= MIN_JOINTS) & (weight > 0) & np.isfinite(total)
    return np.where(enough, total / np.maximum(weight, 1e-12), np.inf), swap[..., 1:]
