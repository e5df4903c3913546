# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Flights in what cameras saw, with the rig that was found: bodies are triangulated instant by instant for them."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..fusion.triangulation import triangulate
from ..robust import robust_weight
from .bundle_equations import linearise
from .bundle_problem import BundleState
from .flight import CENTRE_OF_MASS, Flight, flights
from .solver import Solution, Tracks, problem_of

__all__ = ['flights_of']

Array = NDArray[np.float64]

#: a joint that is not measured lies this near to where it was measured before and after, of the unit of length
_UNSEEN = .06
#: fewer instants have no flight
_FEWEST = 12


def flights_of(tracks: Tracks, solution: Solution) -> tuple[Flight, ...]:
    """Flights in tracks that follow the motion (not a selection of their instants), with the cameras of a solution."""
    p = problem_of(tracks, solution.noise)
    cameras = solution.state.cameras
    X = triangulate(cameras.rays(p.kp), cameras.ray_weight(p.sigma), cameras.R, cameras.t, rounds=4, scale=4.)
    out: list[Flight] = []
    for k, of in enumerate(tracks.pieces):
        if len(of) < _FEWEST:
            continue
        found, known = _filled(X[of], tracks.stamp[of])
        if not known.any(0).all():
            continue
        piece = p.take(of)  # type: ignore[arg-type]
        r, JX, _ = linearise(BundleState(cameras, found, solution.bones), piece)
        weight = robust_weight((r * r).sum(-1), 4.)
        H = np.einsum('nvjka,nvjkb,nvj->njab', JX, JX, weight, optimize=True) + np.eye(3) / _UNSEEN ** 2
        covariance = np.einsum('njab,j->nab', np.linalg.inv(H), CENTRE_OF_MASS ** 2)
        out += flights(found, tracks.stamp[of], covariance, solution.noise.correlation_at, k)
    return tuple(out)


def _filled(X: Array, stamp: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Joints (N, 17, 3) with what is not known between what is, and (N, 17) what was."""
    known = np.isfinite(X).all(-1)
    out = np.where(known[..., None], X, 0.)
    for j in range(17):
        have = np.flatnonzero(known[:, j])
        if 0 < len(have) < len(X):
            for a in range(3):
                out[:, j, a] = np.interp(stamp, stamp[have], X[have, j, a])
        elif not len(have):
            out[:, j] = out[:, 0]
    return out, known


