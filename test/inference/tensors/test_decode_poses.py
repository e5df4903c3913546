# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Rows of bins and heat maps made by hand, and the joints that they mean."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from decode_outputs import SIZE, UDP, bins, centres, maps

from selfpose_ros.inference.tensors.decode import heatmap, simcc


def test_simcc_by_hand() -> None:
    x, y = np.zeros((2, 3, 384), np.float32), np.zeros((2, 3, 512), np.float32)
    x[0, 0, 101], y[0, 0, 300] = .8, .6
    x[0, 1, 0], y[0, 1, 511] = .5, 3.
    x[0, 2, 383], y[0, 2, 0] = 2., 4.
    x[1, 0, 7] = 1.                                        # y says nothing
    x[1, 1], y[1, 1] = -.5, -.2
    points, score = simcc(x, y, 2.)
    assert points[0].tolist() == [[50.5, 150], [0, 255.5], [191.5, 0]]
    assert np.allclose(score[0], [.6, .5, 1.])
    assert np.isnan(points[1]).all() and score[1].tolist() == [0, 0, 0]
    points, score = simcc(x, y, 2., 'mean')
    assert np.allclose(score, [[.7, 1., 1.], [.5, 0, 0]])  # .5 of 1 and 0, the mean of .5 and 3 is above 1
    assert points[1, 0].tolist() == [3.5, 0] and np.isnan(points[1, 1:]).all()


def test_the_first_of_equal_bins_counts() -> None:
    x, y = np.zeros((1, 1, 10)), np.full((1, 1, 10), .5)
    x[0, 0, [4, 8]] = .5
    points, score = simcc(x, y, 1.)
    assert points.tolist() == [[[4, 0]]] and score.tolist() == [[.5]]


def test_another_split_is_another_scale() -> None:
    x, y = bins(np.array([[60.]]), 288), bins(np.array([[90.]]), 384)
    assert simcc(x, y, 1.5)[0].tolist() == [[[40, 60]]]


def test_a_quarter_of_a_step_by_hand() -> None:
    h = np.zeros((1, 5, 64, 48), np.float32)
    h[0, 0, 20, 10], h[0, 0, 20, 11], h[0, 0, 19, 10] = .9, .5, .2    # right and up
    h[0, 1, 20, 10], h[0, 1, 20, 9], h[0, 1, 21, 10] = 1.5, .5, .2    # left and down
    h[0, 2, 20, 10] = .5                                              # no neighbour is higher
    h[0, 3, 0, 47], h[0, 3, 1, 47], h[0, 3, 0, 46] = .5, .4, .4       # the corner: no neighbour across the border
    h[0, 4, 0, 10], h[0, 4, 0, 11] = .5, .4                           # the top: along it alone
    points, score = heatmap(h, SIZE)
    assert points[0].tolist() == [[41, 79], [39, 81], [40, 80], [188, 0], [41, 0]]
    assert np.allclose(score, [[.9, 1, .5, .5, .5]])


@pytest.mark.parametrize('method', ['quarter', 'dark', 'udp'])
def test_a_peak_on_a_pixel_is_that_pixel(method: str) -> None:
    at = np.array([[[24, 32], [7, 9], [40, 56]]])
    points, score = heatmap(maps(at), SIZE, method)
    assert np.abs(points - at * (UDP if method == 'udp' else 4.)).max() < 1e-3
    assert np.allclose(score, 1.)


@pytest.mark.parametrize('method, sigma, error', [
    # measured, worst of 340 peaks at least 8 px from the border, px of the map:
    ('quarter', 2., .25),                                  # .2492
    ('dark', 1., .05),                                     # .00001
    ('dark', 2., .05),                                     # .0003
    ('dark', 3., .05),                                     # .0002
    ('udp', 1., .05),                                      # .000001
    ('udp', 2., .05),                                      # .00004
    ('udp', 3., .05),                                      # .00002
])
def test_below_the_pixel(method: str, sigma: float, error: float) -> None:
    at = centres(8.)
    points, score = heatmap(maps(at, sigma), SIZE, method)
    assert np.abs(points / (UDP if method == 'udp' else 4.) - at).max() < error
    assert not (np.round(points / (UDP if method == 'udp' else 4.), 6) % 1 == 0).all(-1).any()    # a step for all
    assert (score > .75).all() and (score <= 1).all()


@pytest.mark.parametrize('method', ['dark', 'udp'])
def test_noise_moves_the_peak_less_than_a_tenth(method: str) -> None:
    at = centres(8.)
    noisy = maps(at) + np.random.default_rng(3).normal(0, .01, (20, 17, 64, 48))
    points, _ = heatmap(noisy, SIZE, method)
    assert np.abs(points / (UDP if method == 'udp' else 4.) - at).max() < .05    # measured: .03


@pytest.mark.parametrize('method', ['quarter', 'dark', 'udp'])
def test_at_the_border_nothing_runs_away(method: str) -> None:
    # measured: .50 each: no step is taken there, or none that is worse than none
    at = centres(0.)
    at[..., 0] = at[..., 0] % 3
    points, _ = heatmap(maps(at), SIZE, method)
    assert np.abs(points / (UDP if method == 'udp' else 4.) - at).max() <= .5


