# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lenses that bend, points behind the camera, K that is none."""
from __future__ import annotations

from dataclasses import FrozenInstanceError

import cv2
import numpy as np
import pytest

from selfpose_ros.core.camera import FOCAL_PRIOR, Intrinsics, guessed_intrinsics, project, undistort, undistort_px
from selfpose_ros.core.errors import CameraError

K = np.array([[600., 0, 640], [0, 610., 360], [0, 0, 1]])
EYE, ZERO = np.eye(3), np.zeros(3)
WIDE = np.array([-.35, .15, .001, -.0005, -.03])


def grid(width: float = 1., height: float = .6) -> np.ndarray:
    """Points (N, 3) at 3 m over a view of 90 x 62 degrees."""
    n = np.stack(np.meshgrid(np.linspace(-width, width, 21), np.linspace(-height, height, 13)), -1).reshape(-1, 2)
    return 3. * np.concatenate([n, np.ones((len(n), 1))], -1)


def test_axes_are_those_of_an_optical_frame() -> None:
    """With x right, y down, z forward a point right of and above the axis lands right of and above the middle."""
    px = project(np.array([[.3, -.2, 2.]]), K, EYE, ZERO)[0]
    assert px == pytest.approx([640 + 90, 360 - 61])


def test_world_points_are_moved_into_the_camera_first() -> None:
    R, _ = cv2.Rodrigues(np.array([.1, -.4, .2]))
    t = np.array([.2, -.1, 3.])
    X = np.random.default_rng(0).normal(0, .5, (4, 17, 3))
    for d in (None, np.zeros(5), WIDE):
        theirs = cv2.projectPoints(X.reshape(-1, 3), R, t, K, np.zeros(5) if d is None else d)[0]
        assert np.abs(project(X, K, np.asarray(R, float), t, d) - theirs.reshape(4, 17, 2)).max() < 1e-9


def test_points_behind_the_camera_have_no_pixel() -> None:
    for d in (None, WIDE):
        px = project(np.array([[0., 0, 2], [0, 0, -2], [0, 0, 0], [np.nan, 0, 2]]), K, EYE, ZERO, d)
        assert np.isfinite(px).all(-1).tolist() == [True, False, False, False]


def test_points_far_outside_do_not_fold_back_into_the_image() -> None:
    """With k1 = -0.3 the polynomial turns at 46 degrees: what is beyond must not appear near the border."""
    barrel = np.array([-.3, 0., 0., 0., 0.])
    angle = np.deg2rad(np.array([20., 40., 45., 50., 60., 70.]))
    X = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], -1)
    px = project(X, K, EYE, ZERO, barrel)
    assert np.isfinite(px).all(-1).tolist() == [True] * 3 + [False] * 3
    assert (np.diff(px[:3, 0]) > 0).all()


@pytest.mark.parametrize('distortion', [
    [-.1, .02, .001, -.001, 0.], [-.3, .1, 0., 0., 0.], list(WIDE), [.05, .01, 0., 0., 0.],
    [.2, .1, .001, .001, .05, .4, .2, .01]])
def test_undistortion_undoes_distortion_up_to_the_corners(distortion: list[float]) -> None:
    """To 0.01 px over 90 degrees (measured 3e-6); OpenCV's default of five steps errs by 2 px in the corners."""
    d = np.array(distortion)
    ideal, bent = project(grid(), K, EYE, ZERO), project(grid(), K, EYE, ZERO, d)
    assert np.abs(bent - ideal).max() > 5
    assert np.abs(undistort_px(bent, Intrinsics(K, d)) - ideal).max() < .01


def test_pixels_that_the_lens_cannot_make_are_unknown() -> None:
    """With k1 = -0.3 the image ends 422 px from the middle: a pixel beyond is not moved anywhere plausible."""
    lens = Intrinsics(K, np.array([-.3]))
    px = np.array([[640. + 400, 360], [640. + 500, 360], [np.nan, 1.]])
    assert np.isfinite(undistort_px(px, lens)).all(-1).tolist() == [True, False, False]


