# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Tracklets: never of two people, and as long as there is no doubt."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import EXACT, scene

from selfpose_ros.core.association.tracklets import Tracklets
from selfpose_ros.core.observation import MultiView, View2D
from selfpose_ros.synthetic import frames_of, observe, ring_rig, walker

FPS = 25.


def numbers(frames: list[MultiView], camera: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tracklet and true identity of every detection of one camera."""
    follow, found, true = Tracklets(), [], []
    for f in frames:
        for v in f.views:
            if v.camera == camera:
                found.append(follow.update(v))
                true.append(v.person)
    return np.concatenate(found), np.concatenate(true)


def crossing(apart_m: float = .4) -> list[MultiView]:
    """Two who walk past each other and stand on."""
    a = walker(5., FPS, 3, 'walk', path_m=[(-2., 0.), (2., 0.)])
    b = walker(5., FPS, 4, 'walk', path_m=[(2., apart_m), (-2., apart_m)])
    return frames_of(observe(np.stack([a, b], 1), ring_rig(4, 2), FPS, 3, identities=True))


@pytest.mark.parametrize('camera', ['cam1', 'cam2', 'cam3', 'cam4'])
def test_a_tracklet_is_of_one_person_through_a_crossing(camera: str) -> None:
    found, true = numbers(crossing(), camera)
    for k in np.unique(found[found >= 0]):
        assert len(np.unique(true[found == k])) == 1, f'tracklet {k} is of {np.unique(true[found == k])}'


def test_tracklets_are_long_where_nobody_is_near() -> None:
    a, b = walker(3., FPS, 3, start=(-1.5, 0.)), walker(3., FPS, 4, start=(1.5, 0.))
    frames = frames_of(observe(np.stack([a, b], 1), ring_rig(4, 2), FPS, 3, identities=True, **EXACT))
    found = [numbers(frames, c)[0] for c in ('cam1', 'cam2', 'cam3', 'cam4')]
    assert max(np.sort(np.bincount(k[k >= 0]))[-2] for k in found) >= 70              # of 75 instants


def two(x_px: float, stamp: float) -> View2D:
    """One person, and the same pose so far beside."""
    kp = scene(1, .2, FPS, 1, **EXACT).frames[0].views[0].keypoints[0]
    return View2D('a', stamp, np.stack([kp, kp + [x_px, 0.]]), np.full((2, 17), .9), (1280, 720))


def test_a_rival_that_is_nearly_as_near_ends_the_tracklet() -> None:
    follow = Tracklets()
    first = follow.update(two(300., 0.))
    assert follow.update(two(300., .04)).tolist() == first.tolist()
    near = follow.update(two(4., .08))
    assert not set(near.tolist()) & set(first.tolist())


def test_who_was_away_is_a_new_tracklet() -> None:
    follow = Tracklets()
    first = follow.update(two(300., 0.))
    assert follow.update(two(300., .4)).tolist() == first.tolist()
    assert not set(follow.update(two(300., 1.)).tolist()) & set(first.tolist())


def test_a_clock_that_jumps_back_begins_anew() -> None:
    follow = Tracklets()
    first = follow.update(two(300., 10.))
    assert not set(follow.update(two(300., 1.)).tolist()) & set(first.tolist())


def test_detections_without_a_body_have_no_number() -> None:
    kp = np.full((1, 17, 2), np.nan)
    kp[0, :3] = 100.
    view = View2D('a', 0., kp, np.where(np.isfinite(kp[..., 0]), .9, 0.), (640, 480))
    assert Tracklets().update(view).tolist() == [-1]
    assert Tracklets().update(replace(view, keypoints=np.zeros((0, 17, 2)), confidence=np.zeros((0, 17)),
                                      person=np.zeros(0, np.int64))).tolist() == []
