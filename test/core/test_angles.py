# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Joint angles: the tree, its derivatives, and that angles come back from the joints they put somewhere."""
from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from numpy.typing import NDArray

from selfpose_ros.core import rotation
from selfpose_ros.core.angles import AngleTracker, closed_form, measured_body
from selfpose_ros.core.joint_directions import JointDirections
from selfpose_ros.core.kinematics import ANGLES, FIRST, UNKNOWNS, Body, forward, link_rotations
from selfpose_ros.core.observation import Skeleton3D
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.core.usual_poses import drawn, wrapped
from selfpose_ros.synthetic import walker

Array = NDArray[np.float64]
NAME = {a.name: n for n, a in enumerate(ANGLES)}
J = {n: i for i, n in enumerate(JOINTS)}


def pose(seed: int = 1) -> tuple[Array, Array, Array]:
    """Place, pelvis and angles of somebody, all joints bent."""
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-.3, .3, len(ANGLES))
    for name in ('l_knee_flexion', 'r_knee_flexion', 'l_elbow_flexion', 'r_elbow_flexion'):
        angles[NAME[name]] = rng.uniform(.4, 1.2)
    return rng.normal(0, 1, 3), rotation.exp(np.array([.1, -.1, rng.uniform(-3, 3)])), angles


def person(joints: Array, stamp: float = 0., sigma: float = .001) -> Skeleton3D:
    return Skeleton3D(1, stamp, joints, np.full(17, sigma), np.full(17, .9), np.full(17, 4), 3)


def test_directions_pull_back_what_is_turned_away_by_each_unknown() -> None:
    """Where all fits there is no pull; a small turn away from there is answered by the normal equations' own matrix."""
    place, pelvis, angles = pose()
    seen = JointDirections([person(forward(Body.average(), place, pelvis, angles))])
    H, g = seen.equations(pelvis[None], angles[None], 1e6)
    scale = float(np.abs(H).max())
    np.testing.assert_allclose(g, 0, atol=1e-9 * scale)
    h = 1e-6
    for n in range(UNKNOWNS):
        d = np.zeros(UNKNOWNS)
        d[n] = h
        pulled = seen.equations((rotation.exp(-d[:FIRST]) @ pelvis)[None], (angles - d[FIRST:])[None], 1e6)[1][0]
        np.testing.assert_allclose(pulled / h, H[0, n], atol=1e-4 * scale)


def test_longer_bones_and_shoulders_that_are_drawn_up_turn_nothing() -> None:
    place, pelvis, angles = pose()
    X = forward(Body.average(), place, pelvis, angles)
    torso = pelvis @ link_rotations(angles)['torso']
    drawn_up = X.copy()
    drawn_up[11:] += .05 * torso[:, 2]
    stretched = place + 1.2 * (X - place)
    for other in (drawn_up, stretched):
        _, g = JointDirections([person(other)]).equations(pelvis[None], angles[None], 1e6)
        np.testing.assert_allclose(g, 0, atol=1e-4)
    unknown = X.copy()
    unknown[J['l_wrist']] = np.nan
    H, _ = JointDirections([person(unknown)]).equations(pelvis[None], angles[None], 1e6)
    assert H[0, FIRST + NAME['l_elbow_flexion']].any() == 0 and H[0, FIRST + NAME['r_elbow_flexion']].any()


@pytest.mark.parametrize(('angle', 'joint', 'of', 'direction'), [
    ('l_hip_flexion', 'l_ankle', 'l_hip', (1, 0, 0)), ('r_hip_flexion', 'r_ankle', 'r_hip', (1, 0, 0)),
    ('l_hip_abduction', 'l_ankle', 'l_hip', (0, 1, 0)), ('r_hip_abduction', 'r_ankle', 'r_hip', (0, -1, 0)),
    ('l_knee_flexion', 'l_ankle', 'l_knee', (-1, 0, 0)), ('r_knee_flexion', 'r_ankle', 'r_knee', (-1, 0, 0)),
    ('l_shoulder_flexion', 'l_wrist', 'l_shoulder', (1, 0, 0)),
    ('r_shoulder_abduction', 'r_wrist', 'r_shoulder', (0, -1, 0)),
    ('l_elbow_flexion', 'l_wrist', 'l_elbow', (1, 0, 0)), ('r_elbow_flexion', 'r_wrist', 'r_elbow', (1, 0, 0)),
    ('waist_pitch', 'head', 'pelvis', (1, 0, 0)), ('neck_pitch', 'head', 'thorax', (1, 0, 0))])
