# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Systems over the joints of poses, against LAPACK."""
from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from selfpose_ros.core.body import BONE_A, BONE_B
from selfpose_ros.core.rig.elimination import solve_poses

Array = NDArray[np.float64]


def systems(poses: int, seed: int) -> Array:
    """(N, 51, 51): what joints are seen of, and bones between them, in precisions that differ by 10^6."""
    rng = np.random.default_rng(seed)
    seen = rng.normal(size=(poses, 17, 4, 3)) * 10 ** rng.uniform(-3, 3, (poses, 17, 1, 1))
    M = np.zeros((poses, 17, 3, 17, 3))
    joints = np.arange(17)
    M[:, joints, :, joints] = (seen.swapaxes(-1, -2) @ seen).swapaxes(0, 1)
    along = np.zeros((poses, 16, 17, 3))
    u = rng.normal(size=(poses, 16, 3)) * 30.
    along[:, np.arange(16), BONE_B], along[:, np.arange(16), BONE_A] = u, -u
    along = along.reshape(poses, 16, 51)
    return np.asarray(M.reshape(poses, 51, 51) + along.swapaxes(1, 2) @ along + 1e-6 * np.eye(51))


@pytest.mark.parametrize('columns', [1, 40])
def test_it_solves_what_lapack_solves(columns: int) -> None:
    M = systems(7, 0)
    rhs = np.random.default_rng(1).normal(size=(7, 51, columns))
    given = M.copy(), rhs.copy()
    found, wanted = solve_poses(M, rhs), np.linalg.solve(M, rhs)
    size = np.abs(wanted).max((1, 2), keepdims=True)
    assert (np.abs(found - wanted) / size).max() < 1e-5
    assert (np.abs(M @ found - rhs) / (np.abs(M) @ np.abs(found) + 1.)).max() < 1e-12, 'as exact as the numbers are'
    assert (M == given[0]).all() and (rhs == given[1]).all(), 'what was given stays'


@pytest.mark.parametrize('axes', [slice(30, 33), 30, 31, 32, 0, 49])
def test_a_joint_that_nothing_holds_makes_it_singular(axes: int | slice) -> None:
    """In one pose of two, along all axes or along one."""
    M = systems(2, 0)
    M[1, axes] = M[1, :, axes] = 0.
    with pytest.raises(np.linalg.LinAlgError):
        solve_poses(M, np.ones((2, 51, 1)))
