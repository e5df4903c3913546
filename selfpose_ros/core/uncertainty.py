# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""From a covariance to what is published: sigma, confidence, or that a joint is not known; live and off line alike.

Filter and smoother work out the spread that the noise of the pixels leaves. To that comes what all joints have in
common: the cameras' own error, and, where one camera is left, the distance. The numbers lie between
those that the filter and the smoother had before, each its own; they were checked, not fitted, with
`selfpose benchmark --motion mocap17_val.npz --rows sigma` (errors within one sigma, one similarity a clip).
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .rig_model import RigModel

__all__ = ['UNKNOWN_M', 'Uncertainty', 'by_cameras', 'place_sigma', 'uncertainty']

Array = NDArray[np.float64]

#: errors of successive frames are taken for less alike than they are: true spread over that of filter and smoother
_SPREAD = 1.1
#: how far off a body is for each radian that the cameras may be, m; with lifted poses alone the filter has most of it
_OFF_M_PER_RAD, _LIFTED_OFF_M_PER_RAD = .17, .09
#: sigma at which confidence is one half, m
_HALF_M = .06
#: a joint less certain than this is not known, m
UNKNOWN_M = .30
#: one camera tells the distance by the body's size alone: relative error, and how fast the place becomes unsure, m/s
_SIZE, _UNSURE_M_S = .06, .25


@dataclass(frozen=True)
class Uncertainty:
    """Of some joints: sigma (..., 17) m per axis, confidence (..., 17) 0..1 and whether they are known (..., 17)."""

    sigma: Array
    confidence: Array
    known: NDArray[np.bool_]


def uncertainty(spread: Array, model: RigModel) -> Uncertainty:
    """What is published of joints with a posterior standard deviation per axis (..., 17) m in the frame of a rig."""
    lever = _LIFTED_OFF_M_PER_RAD if model.lifted else _OFF_M_PER_RAD
    sigma = np.hypot(_SPREAD * spread, lever * np.deg2rad(float(model.rotation_sigma_deg.max())))
    known = sigma < UNKNOWN_M
    return Uncertainty(sigma, np.where(known, 1 / (1 + (sigma / _HALF_M) ** 2), 0.), known)


def by_cameras(x: Array, seen: NDArray[np.bool_], model: RigModel) -> Array:
    """(N,) m per axis: how far off whole bodies x (N, 17, 3) m may be because the cameras that see them, (N, V), are;
    0 where fewer than two do, see `place_sigma`. Cameras that hardly tell the distance leave it to the body's size.
    """
    if model.place is None:
        return np.zeros(len(x))
    middle = x.mean(1)
    far = np.where(seen, np.abs(model.geometry.depth(middle[:, None])[..., 0]), np.inf).min(1)
    return np.minimum(model.place.sigma(model.geometry, middle, seen), _SIZE * far / np.sqrt(3))


def place_sigma(x: Array, model: RigModel, camera: int, alone_s: float) -> float:
    """What one camera leaves open of where a body x (17, 3) m is, all of its joints together, m per axis.

    alone_s: since two cameras saw it.
    """
    far = float(model.R[camera, 2] @ x[0] + model.t[camera, 2])
    size = min(_SIZE * abs(far), _UNSURE_M_S * alone_s)
    # a guessed focal length stretches everything along the view, from where the body was seen first
    stretched = model.depth_sigma * abs(float((x.mean(0) - model.origin) @ model.R[0, 2]))
    return float(np.hypot(size, stretched) / np.sqrt(3))