def test_without_distortion_nothing_is_touched() -> None:
    px = np.array([[1., 2], [np.nan, np.nan]])
    assert undistort_px(px, Intrinsics(K)) is px


def test_no_points_are_no_trouble() -> None:
    assert project(np.zeros((0, 17, 3)), K, EYE, ZERO, WIDE).shape == (0, 17, 2)
    assert undistort_px(np.zeros((0, 17, 2)), Intrinsics(K, WIDE)).shape == (0, 17, 2)
    assert np.isnan(undistort_px(np.full((2, 2), np.nan), Intrinsics(K, WIDE))).all()


def test_guess_of_an_unknown_camera_is_marked_as_one() -> None:
    guess = guessed_intrinsics((1280, 720))
    assert guess.source == 'guessed' and guess.focal_px == pytest.approx(FOCAL_PRIOR[0] * 1280)
    assert guess.K.tolist() == [[.95 * 1280, 0, 640], [0, .95 * 1280, 360], [0, 0, 1]]
    assert guess.distortion.tolist() == [0] * 5 and FOCAL_PRIOR[1] == .25
    assert guessed_intrinsics((480, 640)).focal_px == pytest.approx(FOCAL_PRIOR[0] * 640)


@pytest.mark.parametrize('count', range(15))
def test_any_number_of_coefficients_up_to_14_works(count: int) -> None:
    lens = Intrinsics(K, np.full(count, 1e-3))
    assert len(lens.distortion) in (5, 8, 12, 14) and np.isfinite(undistort_px(np.ones((1, 2)), lens)).all()


@pytest.mark.parametrize(('matrix', 'distortion', 'message'), [
    (np.zeros((3, 3)), None, 'K must be a finite 3x3 matrix with positive focal lengths'),
    (np.eye(4), None, 'K must be a finite 3x3'), (K * np.nan, None, 'K must be a finite 3x3'),
    (np.diag([-600., 600, 1]), None, 'positive focal lengths'),
    (np.diag([600., 0, 1]), None, 'positive focal lengths'),
    (np.where(np.eye(3) > 0, K, np.nan), None, 'K must be a finite 3x3'), (K.T, None, 'last row of K must be 0 0 1'),
    (K, np.full(15, .1), 'up to 14 finite'), (K, [np.inf], 'up to 14 finite')])
def test_intrinsics_that_no_camera_has_are_refused(matrix: np.ndarray, distortion: object, message: str) -> None:
    with pytest.raises(CameraError, match=message):
        Intrinsics(matrix, distortion)                     # type: ignore[arg-type]


def test_intrinsics_cannot_be_changed_afterwards() -> None:
    matrix = K.copy()
    lens = Intrinsics(matrix, WIDE)
    matrix[0, 0] = 1.
    assert lens.K[0, 0] == 600 and lens.focal_px == pytest.approx(np.sqrt(600 * 610))
    for values in (lens.K, lens.distortion):
        with pytest.raises(ValueError):
            values[0] = 1.
    with pytest.raises(FrozenInstanceError):
        lens.source = 'guessed'                            # type: ignore[misc]


@pytest.mark.parametrize('fold', [.4, 1., 2.5, 3.6])
def test_the_radius_at_which_a_lens_folds_back_is_where_its_polynomial_is_largest(fold: float) -> None:
    """R - r^3 / (3 fold^2) is largest at `fold`: what lies just within has a pixel, what lies beyond has none."""
    barrel = np.array([-1 / (3 * fold ** 2), 0., 0., 0., 0.])
    X = np.array([[.99 * fold, 0., 1.], [1.01 * fold, 0., 1.], [0., 1.5 * fold, 1.]])
    assert np.isfinite(project(X, K, EYE, ZERO, barrel)).all(-1).tolist() == [True, False, False]