@pytest.mark.parametrize('kernel', [3, 7, 11])
@pytest.mark.parametrize('method', ['dark', 'udp'])
def test_the_same_as_with_whole_maps_blurred_by_opencv(method: str, kernel: int) -> None:
    # another way to the same numbers: the whole map, padded, numpy's gradients, and a solver
    at = centres(3., seed=4)[:3]
    values = maps(at, 1.7) * .6 + .3 * maps(centres(3., seed=5)[:3], 4.)
    points, score = heatmap(values, SIZE, method, kernel)
    moved = 0
    for i in np.ndindex(3, 17):
        y, x = np.unravel_index(values[i].argmax(), (64, 48))
        padded = np.pad(values[i].astype(float), 20)
        blurred = cv2.GaussianBlur(padded, (kernel, kernel), 0)
        if method == 'dark':
            blurred *= values[i].max() / blurred.max()
            log = np.log(np.maximum(blurred, 1e-10))
            gy, gx = np.gradient(log)
            gxy, gxx = np.gradient(gx)
            gyy = np.gradient(gy)[0]
            hessian = np.array([[gxx[y + 20, x + 20], gxy[y + 20, x + 20]], [gxy[y + 20, x + 20], gyy[y + 20, x + 20]]])
        else:
            log = np.log(np.clip(blurred, 1e-3, 50))
            gy, gx = np.gradient(log)
            xx, yy = (np.diff(v, 2)[0] for v in (log[y + 20, x + 19:x + 22], log[y + 19:y + 22, x + 20]))
            xy = np.gradient(gx)[0][y + 20, x + 20]
            hessian = np.array([[xx, xy], [xy, yy]])
        step = -np.linalg.solve(hessian, [gx[y + 20, x + 20], gy[y + 20, x + 20]])
        assert np.linalg.norm(step) < 2
        moved += np.linalg.norm(step) > .1
        assert np.allclose(points[i], (step + [x, y]) * (UDP if method == 'udp' else 4.), atol=1e-6)
        assert score[i] == pytest.approx(min(values[i].max(), 1.))
    assert moved > 20


@pytest.mark.parametrize('method', ['quarter', 'dark', 'udp'])
def test_flat_and_empty_maps(method: str) -> None:
    h = np.zeros((1, 5, 64, 48), np.float32)
    h[0, 1] = -.5                                          # negative everywhere
    h[0, 2] = .5                                           # a tie of all: the first, and no step
    h[0, 3, 30, 20] = h[0, 3, 30, 30] = .5                 # a tie of two: the first
    h[0, 4] = -1.
    h[0, 4, 30, 20] = .5                                   # a peak that the blur drowns
    points, score = heatmap(h, SIZE, method)
    factor = UDP if method == 'udp' else 4.
    assert np.isnan(points[0, :2]).all() and score[0].tolist() == [0, 0, .5, .5, .5]
    assert np.abs(points[0, 2:] - np.array([[0, 0], [20, 30], [20, 30]]) * factor).max() < .02


@pytest.mark.parametrize('method', ['dark', 'udp'])
def test_a_step_that_runs_away_is_left_out(method: str) -> None:
    # one bright pixel on the flank of a wide hill: the blur sees the hill, whose top is 9 px away
    h = .9 * maps(np.array([[[30., 30.]]]), 12.)
    h[0, 0, 30, 21] = .95
    points, _ = heatmap(h, SIZE, method)
    assert np.allclose(points[0, 0], np.array([21, 30]) * (UDP if method == 'udp' else 4.))


@pytest.mark.parametrize('method', ['dark', 'udp'])
def test_a_saddle_has_no_top(method: str) -> None:
    # blurred, the bright pixel lies between two tops, a little off their middle
    h = .8 * maps(np.array([[[20., 23.8]]]), 3.) + .8 * maps(np.array([[[20., 36.]]]), 3.)
    h[0, 0, 30, 20] = .95
    points, _ = heatmap(h, SIZE, method)
    assert np.allclose(points[0, 0], np.array([20, 30]) * (UDP if method == 'udp' else 4.))


@pytest.mark.parametrize('method, height', [('dark', .01), ('dark', 1e-8), ('udp', .01)])
def test_a_faint_peak_is_a_peak(method: str, height: float) -> None:
    at = centres(8.)
    points, score = heatmap(maps(at) * np.float32(height), SIZE, method)
    assert np.abs(points / (UDP if method == 'udp' else 4.) - at).max() < .05
    assert (score > .75 * height).all() and (score <= height * 1.0001).all()


def test_udp_looks_at_nothing_below_its_floor() -> None:
    at = centres(8.)
    points, _ = heatmap(maps(at) * np.float32(1e-3), SIZE, 'udp')
    assert np.allclose(points, np.round(at) * UDP)


def test_a_narrow_peak_with_a_small_blur() -> None:
    # measured: .031; three pixels are no Gaussian any more
    at = centres(8.)
    assert np.abs(heatmap(maps(at, .8), SIZE, 'dark', 3)[0] / 4 - at).max() < .05


def test_udp_joins_the_outer_pixels() -> None:
    h = np.zeros((1, 2, 64, 48), np.float32)
    h[0, 0, 63, 47] = h[0, 1, 0, 0] = 1.
    assert np.allclose(heatmap(h, SIZE, 'udp')[0], [[[191, 255], [0, 0]]])
    assert np.allclose(heatmap(h, SIZE, 'dark')[0], [[[188, 252], [0, 0]]])


def test_half_precision_is_enough() -> None:
    at = centres(8.)[:2]
    for method in ('dark', 'udp'):
        exact, half = (heatmap(maps(at).astype(t), SIZE, method)[0] for t in (np.float32, np.float16))
        assert np.abs(exact - half).max() < .05            # px of the input
