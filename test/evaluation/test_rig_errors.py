# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Errors of a rig that were put in come out."""
from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from selfpose_ros.evaluation.rig_errors import worst_errors
from selfpose_ros.synthetic import ring_rig

TURN = Rotation.from_rotvec([.3, -.8, 2.]).as_matrix()
RIG = ring_rig(4, seed=1)


def test_another_world_frame_is_no_error_of_the_rig_but_a_bumped_camera_is():
    turned = dataclasses.replace(RIG, R=RIG.R @ TURN.T)
    assert worst_errors(turned, RIG) == pytest.approx((0, 0), abs=1e-4)
    R, K = RIG.R.copy(), RIG.K.copy()
    R[2] = Rotation.from_rotvec(np.deg2rad([0, 2., 0])).as_matrix() @ R[2]
    K[1, :2, :2] *= 1.05
    rotation, focal = worst_errors(dataclasses.replace(RIG, R=R, K=K), RIG)
    assert rotation == pytest.approx(2, abs=1e-3) and focal == pytest.approx(.05)


def test_a_rig_of_other_cameras_gives_no_number():
    assert np.isnan(worst_errors(dataclasses.replace(RIG, cameras=('a', 'b', 'c', 'cam1')), RIG)).all()