def test_the_radius_of_a_rational_lens_is_where_its_quotient_is_largest() -> None:
    """Eight coefficients; the ninth and on change nothing along the radius."""
    r = np.linspace(0., 4., 400001)
    for d in ([.4, .1, 0., 0., .02, .9, .5, .3], [-.2, .3, .01, 0., -.05, .1, .2, .1],
              [.5, -.1, 0., 0., 0., .6, 0., .4]):
        k, u = np.array(d), r * r
        seen = r * (1 + u * k[0] + u ** 2 * k[1] + u ** 3 * k[4]) / (1 + u * k[5] + u ** 2 * k[6] + u ** 3 * k[7])
        fold = r[np.flatnonzero(np.diff(seen) <= 0)[0]]
        assert .5 < fold < 3
        X = np.array([[.99 * fold, 0., 1.], [1.01 * fold, 0., 1.]])
        for coefficients in (k, np.r_[k, .001, .001, .001, .001]):
            px = project(X, np.eye(3), EYE, ZERO, coefficients)
            assert np.isfinite(px).all(-1).tolist() == [True, False]
        assert project(X, np.eye(3), EYE, ZERO, k)[0, 0] == pytest.approx(np.interp(.99 * fold, r, seen), abs=1e-3)


def test_pinholes_use_the_whole_matrix() -> None:
    """Skew, too: K maps the normalised point as it stands."""
    skewed = K + [[0, 7., 0], [0, 0, 0], [0, 0, 0]]
    X = grid()
    want = (X / X[:, 2:]) @ skewed.T
    assert np.allclose(project(X, skewed, EYE, ZERO), want[:, :2])
    assert np.allclose(project(X, skewed, EYE, ZERO, np.zeros(5)), want[:, :2])


def test_pixels_become_square_ones_of_the_first_focal_length() -> None:
    lens, square = Intrinsics(K, WIDE), np.array([[600., 0, 640], [0, 600., 360], [0, 0, 1]])
    X = grid()
    bent = project(X, K, EYE, ZERO, WIDE)
    assert np.abs(undistort(bent, lens) - project(X, square, EYE, ZERO)).max() < .01
    straight = project(X, K, EYE, ZERO)
    assert np.allclose(undistort(straight, Intrinsics(K)), project(X, square, EYE, ZERO))
    same = Intrinsics(square)
    assert undistort(straight, same) is straight and undistort(straight, None) is straight


def test_normalised_coordinates_are_pixels_of_a_camera_too() -> None:
    for lens in (Intrinsics(np.eye(3)), Intrinsics(np.eye(3), None)):
        assert lens.focal_px == 1 and lens.distortion.tolist() == [0] * 5


@pytest.mark.parametrize(('place', 'value', 'fits'), [
    ((0, 0), 64.1, True), ((0, 0), 63.9, False), ((1, 1), 64.1, True), ((1, 1), 63.9, False),
    ((0, 0), 127999., True), ((0, 0), 128001., False), ((1, 1), 127999., True), ((1, 1), 128001., False),
    ((0, 2), 12799., True), ((0, 2), -12801., False), ((1, 2), 12799., True), ((1, 2), 12801., False),
    ((0, 1), 609., True), ((0, 1), -611., False), ((1, 0), 609., True), ((1, 0), 611., False)])
def test_numbers_that_no_lens_has_are_refused_by_the_size_of_the_image(place: tuple[int, int], value: float,
                                                                       fits: bool) -> None:
    """Focal lengths of 0.05 to 100 times the longer side, 1280 px; a principal point within 10 times; skew."""
    matrix = K.copy()
    matrix[place] = value
    lens = Intrinsics(matrix)
    for size in ((1280, 720), (720, 1280)):
        if fits:
            assert lens.checked(size) is lens
        else:
            with pytest.raises(CameraError):
                lens.checked(size)


def test_skew_counts_both_ways_together_and_so_does_one_coefficient() -> None:
    with pytest.raises(CameraError):
        Intrinsics(K + [[0, 400., 0], [-400., 0, 0], [0, 0, 0]]).checked((1280, 720))
    fits = Intrinsics(K, [0, -9999., 0, 0, 0])
    assert fits.checked((1280, 720)) is fits
    with pytest.raises(CameraError):
        Intrinsics(K, [0, -10001., 0, 0, 0]).checked((1280, 720))
