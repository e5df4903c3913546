# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Up, floor, scale, and which of the two mirror worlds it is, from bodies alone."""
from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from selfpose_ros.core import rotation
from selfpose_ros.core.body import BONE_A, BONE_B, BONE_PRIOR_M, STATURE_PRIOR_M, stature_m
from selfpose_ros.core.rig.world import _floor_normal, body_forward_score, find_world, metric_scale
from selfpose_ros.synthetic import walker

Array = NDArray[np.float64]

ANY = rotation.exp(np.array([.8, -2., .4]))          # a rig's frame is turned anyhow
FORWARD = ANY @ np.array([1., 0, 0])


def in_rig(X: Array, noise_m: float = 0., seed: int = 0) -> Array:
    return np.asarray(X @ ANY.T + [3., -2., 5.] + noise_m * np.random.default_rng(seed).normal(size=X.shape))


def bones_of(X: Array) -> Array:
    return np.asarray(np.linalg.norm(X[0, BONE_B] - X[0, BONE_A], axis=-1))


# -- mirror

@pytest.mark.parametrize('style', ['walk', 'exercise', 'mixed', 'stand'])
def test_bodies_face_forwards_and_mirrored_bodies_do_not(style: str) -> None:
    """Positive for six people in any right-handed frame, the same negative for their mirror image, with 3 cm of
    noise, too; at least 10 cm away from undecided (measured 18 to 26).
    """
    for seed in range(6):
        X = in_rig(walker(3., 15, seed, style), .03, seed)
        score = body_forward_score(X)
        assert score > .1
        for mirror in np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]):
            assert body_forward_score(X * mirror) == pytest.approx(-score, abs=1e-9)


def test_unknown_joints_do_not_decide() -> None:
    X = in_rig(walker(2., 10, 1))
    holes = X.copy()
    holes[::2, 2] = np.nan
    assert body_forward_score(holes) == pytest.approx(body_forward_score(X[1::2]))
    assert body_forward_score(np.full((3, 17, 3), np.nan)) == 0.


# -- up and floor

def up_error_deg(world_R: Array) -> float:
    return float(np.rad2deg(np.arccos(np.clip((world_R @ ANY)[2, 2], -1, 1))))


@pytest.mark.parametrize('seed', range(6))
def test_gravity_of_a_walking_person_is_found(seed: int) -> None:
    """3 s of walking, 1.5 cm noise: up to 1.5 degrees (measured 0.2 to 0.7), floor to 4 cm (2 to 3: a heel that
    rolls lifts the ankle), and it says how sure it is: not further off than three of its sigmas, sigma at most 3
    degrees.
    """
    X = walker(3., 20, seed, 'walk')
    w = find_world(in_rig(X, .015, seed), FORWARD)
    assert up_error_deg(w.R) < 1.5
    assert up_error_deg(w.R) < 3 * w.sigma_deg and w.sigma_deg < 3.
    again = in_rig(X) @ w.R.T + w.t
    assert np.abs(again[..., 2] - X[..., 2]).max() < .06 and abs(np.median(again[..., 2] - X[..., 2])) < .04


@pytest.mark.parametrize('style', ['exercise', 'mixed', 'stand'])
def test_gravity_of_people_who_bend_squat_or_stand_is_found(style: str) -> None:
    """4 s, 1.5 cm noise: within 6 degrees (measured up to 4.5, 0.7 and 1.0) and three sigmas."""
    for seed in range(6):
        w = find_world(in_rig(walker(4., 20, seed, style), .015, seed), FORWARD)
        assert up_error_deg(w.R) < 6. and up_error_deg(w.R) < 3 * w.sigma_deg


def test_world_is_right_handed_with_x_along_the_first_camera() -> None:
    X = walker(3., 20, 1, 'walk')
    w = find_world(in_rig(X), FORWARD)
    assert np.linalg.det(w.R) == pytest.approx(1.) and np.abs(w.R @ w.R.T - np.eye(3)).max() < 1e-12
    x = w.R @ FORWARD
    assert x[0] > .99 and abs(x[1]) < 1e-9
    body = in_rig(X) @ w.R.T + w.t
    assert np.abs(np.median(body[:, 0, :2], 0)).max() < .05           # medians along other axes: measured .03


