# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Metrics on cases that can be worked out by hand, and against an independent implementation of them."""
from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from selfpose_training import metrics

#: root, and one joint 100 mm along each axis
CROSS = np.array([[[0., 0., 0.], [100., 0., 0.], [0., 100., 0.], [0., 0., 100.]]])


@pytest.fixture(scope='module')
def bench() -> ModuleType:
    """The reference protocol's own metrics."""
    file = Path(__file__).resolve().parents[3] / 'shared' / 'bench' / 'mocap_views.py'
    if not file.is_file():
        pytest.skip(f'the reference protocol is not at {file}')
    spec = importlib.util.spec_from_file_location('mocap_views', file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def pair() -> tuple[np.ndarray, np.ndarray]:
    """(40, 16, 3) mm predictions between good and useless, and truth."""
    rng = np.random.default_rng(3)
    true = rng.normal(0, 250, (40, 16, 3))
    noise = rng.normal(0, 1, true.shape) * np.geomspace(5, 400, 40)[:, None, None]
    return (true + noise) * rng.uniform(.3, 3, (40, 1, 1)) + rng.normal(0, 900, (40, 1, 3)), true


def turned(poses: np.ndarray, degrees: float) -> np.ndarray:
    a = np.deg2rad(degrees)
    return poses @ np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]).T


def test_mpjpe_is_the_mean_distance_with_the_roots_on_each_other():
    poses = CROSS + 5000.
    poses[0, 1, 0] += 30
    poses[0, 3] += [0, 40, 30]
    assert metrics.joint_errors(poses, CROSS)[0] == pytest.approx([0, 30, 0, 50])
    assert metrics.mpjpe(poses, CROSS) == pytest.approx([20])


def test_an_error_of_the_root_is_an_error_of_all_others():
    poses = CROSS.copy()
    poses[0, 0, 0] = 10
    assert metrics.joint_errors(poses, CROSS)[0] == pytest.approx([0, 10, 10, 10])


@pytest.mark.parametrize('rule', ['least squares', 'norm ratio'])
@pytest.mark.parametrize('size', [.001, 1., 70.])
def test_n_mpjpe_does_not_see_the_size(rule: str, size: float):
    assert metrics.n_mpjpe(size * CROSS + 7., CROSS, rule) == pytest.approx([0], abs=1e-9)


def test_the_two_rules_of_scale_differ_as_they_should():
    # one of three axes points the other way: <p, g> = 1 of 3 squares, so least squares shrinks to a third
    poses = CROSS.copy()
    poses[0, 3] *= -1
    assert metrics.scaled(poses, CROSS)[0, 1] == pytest.approx([100 / 3, 0, 0])
    assert metrics.scaled(poses, CROSS, 'norm ratio')[0, 1] == pytest.approx([100, 0, 0])
    assert metrics.n_mpjpe(poses, CROSS) == pytest.approx([(2 * 200 / 3 + 400 / 3) / 4])
    assert metrics.n_mpjpe(poses, CROSS, 'norm ratio') == pytest.approx([200 / 4])


def test_another_rule_is_refused():
    with pytest.raises(ValueError, match='norm ratio'):
        metrics.scaled(CROSS, CROSS, 'median')


def test_pa_mpjpe_sees_neither_place_nor_size_nor_turn():
    assert metrics.pa_mpjpe(turned(.2 * CROSS, 77) - 300., CROSS) == pytest.approx([0], abs=1e-9)
    assert metrics.n_mpjpe(turned(CROSS, 77), CROSS)[0] > 30


def test_a_mirror_image_is_forgiven_only_where_asked_for():
    mirrored = CROSS * [1, 1, -1]
    assert metrics.pa_mpjpe(mirrored, CROSS, reflection=True) == pytest.approx([0], abs=1e-9)
    assert metrics.pa_mpjpe(mirrored, CROSS)[0] > 25


def test_a_pose_that_is_one_point_has_the_size_of_the_truth_as_its_error():
    point = np.zeros_like(CROSS)
    for value in (metrics.n_mpjpe(point, CROSS), metrics.n_mpjpe(point, CROSS, 'norm ratio')):
        assert value == pytest.approx([75])
    assert np.isfinite(metrics.pa_mpjpe(point, CROSS)).all()


