# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Bones of a solved rig: how constant they are, and what noise does to their lengths."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from problems import exact, near_and_far, noisy

from selfpose_ros.core.body import BONE_A, BONE_B
from selfpose_ros.core.noise import NoiseModel
from selfpose_ros.core.rig.bones import bone_stretch, measure_bone_sigma
from selfpose_ros.core.rig.bundle import adjust
from selfpose_ros.core.rig.bundle_problem import bone_vectors
from selfpose_ros.core.rig.refinement import refine

Array = NDArray[np.float64]


def test_bones_that_keep_their_length_are_told_from_those_that_do_not() -> None:
    """Motion capture: at the floor of 10 mm; a detector whose right hip wanders along the thigh by 30 mm: to 40 %,
    on both sides, as nobody knows which hip wanders tomorrow.
    """
    p, s = noisy(2.)
    assert measure_bone_sigma(s, p).max() < .013
    _, q, truth = exact(4, 60, 2, sigma_px=5., fps=10.)
    X = truth.X.copy()
    u = X[:, 2] - X[:, 1]
    X[:, 1] += .03 * np.random.default_rng(1).normal(size=(60, 1)) * u / np.linalg.norm(u, axis=-1, keepdims=True)
    z = X[:, None] @ np.swapaxes(truth.cameras.R, 1, 2) + truth.cameras.t[:, None]
    kp = z[..., :2] / z[..., 2:] * truth.cameras.focal[:, None, None] + q.centre[:, None]
    q = replace(q, kp=kp, sigma=np.full_like(q.sigma, 2.))
    sigma = measure_bone_sigma(replace(truth, X=X), q)
    thighs = [k for k in range(16) if (BONE_A[k], BONE_B[k]) in ((1, 2), (4, 5))]
    assert sigma[thighs].tolist() == pytest.approx([.03, .03], rel=.4)


def test_noise_lengthens_bones_as_predicted() -> None:
    """Joints triangulated each by itself, with 12 px of noise: bones come out longer by 1 to 40 %, by limb; predicted
    from one picture of the noise, on average over the bones to a fifth.
    """
    _, p, s = exact(3, 80, 2, sigma_px=12., fps=10.)
    rng = np.random.default_rng(3)
    loose = replace(p, bone_sigma=np.full(16, 10.), sigma=np.full_like(p.sigma, 12.))
    lengths = []
    for _ in range(4):
        q = replace(loose, kp=p.kp + 12. * rng.normal(size=p.kp.shape))
        X = adjust(s, q, points_only=True, covariance=False, scale=20., tolerance=1e-9).state.X
        lengths.append(bone_vectors(X)[0])
    longer = np.mean(lengths, (0, 1)) / s.bones - 1
    told = bone_stretch(s, loose, 8., 'gm').mean(0)
    assert .03 < longer.mean() and told.mean() == pytest.approx(longer.mean(), rel=.2)
    assert np.corrcoef(told, longer)[0, 1] > .9


def test_who_is_lost_in_the_noise_at_the_far_end_spoils_no_focal_length() -> None:
    p, s = near_and_far(1)
    size = np.full((3, 2), 1000)
    r = refine(s, p, size, np.arange(len(p.kp)) * .5, np.ones(p.sigma.shape), [np.arange(len(p.kp))],
               NoiseModel.prior(size))
    off = np.log(r.result.state.cameras.focal / 900.)
    assert np.abs(off).max() < .05
