# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What an alignment takes away from an error, and what it leaves."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.evaluation.alignment import SCORED, align, align_known, aligned, pa_mm
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
