# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Figures of several people are those of the reference scorer, and see what they are there to see."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from selfpose_ros.core import rotation
from selfpose_ros.core.result import Skeletons
from selfpose_ros.core.rig import NotSolved
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.evaluation.people import PeopleTruth, people_score, people_summary
from selfpose_ros.synthetic import ring_rig, walker

T, P, V, FPS = 80, 3, 2, 20.


@pytest.fixture(scope='module')
def truth() -> PeopleTruth:
    """Three people; the third is out of all views at the end."""
    X = np.stack([walker(T / FPS, FPS, p, 'walk')[:T] + [1.2 * p, 0., 0.] for p in range(P)], 1)
    visible = np.ones((T, V, P, 17), bool)
    visible[60:, :, 2] = False
    return PeopleTruth(np.arange(T) / FPS, X, JOINTS, visible)


def result_of(joints: np.ndarray, person: np.ndarray, level: np.ndarray) -> Skeletons:
    shape = joints.shape[:3]
    return Skeletons(np.arange(T) / FPS, joints, np.full(shape, .02), np.ones(shape), np.full(shape, 2), level, person,
                     ('cam1', 'cam2'), NotSolved('none'))


def perfect(truth: PeopleTruth) -> Skeletons:
    return result_of(truth.joints.astype(float), np.tile(np.arange(1, P + 1), (T, 1)), np.full((T, P), 3))


def poor(truth: PeopleTruth) -> Skeletons:
    """Noise, another frame and size, gaps, an exchange of identities, a new identity, a ghost, level 2 at first."""
    rng = np.random.default_rng(0)
    X = 1.1 * (truth.joints + rng.normal(0, .03, truth.joints.shape)) @ rotation.exp(np.array([.2, -.4, 1.])).T + 3.
    X = np.concatenate([X, X[:, :1] + [2., 2., 0.]], 1)
    person = np.tile(np.arange(1, 5), (T, 1))
    level = np.full((T, 4), 3)
    level[:15] = 2
    X[20:30, 0], X[:, 3][np.arange(T) % 7 > 2] = np.nan, np.nan
    X[25:50, 1, 12:14] = np.nan
    person[40:, :2] = person[40:, 1::-1]
    person[55:, 2] = 9
    gone = ~np.isfinite(X).any((2, 3))
    return result_of(X, np.where(gone, 0, person), np.where(gone, 0, level))


@pytest.mark.parametrize('trusted', [False, True])
def test_every_figure_is_that_of_the_reference_scorer(truth: PeopleTruth, trusted: bool, monkeypatch):
    reference = Path(__file__).resolve().parents[2].parent / 'shared' / 'bench'
    if not (reference / 'score_people.py').exists():
        pytest.skip('the reference scorer, ../shared/bench, is not here')
    monkeypatch.syspath_prepend(str(reference))
    import score_people
    rig, ours = ring_rig(V, 1), poor(truth)
    scene = {'truth_joints': truth.joints, 'truth_stamp': truth.stamp, 'truth_visible': truth.visible,
             'truth_joint_names': np.array(JOINTS), 'truth_K': rig.K, 'truth_R': rig.R, 'truth_t': rig.t,
             'keypoints': np.zeros((T, V, 17, 2)), 'confidence': np.ones((T, V, 17)),
             'truth_who': np.zeros((T, V), int), 'truth_instant': np.arange(T)}
    result = {'stamp': ours.stamp, 'joints': ours.joints, 'person': ours.person, 'level': ours.level,
              'joint_names': np.array(JOINTS), 'R': rig.R, 'K': rig.K, 't': rig.t}
    theirs = score_people.one(scene, result, trusted)
    score = people_score(truth, ours, trusted)
    assert score.switches > 0 and score.false > 0 and score.recall < 100
    for name in ('recall', 'precision', 'mpjpe', 'pa', 'mota', 'idf1', 'hota', 'switches', 'frames', 'matched'):
        assert getattr(score, name) == pytest.approx(theirs[name], rel=1e-6), name
    assert score.level3_s == pytest.approx(theirs['level3']) and score.identities == theirs['ids']


def test_the_truth_is_perfect_and_somebody_unseen_is_no_matter(truth: PeopleTruth):
    s = people_score(truth, perfect(truth))
    assert s.recall == s.precision == s.mota == s.idf1 == 100 and s.hota > 99.9 and s.switches == s.false == 0
    assert s.frames == 2 * T + 60 and s.mpjpe < 1e-6


def test_an_exchange_of_identities_is_two_switches(truth: PeopleTruth):
    r = perfect(truth)
    person = r.person.copy()
    person[40:, :2] = person[40:, 1::-1]
    s = people_score(truth, replace(r, person=person))
    assert s.switches == pytest.approx(2 / (s.frames / FPS / 60)) and s.recall == 100 and s.idf1 < 80
    assert people_summary([s, s])['switches'] == pytest.approx(s.switches)
