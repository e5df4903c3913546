# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Poses from joints and their depths behind the pelvis: exact without noise, complete with joints missing, and used."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from oracle import Oracle
from scenes import EXACT, Scene, fit, scene, views_changed
from scipy.spatial.transform import Rotation

from selfpose_ros.core.body import BONE_PRIOR_M
from selfpose_ros.core.camera import project
from selfpose_ros.core.errors import ObservationError
from selfpose_ros.core.estimator import Estimator, EstimatorConfig
from selfpose_ros.core.lifting import LiftedViews, ray_rotation
from selfpose_ros.core.observation import MultiView, View2D
from selfpose_ros.core.person_view import Detections
from selfpose_ros.core.relative_depth import FORESHORTENED, OTHER_BONES, REFERENCE, REFERENCE_M, pose_with_depth
from selfpose_ros.core.skeleton import BONES, JOINTS, PARENTS
from selfpose_ros.synthetic import walker

Array = NDArray[np.float64]

K = np.array([[620., 0, 330], [0, 620, 236], [0, 0, 1]])
ALL = np.ones(17, bool)


def told(X: Array) -> tuple[Array, Array]:
    """2D (..., 17, 2) px and depths (..., 17) of joints (..., 17, 3) m in camera axes."""
    a, b = REFERENCE
    turn = ray_rotation(X[..., 0, :])
    Y = (X - X[..., :1, :]) @ turn
    return (X @ K.T)[..., :2] / X[..., 2:], Y[..., 2] / np.linalg.norm(X[..., b, :] - X[..., a, :], axis=-1)[..., None]


def bodies() -> Array:
    """People before a camera, (N, 17, 3) m in its axes, in the middle of its image and beside it."""
    X = walker(4., 5., 3, 'mixed')
    rng = np.random.default_rng(4)
    out = []
    for i, x in enumerate(X):
        turn, z = rng.uniform(0, 2 * np.pi), rng.uniform(2., 6.)
        c, s = np.cos(turn), np.sin(turn)
        x = (x - x[0]) @ np.array([[c, 0, s], [s, 0, -c], [0, -1, 0]])       # z up becomes y down
        out.append(x + np.array([.35 * z * (i % 3 - 1), .1, z]))
    return np.array(out)


def unit(X: Array) -> Array:
    Y = X - X[:1]
    return np.asarray(Y / np.sqrt((Y * Y).sum(-1).mean()))


def test_exact_without_noise() -> None:
    for X in bodies():
        kp, depth = told(X)
        found = pose_with_depth(kp, ALL, depth, np.full(17, .1), K)
        assert found is not None
        np.testing.assert_allclose(found[0], unit(X), atol=1e-9)
        size = np.sqrt(((X - X[0]) ** 2).sum(-1).mean()) / np.linalg.norm(X[REFERENCE[1]] - X[0])
        np.testing.assert_allclose(found[1], .1 / size)
        again = pose_with_depth(kp, ALL, depth + 3., np.zeros(17), K)
        assert again is not None
        np.testing.assert_allclose(again[0], found[0], atol=1e-9)
        np.testing.assert_array_equal(again[1], np.full(17, 1e-3))


def test_a_focal_length_that_is_guessed_makes_it_flatter_or_deeper_and_no_more() -> None:
    X = bodies()[0]
    kp, depth = told(X)
    wrong = K * [[1.25], [1.25], [1]]
    found = pose_with_depth(kp, ALL, depth, np.full(17, .1), wrong)
    assert found is not None and np.linalg.norm(found[0] - unit(X), axis=-1).max() < .2


def test_joints_that_are_not_seen_lie_where_their_parents_do_and_are_not_trusted() -> None:
    X = bodies()[3]
    kp, depth = told(X)
    seen = ALL.copy()
    gone = [JOINTS.index(n) for n in ('r_hip', 'l_knee', 'l_ankle', 'r_wrist')]
    seen[gone] = False
    kp, depth = np.where(seen[:, None], kp, np.nan), np.where(seen, depth, np.nan)
    found = pose_with_depth(kp, seen, depth, np.full(17, .1), K)
    assert found is not None and np.isfinite(found[0]).all() and np.isfinite(found[1]).all()
    joints, sigma = found
    known = X[seen] - X[0]
    scale = np.linalg.norm(joints[seen]) / np.linalg.norm(known)
    np.testing.assert_allclose(joints[seen], scale * known, atol=1e-9)
    for j in gone:
        np.testing.assert_array_equal(joints[j], joints[PARENTS[j]])
    np.testing.assert_allclose(sigma[gone] / sigma[seen].max(), 10.)             # as far as the trunk is long


