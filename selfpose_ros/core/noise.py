# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a 2D network's errors are like, as a function of its confidences.

A confidence is only a number until it is known what error goes with it: networks differ by an order of magnitude, and
some (MediaPipe) give little of their outliers away. `rig.calibrate_noise` measures it per recording.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ['NoiseModel']

Array = NDArray[np.float64]

#: px per pixel of image side and unit confidence, before anything is known: about 5 px in a 1000 px image
_PRIOR_SHARE = 0.005


@dataclass(frozen=True)
class NoiseModel:
    """Standard deviation of a 2D joint, px, as a function of its confidence.

    Attributes:
        confidence, sigma_px: (K,) knots, interpolated in the logarithm; sigma does not rise with confidence.
        correlation: of the error from one frame to the next at frame_s seconds.
        measured: False for the prior.
    """

    confidence: Array
    sigma_px: Array
    correlation: float = .6
    frame_s: float = .04
    measured: bool = False

    @classmethod
    def prior(cls, image_size: ArrayLike) -> NoiseModel:
        """Before anything is known: a fixed share of the image's side, growing with falling confidence."""
        side = float(np.mean(np.max(np.atleast_2d(image_size), axis=1)))
        c = np.array([.02, .1, .3, .5, .7, 1.])
        return cls(c, _PRIOR_SHARE * side / c)

    def sigma(self, confidence: Array) -> Array:
        """(...) confidences -> px; inf where the confidence is 0."""
        s = np.exp(np.interp(confidence, self.confidence, self._log_sigma))
        return np.where(confidence > 0, s, np.inf)

    @cached_property
    def _log_sigma(self) -> Array:
        with np.errstate(divide='ignore'):
            return np.asarray(np.log(self.sigma_px))

    def correlation_at(self, step_s: float) -> float:
        """Correlation of the error between frames that are `step_s` apart."""
        return float(self.correlation ** max(step_s / max(self.frame_s, 1e-3), .05))
