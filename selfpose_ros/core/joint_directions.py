# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Which way the joints lie from each other, and what that tells of a pose as angles: normal equations.

Directions from joint to joint are compared, not places: a shoulder that is drawn up, or a bone that is measured too
long, then turns nothing. Of the lines across hips and shoulders the turn about the trunk counts alone, as in
`angles.closed_form`.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .kinematics import FIRST, LIMBS, UNKNOWNS, turned
from .observation import Skeleton3D
from .robust import robust_weight

__all__ = ['JointDirections']

Array = NDArray[np.float64]

#: a joint's place is no surer than this, m: bodies are not rigid
_LEAST_SIGMA = .005
#: from joint to joint: spine, trunk, head, upper and lower limbs; then across, from right to left: hips, shoulders
_FROM = np.array([0, 7, 8, *LIMBS[:, 0], *LIMBS[:, 1], 1, 14])
_TO = np.array([7, 8, 10, *LIMBS[:, 1], *LIMBS[:, 2], 4, 11])
_ALONG, _ACROSS = slice(0, 11), slice(11, 13)


def _turns() -> Array:
    """(13, UNKNOWNS): 1 where an unknown turns a direction."""
    out = np.zeros((len(_FROM), UNKNOWNS))
    out[:, :FIRST] = 1
    out[[1, 2, 5, 6, 9, 10, 12], FIRST:FIRST + 3] = 1
    out[2, FIRST + 3:FIRST + 5] = 1
    for limb in range(4):
        first = FIRST + 5 + 4 * limb
        out[3 + limb, first:first + 3] = 1
        out[7 + limb, first:first + 4] = 1
    return out


_TURNS = _turns()


class JointDirections:
    """Of one person at N instants.

    Args:
        skeletons: N.
        alike: errors are alike over so many instants, and count for as much less.
    """

    def __init__(self, skeletons: Sequence[Skeleton3D], alike: float = 1.) -> None:
        X, sigma = np.array([s.joints for s in skeletons]), np.array([s.own_sigma for s in skeletons])
        d = X[:, _TO] - X[:, _FROM]
        length = np.sqrt((d * d).sum(-1))
        seen = length > 1e-6                                             # False where a joint is not known
        sigma = np.maximum(np.nan_to_num(sigma, nan=1.), _LEAST_SIGMA)
        self.direction = np.where(seen[..., None], d / np.where(seen, length, 1.)[..., None], 0.)
        self.weight = np.where(seen, length / np.hypot(sigma[:, _TO], sigma[:, _FROM]), 0.) / np.sqrt(alike)

    def equations(self, pelvis: Array, angles: Array, outlier: float) -> tuple[Array, Array]:
        """Normal equations (N, UNKNOWNS, UNKNOWNS) and descent (N, UNKNOWNS) of the turn of the pelvis (world) and the
        angles.

        Args:
            pelvis: (N, 3, 3).  angles: (N, 21) rad.
            outlier: directions that are off by more than so many standard deviations count less and less (Cauchy).
        """
        N, links = len(angles), turned(pelvis, angles)
        trunk = np.stack([links.pelvis, links.torso], 1)
        at = np.concatenate([trunk[..., 2], links.head[:, None, :, 2], -links.upper[..., 2], -links.lower[..., 2],
                             trunk[..., 1]], 1)
        a, v = links.axes[:, None], at[:, :, None]
        J = np.stack([a[..., 1] * v[..., 2] - a[..., 2] * v[..., 1], a[..., 2] * v[..., 0] - a[..., 0] * v[..., 2],
                      a[..., 0] * v[..., 1] - a[..., 1] * v[..., 0]], 2) * _TURNS[:, None]
        r, weight = self.direction - at, self.weight
        across = trunk[..., 0]                                           # x, which the line has no part of
        turn = (r[:, _ACROSS] * across).sum(-1)
        squared = np.concatenate([(r[:, _ALONG] ** 2).sum(-1), turn ** 2], 1) * weight ** 2
        w = np.sqrt(robust_weight(squared, outlier, 'cauchy')) * weight
        rows = np.concatenate([(J[:, _ALONG] * w[:, _ALONG, None, None]).reshape(N, -1, UNKNOWNS),
                               (across[:, :, None] @ J[:, _ACROSS])[:, :, 0] * w[:, _ACROSS, None]], 1)
        off = np.concatenate([(r[:, _ALONG] * w[:, _ALONG, None]).reshape(N, -1), turn * w[:, _ACROSS]], 1)
        rows_t = rows.swapaxes(-1, -2)
        return rows_t @ rows, (rows_t @ off[..., None])[..., 0]
