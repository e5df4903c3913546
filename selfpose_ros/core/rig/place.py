# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How far a rig is predicted to be off: rotations, focal lengths and camera centres.

To what the noise of the pixels leaves comes what was held while it was solved, as one that is uncertain all the same
(consider covariance, Schmidt 1966): principal points where too few poses were seen to adjust them, lenses that were
taken for pinholes because the images tell too little of them, and joints that the 2D network puts elsewhere
(`offsets`), which weigh most with people who stay on the spot.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..cameras import Cameras
from .bundle_equations import held_parameters
from .bundle_problem import BundleProblem, BundleState
from .offsets import CENTRE_SHARE, centre_sigma, offset_variance, reduced

__all__ = ['PlaceErrors', 'place_errors']

Array = NDArray[np.float64]

#: number of poses with independent errors after which what the model of cameras, of noise and of bodies lacks makes as
#: large an error as noise does; it does not average out. Measured in rooms of the splits train and val, with principal
#: points that were adjusted
_LACKING_POSES = 128.


@dataclass(frozen=True)
class PlaceErrors:
    """Predicted errors (standard deviations) of V cameras.

    Attributes:
        rotation_deg: (V,) of the rotation relative to the first camera, root of the summed variances of the three axes,
            against a camera whose axis goes through the principal point that was assumed.
        log_focal: (V,) of the logarithm of the focal length.
        centre: (V,) of the camera's centre in the unit of the rig, root of the summed variances, after the rig is laid
            onto the true one by a similarity (two cameras: by a rigid motion).
        covariance: of the parameters of all cameras in the order of `CameraLayout`, in the frame and unit of the rig,
            and of the principal points (2 V,) px after them.
    """

    rotation_deg: Array
    log_focal: Array
    centre: Array
    covariance: Array

    def times(self, k: float) -> PlaceErrors:
        """All of them larger by a factor."""
        return PlaceErrors(self.rotation_deg * k, self.log_focal * k, self.centre * k, self.covariance * k ** 2)


def place_errors(s: BundleState, p: BundleProblem, scale: float, kind: str,
                 centre_share: float | None = None) -> PlaceErrors:
    """Of a state that a problem was adjusted to with this robust loss.

    centre_share: spread with which principal points were adjusted, too, see `offsets.centre_sigma`; None = they were
        held.
    """
    cameras, layout = s.cameras, s.cameras.layout
    if p.lens is not None and not p.hold_cameras:
        p = replace(p, lens=p.lens.with_distortion())
    if held_parameters(p)[:layout.size].all():
        none = np.zeros(layout.cameras)
        return PlaceErrors(none, none, none, np.zeros((layout.size + 2 * layout.cameras,) * 2))
    e = reduced(s, p, scale, kind, centre_share or CENTRE_SHARE)
    n, F, variance = e.free, e.held, offset_variance(e, p.temper)
    P = np.zeros((n, n))
    if centre_share is not None:
        inverse = np.linalg.pinv(e.H[:n, :n], hermitian=True)
        P += inverse * (p.temper + len(p.kp) / _LACKING_POSES)
    else:
        inverse = np.zeros((n, n))
        inverse[:F, :F] = np.linalg.pinv(e.H[:F, :F], hermitian=True)
        off = np.repeat(centre_sigma(p), 2)[e.centres]
        lacking = np.concatenate([inverse[:F, :F] @ e.H[:F, F:n] * off, -np.diag(off)])
        P += inverse * p.temper + lacking @ lacking.T
    by_offsets = inverse @ (e.H[:n, n:] * np.sqrt(variance.ravel()))
    P += by_offsets @ by_offsets.T
    # of all cameras' parameters, and principal points after them
    out, k = np.zeros((layout.size + 2 * layout.cameras,) * 2), int(e.go[:layout.size].sum())
    at = np.concatenate([np.nonzero(e.go[:layout.size])[0], layout.size + np.nonzero(e.centres)[0]])
    own = np.concatenate([np.arange(k), np.arange(F, n)])
    out[np.ix_(at, at)] = P[np.ix_(own, own)]
    return _errors(cameras, out)


def _errors(cameras: Cameras, P: Array) -> PlaceErrors:
    """From the covariance of the parameters and, after them, the principal points (2 V,) px."""
    layout, V = cameras.layout, len(cameras)
    turned, placed = np.zeros((V, 3, len(P))), np.zeros((V, 3, len(P)))
    focal = np.zeros((V, 1, len(P)))
    for v in range(V):
        at = layout.camera(v).start
        turned[v, :, at:at + 3] = np.eye(3)
        t, Rt = cameras.t[v], cameras.R[v].T
        cross = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]])
        placed[v, :, at:at + 3], placed[v, :, at + 3:at + 6] = -Rt @ cross, -Rt
        focal[v, 0, at + layout.FOCAL] = 1.
        x = layout.size + 2 * v                               # a principal point that is off turns the camera's axis
        turned[v, 0, x + 1], turned[v, 1, x] = -1 / cameras.focal[v], 1 / cameras.focal[v]
    turned = turned - (cameras.R @ cameras.R[0].T) @ turned[0]
    placed = (_apart_from_alignment(cameras.centres) @ placed.reshape(3 * V, -1)).reshape(V, 3, -1)

    def spread(A: Array) -> Array:
        return np.asarray(np.sqrt(np.maximum(np.einsum('vac,cd,vad->v', A, P, A), 0.)))
    return PlaceErrors(np.rad2deg(spread(turned)), spread(focal), spread(placed), P)


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