def test_a_thorax_that_is_not_seen_or_points_at_the_camera_leaves_it_to_the_limbs() -> None:
    X = bodies()[5]
    kp, depth = told(X)
    seen = ALL.copy()
    seen[REFERENCE[1]] = False
    found = pose_with_depth(kp, seen, depth, np.full(17, .1), K)
    assert found is not None
    assert np.linalg.norm((found[0] - unit(X))[seen], axis=-1).max() < .15       # limbs are of usual lengths, about
    x = X - X[0]
    axis = x[REFERENCE[1]] / np.linalg.norm(x[REFERENCE[1]])
    tipped = x @ _turned(axis, np.array([.1, 0., -.995])).T + [0, 0, 4.]
    kp, depth = told(tipped)
    assert np.linalg.norm((tipped[8] - tipped[0])[:2]) < FORESHORTENED * np.linalg.norm(tipped[8] - tipped[0])
    found = pose_with_depth(kp, ALL, depth, np.full(17, .1), K)
    assert found is not None and np.linalg.norm(found[0] - unit(tipped), axis=-1).mean() < .3


def usual(X: Array) -> Array:
    """The pose with limbs of usual length for its trunk, in the same directions."""
    out = X.copy()
    size = np.linalg.norm(X[REFERENCE[1]] - X[0]) / REFERENCE_M
    for k in sorted(range(16), key=lambda k: BONES[k][1]):
        a, b = BONES[k]
        bone = X[b] - X[a]
        other = any(k == o[2] for o in OTHER_BONES)
        out[b] = out[a] + (bone / np.linalg.norm(bone) * BONE_PRIOR_M[k] * size if other else bone)
    return out


def test_limbs_of_usual_length_tell_the_distance_exactly() -> None:
    seen = ALL.copy()
    seen[REFERENCE[1]] = False
    rest = [j for j in range(17) if j != REFERENCE[1]]
    for X in map(usual, bodies()):
        kp, depth = told(X)
        found = pose_with_depth(kp, seen, depth, np.full(17, .1), K)
        assert found is not None
        whole = X.copy()
        whole[REFERENCE[1]] = X[PARENTS[REFERENCE[1]]]
        np.testing.assert_allclose(found[0][rest], unit(whole)[rest], atol=1e-6)


def test_limbs_across_the_view_count_for_those_along_it() -> None:
    """Two limbs of another length hardly count where they point at the camera: by the fourth power of what is seen."""
    X = np.array([usual(x) for x in bodies()])
    seen = ALL.copy()
    seen[[REFERENCE[1], *range(1, 7), 11, 12, 13]] = False
    off = []
    for x in X:
        x = x.copy()
        upper, lower = x[15] - x[14], x[16] - x[15]
        sight = x[14] / np.linalg.norm(x[14])
        across = np.cross(sight, [0., 1., 0.])
        x[15] = x[14] + 1.3 * np.linalg.norm(upper) * (sight + .3 * across) / np.hypot(1, .3)
        x[16] = x[15] + np.linalg.norm(lower) * across / np.linalg.norm(across)
        kp, depth = told(x)
        found = pose_with_depth(kp, seen, depth, np.full(17, .1), K)
        assert found is not None
        known = seen.nonzero()[0]
        whole = x.copy()
        for j in range(1, 17):
            if not seen[j]:
                whole[j] = whole[PARENTS[j]]
        off.append(np.linalg.norm((found[0] - unit(whole))[known], axis=-1).max())
    assert max(off) < .02


@pytest.mark.parametrize(('share', 'alone'), [(.36, True), (.32, False)])
def test_a_trunk_that_is_short_in_the_picture_leaves_it_to_the_limbs(share: float, alone: bool) -> None:
    """Across the view by less than 0.3 of its length, of what is 0.47 m farther away about 0.9 of the share; limbs that
    are 1.2 times as long put the body elsewhere.
    """
    X = usual(bodies()[4])
    for _, b, _ in OTHER_BONES:
        X[b] = X[PARENTS[b]] + 1.2 * (X[b] - X[PARENTS[b]])
    x = X - X[0]
    away = np.array([[share, 0., np.sqrt(1 - share ** 2)]])
    x = x @ Rotation.align_vectors(away, x[REFERENCE[1], None])[0].as_matrix().T + [0, 0, 4.]
    kp, depth = told(x)
    found = pose_with_depth(kp, ALL, depth, np.full(17, .1), K)
    assert found is not None
    assert (np.abs(found[0] - unit(x)).max() < 1e-6) == alone


@pytest.mark.parametrize('lengths', [1.55, 79.])
def test_people_from_one_and_a_half_to_eighty_trunks_away_are_where_they_are(lengths: float) -> None:
    X = bodies()[0]
    X = X - X[0] + [0, 0, lengths * np.linalg.norm(X[REFERENCE[1]] - X[0])]
    kp, depth = told(X)
    found = pose_with_depth(kp, ALL, depth, np.full(17, .1), K)
    assert found is not None
    np.testing.assert_allclose(found[0], unit(X), atol=1e-6)


def _turned(a: Array, b: Array) -> Array:
    return np.asarray(ray_rotation(b / np.linalg.norm(b)) @ ray_rotation(-a).T @ np.diag([-1., 1., -1.])
                      if a[2] < 0 else ray_rotation(b / np.linalg.norm(b)) @ ray_rotation(a).T)