def test_a_quarter_turn_points_where_its_name_has_it(angle: str, joint: str, of: str,
                                                     direction: tuple[int, ...]) -> None:
    """X forward, y left, z up; alike on both sides."""
    angles = np.zeros(len(ANGLES))
    angles[NAME[angle]] = np.pi / 2
    X = forward(Body.average(), np.zeros(3), np.eye(3), angles)
    d = X[J[joint]] - X[J[of]]
    if of == 'pelvis':
        d = X[J[joint]] - X[J['spine']]
    np.testing.assert_allclose(d / np.linalg.norm(d), direction, atol=1e-9)


def test_outward_turns_are_positive_on_both_sides() -> None:
    for s, sign in (('l', 1), ('r', -1)):
        angles = np.zeros(len(ANGLES))
        angles[NAME[f'{s}_elbow_flexion']], angles[NAME[f'{s}_shoulder_rotation']] = np.pi / 2, np.pi / 2
        X = forward(Body.average(), np.zeros(3), np.eye(3), angles)
        d = X[J[f'{s}_wrist']] - X[J[f'{s}_elbow']]
        np.testing.assert_allclose(d / np.linalg.norm(d), (0, sign, 0), atol=1e-9)


def test_angles_and_measures_come_back_from_joints() -> None:
    for seed in range(5):
        place, pelvis, angles = pose(seed)
        X = forward(Body.average(), place, pelvis, angles)
        found = closed_form(X)
        assert found is not None
        np.testing.assert_allclose(found[2], angles, atol=1e-6)
        np.testing.assert_allclose(found[1], pelvis, atol=1e-6)
        body = measured_body(X)
        assert body is not None
        for f in fields(Body):
            np.testing.assert_allclose(getattr(body, f.name), getattr(Body.average(), f.name), atol=1e-6)


def test_link_rotations_are_those_that_forward_uses() -> None:
    place, pelvis, angles = pose()
    X, own = forward(Body.average(), place, pelvis, angles), link_rotations(angles)
    shank = pelvis @ own['l_thigh'] @ own['l_shank']
    np.testing.assert_allclose(X[J['l_ankle']] - X[J['l_knee']], -Body.average().lower[0] * shank[:, 2], atol=1e-9)
    forearm = pelvis @ own['torso'] @ own['r_upper_arm'] @ own['r_forearm']
    np.testing.assert_allclose(X[J['r_wrist']] - X[J['r_elbow']], -Body.average().lower[3] * forearm[:, 2], atol=1e-9)


def test_noisy_joints_give_angles_as_uncertain_as_they_are_told() -> None:
    """Below 4 degrees with 15 mm on every joint; the standard deviations are no smaller than the errors."""
    rng, fps = np.random.default_rng(3), 25.
    X = walker(6., fps, 2, 'walk')
    true, noisy = AngleTracker(), AngleTracker()
    errors, sigmas = [], []
    for i, x in enumerate(X):
        a = true.update(person(x, i / fps))
        b = noisy.update(person(x + rng.normal(0, .015, (17, 3)), i / fps, .015))
        assert a is not None and b is not None
        errors.append(np.abs(b.angle - a.angle))
        sigmas.append(b.sigma)
    error, sigma = np.rad2deg(np.array(errors[25:])), np.rad2deg(np.array(sigmas[25:]))
    turns = [n for n, a in enumerate(ANGLES) if a.name.endswith('_rotation')]
    limbs = [n for n in range(5, len(ANGLES)) if n not in turns]
    assert error[:, limbs].mean() < 4.
    assert (error < 2 * sigma).mean() > .9 and sigma[:, limbs].mean() < 15


def test_the_turn_of_a_straight_arm_is_uncertain() -> None:
    angles = np.zeros(len(ANGLES))
    straight = AngleTracker().update(person(forward(Body.average(), np.zeros(3), np.eye(3), angles)))
    angles[NAME['l_elbow_flexion']] = 1.5
    bent = AngleTracker().update(person(forward(Body.average(), np.zeros(3), np.eye(3), angles)))
    assert straight is not None and bent is not None
    turn = NAME['l_shoulder_rotation']
    assert straight.sigma[turn] > 3 * bent.sigma[turn] and bent.angle[turn] == pytest.approx(0, abs=.05)


