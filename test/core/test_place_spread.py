# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How far off whole bodies are because of their cameras, against rigs that are off in as many ways as predicted."""
from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import scene, tracks_of
from scipy.optimize import least_squares

from selfpose_ros.core import rotation
from selfpose_ros.core.cameras import Cameras
from selfpose_ros.core.model import RigModel, model_from_solution
from selfpose_ros.core.place_spread import PlaceSpread
from selfpose_ros.core.rig.solver import Solution, SolverConfig, solve
from selfpose_ros.core.uncertainty import by_cameras

Array = NDArray[np.float64]

#: which cameras see somebody in the middle of the people that the rig was found with, a metre beside it, and 4 and 10 m
#: behind it, seen from the first two cameras
SEEN = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0]], bool)


@functools.cache
def solved() -> tuple[Solution, RigModel]:
    """A walk of 5 s before four cameras, and its rig in a world of metres that are not the solver's."""
    found = solve(tracks_of(scene(4, 5., 10., 1).frames), SolverConfig(frames=40, first_frames=20))
    assert isinstance(found, Solution)
    return found, model_from_solution(found, 3, height_m=1.45)


def places(found: Solution, model: RigModel) -> Array:
    """(4, 3) m in the world, see `SEEN`."""
    middle = (found.state.X[:, 0].mean(0) * model.scale.factor) @ model.world.R.T + model.world.t
    away = model.R[0, 2] + model.R[1, 2]
    away /= np.linalg.norm(away)
    return np.array([middle, middle + [1., -1., 0.], middle + 4 * away, middle + 10 * away])


def placed(cameras: Cameras, px: Array, start: Array) -> Array:
    """The point (3,) that cameras see nearest to px (V, 2)."""
    return np.asarray(least_squares(lambda x: (cameras.project(x[None])[:, 0] - px).ravel(), start, xtol=1e-12).x)


def off(found: Solution, model: RigModel, points: Array, seen: NDArray[np.bool_], samples: int) -> Array:
    """(samples, N, 3) m by which points in the world are off, after a similarity of the people that the rig was found
    with, for errors of the cameras as the covariance of the solution has them.
    """
    cameras, k, W = found.state.cameras.pinholes, model.scale.factor, model.world
    layout = cameras.layout
    inner = (points - W.t) @ W.R / k
    people = found.state.X[::8][:, [0, 3, 6, 10, 13, 16]].reshape(-1, 3)
    rng = np.random.default_rng(0)
    errors = rng.multivariate_normal(np.zeros(len(found.covariance)), found.covariance, samples, method='eigh')
    out = np.zeros((samples, len(points), 3))
    for n, e in enumerate(errors):
        moved = cameras.moved(layout.split(e))
        moved = replace(moved, centre=moved.centre + e[layout.size:].reshape(-1, 2))
        there = np.array([placed(moved, cameras.project(x[None])[:, 0], x) for x in people])
        s, R, t = rotation.similarity_alignment(there, people)
        for i, (x, by) in enumerate(zip(inner, seen, strict=True)):
            some = np.flatnonzero(by)
            y = placed(moved.take(some), cameras.take(some).project(x[None])[:, 0], x)
            out[n, i] = (s * R @ y + t - x) * k
    return out


def test_bodies_are_off_by_as_much_as_predicted() -> None:
    """Forty rigs drawn from the covariance: root mean square errors per axis to a fifth, near and far, of two cameras
    and of all; and who is far off is off by some times as much as who is where the rig was found.
    """
    found, model = solved()
    found = replace(found, covariance=found.covariance / 100)     # so small that errors are linear
    model = model_from_solution(found, 3, height_m=1.45)
    points = places(found, model)
    assert model.place is not None
    sigma = model.place.sigma(model.geometry, points, SEEN)
    true = np.sqrt((off(found, model, points, SEEN, 40) ** 2).mean((0, 2)))
    assert np.abs(sigma / true - 1).max() < .2, (sigma, true)
    assert sigma[2] > 3 * sigma[0] and sigma[3] > 2 * sigma[2]


def test_errors_of_one_camera_go_with_its_name() -> None:
    """A body is as uncertain where cameras stand in another order, or with one more of which nothing is predicted."""
    found, model = solved()
    x, first = places(found, model)[1:], np.array([[True, True, False, False]] * 3)
    assert model.place is not None
    expected = model.place.sigma(model.geometry, x, first)
    order = [2, 0, 3, 1]
    turned = model.place.rearranged(order).sigma(model.geometry.take(order), x, first[:, order])
    assert turned == pytest.approx(expected)
    more = model.place.rearranged([0, 1, -1, 2, 3])
    assert more.sigma(model.geometry.take([0, 1, 1, 2, 3]), x, first[:, [0, 1, 2, 2, 3]]) == pytest.approx(expected)
    # beside one whose errors are not predicted, a camera is alone
    one_and_it = np.array([[True, False, True, False, False]] * 3)
    assert not more.sigma(model.geometry.take([0, 1, 1, 2, 3]), x, one_and_it).any()


def test_known_cameras_and_single_ones_add_nothing() -> None:
    found, model = solved()
    known = model_from_solution(replace(found, covariance=0 * found.covariance), 3, height_m=1.45)
    assert known.place is None
    X = found.state.X[:2] * model.scale.factor
    assert not by_cameras(X, np.ones((2, 4), bool), known).any()
    assert isinstance(model.place, PlaceSpread)
    assert not by_cameras(X, np.eye(4, dtype=bool)[:2], model).any()


def test_cameras_that_look_along_one_line_leave_the_distance_to_the_body() -> None:
    """Two cameras at one place, or behind somebody, are no reason to fail, nor for more than 6 % of the distance."""
    found, model = solved()
    assert model.place is not None
    g = model.geometry
    for x in (places(found, model)[3], g.centres[0] - 2 * g.R[0, 2]):
        same = replace(model, geometry=replace(g, R=g.R[[0, 0, 2, 3]], t=g.t[[0, 0, 2, 3]]))
        seen = np.array([[True, True, False, False]])
        sigma = by_cameras(np.tile(x, (1, 17, 1)), seen, same)
        far = abs(float(g.R[0, 2] @ x + g.t[0, 2]))
        assert np.isfinite(sigma).all() and sigma[0] <= .06 * far / np.sqrt(3) + 1e-12
