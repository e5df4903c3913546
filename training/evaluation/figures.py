# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Figures of poses against the truth, and whether their sigmas are calibrated."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import metrics

__all__ = ['Figures', 'SigmaCalibration', 'figures', 'sigma_calibration']

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """Means over poses, mm, per cent, or 0..300 for `cps`; definitions in `metrics`.

    Attributes:
        n_mpjpe: scaled by least squares.  n_mpjpe_ratio: by the ratio of norms.
        pa_mpjpe: after a similarity.  pa_mpjpe_mirrored: reflection allowed.
        n_pck: joints below 150 mm, and auc: below 0..150 mm, scaled by least squares.
        cps: correct-pose score.
    """

    n_mpjpe: float
    n_mpjpe_ratio: float
    pa_mpjpe: float
    pa_mpjpe_mirrored: float
    n_pck: float
    auc: float
    cps: float


def figures(poses: Array, true: Array) -> Figures:
    """Figures of poses (N, J, 3) of any size against the truth (N, J, 3) mm; joint 0 is the root.

    Joints whose truth is NaN do not count, nor for the scale and place of their pose; the root must be known.
    """
    known = np.isfinite(true).all(-1)
    p, g = (_filled(a, known, a[:, :1]) for a in (poses, true))
    errors = metrics.joint_errors(metrics.scaled(p, g), g)[known]
    ratio = metrics.joint_errors(metrics.scaled(p, g, 'norm ratio'), g)
    p, g = (_filled(a, known, _middle(a, known)) for a in (poses, true))
    pa, mirrored = metrics.pa_errors(p, g), metrics.pa_errors(p, g, reflection=True)
    return Figures(float(errors.mean()), float(ratio[known].mean()), float(pa[known].mean()),
                   float(mirrored[known].mean()), float(metrics.pck(errors)), metrics.auc(errors), metrics.cps(pa))


def _filled(poses: Array, known: NDArray[np.bool_], instead: Array) -> Array:
    """Poses (N, J, 3) with a point (N, 1, 3) in place of what is not known: one that no sum feels."""
    return np.where(known[..., None], poses, instead)


def _middle(poses: Array, known: NDArray[np.bool_]) -> Array:
    there = known[..., None]
    return np.asarray(np.where(there, poses, 0.).sum(1, keepdims=True) / np.maximum(there.sum(1, keepdims=True), 1))


class SigmaCalibration(NamedTuple):
    """Errors along an axis against sigma: how many are below 1 sigma, sums of the squares of both, number of errors."""

    below: float
    errors: float
    sigmas: float
    number: int

    @property
    def within(self) -> float:
        """Share of errors within 1 sigma."""
        return self.below / self.number

    @property
    def ratio(self) -> float:
        """Root mean square of the errors over that of the sigmas."""
        return float(np.sqrt(self.errors / self.sigmas))

    @classmethod
    def of_all(cls, parts: Sequence[SigmaCalibration]) -> SigmaCalibration:
        """Of several parts together."""
        return cls(*(sum(column) for column in zip(*parts, strict=True)))


def sigma_calibration(poses: Array, sigma: Array, true: Array) -> SigmaCalibration:
    """Of poses (N, J, 3), sigma (N, J), as `figures` takes them; the root, which has no error, does not count."""
    known = np.isfinite(true).all(-1)
    poses, true = (_filled(a, known, a[:, :1]) for a in (poses, true))
    scaled = metrics.scaled(poses, true)
    size = np.linalg.norm(scaled, axis=(1, 2)) / np.maximum(np.linalg.norm(poses - poses[:, :1], axis=(1, 2)), 1e-12)
    counts = known[:, 1:]
    error = np.abs(scaled - metrics.centred(true))[:, 1:][counts]
    scale = np.broadcast_to((sigma * size[:, None])[:, 1:, None], (*counts.shape, 3))[counts]
    return SigmaCalibration(float((error <= scale).sum()), float((error**2).sum()), float((scale**2).sum()), error.size)
