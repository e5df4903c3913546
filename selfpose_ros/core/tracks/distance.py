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
    x, y = keypoints[..., 0], keypoints[..., 1]
    w = np.where(np.isfinite(x) & np.isfinite(y), confidence, 0.)
    seen = w > 0
    total = np.maximum(w.sum(-1), 1e-9)
    spread = np.zeros(total.shape)
    for axis in (x, y):
        at = np.where(seen, axis, 0.)
        off = at - ((w * at).sum(-1) / total)[..., None]
        spread += (w * off * off).sum(-1)
    return np.where(seen.sum(-1) >= MIN_JOINTS, np.maximum(3.4 * np.sqrt(spread / total), 1.), np.nan)


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
    kx, ky = known[..., 0], known[..., 1]
    have = np.isfinite(kx) & np.isfinite(ky)
    sure = np.nan_to_num(confidence)
    # as seen, and with sides exchanged, in front: one comparison for both
    either = np.stack([sure, sure[..., _MIRROR]])
    weight = have[..., :, None, :] * either[..., None, :, :]
    square = np.zeros(weight.shape)
    for mine, theirs in ((kx, keypoints[..., 0]), (ky, keypoints[..., 1])):
        theirs = np.where(sure > 0, np.nan_to_num(theirs), 0.)
        off = np.where(have, mine, 0.)[..., :, None, :] - np.stack([theirs, theirs[..., _MIRROR]])[..., None, :, :]
        square += off * off
    far = np.minimum(np.sqrt(square) / scale[..., None], _CAP)
    total, weights, shared = _by_part(weight * far), _by_part(weight), _by_part(weight > 0)
    # a clear gain only: people seen from the side would change sides all the time
    swap = total[1] * weights[0] < .7 * total[0] * weights[1]
    total, weights, shared = (np.where(swap, x[1], x[0]).sum(-1) for x in (total, weights, shared))
    with np.errstate(invalid='ignore'):
        enough = (shared >= MIN_JOINTS) & (weights > 0) & np.isfinite(total)
    return np.where(enough, total / np.maximum(weights, 1e-12), np.inf), swap[..., 1:]


def _by_part(x: Array | NDArray[np.bool_]) -> Array:
    """Sums (..., 3) over the joints of each part of the body, of (..., 17)."""
    return np.asarray((x.reshape(-1, 17) @ _PARTS).reshape(*x.shape[:-1], 3))
