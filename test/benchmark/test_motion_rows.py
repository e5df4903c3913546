# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Rows of joint angles and of standing feet."""
from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from selfpose_ros.benchmark import motion as rows
from selfpose_ros.benchmark.run import ROWS, Options, wanted
from selfpose_ros.core.angles import closed_form
from selfpose_ros.core.kinematics import ANGLES, LIMBS
from selfpose_ros.core.observation import Skeleton3D
from selfpose_ros.synthetic import walker
from selfpose_ros.synthetic.crowd import CrowdScene
from selfpose_ros.synthetic.motion_capture import Motion
from selfpose_ros.synthetic.one_body import bodies
from selfpose_ros.synthetic.roaming import roaming

FPS = 25.


@functools.cache
def motion() -> Motion:
    X = [walker(8., FPS, seed, 'walk') for seed in (1, 2)]
    return Motion(np.concatenate(X), np.array([0, len(X[0]), 2 * len(X[0])]), ('a', 'b'), FPS)


@functools.cache
def scene() -> CrowdScene:
    return rows._room(motion(), 1, 0, 8.)


def seen(off: float = 0., level: int = 3) -> list[list[Skeleton3D]]:
    X = scene().joints[:, 0] + np.random.default_rng(1).normal(0, 1, scene().joints[:, 0].shape) * off
    v = np.gradient(X, 1 / FPS, axis=0)
    return [[Skeleton3D(1, float(t), x, np.full(17, .01), np.full(17, .9), np.full(17, 4), level, w)]
            for t, x, w in zip(scene().stamp, X, v, strict=True)]


def test_ways_are_those_of_the_feet() -> None:
    """Whoever goes about stands where the motion capture does, but for where one sequence passes into the next."""
    X = roaming(np.random.default_rng(3), motion(), 400)
    assert X.shape == (400, 17, 3) and np.linalg.norm(X[:, 0, :2], axis=-1).max() < 6
    slow = np.linalg.norm(np.diff(X[:, 3, :2], axis=0), axis=-1) * FPS < .12
    own = np.linalg.norm(np.diff(motion().joints[:200, 3, :2], axis=0), axis=-1) * FPS < .12
    assert slow.mean() > .5 * own.mean() > .05


def test_the_truth_has_no_errors_and_noise_has_some() -> None:
    error, _, clear, arc, bend = rows.angle_errors(scene(), seen(), False)
    assert np.nanmean(error[:, 5:]) < 2 and clear[:, 5:13].all()
    known = np.isfinite(error)
    assert (arc[known] <= error[known]).all() and np.isfinite(arc[:, 7]).sum() > np.isfinite(error[:, 7]).sum()
    knee, elbow = closed_form(scene().joints[40, 0])[2][[8, 16]]
    np.testing.assert_allclose(bend[40, [5, 7, 14, 16]], np.rad2deg([knee, knee, elbow, elbow]))
    noisy = rows.angle_errors(scene(), seen(.02), False)[0]
    smooth = rows.angle_errors(scene(), seen(.02), True)[0]
    assert np.nanmean(noisy[:, 5:]) > 3 and np.nanmean(smooth[:, 5:]) < np.nanmean(noisy[:, 5:])
    assert np.isnan(rows.angle_errors(scene(), seen(level=2), False)[0]).all(), 'level 3 alone is in the world'


def test_what_no_two_cameras_see_does_not_count() -> None:
    hidden = replace(scene(), visible=np.zeros_like(scene().visible))
    assert np.isnan(rows.angle_errors(hidden, seen(), False)[0]).all() and len(rows.slides(hidden, seen())) == 0


def test_slides_are_those_of_standing_feet() -> None:
    still, noisy = rows.slides(scene(), seen()), rows.slides(scene(), seen(.01))
    assert len(still) == len(noisy) > 20 and still.mean() < rows._STANDS < noisy.mean()


def test_rows_are_made_and_need_a_motion(tmp_path: Path) -> None:
    assert set(rows.MOTION) <= set(ROWS) and not set(rows.MOTION) & set(wanted(Options(None, rows=('tick',))))
    assert set(rows.MOTION) <= set(wanted(Options(tmp_path / 'm.npz')))
    told: list[tuple[int, int]] = []
    made = list(rows.motion_rows(motion(), 1, None, rows.MOTION, lambda a, b: told.append((a, b)), 1, 8.))
    assert [r.name for r in made] == ['angles', 'angles', 'feet', 'feet'] and told[-1] == (1, 1)
    assert all(np.isfinite(r.value) for r in made) and 'knee flexion' in made[0].note
    assert '35 to 60 deg' in made[0].note
    assert made[1].value == pytest.approx(made[0].value, rel=1.) and len(ANGLES) == 21


def two_bodies() -> Motion:
    """Two people of different size, by turns."""
    X = [walker(6., FPS, 1, kind, height_m=tall) for kind in ('walk', 'exercise') for tall in (1.6, 1.95)]
    return Motion(np.concatenate(X), np.r_[0, np.cumsum([len(x) for x in X])], ('a', 'b', 'c', 'd'), FPS)


def test_who_goes_about_is_one_body() -> None:
    """Bones keep their lengths in a scene, also where one sequence passes into the next."""
    assert bodies(two_bodies()).tolist() == [0, 1, 0, 1]
    limbs = np.concatenate([LIMBS[:, :2], LIMBS[:, 1:]])
    for seed in range(4):
        X = roaming(np.random.default_rng(seed), two_bodies(), 600)
        length = np.linalg.norm(X[:, limbs[:, 1]] - X[:, limbs[:, 0]], axis=-1)
        assert np.ptp(length, axis=0).max() < .002


def test_who_goes_about_does_not_turn_round_in_an_instant() -> None:
    X = roaming(np.random.default_rng(1), two_bodies(), 600)
    across = X[:, 4, :2] - X[:, 1, :2]
    facing = np.unwrap(np.arctan2(across[:, 1], across[:, 0]))
    assert np.abs(facing[10:] - facing[:-10]).max() < np.deg2rad(100)
    assert np.linalg.norm(across, axis=-1).min() > .1


def test_who_goes_about_stays_in_the_room() -> None:
    """Whoever walks straight on is turned in time."""
    X = walker(24., FPS, 1, 'walk', path_m=np.array([[0., 0.], [20., 0.]]))[:480]
    straight = Motion(X, np.arange(0, 481, 120), ('a', 'b', 'c', 'd'), FPS)
    for seed in range(3):
        far = np.linalg.norm(roaming(np.random.default_rng(seed), straight, 600)[:, 0, :2], axis=-1)
        assert far.max() < 7 and (far < 3).mean() > .6
