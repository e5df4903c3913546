# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Joints beside where limbs turn are found by the lengths of bones alone, and moved there; right ones stay."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from selfpose_ros.core.convention import Convention, ConventionError, move_matrices
from selfpose_ros.core.convention_estimate import Halves, estimate_convention, halves_of
from selfpose_ros.core.estimator import Estimator, EstimatorConfig
from selfpose_ros.core.observation import MultiView
from selfpose_ros.core.offline import reconstruct_offline
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.synthetic import observe, ring_rig, walker

#: a network with hips too far out and too low, knees and elbows too far up, shoulders too far in
SHIFTED = Convention({('hip', 'pelvis', 'hip'): .35, ('hip', 'pelvis', 'thorax'): -.06, ('knee', 'knee', 'hip'): .07,
                      ('shoulder', 'thorax', 'shoulder'): -.2, ('elbow', 'elbow', 'shoulder'): .08})
FPS = 10.


def people(count: int = 8) -> list[np.ndarray]:
    """Walkers, who bend their knees, with elbows that bend as well."""
    out = []
    for k in range(count):
        X = walker(20., FPS, 40 + k, 'exercise', 1.6 + .04 * k)
        angle = .7 - .7 * np.cos(np.arange(len(X)) / FPS * (1 + .1 * k))[:, None]
        for shoulder, elbow, wrist in ((11, 12, 13), (14, 15, 16)):
            along, across = X[:, elbow] - X[:, shoulder], X[:, 11] - X[:, 14]
            along /= np.linalg.norm(along, axis=-1, keepdims=True)
            aside = np.cross(along, across)
            aside /= np.linalg.norm(aside, axis=-1, keepdims=True)
            length = np.linalg.norm(X[:, wrist] - X[:, elbow], axis=-1, keepdims=True)
            X[:, wrist] = X[:, elbow] + length * (np.cos(angle) * along + np.sin(angle) * aside)
        out.append(X)
    return out


def seen_twice(X: np.ndarray, rng: np.random.Generator, noise_m: float = .02) -> Halves:
    first, second = (X + rng.normal(0, noise_m, X.shape) for _ in range(2))
    return Halves(first, second, np.arange(len(X)) / FPS)


def test_shifted_joints_are_moved_towards_where_limbs_turn() -> None:
    rng = np.random.default_rng(5)
    truth = people()
    found = estimate_convention([seen_twice(SHIFTED.moved(X), rng) for X in truth])
    X = np.concatenate(truth)
    before, after = (np.linalg.norm(Y - X, axis=-1).mean(0) for Y in (SHIFTED.moved(X),
                                                                      found.moved(SHIFTED.moved(X))))
    for limb in ('hip', 'knee', 'shoulder', 'elbow'):
        j = JOINTS.index(f'l_{limb}')
        assert before[j] > .02 and after[j] < .65 * before[j], limb
    assert after[[1, 2, 4, 5, 11, 12, 14, 15]].mean() < .45 * before[[1, 2, 4, 5, 11, 12, 14, 15]].mean()
    assert found.sigma.keys() == found.shares.keys() and min(found.sigma.values()) > 0


def test_joints_where_limbs_turn_stay() -> None:
    """Noise makes bones longer and shorter, too: averages of joints would make them the more constant."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        assert estimate_convention([seen_twice(X, rng, .03) for X in people()]).shares == {}


def test_joints_that_are_not_seen_take_no_part() -> None:
    rng = np.random.default_rng(5)
    halves = [seen_twice(SHIFTED.moved(X), rng) for X in people()]
    for h in halves:
        h.first[:, 13] = np.nan                            # a wrist: the other arm tells
        h.second[::7, 2] = np.nan
    found = estimate_convention(halves)
    assert found.shares['elbow', 'elbow', 'shoulder'] == pytest.approx(-.08, abs=.03)
    assert found.shares['knee', 'knee', 'hip'] == pytest.approx(-.07, abs=.03)


def test_too_little_proves_nothing() -> None:
    rng = np.random.default_rng(5)
    with pytest.raises(ConventionError, match=r'^10 blocks of 2 s'):
        estimate_convention([seen_twice(people(1)[0], rng)])


@pytest.mark.parametrize(('shares', 'words'), [
    ({('head', 'neck', 'head'): .1}, 'no joint is moved as in head neck head'),
    ({('knee', 'knee', 'hip'): .7}, 'must be within 0.6'), ({('knee', 'knee', 'hip'): np.nan}, 'must be within 0.6')])
def test_other_moves_are_refused(shares: dict, words: str) -> None:
    with pytest.raises(ConventionError, match=words):
        Convention(shares)


def test_what_a_move_rests_on_must_be_seen() -> None:
    X = people(1)[0][:1]
    X[0, JOINTS.index('l_hip')] = np.nan
    moved = Convention({('knee', 'knee', 'hip'): .5}).moved(X)
    r, hip = JOINTS.index('r_knee'), JOINTS.index('r_hip')
    np.testing.assert_allclose(moved[0, r], .5 * (X[0, r] + X[0, hip]))
    rest = [j for j in range(17) if j != r]
    np.testing.assert_array_equal(moved[0, rest], X[0, rest])
    assert Convention({}).weights.tolist() == np.eye(17).tolist()
    assert not move_matrices().sum(-1).any(), 'joints of a body that is moved as a whole move as it does'


def test_views_are_moved_before_anything_else_live_and_off_line() -> None:
    """The same skeletons as of views that were moved by hand."""
    X, rig = walker(3., FPS, 3, 'mixed'), ring_rig(4, 3)
    frames = [MultiView(i / FPS, tuple(v for v in observe(X, rig, FPS, 3) if abs(v.stamp - i / FPS) < .5 / FPS))
              for i in range(len(X))]
    by_hand = [replace(f, views=tuple(replace(v, keypoints=SHIFTED.moved(v.keypoints)) for v in f.views))
               for f in frames]
    told, bare = EstimatorConfig(convention=SHIFTED), EstimatorConfig()
    for a, b in zip(reconstruct_offline(frames, told)[0], reconstruct_offline(by_hand, bare)[0], strict=True):
        np.testing.assert_allclose(a[0].joints, b[0].joints, atol=1e-6)
    live, hand = Estimator(told, rig=rig), Estimator(bare, rig=rig)
    last = [(live.update(a), hand.update(b)) for a, b in zip(frames, by_hand, strict=True)][-1]
    np.testing.assert_allclose(last[0][0].joints, last[1][0].joints, atol=1e-6)


def test_two_halves_need_four_cameras() -> None:
    X, rig = walker(6., FPS, 3, 'mixed'), ring_rig(3, 3)
    frames = [MultiView(i / FPS, tuple(v for v in observe(X, rig, FPS, 3) if abs(v.stamp - i / FPS) < .5 / FPS))
              for i in range(len(X))]
    with pytest.raises(ConventionError, match='a rig of 3 cameras; two halves need four'):
        halves_of(frames)
