# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Pixels, 0..1 and -1..1 are told apart, also with single joints that lie elsewhere."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.core.check import in_pixels
from selfpose_ros.core.image_units import extent, normalised_range, to_pixels

SIZE = (1000, 500)


def pixels(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(.1, .9, (40, 17, 2)) * SIZE


@pytest.mark.parametrize('between', [(0, 1), (-1, 1)])
def test_normalised_joints_are_found_and_scaled_back(between: tuple[int, int]) -> None:
    low, high = between
    points = low + (high - low) * pixels() / SIZE
    points[3, 4] = 7.                                      # an odd joint decides nothing
    assert not in_pixels(*extent(points), SIZE) and normalised_range(*extent(points)) == between
    points[3, 4] = low + (high - low) * pixels()[3, 4] / SIZE
    assert np.allclose(to_pixels(points, between, SIZE), pixels())


def test_pixels_are_pixels() -> None:
    assert in_pixels(*extent(pixels()), SIZE)
    assert in_pixels(*extent(np.full((2, 17, 2), np.nan)), SIZE)
    assert in_pixels(*extent(pixels() / 600), (16, 16))          # a thumbnail: so small in truth


def test_joints_that_are_not_seen_do_not_count() -> None:
    points, confidence = pixels(), np.ones((40, 17))
    points[:, 5:], confidence[:, 5:] = 0, 0
    assert in_pixels(*extent(points, confidence), SIZE)
    assert extent(points, confidence)[0] > 40


def test_what_could_be_either_is_not_guessed_at() -> None:
    assert normalised_range(-.2, .9) is None and normalised_range(-3, .9) is None
    assert normalised_range(-.05, 1.2) == (0, 1)
    assert normalised_range(-.09, 1.) == (0, 1) and normalised_range(-.12, 1.) is None
    assert normalised_range(-.28, 1.) is None and normalised_range(-.32, 1.) == (-1, 1)
    assert normalised_range(-2., 2.) == (-1, 1) and normalised_range(-1., 2.1) is None


def test_a_hundredth_at_either_end_is_left_out_and_half_a_point_is_none() -> None:
    assert extent(np.arange(1001.).reshape(1, -1).repeat(2, 0).T) == (10., 990.)
    assert extent([[np.nan, 5.], [1., 1.]]) == (1., 1.)
