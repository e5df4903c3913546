# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Angles of a whole recording, smoothed both ways."""
from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from selfpose_ros.core.angle_trajectory import angle_trajectory
from selfpose_ros.core.angles import AngleTracker, JointAngles, closed_form
from selfpose_ros.core.kinematics import ANGLES, Body, forward
from selfpose_ros.core.observation import Skeleton3D
from selfpose_ros.core.usual_poses import wrapped
from selfpose_ros.synthetic import walker

Array = NDArray[np.float64]
FPS, TURNS = 25., [n for n, a in enumerate(ANGLES) if a.name.endswith('_rotation')]
LIMBS = [n for n in range(5, len(ANGLES)) if n not in TURNS]


def people(X: Array, sigma: float, step: float = 1 / FPS) -> list[Skeleton3D | None]:
    return [Skeleton3D(1, i * step, x, np.full(17, sigma), np.full(17, .9), np.full(17, 4), 3) for i, x in enumerate(X)]


@functools.cache
def scene() -> tuple[Array, Array, list[Skeleton3D | None], Body]:
    """True joints and angles of a walk, what was estimated of them (15 mm off, alike for 0.1 s), and the measures."""
    X = walker(8., FPS, 4, 'walk')
    noise = gaussian_filter1d(np.random.default_rng(2).normal(0, 1, X.shape), 1.5, axis=0)
    seen = people(X + .015 * noise / noise.std(), .012)
    tracker = AngleTracker()
    for s in seen:
        assert s is not None
        tracker.update(s)
    return X, np.array([closed_form(x)[2] for x in X]), seen, tracker.body              # type: ignore[index]


def angles(found: list[JointAngles | None]) -> Array:
    return np.array([np.full(len(ANGLES), np.nan) if a is None else a.angle for a in found])


def test_it_is_nearer_to_the_truth_than_the_causal_one_and_sigmas_are_those_of_the_errors() -> None:
    _, true, seen, body = scene()
    tracker = AngleTracker()
    tracker.hold(body)
    causal = [tracker.update(s) for s in seen if s is not None]
    smooth = angle_trajectory(seen, body)
    error, before = (np.rad2deg(np.abs(wrapped(angles(a) - true)))[:, LIMBS] for a in (smooth, causal))
    assert error.mean() < .95 * before.mean() and error.mean() < 3.4, 'measured 3.2 and 3.4'
    sigma = np.rad2deg(np.array([a.sigma for a in smooth if a is not None]))[:, LIMBS]
    assert .5 < np.sqrt(np.mean((error / sigma) ** 2)) < 1.3


def test_perfect_joints_give_their_angles() -> None:
    X, true, _, body = scene()
    tracker = AngleTracker()
    for s in people(X, .002):
        assert s is not None
        tracker.update(s)
    error = np.rad2deg(np.abs(wrapped(angles(angle_trajectory(people(X, .002), tracker.body)) - true)))
    assert error[:, LIMBS].mean() < .8, 'measured 0.56: bodies of the walker are not rigid'


def test_gaps_stay_and_both_sides_are_by_themselves() -> None:
    _, _, seen, body = scene()
    some = [None if 80 <= i < 120 else s for i, s in enumerate(seen)]
    found = angle_trajectory(some, body)
    assert [a is None for a in found] == [s is None for s in some]
    alone = angle_trajectory(some[:80], body)
    np.testing.assert_allclose(angles(found)[:80], angles(alone), atol=1e-9)
    assert angle_trajectory([None] * 5, body) == [None] * 5 and angle_trajectory([], body) == []
    assert sum(a is not None for a in angle_trajectory(seen[:2], body)) == 2


def test_the_turn_of_a_straight_arm_goes_from_before_to_after() -> None:
    """Bent, straight for a second, bent again with another turn: between them it goes over, and is unsure."""
    T = 75
    A = np.zeros((T, len(ANGLES)))
    names = [a.name for a in ANGLES]
    bend, turn = names.index('l_elbow_flexion'), names.index('l_shoulder_rotation')
    A[:, bend] = np.where((np.arange(T) > 25) & (np.arange(T) < 50), 0., 1.3)
    A[:, turn] = np.linspace(0, .9, T)
    X = np.array([forward(Body.average(), np.zeros(3), np.eye(3), a) for a in A])
    found = angle_trajectory(people(X, .006), Body.average())
    off = np.rad2deg(np.abs(angles(found)[:, turn] - A[:, turn]))
    sigma = np.array([a.sigma[turn] for a in found if a is not None])
    assert off[30:46].max() < 16 and sigma[37] > 2 * sigma[10]


def test_uneven_steps_and_a_way_round() -> None:
    """An arm that turns about over the head, at stamps that jitter: no jump by a whole turn, no lag."""
    rng = np.random.default_rng(1)
    stamp = np.cumsum(rng.uniform(.02, .06, 100))
    A = np.zeros((100, len(ANGLES)))
    names = [a.name for a in ANGLES]
    # nobody sees the turn of a straight limb
    A[:, [n for n, name in enumerate(names) if 'knee' in name or 'elbow' in name]] = 1.
    A[:, names.index('l_shoulder_flexion')] = 2.5 + .7 * stamp
    X = np.array([forward(Body.average(), np.zeros(3), np.eye(3), a) for a in A])
    seen: list[Skeleton3D | None] = [Skeleton3D(1, float(t), x, np.full(17, .005), np.ones(17), np.full(17, 4), 3)
                                     for t, x in zip(stamp, X, strict=True)]
    off = np.rad2deg(np.abs(wrapped(angles(angle_trajectory(seen, Body.average())) - A)))
    assert off.max() < 6, 'measured 5: arms up are unusual'