def test_a_first_camera_that_looks_straight_down_has_a_world_too() -> None:
    X = in_rig(walker(3., 20, 1, 'walk'))
    w = find_world(X, ANY @ np.array([0, 0, -1.]))
    assert np.linalg.det(w.R) == pytest.approx(1.) and up_error_deg(w.R) < 2.


def test_wrong_bodies_among_the_right_ones_do_not_tip_the_world() -> None:
    """A tenth of the instants upside down or nonsense, some with holes: up to 1 degree (measured 0.2)."""
    X = walker(4., 20, 2, 'walk')
    Y = in_rig(X, .01)
    Y[::10] = in_rig(X[::10] * [1, 1, -1] + [0, 0, 2.])
    Y[5::10, 4] = np.nan
    w = find_world(Y, FORWARD)
    assert up_error_deg(w.R) < 1.


def test_a_single_instant_gives_a_world_that_says_it_is_unsure() -> None:
    w = find_world(in_rig(walker(1., 5, 1)[:1]), FORWARD)
    assert np.isfinite(w.R).all() and np.isfinite(w.t).all() and up_error_deg(w.R) < 15. and w.sigma_deg >= 2.


def swaying(degrees: float, instants: int = 100) -> Array:
    """Somebody whose ankles stay where they are, 8 cm above the floor, and who leans left and right by an angle."""
    rest = walker(.1, 10, 1, 'stand')[0]
    rest[[3, 6]] = [0., 0., .08]
    sway = np.deg2rad(degrees) * np.where(np.arange(instants) % 2, 1., -1.)
    height = np.linspace(.5, 1.7, 17)
    X = np.stack([height * np.sin(sway)[:, None], np.zeros((instants, 17)), .08 + height * np.cos(sway)[:, None]], -1)
    X[:, [3, 6]] = [0., 0., .08]
    return np.asarray(X)


def test_leaning_to_either_side_leaves_the_mean_upright_and_as_sure_as_its_spread() -> None:
    """6 degrees to either side: with 25 times as many instants 5 times as sure, never surer than 2 degrees. Feet that
    cover no ground add nothing.
    """
    few, many, most = (find_world(in_rig(swaying(6., n)), FORWARD) for n in (26, 100, 4000))
    assert few.sigma_deg == pytest.approx(6., rel=.03) and many.sigma_deg == pytest.approx(3., rel=.01)
    assert most.sigma_deg == pytest.approx(2., rel=.01)
    assert up_error_deg(many.R) < 1e-4
    floor = in_rig(swaying(6.)) @ many.R.T + many.t
    assert np.allclose(floor[:, [3, 6], 2], .08)


def test_the_floor_is_where_feet_rest_though_they_seldom_do_and_some_are_seen_below_it() -> None:
    """Lifted by 10 cm in 6 of 7 instants, 3 % of what is seen half a metre too low: to a millimetre."""
    X = swaying(0., 210)
    X[np.arange(210) % 7 > 0] += [0., 0., .1]
    X[::30, 3, 2] -= .5
    w = find_world(X, np.array([1., 0, 0]))
    assert w.t[2] == pytest.approx(0., abs=.001)


@pytest.mark.parametrize(('sigma_deg', 'instants'), [(10., 400), (1., 15)])
def test_feet_that_stand_apart_tip_the_world_as_far_as_is_likely_of_a_slope(sigma_deg: float, instants: int) -> None:
    """The right foot 4 cm higher and 40 cm beside the left: a slope as likely as before, or feet that differ by 4 cm;
    one instant in ten counts, with 1 cm of error.
    """
    X = np.zeros((instants, 17, 3))
    X[:, 3], X[:, 6] = [0., -.2, .12], [0., .2, .08]
    normal, sigma = _floor_normal(X, np.array([0., 0, 1.]), sigma_deg)
    A = np.array([[-.2, 1., .5], [.2, 1., -.5]])                            # slope along y, height, right foot
    prior = np.diag([np.tan(np.deg2rad(sigma_deg)) ** -2, 0., .04 ** -2])
    M = instants / 10 / .01 ** 2 * A.T @ A + prior
    slope = np.linalg.solve(M, instants / 10 / .01 ** 2 * A.T @ np.array([.02, -.02]))[0]
    assert -normal[1] / normal[2] == pytest.approx(slope, rel=1e-3) and abs(normal[0]) < 1e-9
    spread = np.sqrt((np.linalg.inv(M)[0, 0] + 1 / prior[0, 0]) / 2)
    assert sigma == pytest.approx(np.rad2deg(spread), rel=1e-3)


