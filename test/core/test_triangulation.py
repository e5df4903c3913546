# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Triangulation: exact without noise, NaN where it cannot know, robust, and as good as least squares on pixels."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import of_cameras, rays_of
from scipy.optimize import least_squares, minimize

from selfpose_ros.core.fusion.triangulation import triangulate
from selfpose_ros.synthetic import ring_rig, walker

Array = NDArray[np.float64]


@pytest.mark.parametrize('views', [2, 3, 8])
@pytest.mark.parametrize('scale', [0., 4.])
def test_exact_rays_give_exact_points(views: int, scale: float) -> None:
    """To a micrometre (measured 7e-9 m: the guard against singular systems), robustly or not."""
    rig, X = ring_rig(views, 1), walker(1., 10, 1)
    rays = rays_of(X, rig)
    out = triangulate(rays, np.full(rays.shape[:3], 1e4), rig.R, rig.t, scale=scale, rounds=4)
    assert np.abs(out - X).max() < 1e-6


def test_fewer_than_two_views_know_nothing() -> None:
    """NaN with one view or none; numbers in the place of what was not seen do not matter, not even huge ones."""
    rig, X = ring_rig(3, 1), walker(1., 4, 1)
    rays = rays_of(X, rig)
    w = np.full(rays.shape[:3], 1e4)
    w[:, 1:, 4] = 0.
    w[:, :, 5] = 0.
    w[:, 0, 6] = 0.
    rays[w == 0] = 1e6
    out = triangulate(rays, w, rig.R, rig.t, scale=4.)
    assert np.isnan(out[:, [4, 5]]).all()
    others = [j for j in range(17) if j not in (4, 5)]
    assert np.abs(out[:, others] - X[:, others]).max() < 1e-6


def test_one_camera_that_is_wrong_is_outvoted() -> None:
    """Of five cameras one sees a wrist 0.1 (100 px) elsewhere: 5 mm with the robust loss (measured 0.2), 260
    without it.
    """
    rig, X = ring_rig(5, 2), walker(1., 5, 2)
    rays = rays_of(X, rig)
    rays[:, 3, 16] += [.1, .05]
    w = np.full(rays.shape[:3], 1 / .003 ** 2)
    robust = triangulate(rays, w, rig.R, rig.t, scale=5., rounds=8)
    plain = triangulate(rays, w, rig.R, rig.t, rounds=8)
    far = [float(np.linalg.norm(x[:, 16] - X[:, 16], axis=-1).max()) for x in (robust, plain)]
    assert far[0] < .005 and far[1] > .1


def test_it_is_about_the_least_squares_solution_in_the_image() -> None:
    """Against Levenberg-Marquardt on the reprojection error, per joint: 3 % of the noise (measured 1 %)."""
    rig, X = ring_rig(4, 3), walker(1., 2, 3)[:1]
    rng = np.random.default_rng(0)
    s = rng.uniform(.001, .01, (1, 4, 17))
    rays = rays_of(X, rig) + rng.normal(size=(1, 4, 17, 2)) * s[..., None]
    out = triangulate(rays, s ** -2., rig.R, rig.t, rounds=6)[0]
    for j in range(17):
        def residual(x: Array, j: int = j) -> Array:
            c = x @ np.swapaxes(rig.R, 1, 2) + rig.t
            return ((c[:, :2] / c[:, 2:] - rays[0, :, j]) / s[0, :, j, None]).ravel()
        best = least_squares(residual, X[0, j], method='lm').x
        assert np.linalg.norm(out[j] - best) < .03 * np.linalg.norm(best - X[0, j]) + 1e-4


def test_weights_follow_the_noise() -> None:
    """A camera of ten times the noise, weighted accordingly, costs nothing; weighted alike three quarters of the
    accuracy (11 and 43 mm).
    """
    rig, X = ring_rig(4, 3), walker(4., 10, 3)
    rng = np.random.default_rng(1)
    s = np.array([.002, .002, .02, .002])[None, :, None]
    rays = rays_of(X, rig) + rng.normal(size=(len(X), 4, 17, 2)) * s[..., None]
    w = np.broadcast_to(s ** -2., rays.shape[:3])
    found = [triangulate(rays, k, rig.R, rig.t) for k in (w, np.full_like(w, 1e5))]
    right, alike = (np.median(np.linalg.norm(x - X, axis=-1)) for x in found)
    assert right < .4 * alike


def test_pull_fills_what_is_not_seen_and_gives_way_to_what_is() -> None:
    rig, X = ring_rig(3, 1), walker(1., 3, 1)
    rays = rays_of(X, rig)
    w = np.full(rays.shape[:3], 1e8)
    w[:, :, 7] = 0.
    toward = X + .2
    out = triangulate(rays, w, rig.R, rig.t, ridge=1., toward=toward)
    assert np.abs(out[:, 7] - toward[:, 7]).max() < 1e-6
    seen = [j for j in range(17) if j != 7]
    assert np.abs(out[:, seen] - X[:, seen]).max() < 1e-3


