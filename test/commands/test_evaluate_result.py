# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose evaluate RESULT --reference`: a reconstruction against the 3D joints of a reference."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from evaluation import evaluate

from selfpose_ros.core.observation import Skeleton3D
from selfpose_ros.core.result import Skeletons
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.io.skeletons import write_skeletons
from selfpose_ros.synthetic import ring_rig, walker

FPS, N = 25., 60


@pytest.fixture
def true() -> np.ndarray:
    return walker(N / FPS, FPS, 3, 'mixed')


@pytest.fixture
def reference(tmp_path: Path, true: np.ndarray) -> Path:
    rig, file = ring_rig(4, 2), tmp_path / 'reference.npz'
    kp = np.stack([(c := true @ R.T + t)[..., :2] / c[..., 2:] * K[0, 0] + K[:2, 2] for K, R, t in zip(
        rig.K, rig.R, rig.t, strict=True)], 1)
    np.savez(file, keypoints=kp, confidence=np.ones(kp.shape[:-1]), stamp=np.arange(N) / FPS, image_size=rig.image_size,
             joint_names=np.array(JOINTS), truth_joints=true, truth_joint_names=np.array(JOINTS), truth_K=rig.K,
             truth_R=rig.R, truth_t=rig.t)
    return file


def result(folder: Path, joints: np.ndarray, late: int = 0) -> Path:
    """What a reconstruction gives of these joints, so many instants late."""
    rig, file = ring_rig(4, 2), folder / 'result.npz'
    sigma, sure, views = np.full(17, .01), np.ones(17), np.full(17, 4)
    people = [[Skeleton3D(1, k / FPS, joints[k - late], sigma, sure, views, 3)] if late <= k else [] for k in range(N)]
    write_skeletons(file, Skeletons.of([k / FPS for k in range(N)], people, rig.cameras, rig))
    return file


def test_what_is_right_has_no_error(capsys, tmp_path: Path, true: np.ndarray, reference: Path) -> None:
    status, out, _ = evaluate(capsys, result(tmp_path, true), '--reference', reference)
    assert status == 0 and 'PA 0.0 mm' in out and 'ga 0.0 mm' in out and 'nearest' not in out


def test_errors_are_those_after_a_similarity(capsys, tmp_path: Path, true: np.ndarray, reference: Path) -> None:
    off = 1.3 * true + np.random.default_rng(0).normal(0, .013, true.shape)
    status, out, _ = evaluate(capsys, result(tmp_path, off), '--reference', reference, '--json')
    found = json.loads(out)
    assert status == 0 and 13 < found['score']['pa'] < found['score']['ga'] < 17        # 10 mm along an axis
    assert found['late_s'] == 0. and found['score']['ae'] < 1e-3


def test_a_result_that_is_late_is_named(capsys, tmp_path: Path, true: np.ndarray, reference: Path) -> None:
    status, out, _ = evaluate(capsys, result(tmp_path, true, late=2), '--reference', reference)
    assert status == 0 and 'counts as 80 ms late: PA' in out


def test_what_has_no_truth_is_one_sentence(capsys, tmp_path: Path, true: np.ndarray, reference: Path) -> None:
    with np.load(reference) as z:
        np.savez(tmp_path / 'without.npz', **{k: v for k, v in z.items() if not k.startswith('truth')})
    status, out, err = evaluate(capsys, result(tmp_path, true), '--reference', tmp_path / 'without.npz')
    assert (status, out) == (2, '') and err.count('\n') == 1 and 'without.npz: truth_joints' in err
