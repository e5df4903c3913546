# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How far a rig is predicted to be off: rotations, focal lengths and camera centres.

To what the noise of the pixels leaves comes what was held while it was solved, as one that is uncertain all the same
(consider covariance, Schmidt 1966): the principal points, which lie somewhere near the middle of an image, lenses
that were taken for pinholes because the images tell too little of them, and joints that the 2D network puts elsewhere
(`offsets`), which weigh most with people who stay on the spot.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..cameras import Cameras
from .bundle import BundleProblem, BundleState, held_parameters
from .offsets import offset_variance, reduced

__all__ = ['PlaceErrors', 'place_errors']

Array = NDArray[np.float64]

#: standard deviation of a principal point along each axis, as a share of the longer side of the image: those of webcams
#: and phones lie up to 2 % off the middle
_CENTRE_SHARE = .012


@dataclass(frozen=True)
class PlaceErrors:
    """Predicted errors (standard deviations) of V cameras.

    Attributes:
        rotation_deg: (V,) of the rotation relative to the first camera, root of the summed variances of the three axes,
            against a camera whose axis goes through the principal point that was assumed.
        log_focal: (V,) of the logarithm of the focal length.
        centre: (V,) of the camera's centre in the unit of the rig, root of the summed variances, after the rig is laid
            onto the true one by a similarity (two cameras: by a rigid motion).
    """

    rotation_deg: Array
    log_focal: Array
    centre: Array

    def times(self, k: float) -> PlaceErrors:
        """All of them larger by a factor."""
        return PlaceErrors(self.rotation_deg * k, self.log_focal * k, self.centre * k)


def place_errors(s: BundleState, p: BundleProblem, scale: float, kind: str) -> PlaceErrors:
    """Of a state that a problem was adjusted to with this robust loss."""
    cameras, layout = s.cameras, s.cameras.layout
    if p.lens is not None and not p.hold_cameras:
        p = replace(p, lens=p.lens.with_distortion())
    if held_parameters(p)[:layout.size].all():
        return PlaceErrors(*np.zeros((3, layout.cameras)))
    e = reduced(s, p, scale, kind)
    F, free = e.free, e.go[:layout.size]
    k = int(free.sum())
    variance = offset_variance(e, p.temper)
    inverse = np.linalg.pinv(e.H[:F, :F], hermitian=True)[:k]
    by_offsets = inverse @ (e.H[:F, F:] * np.sqrt(variance.ravel()))
    own, moved = np.zeros((layout.size, layout.size)), np.zeros((layout.size, 2 * layout.cameras))
    own[np.ix_(free, free)] = inverse[:, :k] * p.temper + by_offsets @ by_offsets.T
    moved[free] = inverse @ e.by_centre                   # by the principal points
    side = np.full(layout.cameras, 2 * cameras.centre.max()) if p.lens is None else p.lens.longer
    off = np.where(p.log_focal_sigma > 0, _CENTRE_SHARE * side, 0.)
    return _errors(cameras, own, moved * np.repeat(off, 2), off)


def _errors(cameras: Cameras, own: Array, moved: Array, off: Array) -> PlaceErrors:
    """From the covariance of the parameters, and how they move (C, 2 V) with principal points that are off by one sigma
    (V,) px.
    """
    layout, V = cameras.layout, len(cameras)
    turned, placed = np.zeros((V, 3, layout.size)), np.zeros((V, 3, layout.size))
    focal = np.zeros((V, layout.size))
    axis = np.zeros((V, 3, 2 * V))                            # a principal point that is off turns the camera's axis
    for v in range(V):
        at = layout.camera(v).start
        turned[v, :, at:at + 3] = np.eye(3)
        t, Rt = cameras.t[v], cameras.R[v].T
        cross = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]])
        placed[v, :, at:at + 3], placed[v, :, at + 3:at + 6] = -Rt @ cross, -Rt
        focal[v, at + layout.FOCAL] = 1.
        axis[v, 0, 2 * v + 1], axis[v, 1, 2 * v] = -off[v] / cameras.focal[v], off[v] / cameras.focal[v]
    by_centre = turned @ moved - axis
    relative = cameras.R @ cameras.R[0].T
    turned, by_centre = turned - relative @ turned[0], by_centre - relative @ by_centre[0]
    keep = _apart_from_alignment(cameras.centres)
    placed = (keep @ placed.reshape(3 * V, -1)).reshape(V, 3, -1)

    def spread(A: Array, B: Array) -> Array:
        return np.asarray(np.sqrt(np.einsum('vac,cd,vad->v', A, own, A) + (B * B).sum((1, 2))))
    return PlaceErrors(np.rad2deg(spread(turned, by_centre)), spread(focal[:, None], (focal @ moved)[:, None]),
                       spread(placed, placed @ moved))


def _apart_from_alignment(centres: Array) -> Array:
    """Matrix (3 V, 3 V) that takes from movements of points (V, 3) what a similarity does to all of them, or, of two
    points, a rigid motion.
    """
    d = centres - centres.mean(0)
    basis = [np.tile(e, (len(d), 1)) for e in np.eye(3)] + [np.cross(e, d) for e in np.eye(3)]
    if len(d) > 2:
        basis.append(d)
    B = np.stack([b.ravel() for b in basis], 1)
    return np.asarray(np.eye(3 * len(d)) - B @ np.linalg.pinv(B))