# -- scale

def spread(sigma_of: str, **known: float) -> tuple[Array, float]:
    """Relative scale errors over 30 people of 1.5 to 1.95 m, and the sigma told."""
    rng = np.random.default_rng(0)
    out, sigma = [], 0.
    for seed in range(30):
        height = rng.uniform(1.5, 1.95) if known else rng.normal(1.68, .1)
        bones = bones_of(walker(.1, 10, seed, 'stand', height))
        unit = rng.uniform(.5, 2.)
        s = metric_scale(bones * unit, np.zeros((2, 3)), height if known else 0.)
        assert s.source == sigma_of
        out.append(s.factor * unit - 1)
        sigma = s.sigma
    return np.array(out), sigma


def test_known_height_gives_the_scale_to_three_percent() -> None:
    """Root mean square over 30 bodies of other proportions (measured 1.6 %), as its error bar says (half to
    double).
    """
    e, sigma = spread('known height', height_m=1.)
    rms = float(np.sqrt((e ** 2).mean()))
    assert rms < .03 and sigma < .05 and .5 < sigma / rms


def test_adult_prior_gives_the_scale_to_eight_percent() -> None:
    """Root mean square over adults of 1.68 +- 0.10 m (measured 6.0 %), as its error bar says (0.7 to 2)."""
    e, sigma = spread('adult prior')
    rms = float(np.sqrt((e ** 2).mean()))
    assert rms < .08 and .7 < sigma / rms < 2.


def test_known_baseline_comes_before_everything_and_is_exact() -> None:
    centres = np.array([[0, 0, 0], [1., 2., 2.], [5., 0, 0]])
    s = metric_scale(BONE_PRIOR_M, centres, height_m=1.8, baseline_m=6.)
    assert s.factor == pytest.approx(2.) and s.source == 'known baseline'
    assert metric_scale(BONE_PRIOR_M, centres, baseline_m=1., baseline_pair=(0, 2)).factor == pytest.approx(.2)


def test_prior_body_has_the_prior_height() -> None:
    assert stature_m(BONE_PRIOR_M) == pytest.approx(STATURE_PRIOR_M)
    assert metric_scale(BONE_PRIOR_M, np.zeros((2, 3))).factor == pytest.approx(1.)


def test_cameras_in_one_place_with_a_known_baseline_are_no_division_by_zero() -> None:
    assert np.isfinite(metric_scale(BONE_PRIOR_M, np.zeros((2, 3)), baseline_m=1.).factor)


def test_knees_and_face_point_forward_by_what_they_stand_out() -> None:
    """A body that faces x, knees 6 and 8 cm and nose 10 cm in front of the middle of their neighbours: 24 cm, and no
    more than 30 of any pose.
    """
    X = np.zeros((2, 17, 3))
    for side, joints in ((-.1, (1, 2, 3)), (.1, (4, 5, 6))):
        for j, z in zip(joints, (.9, .5, .1), strict=True):
            X[:, j] = [0., side, z]
    X[:, 0], X[:, 8], X[:, 9], X[:, 10] = [0, 0, .9], [0, 0, 1.4], [.1, 0, 1.5], [0, 0, 1.6]
    X[:, 2, 0], X[:, 5, 0] = .06, .08
    X[:, 3, 0] = X[:, 1, 0] = 0.
    assert body_forward_score(X[:1]) == pytest.approx(.24)
    X[1, 9, 0] = 1.
    assert body_forward_score(X[1:]) == pytest.approx(.3) and body_forward_score(X) == pytest.approx(.27)
    leaning = X[:1].copy()
    leaning[:, 1, 0] = leaning[:, 3, 0] = .02                     # hip and ankle in front as well
    assert body_forward_score(leaning) == pytest.approx(.22, abs=.002)