def test_nothing_comes_of_a_pelvis_that_is_not_seen_or_of_no_bone() -> None:
    kp, depth = told(bodies()[0])
    no_pelvis, few = ALL.copy(), ALL.copy()
    no_pelvis[0] = False
    few[[8, *range(2, 4), *range(5, 7), *range(12, 14), *range(15, 17)]] = False
    for seen in (no_pelvis, few):
        assert pose_with_depth(kp, seen, depth, np.full(17, .1), K) is None


@pytest.mark.parametrize(('share', 'enough'), [(.28, False), (.33, True)])
def test_a_single_limb_that_is_short_in_the_picture_is_not_enough(share: float, enough: bool) -> None:
    """A thigh across the view by more or less than 0.3 of its length, forty trunks away: perspective hardly counts."""
    X = usual(bodies()[0])
    unit_m = np.linalg.norm(X[REFERENCE[1]] - X[0])
    X = X - X[0] + [0, 0, 40 * unit_m]
    X[2] = X[1] + np.linalg.norm(X[2] - X[1]) * np.array([share, 0., np.sqrt(1 - share ** 2)])
    kp, depth = told(X)
    found = pose_with_depth(kp, np.isin(np.arange(17), [0, 1, 2]), depth, np.full(17, .1), K)
    assert (found is not None) == enough


# -- views

def with_depth(s: Scene, sigma: float = .05) -> list[MultiView]:
    """The scene's frames, with the true depths of the person."""
    def deep(view: View2D) -> View2D:
        v = s.rig.cameras.index(view.camera)
        X = s.joints[min(round(view.stamp * s.fps), len(s.joints) - 1)] @ s.rig.R[v].T + s.rig.t[v]
        depth = np.tile(told(X)[1], (len(view.keypoints), 1))
        return replace(view, depth=depth, depth_sigma=np.full(depth.shape, sigma))
    return views_changed(s.frames, deep)


def test_a_view_checks_its_depths() -> None:
    kp, conf = np.full((1, 17, 2), 5.), np.ones((1, 17))
    view = View2D('a', 1., kp, conf, (640, 480), depth=np.zeros((1, 17)), depth_sigma=np.r_[0., np.ones(16)][None])
    assert view.depth is not None and np.isnan(view.depth[0, 0]) and np.isfinite(view.depth[0, 1:]).all()
    nobody = View2D('a', 1., np.zeros((0, 17, 2)), np.zeros((0, 17)), (640, 480), depth=np.zeros(0),
                    depth_sigma=np.zeros(0))
    assert nobody.depth is not None and nobody.depth.shape == (0, 17)
    with pytest.raises(ObservationError, match='depth_sigma, or neither'):
        View2D('a', 1., kp, conf, (640, 480), depth=np.zeros((1, 17)))
    with pytest.raises(ObservationError, match=r'expected depth .*\(1, 17\)'):
        View2D('a', 1., kp, conf, (640, 480), depth=np.zeros((2, 17)), depth_sigma=np.ones((2, 17)))


def test_views_with_depths_are_not_lifted() -> None:
    s = scene(3, 1., 15., 2, **EXACT)
    lifter = Oracle(s.joints, s.rig)
    frames = with_depth(s)
    row = Detections.of(frames[3]).first()
    row['cam1'] = replace(row['cam1'], depth=None, depth_sigma=None)
    pinholes = {c: s.rig.K[i] for i, c in enumerate(s.rig.cameras)}
    views = LiftedViews(lifter)
    found = views.of(row, pinholes)
    assert set(found) == set(row) and lifter.poses == 1
    alone = LiftedViews(None)
    assert set(alone.of(row, pinholes)) == set(row) - {'cam1'}
    row = Detections.of(frames[3]).first()
    found = alone.of(row, pinholes)
    assert set(found) == set(row)
    for camera, (joints, _) in found.items():
        v = s.rig.cameras.index(camera)
        true = unit(s.joints[3] @ s.rig.R[v].T + s.rig.t[v])
        seen = np.isfinite(row[camera].keypoints).all(-1)
        assert np.median(np.linalg.norm(joints - true, axis=-1)[seen]) < .02


def test_one_camera_and_no_lifter() -> None:
    """Poses from the first instant on, as with a lifter; without depths there is nobody."""
    s = scene(4, 2., 15., 1, height_m=1.75, noise_px=1., outliers=0., swap=0.)
    for frames, there in ((with_depth(s), True), (s.frames, False)):
        estimator = Estimator(EstimatorConfig(person_height_m=1.75))
        people = [estimator.update(f) for f in views_changed(frames, lambda v: v if v.camera == 'cam2' else None)]
        estimator.close()
        assert bool(people[0]) == bool(people[-1]) == there
        if there:
            errors = [np.nanmean(fit(p[0].joints[None], x[None]).errors)
                      for p, x in zip(people, s.joints, strict=False) if p]
            assert len(errors) == len(people) and np.median(errors) < .04
            assert {p[0].level for p in people} == {1}


def test_project_and_told_agree() -> None:
    """The 2D of this file is the cameras' own."""
    X = bodies()[2]
    np.testing.assert_allclose(told(X)[0], project(X, K, np.eye(3), np.zeros(3)), atol=1e-9)
