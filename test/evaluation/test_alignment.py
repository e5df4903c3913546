# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What an alignment takes away from an error, and what it leaves."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.evaluation.alignment import SCORED, Alignment, align, align_known, aligned, pa_mm, residual_mm
from selfpose_ros.synthetic import walker

TURN = Rotation.from_rotvec([.3, -.8, 2.]).as_matrix()


@pytest.fixture(scope='module')
def pose():
    return walker(1., 5., seed=2)[2]


def test_where_and_how_large_the_pose_is_does_not_count(pose):
    assert pa_mm(1.7 * pose @ TURN.T + [4, 5, 6], pose) == pytest.approx(0, abs=1e-6)


def test_the_mirrored_pose_is_not_the_pose(pose):
    assert pa_mm(pose * [1, -1, 1], pose) > 30


def test_one_wrong_joint_shows(pose):
    wrong = pose.copy()
    wrong[13] += [.3, 0, 0]
    assert 15 < pa_mm(wrong, pose) < 60


def test_the_spine_is_not_scored(pose):
    wrong = pose.copy()
    wrong[JOINTS.index('spine')] += 1.
    assert pa_mm(wrong, pose) == pytest.approx(0, abs=1e-6) and len(SCORED) == 16


def test_unknown_joints_are_left_out_and_too_few_give_no_number(pose):
    part = pose.copy()
    part[[3, 6, 13]] = np.nan
    assert pa_mm(part, pose) == pytest.approx(0, abs=1e-6)
    part[4:] = np.nan
    assert np.isnan(pa_mm(part, pose))


def test_an_alignment_can_be_undone(pose):
    best = align(.9 * pose @ TURN.T + 1, pose)
    np.testing.assert_allclose(best.undo(best.apply(pose)), pose, atol=1e-12)
    assert best.scale == pytest.approx(1 / .9)


def test_every_pose_of_a_batch_has_an_alignment_of_its_own(pose):
    rng = np.random.default_rng(0)
    turns, sizes = Rotation.random(5, random_state=1).as_matrix(), rng.uniform(.5, 2, 5)
    poses = sizes[:, None, None] * pose @ turns + rng.normal(0, 3, (5, 1, 3)) + rng.normal(0, .02, (5, 17, 3))
    true = np.broadcast_to(pose, poses.shape)
    best = align(poses, true)
    np.testing.assert_allclose(best.scale, 1 / sizes, rtol=.05)
    np.testing.assert_allclose(best.undo(best.apply(poses)), poses, atol=1e-12)
    for k in range(5):
        np.testing.assert_allclose(aligned(poses, true)[k], align(poses[k], pose).apply(poses[k]), atol=1e-12)


def test_a_rigid_alignment_leaves_the_size_and_unknown_points_out(pose):
    part = 1.1 * pose @ TURN.T
    part[3] = np.nan
    best = align_known(part, pose, with_scale=False)
    assert best is not None and best.scale == 1
    np.testing.assert_allclose(best.R, TURN.T, atol=1e-12)
    part[5:] = np.nan
    assert align_known(part, pose) is None


def test_points_of_which_a_coordinate_is_unknown_are_left_out(pose):
    part, true = pose.copy(), pose.copy()
    part[3, 1], true[5, 0] = np.nan, np.nan
    assert pa_mm(part, true) == pytest.approx(0, abs=1e-6)
    best = align_known(part, true)
    assert best is not None and best.scale == pytest.approx(1)


@pytest.mark.parametrize('known', [5, 6])
def test_six_points_are_enough(pose, known: int):
    part = np.full((17, 3), np.nan)
    part[8:8 + known] = 2 * pose[8:8 + known]
    best = align_known(part, pose)
    assert (best is not None) == np.isfinite(pa_mm(part, pose)) == (known >= 6)
    if best is not None:
        assert best.scale == pytest.approx(.5)


def test_a_mirror_image_is_taken_where_it_fits_better_pose_by_pose(pose):
    """Of three poses the second is mirrored; the third, half of each, is moved by whichever leaves less."""
    half = np.where(np.arange(17)[:, None] < 7, pose * [1., 1., -1.], pose)
    poses = np.stack([1.2 * pose, pose * [1., -1., 1.], half])
    true = np.broadcast_to(pose, poses.shape)
    free, plain = aligned(poses, true, reflection=True), aligned(poses, true)
    np.testing.assert_allclose(free[:2], true[:2], atol=1e-9)
    np.testing.assert_allclose(plain[0], pose, atol=1e-9)
    assert np.abs(plain[1] - pose).max() > .05
    other = aligned(poses[2] * [1., 1., -1.], pose)
    better = min((plain[2], other), key=lambda x: float(((x - pose) ** 2).sum()))
    np.testing.assert_allclose(free[2], better, atol=1e-9)
    rigid = aligned(poses, true, with_scale=False, reflection=True)
    np.testing.assert_allclose(np.linalg.norm(rigid[0] - rigid[0].mean(0)), 1.2 * np.linalg.norm(pose - pose.mean(0)))


def test_what_is_left_is_a_mean_distance_in_mm(pose):
    """Every joint twice, 5 mm to one side and to the other: no motion takes that away."""
    off = np.array([3e-3, 0., 4e-3])
    both, true = np.concatenate([pose + off, pose - off]), np.concatenate([pose, pose])
    assert residual_mm(both, true) == pytest.approx(5, rel=.01)


def test_an_alignment_has_no_scale_unless_it_is_given(pose):
    np.testing.assert_allclose(Alignment(TURN, np.ones(3)).apply(pose), pose @ TURN.T + 1)
