# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Scenes of several people are repeatable, and hold what they are there for."""
from __future__ import annotations

import numpy as np

from selfpose_ros.core.skeleton import BONES
from selfpose_ros.synthetic.crowd import crowd_scene
from selfpose_ros.synthetic.motion_capture import Motion


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


def test_bones_of_everybody_keep_about_their_lengths(motion: Motion) -> None:
    """Also where one sequence passes into the next: limbs to a quarter."""
    X = crowd_scene(motion, 2, 2, 1, 0, 8.).joints
    a, b = np.array(BONES)[[1, 2, 11, 12]].T
    length = np.linalg.norm(X[:, :, b] - X[:, :, a], axis=-1)
    assert (np.abs(length / np.median(length, 0) - 1) < .25).mean() > .97


def test_nobody_knows_who_is_who_and_most_is_seen(motion: Motion) -> None:
    s = crowd_scene(motion, 3, 4, 1, 0, 6.)
    assert all((v.person == -1).all() for f in s.frames for v in f.views)
    assert s.visible.shape == (len(s.stamp), 4, 3, 17) and .3 < s.visible.mean() < 1.
    assert np.mean([len(v.keypoints) for f in s.frames for v in f.views]) > 1.5
