# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Scripted scenes: what their names say happens in them."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.synthetic.motion_capture import Motion
from selfpose_ros.synthetic.scripted import SCRIPTS, scripted_scene


@pytest.fixture(scope='module')
def scenes(motion: Motion) -> dict:
    return {name: scripted_scene(motion, name, seconds=8.) for name in SCRIPTS}


def test_each_script_does_what_it_says(scenes: dict) -> None:
    apart = {name: np.linalg.norm(s.joints[:, 0, 0, :2] - s.joints[:, 1, 0, :2], axis=-1)
             for name, s in scenes.items() if s.joints.shape[1] == 2}
    assert apart['cross'].min() < .7 and apart['exchange'].min() < .7 and min(apart['cross'].max(),
                                                                             apart['exchange'].max()) > 2.5
    side = [s.joints[:, 0, 0, 0] - s.joints[:, 1, 0, 0] for s in (scenes['cross'], scenes['exchange'])]
    assert all((x > .2).any() and (x < -.2).any() for x in side)                # they pass, or turn about each other
    assert np.ptp(scenes['still'].joints, axis=0).max() == 0.
    a, b = np.moveaxis(scenes['mirror'].joints, 1, 0)
    np.testing.assert_allclose(a[:, 0] * [-1., 1., 1.], b[:, 0])
    assert scenes['alone'].joints.shape[1] == scenes['poster'].joints.shape[1] == 1
    shown = (scenes['one_view'].visible.sum(-1) >= 8).mean(0)                   # views, people
    assert (shown[:, 1] > .7).sum() == 1 and (shown[:, 1] > .2).sum() == 1


def test_a_poster_is_in_one_camera_alone(scenes: dict) -> None:
    more = {v.camera for f in scenes['poster'].frames for v in f.views if len(v.keypoints) > 1}
    assert len(more) == 1


def test_the_same_seed_gives_the_same_scene(motion: Motion) -> None:
    one, two, other = (scripted_scene(motion, 'cross', seed=s, seconds=2.) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.joints, two.joints)
    assert np.abs(one.rig.t - other.rig.t).max() > .1
