# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Pixels, and their normal equations in a few products, against projection and derivatives one by one."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.core.cameras import Cameras
from selfpose_ros.core.pixel_equations import PixelEquations
from selfpose_ros.synthetic import ring_rig

CAMERAS = ring_rig(3, 2, distance_m=(3., 4.), room_radius_m=1.).geometry
RNG = np.random.default_rng(1)
X, VELOCITY = RNG.normal(0, .5, (2, 17, 3)), RNG.normal(0, 1., (2, 17, 3))
OFFSET = RNG.normal(0, .02, (2, 3))


@pytest.mark.parametrize('offset', [OFFSET, 0 * OFFSET])
def test_pixels_are_those_of_the_cameras_at_their_own_time(offset: np.ndarray) -> None:
    views = PixelEquations(CAMERAS, VELOCITY, offset)
    px = views.by_camera(views.project(X).px)
    assert np.abs(px - CAMERAS.project(X, offset[..., None, None] * VELOCITY[:, None])).max() < 1e-9
    assert np.array_equal(views.by_camera(views.in_rows(px)), px)


def test_sums_are_those_of_the_derivatives() -> None:
    views = PixelEquations(CAMERAS, VELOCITY, 0 * OFFSET)
    weight, residual = RNG.uniform(0, 1, (2, 3, 17)), RNG.normal(0, 5., (2, 3, 17, 2))
    weight[0, 1] = 0.
    H, g = views.system(views.project(X), views.in_rows(weight), views.in_rows(residual))
    for n in range(2):
        J = CAMERAS.project_jacobian(X[n])[1]                                # V,17,2,3
        assert np.allclose(H[n], np.einsum('vj,vjra,vjrb->jab', weight[n], J, J), rtol=1e-9)
        assert np.allclose(g[n], np.einsum('vj,vjra,vjr->ja', weight[n], J, residual[n]), rtol=1e-9, atol=1e-6)


def test_what_is_behind_a_camera_pulls_on_nothing() -> None:
    views = PixelEquations(CAMERAS, VELOCITY, 0 * OFFSET)
    behind = X + (CAMERAS.centres[0] - CAMERAS.R[0, 2]) * [1., 1., 1.]        # 1 m behind the first camera
    weight = np.zeros((2, 3, 17))
    weight[:, 0] = 1.
    H, g = views.system(views.project(np.tile(behind[:, :1], (1, 17, 1))), views.in_rows(weight),
                        np.ones((2, 34, 3)))
    assert not H.any() and not g.any()


def test_lenses_are_refused() -> None:
    c = CAMERAS
    with pytest.raises(ValueError, match='pinholes'):
        PixelEquations(Cameras(c.R, c.t, c.focal, c.centre, np.full((3, 2), .1)), VELOCITY, OFFSET)