def test_limits_hold_and_what_is_missing_is_no_pose() -> None:
    angles = np.zeros(len(ANGLES))
    angles[NAME['r_knee_flexion']] = -1.                   # bent forwards
    found = AngleTracker().update(person(forward(Body.average(), np.zeros(3), np.eye(3), angles), sigma=.05))
    assert found is not None and found.angle[NAME['r_knee_flexion']] > ANGLES[NAME['r_knee_flexion']].low - .3
    X = forward(Body.average(), np.zeros(3), np.eye(3), angles * 0)
    X[[J['r_wrist'], J['l_ankle']]] = np.nan
    some = AngleTracker().update(person(X))
    assert some is not None and np.isfinite(some.angle).all()
    assert some.sigma[NAME['r_elbow_flexion']] > some.sigma[NAME['l_elbow_flexion']]
    X[:] = np.nan
    assert AngleTracker().update(person(X)) is None


def test_an_arm_goes_all_the_way_round() -> None:
    """Over the head and on behind it: no limit draws it, the trunk and the elbow away from where they are."""
    tracker, angles = AngleTracker(), np.zeros(len(ANGLES))
    tracker.hold(Body.average())
    # nobody sees the turn of a straight limb
    for name in ('r_elbow_flexion', 'l_elbow_flexion', 'r_knee_flexion', 'l_knee_flexion'):
        angles[NAME[name]] = 1.2
    angles[NAME['r_shoulder_abduction']], angles[NAME['waist_pitch']] = .7, -.2
    for n, flexion in enumerate(np.linspace(0, np.deg2rad(240), 120)):
        angles[NAME['r_shoulder_flexion']] = wrapped(flexion)
        angles[NAME['r_shoulder_rotation']] = -.6 * flexion
        X = forward(Body.average(), np.zeros(3), np.eye(3), angles)
        found = tracker.update(person(X, n / 25., .005))
        assert found is not None and (np.abs(found.angle) <= np.pi).all()
        off = np.rad2deg(np.abs(wrapped(found.angle - angles)))
        # at 90 degrees of 0.04 s a step there is some lag, in all other angles there is none
        assert off.max() < 8, (n, ANGLES[int(off.argmax())].name, off.max())
        assert off[[NAME['waist_pitch'], NAME['r_elbow_flexion'], NAME['l_hip_flexion']]].max() < 3


def test_unusual_poses_are_hardly_drawn_towards_usual_ones() -> None:
    usual, far = np.zeros(len(ANGLES)), np.zeros(len(ANGLES))
    side = NAME['l_hip_abduction']
    far[side] = 1.2                                          # 2 +- 8 degrees is usual
    assert drawn(far)[0][side, side] < .3 * drawn(usual)[0][side, side] and drawn(far)[1][side] < 0
    assert drawn(far, .1)[0][side, side] < drawn(far)[0][side, side]
    beyond = np.full(len(ANGLES), 3.)
    assert (drawn(beyond, 0.)[1][[NAME['l_knee_flexion'], side]] < -50).all(), 'limits hold'
    assert drawn(beyond, 0.)[1][NAME['l_shoulder_flexion']] == 0, 'where there are any'


def test_usual_poses_are_alike_on_both_sides_and_angles_go_together() -> None:
    other = np.r_[0:5, 9:13, 5:9, 17:21, 13:17]
    sign = np.ones(len(ANGLES))
    sign[[NAME['waist_yaw'], NAME['waist_roll'], NAME['neck_roll']]] = -1
    angles = np.random.default_rng(4).uniform(-.3, .3, len(ANGLES))
    information, pull = drawn(angles)
    mirrored, pulled = drawn((sign * angles)[other])
    np.testing.assert_allclose(pulled, (sign * pull)[other], rtol=.02, atol=.02 * np.abs(pull).max())
    assert np.linalg.eigvalsh(information).min() > 0
    bent = np.zeros(len(ANGLES))
    bent[NAME['l_knee_flexion']] = 1.5
    assert drawn(bent)[1][NAME['l_hip_flexion']] > drawn(np.zeros(len(ANGLES)))[1][NAME['l_hip_flexion']]