def test_parallel_rays_and_points_behind_give_numbers_or_nan_but_no_error() -> None:
    """Two cameras in one place: the depth is unknown, nothing raises."""
    rig = of_cameras(ring_rig(2, 1), [0, 0])
    X = walker(1., 2, 1)
    out = triangulate(rays_of(X, rig), np.full((len(X), 2, 17), 1e4), rig.R, rig.t, scale=4.)
    assert out.shape == X.shape
    behind = replace(rig, t=rig.t - [0, 0, 20.])
    assert triangulate(rays_of(X, rig), np.full((len(X), 2, 17), 1e4), behind.R, behind.t).shape == X.shape


@pytest.mark.parametrize('scale', [2., 6.])
def test_outliers_count_as_the_robust_loss_has_it(scale: float) -> None:
    """Once it has settled, it is where Geman and McClure's loss of the image errors is least: 2 mm and a tenth of what
    the loss makes of a view that is 6 sigmas off.
    """
    rig = ring_rig(4, 3)
    X = walker(.2, 15., 3)[:1]
    f = rig.K[:, 0, 0]
    rays = rays_of(X, rig)
    rays[:, 1] += 6 * 5. / f[1]
    weight = np.repeat((f / 5.) ** 2, 17).reshape(1, 4, 17)
    found, plain = (triangulate(rays, weight, rig.R, rig.t, rounds=60, scale=s)[0] for s in (scale, 0.))

    def loss(x: Array, j: int) -> float:
        C = rig.R @ x + rig.t
        e2 = ((C[:, :2] / C[:, 2:] - rays[0, :, j]) ** 2).sum(-1) * weight[0, :, j]
        return float((e2 / (scale ** 2 + e2)).sum())
    for j in (0, 6, 13):
        best = minimize(loss, found[j], (j,), method='Nelder-Mead', options={'xatol': 1e-6, 'fatol': 1e-12}).x
        assert np.linalg.norm(best - found[j]) < min(.002, .1 * np.linalg.norm(best - plain[j]) + 1e-4)


def test_a_pull_towards_nothing_in_particular_is_one_towards_the_origin() -> None:
    """With half of the weight of what two views say across their lines of sight, as least squares has it; and robustly:
    what is halved by its loss is pulled twice as far.
    """
    rig, X = ring_rig(2, 1), walker(1., 2, 1)
    rays, ridge = rays_of(X, rig), 300.
    w = np.full(rays.shape[:3], .5)
    assert np.isfinite(triangulate(rays, w, rig.R, rig.t)).all(), 'small weights are weights'
    w *= 1e4
    w[:, :, 3] = 0.
    pulled = triangulate(rays, w, rig.R, rig.t, ridge=ridge, rounds=5)
    assert not pulled[:, 3].any()
    for n, j in ((0, 0), (1, 16)):
        z = (rig.R[:, 2] @ pulled[n, j] + rig.t[:, 2])[:, None]
        A = (rays[n, :, j, :, None] * rig.R[:, None, 2] - rig.R[:, :2]) / z[..., None]
        b = (rig.t[:, :2] - rays[n, :, j] * rig.t[:, 2:]) / z
        A, b = A.reshape(-1, 3), b.ravel()
        want = np.linalg.solve(5e3 * A.T @ A + ridge * np.eye(3), 5e3 * A.T @ b)
        assert np.abs(pulled[n, j] - want).max() < 1e-4
    there = triangulate(rays, w, rig.R, rig.t, ridge=ridge, toward=X + 1., rounds=5)
    assert np.allclose(there[:, 3], X[:, 3] + 1.)
    offset = np.random.default_rng(3).normal(0, .02, rays.shape)
    plain, robust = (np.linalg.norm(triangulate(rays + offset, w, rig.R, rig.t, ridge=ridge, scale=s)[:, 4], axis=-1)
                     for s in (0., 1.))
    assert (robust < plain).all()


def test_what_fits_is_pulled_as_far_with_the_robust_loss_as_without_it() -> None:
    """Points 1 cm away pull by a few millimetres, a tenth of a sigma in the image: nobody is an outlier."""
    rig, X = ring_rig(3, 1), walker(1., 2, 1)
    rays = rays_of(X, rig)
    w = np.full(rays.shape[:3], 1e3)
    plain, robust = (triangulate(rays, w, rig.R, rig.t, ridge=100., toward=X + .01, rounds=4, scale=s)
                     for s in (0., 50.))
    far = np.linalg.norm(plain - X, axis=-1)
    assert (far > .002).all() and np.abs(robust - plain).max() < .01 * far.min()
