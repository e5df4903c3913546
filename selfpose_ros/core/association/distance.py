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
#: (34,) joints twice: as they are, and as they are and then with the sides exchanged
_SAME, _EITHER = np.r_[range(17), range(17)], np.r_[range(17), MIRROR]
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
    kx, ky, px, py = known[..., 0], known[..., 1], keypoints[..., 0], keypoints[..., 1]
    have, seen = np.isfinite(kx) & np.isfinite(ky), confidence > 0
    # all joints as seen and then all with the sides exchanged: one comparison for both
    kx, ky, mine = (np.where(have, a, 0.)[..., :, None, _SAME] for a in (kx, ky, 1.))
    px, py, theirs = (np.where(seen, a, 0.)[..., None, :, _EITHER] for a in (px, py, confidence))
    weight = mine * theirs
    far, y = kx - px, ky - py                       # in place from here on: these are the largest arrays of a tick
    far *= far
    y *= y
    far += y
    np.sqrt(far, out=far)
    far /= scale[..., None]
    np.minimum(far, _CAP, out=far)
    far *= weight
    (total, total2), (weights, weights2), (shared, shared2) = _by_part(far), _by_part(weight), _by_part(weight > 0)
    # a clear gain only: people seen from the side would change sides all the time
    swap = total2 * weights < .7 * total * weights2
    total, weights, shared = (np.where(swap, b, a).sum(0) for a, b in (
        (total, total2), (weights, weights2), (shared, shared2)))
    with np.errstate(invalid='ignore'):
        enough = (shared >= MIN_JOINTS) & (weights > 0) & np.isfinite(total)
    return np.where(enough, total / np.maximum(weights, 1e-12), np.inf), np.moveaxis(swap[1:], 0, -1)


def _by_part(x: Array | NDArray[np.bool_]) -> tuple[Array, Array]:
    """Sums (3, ...) over the joints of each part of the body: of the first 17 values and of the others in (..., 34)."""
    sums = (_PARTS.T @ x.reshape(-1, 17).T).reshape(3, *x.shape[:-1], 2)
    return sums[..., 0], sums[..., 1]
