# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Errors of the world frame and of sigma that were put in come out."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from results import result_of, true_rig

from selfpose_ros.core import rotation
from selfpose_ros.evaluation.scoring import compare
from selfpose_ros.evaluation.sigmas import sigma_samples
from selfpose_ros.evaluation.world_errors import true_stature_m, world_errors
from selfpose_ros.synthetic.clips import Clip


def test_a_tilted_small_and_sunken_world_is_measured(clip: Clip):
    tilt = rotation.exp(np.array([np.deg2rad(4.), 0., 0.])) @ rotation.exp(np.array([0., 0., 2.]))
    true = clip.truth.joints.astype(float)
    pivot = np.median(true[:, 0], 0) * [1, 1, 0]
    # the result's floor lies 5 cm below the true one, and its metre is too short
    X = 1.06 * ((true - pivot) @ tilt.T + [0, 0, .05])
    result = result_of(clip, X, rig=replace(true_rig(clip), scale_sigma=.07, gravity_sigma_deg=2.))
    w = world_errors(compare(clip, result), result)
    assert w is not None
    assert w.size == pytest.approx(.06, abs=1e-3) and w.size_sigma == .07
    assert w.up_deg == pytest.approx(4., abs=.01) and w.up_sigma_deg == 2.
    assert w.floor_m == pytest.approx(-.05, abs=.02)


def test_without_a_rig_the_world_is_not_measured(clip: Clip):
    result = result_of(clip, clip.truth.joints.astype(float))
    assert world_errors(compare(clip, result), result) is None


@pytest.mark.parametrize(('told', 'within'), [(1., .683), (.5, .383), (2., .954)])
def test_sigma_is_judged_by_the_errors_that_it_predicts(clip: Clip, told, within):
    true = clip.truth.joints.astype(float)
    X = true + np.random.default_rng(1).normal(0, .02, true.shape)
    samples = sigma_samples(compare(clip, result_of(clip, X, sigma=told * .02)))
    assert set(samples) == {'rigid', 'clip', 'frame'}
    for name, (sigma, left) in samples.items():
        share = (np.abs(left) < sigma[:, None]).mean()
        # an alignment of 16 joints takes some of the error away; measured .72 at the most for told = 1
        assert share == pytest.approx(within, abs=.05 if name == 'frame' else .02), name


def test_a_wrong_size_is_an_error_that_sigma_has_to_answer_for_in_the_rigid_alignment_only(clip: Clip):
    X = 1.2 * clip.truth.joints.astype(float)
    samples = sigma_samples(compare(clip, result_of(clip, X, sigma=.02)))
    within = {name: (np.abs(left) < sigma[:, None]).mean() for name, (sigma, left) in samples.items()}
    assert within['rigid'] < .5 and within['clip'] == within['frame'] == 1


def test_sigma_below_level_3_is_not_judged(clip: Clip):
    result = result_of(clip, clip.truth.joints.astype(float))
    assert sigma_samples(compare(clip, replace(result, level=np.minimum(result.level, 2)))) == {}


def test_the_true_height_is_that_of_the_person(clip: Clip):
    # the walker is 1.75 m tall; its proportions differ from the table's by 3 % a bone. Measured 1.77
    assert true_stature_m(clip) == pytest.approx(1.75, rel=.05)
