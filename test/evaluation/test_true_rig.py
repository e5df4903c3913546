# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The yardstick is only as strong as it is right: true cameras must help, and cameras that are off must not."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from selfpose_ros.core import rotation
from selfpose_ros.core.estimator import EstimatorConfig
from selfpose_ros.core.rig import Rig
from selfpose_ros.evaluation.scoring import Score, compare
from selfpose_ros.evaluation.true_rig import with_true_cameras
from selfpose_ros.synthetic.clips import Clip, Conditions, chosen, make_clip


@pytest.fixture(scope='module')
def clip(motion) -> Clip:
    return make_clip(motion, chosen(motion)[0], 1)


def scored(clip: Clip, offline: bool) -> tuple[Score, object]:
    result = with_true_cameras(clip, clip.frames(), EstimatorConfig(), offline)
    return compare(clip, result).score(), result.rig


def test_the_true_cameras_stay_as_they_are(clip: Clip):
    score, rig = scored(clip, offline=True)
    assert isinstance(rig, Rig) and rig.scale_source == 'known baseline'
    assert score.rot < 1e-3 and score.focal < 1e-6
    # smoothed and with outliers rejected: far better than triangulation frame by frame from the same joints
    assert score.pa < .75 * score.dlt_pa and score.cover == 1. and score.l3 == 1.


def test_causal_is_at_level_3_from_the_first_frame_on(clip: Clip):
    score, _ = scored(clip, offline=False)
    assert score.pa < .9 * score.dlt_pa and score.l3 > .98


def test_cameras_that_are_off_make_a_worse_yardstick(motion):
    # of two: where there are more, one that is off is outvoted, as it should be
    clip = make_clip(motion, chosen(motion)[0], 1, Conditions(2))
    right, _ = scored(clip, offline=True)
    off = clip.truth.R.copy()
    off[1] = rotation.exp(np.deg2rad([20., 0., 0.])) @ off[1]
    turned = replace(clip, truth=replace(clip.truth, R=off))
    result = with_true_cameras(turned, turned.frames(), EstimatorConfig(), True)
    assert compare(clip, result).score().pa > 1.1 * right.pa


def test_a_clip_that_shows_nobody_twice_has_no_yardstick(clip: Clip):
    keypoints = clip.keypoints.copy()
    keypoints[:, 1:] = np.nan
    alone = replace(clip, keypoints=keypoints)
    result = with_true_cameras(alone, alone.frames(), EstimatorConfig(), True)
    assert not isinstance(result.rig, Rig) and 'two cameras' in result.rig.reason
