# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Many rigs at once have the distribution of the protocol's."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.synthetic.errors import SyntheticError
from selfpose_ros.synthetic.rigs import RigRange, draw_cameras, draw_rigs, project


def test_rigs_are_those_of_the_protocol():
    rng = np.random.default_rng(1)
    slow = [draw_cameras(rng) for _ in range(1500)]
    R, t, K = (np.array(x) for x in zip(*slow, strict=True))
    fast = draw_rigs(np.random.default_rng(2), 1500, 4)

    def figures(R, t, K):
        centre = -np.einsum('cvji,cvj->cvi', R, t)
        azimuth = np.degrees(np.arctan2(centre[..., 1], centre[..., 0]))
        gap = np.diff(np.sort(azimuth, 1), axis=1)
        lean = np.degrees(np.arcsin(R[..., 0, 2]))
        values = {'distance': np.hypot(centre[..., 0], centre[..., 1]), 'height': centre[..., 2], 'focal': K[..., 0, 0],
                  'azimuth': azimuth, 'gap': gap, 'roll': lean, 'pitch': R[..., 2, 2]}
        return {f'{k} {q}': np.percentile(v, q) for k, v in values.items() for q in (2, 25, 50, 75, 98)}, {
            k: v.std() for k, v in values.items()}

    a, spread = figures(R, t, K)
    b, _ = figures(fast.R, fast.t, fast.K)
    for name, value in a.items():
        assert abs(b[name] - value) < .07 * spread[name.split()[0]], (name, value, b[name])
    assert np.allclose(fast.R @ fast.R.swapaxes(-1, -2), np.eye(3), atol=1e-5)
    assert np.allclose(np.linalg.det(fast.R), 1, atol=1e-5)
    # not the same azimuth first in all: the order round the circle is random
    centre = -np.einsum('cvji,cvj->cvi', fast.R, fast.t)
    first = np.argsort(np.arctan2(centre[..., 1], centre[..., 0]), 1)[:, 0]
    assert np.bincount(first, minlength=4).min() > 300


def test_joint_behind_a_camera_is_not_seen():
    X = np.array([[[0., 0, -1]] * 17], np.float32)
    eye = np.eye(3, dtype=np.float32)[None, None]
    assert np.isnan(project(X, eye, np.zeros((1, 1, 3), np.float32), eye)).all()


def test_more_cameras_than_fit_on_a_circle_are_refused():
    with pytest.raises(SyntheticError, match='hardly fit on a circle'):
        RigRange(drawn=14)
