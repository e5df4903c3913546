# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Scenes of several people are repeatable, and hold what they are there for."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.core.kinematics import LIMBS
from selfpose_ros.synthetic import walker
from selfpose_ros.synthetic.crowd import crowd_scene
from selfpose_ros.synthetic.errors import SyntheticError
from selfpose_ros.synthetic.motion_capture import Motion
from selfpose_ros.synthetic.one_body import bodies

FPS = 25.


def test_a_scene_is_repeatable_and_people_stay_apart(motion: Motion) -> None:
    a, b = (crowd_scene(motion, 3, 3, 1, 2, 8.) for _ in 'ab')
    assert np.array_equal(a.joints, b.joints) and np.isfinite(a.joints).all()
    assert all(np.array_equal(x.keypoints, y.keypoints, equal_nan=True)
               for f, g in zip(a.frames, b.frames, strict=True) for x, y in zip(f.views, g.views, strict=True))
    pelvis = a.joints[:, :, 0, :2]
    i, j = np.triu_indices(3, 1)
    gap = np.linalg.norm(pelvis[:, i] - pelvis[:, j], axis=-1)
    assert gap.min() > .2 and np.abs(np.linalg.norm(np.diff(pelvis, axis=0), axis=-1)).max() * motion.fps < 6.
    assert not np.array_equal(a.joints, crowd_scene(motion, 3, 3, 1, 3, 8.).joints)


def two_bodies() -> Motion:
    """Two people of different size, by turns."""
    X = [walker(3., FPS, seed, kind, height_m=tall) for seed, kind, tall in
         ((1, 'walk', 1.6), (2, 'walk', 1.95), (1, 'exercise', 1.6), (2, 'exercise', 1.95))]
    return Motion(np.concatenate(X), np.r_[0, np.cumsum([len(x) for x in X])], ('a', 'b', 'c', 'd'), FPS)


def test_sequences_of_one_body_are_those_with_its_limbs() -> None:
    assert bodies(two_bodies()).tolist() == [0, 1, 0, 1]


def test_everybody_is_one_body() -> None:
    """Limbs keep their lengths, also where one sequence passes into the next; people differ in size."""
    X = np.concatenate([crowd_scene(two_bodies(), 2, 2, seed, 0, 20.).joints for seed in range(3)], 1)
    length = np.linalg.norm(np.diff(X[:, :, LIMBS], axis=-2), axis=-1)
    assert np.ptp(length, axis=0).max() < .004
    assert np.ptp(length[0].sum((1, 2))) > .3


def test_motion_that_is_too_short_is_refused(motion: Motion) -> None:
    short = Motion(motion.joints[:40], np.array([0, 20, 40]), ('a', 'b'), motion.fps)
    with pytest.raises(SyntheticError, match='shorter than 30 frames; give longer ones'):
        crowd_scene(short, 1, 2, 1, 0, 4.)


def test_nobody_knows_who_is_who_and_most_is_seen(motion: Motion) -> None:
    s = crowd_scene(motion, 3, 4, 1, 0, 6.)
    assert all((v.person == -1).all() for f in s.frames for v in f.views)
    assert s.visible.shape == (len(s.stamp), 4, 3, 17) and .3 < s.visible.mean() < 1.
    assert np.mean([len(v.keypoints) for f in s.frames for v in f.views]) > 1.5