def test_a_joint_on_the_threshold_is_not_found():
    errors = np.array([[0., 149.9, 150., 151.], [0., 0., 0., 300.]])
    assert metrics.pck(errors).tolist() == [50, 75]
    assert metrics.pck(errors, 151.).tolist() == [75, 75]


def test_auc_is_the_mean_over_31_thresholds():
    assert len(metrics.AUC_MM) == 31 and metrics.AUC_MM[-1] == 150
    assert metrics.auc(np.full((2, 3), 72.)) == pytest.approx(100 * 16 / 31)      # 75, 80, ... 150
    # a perfect joint is not below the threshold 0
    assert metrics.auc(np.zeros((1, 3))) == pytest.approx(100 * 30 / 31)
    errors = np.random.default_rng(0).uniform(0, 200, (50, 16))
    assert metrics.auc(errors) == pytest.approx(np.mean([metrics.pck(errors, t).mean() for t in metrics.AUC_MM]))


def test_cps_counts_a_pose_by_its_worst_joint():
    assert metrics.cps(np.array([[0., 99.5, 3.]])) == 201                         # correct at 100 ... 300
    assert metrics.cps(np.array([[0., 301., 0.]])) == 0
    assert metrics.cps(np.array([[0., 0.], [301., 0.]])) == 150


def test_poses_turned_round_in_depth_are_found():
    true = np.concatenate([CROSS, CROSS + 50.])
    assert metrics.reversed_in_depth(true * [1, 1, -1], true).all()
    assert not metrics.reversed_in_depth(true, true).any()


def test_jdr_is_within_half_a_head_by_kind_of_joint():
    true = np.zeros((2, 17, 2))
    points = true.copy()
    points[0, 16] = [0, 49]                    # right wrist of the first: found, the head is 100 px
    points[1, 16] = [0, 49]                    # of the second: not, 90 px
    points[:, 2] = 1000                        # both right knees
    rate = metrics.jdr(points, true, np.array([100., 90.]))
    assert rate == {'hip': 100, 'knee': 50, 'ankle': 100, 'shoulder': 100, 'elbow': 100, 'wrist': 75}


def test_jdr_leaves_out_what_was_not_seen():
    true, seen = np.zeros((1, 17, 2)), np.ones((1, 17), bool)
    points = true.copy()
    points[0, 13] = 70
    seen[0, [13, 3, 6]] = False
    rate = metrics.jdr(points, true, np.array([100.]), seen)
    assert rate['wrist'] == 100 and np.isnan(rate['ankle'])


def test_the_same_figures_as_the_reference_protocol(bench: ModuleType, pair: tuple[np.ndarray, np.ndarray]):
    poses, true = pair
    p, g = poses / 1e3, true / 1e3
    assert metrics.mpjpe(poses, true) == pytest.approx(bench.mpjpe(p, g))
    assert metrics.n_mpjpe(poses, true) == pytest.approx(bench.n_mpjpe(p, g))
    assert metrics.pa_mpjpe(poses, true) == pytest.approx(bench.pa_mpjpe(p, g))
    assert metrics.cps(metrics.pa_errors(poses, true)) == pytest.approx(bench.cps(p, g))
    for scale, errors in ((True, metrics.joint_errors(metrics.scaled(poses, true), true)),
                          (False, metrics.joint_errors(poses, true))):
        assert metrics.pck(errors) == pytest.approx(bench.pck(p, g, scale=scale))
    assert 0 < metrics.cps(metrics.pa_errors(poses, true)) < 300                  # neither figure is trivial here
    assert len(set(metrics.pck(errors))) > 5


def test_metrics_load_without_torch():
    code = 'import sys; import selfpose_training.metrics; print("torch" in sys.modules)'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True,
                          env={'PYTHONPATH': ':'.join(filter(None, sys.path)), 'PATH': ''})
    assert done.stdout.strip() == 'False'
