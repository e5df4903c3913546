# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Every derivative against finite differences, every sign against a camera that one can picture."""
from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from selfpose_ros.core import rotation
from selfpose_ros.core.cameras import CameraLayout, Cameras


@pytest.fixture
def cameras() -> Cameras:
    rng = np.random.default_rng(3)
    R = rotation.exp(rng.normal(0, .4, (3, 3)))
    return Cameras(R, rng.normal(0, .2, (3, 3)) + [0, 0, 4.], np.array([500., 640., 900.]),
                   np.array([[320., 240.], [310., 250.], [500., 500.]]))


@pytest.fixture(params=['pinhole', 'lens'])
def any_cameras(request: pytest.FixtureRequest, cameras: Cameras) -> Cameras:
    return cameras if request.param == 'pinhole' else replace(
        cameras, lens=np.array([[-.3, .1], [.1, -.01], [0., 0.]]))


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(5).normal(0, .6, (2, 17, 3))


def test_right_is_right_and_down_is_down():
    # looks along world x from 2 m behind the origin: world y is left, z is up
    R = np.array([[[0., -1., 0.], [0., 0., -1.], [1., 0., 0.]]])
    camera = Cameras(R, np.array([[0., 0., 2.]]), np.array([100.]), np.array([[50., 40.]]))
    np.testing.assert_allclose(camera.project(np.array([[0., 1., 0.], [0., 0., 1.], [2., 0., 0.]]))[0],
                               [[0., 40.], [50., -10.], [50., 40.]])
    np.testing.assert_allclose(camera.centres, [[-2., 0., 0.]])
    np.testing.assert_allclose(camera.depth(np.array([[3., 0., 0.]])), [[5.]])


def test_derivatives_are_those_of_the_projection(any_cameras: Cameras, points: np.ndarray):
    px, by_point, by_camera = any_cameras.project_jacobian(points)
    np.testing.assert_array_equal(px, any_cameras.project(points))
    h = 1e-6
    for a in range(3):
        step = np.zeros(3)
        step[a] = h
        difference = (any_cameras.project(points + step) - any_cameras.project(points - step)) / (2 * h)
        np.testing.assert_allclose(by_point[..., a], difference, atol=1e-4)
    for k in range(CameraLayout.EACH):
        delta = np.zeros((3, CameraLayout.EACH))
        delta[:, k] = h
        difference = (any_cameras.moved(delta).project(points) - any_cameras.moved(-delta).project(points)) / (2 * h)
        np.testing.assert_allclose(by_camera[..., k], difference, atol=1e-3)


def test_rays_undo_the_projection(any_cameras: Cameras, points: np.ndarray):
    C = any_cameras.in_axes(points)
    np.testing.assert_allclose(any_cameras.rays(any_cameras.project(points)), C[..., :2] / C[..., 2:], atol=1e-12)
    np.testing.assert_allclose(any_cameras.ray_weight(np.full((3, 17), 2.))[:, 0], (any_cameras.focal / 2) ** 2)
    assert any_cameras.ray_weight(np.full((3, 1), np.inf)).max() == 0


def test_a_point_behind_a_camera_is_as_one_close_in_front_and_does_not_pull_it(cameras: Cameras):
    behind = -2 * cameras.R[0].T @ cameras.t[0]
    px, by_point, by_camera = cameras.project_jacobian(behind[None])
    C = cameras.in_axes(behind[None])[0]
    assert C[0, 2] < 0
    np.testing.assert_allclose(px[0, 0], C[0, :2] / .2 * cameras.focal[0] + cameras.centre[0])
    assert not by_point[0].any() and not by_camera[0][..., CameraLayout.POSE].any()


def test_each_camera_sees_joints_where_they_were_at_its_own_time(any_cameras: Cameras, points: np.ndarray):
    shift = np.random.default_rng(7).normal(0, .1, (2, 3, 17, 3))
    seen = any_cameras.project(points, shift)
    for v in range(3):
        np.testing.assert_allclose(seen[:, v], any_cameras.take([v]).project(points + shift[:, v])[:, 0])


def test_scale_is_a_gauge(any_cameras: Cameras, points: np.ndarray):
    np.testing.assert_allclose(any_cameras.scaled(1.7).project(1.7 * points), any_cameras.project(points))


def test_the_layout_names_every_parameter_once():
    layout = CameraLayout(3)
    names = np.zeros(layout.size, int)
    for v in range(3):
        own = names[layout.camera(v)]
        for part in (layout.ROTATION, layout.TRANSLATION, layout.FOCAL, layout.LENS):
            own[part] += 1
    assert (names == 1).all()
    each = np.arange(layout.EACH)
    np.testing.assert_array_equal(each[layout.POSE], np.r_[each[layout.ROTATION], each[layout.TRANSLATION]])
    np.testing.assert_array_equal(each[layout.INTRINSIC], np.r_[each[layout.FOCAL], each[layout.LENS]])
    marked = np.arange(layout.size + 5.)
    np.testing.assert_array_equal(layout.split(marked)[:, layout.FOCAL], marked[layout.focal])
    H = np.zeros((layout.size + 2,) * 2)
    layout.add_blocks(H, np.stack([np.full((9, 9), v + 1.) for v in range(3)]))
    assert H[layout.focal[1], layout.focal[1]] == 2 and H[0, layout.size - 1] == 0 and H[-1].max() == 0
    covariance = np.diag(np.r_[np.tile([1e-4, 4e-4, 4e-4, 1, 1, 1, 1., 1., 1.], 3)])
    np.testing.assert_allclose(layout.rotation_sigma_deg(covariance), np.rad2deg(.03))


def test_cameras_with_and_without_lenses_are_joined(cameras: Cameras):
    lens = np.array([[-.3, .1], [.1, -.01], [.2, 0.]])
    bent = replace(cameras, lens=lens)
    assert cameras.joined(cameras).lens is None
    no = 0 * lens
    for a, b, want in ((cameras, bent, [no, lens]), (bent, cameras, [lens, no]), (bent, bent, [lens, lens])):
        both = a.joined(b)
        np.testing.assert_array_equal(both.lens, np.concatenate(want))
        np.testing.assert_array_equal(both.take([3, 4, 5]).project(np.eye(3)), b.project(np.eye(3)))


def test_pinholes_stay_pinholes_until_their_lens_is_moved(cameras: Cameras):
    step = np.full((3, CameraLayout.EACH), .1)
    step[:, CameraLayout.LENS] = 0
    assert cameras.moved(step).lens is None and not cameras.lenses.any() and cameras.lenses.shape == (3, 2)
    step[1, CameraLayout.LENS] = .2, -.1
    np.testing.assert_array_equal(cameras.moved(step).lens, [[0, 0], [.2, -.1], [0, 0]])


def test_a_lens_reaches_to_where_it_folds_back(cameras: Cameras):
    bent = replace(cameras, lens=np.array([[-.3, 0.], [0., 0.], [-.1, 0.]]))
    np.testing.assert_allclose(bent.reach, [500 * 2 / 3 / np.sqrt(.9), np.inf, 900 * 2 / 3 / np.sqrt(.3)])


def test_values_cannot_be_changed(cameras: Cameras):
    for value, name in ((cameras, 'focal'), (cameras.layout, 'cameras')):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, 1)
