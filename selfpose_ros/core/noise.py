# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a 2D network's errors are like, as a function of its confidences.

A confidence is only a number until it is known what error goes with it: networks differ by an order of magnitude, and
some (MediaPipe) give little of their outliers away. `rig.calibrate_noise` measures it per recording.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ObservationError

__all__ = ['LEAST_SHARE', 'Accuracy', 'NoiseModel']

Array = NDArray[np.float64]

#: px per pixel of image side and unit confidence, before anything is known: about 5 px in a 1000 px image
_PRIOR_SHARE = 0.005
#: confidences at which a prior has its knots
_PRIOR_KNOTS = np.array([.02, .1, .3, .5, .7, 1.])
#: knots that an accuracy may have, and the range of its sigmas: below lies no 2D network, above is no body
_MOST_KNOTS, LEAST_SHARE, _MOST_SHARE = 64, 1e-4, 1.


@dataclass(frozen=True)
class Accuracy:
    """What error goes with a 2D network's confidences, as its model card has it.

    Errors grow with the person: a network that looks at a crop around somebody errs by a share of him.

    Attributes:
        confidence: (K,) knots, rising, in 0..1.
        sigma: (K,) standard deviation along an axis from the median error, share of `association.distance.person_size`,
            which is about the standing height; it does not rise with the confidence. Interpolated in the logarithm.

    Raises:
        ObservationError: the two do not fit together, or are none such.
    """

    confidence: tuple[float, ...]
    sigma: tuple[float, ...]

    def __post_init__(self) -> None:
        c, s = np.array(self.confidence, float), np.array(self.sigma, float)
        if not (c.ndim == s.ndim == 1 and 1 <= len(c) == len(s) <= _MOST_KNOTS):
            raise ObservationError(f'accuracy: {c.shape} confidences and {s.shape} sigmas',
                                   f'give as many of one as of the other, 1 to {_MOST_KNOTS}')
        if not (c[0] >= 0 and c[-1] <= 1 and (np.diff(c) > 0).all()):
            raise ObservationError('accuracy: confidences must rise, from 0 or more to 1 or less')
        if not (s.min() >= LEAST_SHARE and s.max() <= _MOST_SHARE and (np.diff(s) <= 0).all()):
            raise ObservationError('accuracy: sigmas are shares of the height of a person, which do not rise with the '
                                   f'confidence, {LEAST_SHARE:g} to {_MOST_SHARE:g}')
        object.__setattr__(self, 'confidence', tuple(c.tolist()))
        object.__setattr__(self, 'sigma', tuple(s.tolist()))

    def share(self, confidence: Array) -> Array:
        """(...) confidences -> sigma, share of the person's size."""
        return np.exp(np.interp(confidence, self.confidence, np.log(self.sigma)))


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
    def prior(cls, image_size: ArrayLike, accuracy: Sequence[Accuracy | None] = (),
              size_px: ArrayLike = ()) -> NoiseModel:
        """Before anything is measured: what the cards of the networks say; else a fixed share of the image's side,
        growing with falling confidence. Of cameras that differ the mean, in the logarithm.

        Args:
            image_size: (V, 2) px.
            accuracy: (V,) of each camera's network, None = not known; empty: of none.
            size_px: (V,) how large people are in each camera, see `association.distance.person_size`; NaN = not known.
        """
        side = float(np.mean(np.max(np.atleast_2d(image_size), axis=1)))
        given = [(a, float(s)) for a, s in zip(accuracy, np.ravel(size_px), strict=True)
                if a is not None and np.isfinite(s)]
        if not given:
            return cls(_PRIOR_KNOTS, _PRIOR_SHARE * side / _PRIOR_KNOTS)
        c = np.unique(np.concatenate([_PRIOR_KNOTS, *(a.confidence for a, _ in given)]).clip(_PRIOR_KNOTS[0]))
        guess = np.log(_PRIOR_SHARE * side / c)
        curves = [np.log(a.share(c) * s) for a, s in given]
        return cls(c, np.exp(np.mean([*curves, *[guess] * (len(accuracy) - len(given))], axis=0)))

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
