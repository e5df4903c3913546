# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Figures are those of the reference scorer; errors that a score could hide are seen."""
from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from results import CAMERAS, result_of, true_rig

from selfpose_ros.core import rotation
from selfpose_ros.core.result import Skeletons
from selfpose_ros.core.rig import NotSolved, Rig
from selfpose_ros.evaluation.errors import EvaluationError
from selfpose_ros.evaluation.scoring import common_joints, compare, summary, triangulated
from selfpose_ros.io.skeletons import write_skeletons
from selfpose_ros.synthetic.clips import Clip, chosen, make_clip
from selfpose_ros.synthetic.motion_capture import Motion


def poor_result(clip: Clip) -> Skeletons:
    """Noise, another world frame and size, a gap at the start, unknown joints, level 2 for a while, a second person."""
    rng = np.random.default_rng(0)
    true = clip.truth.joints.astype(float)
    X = 1.07 * (true + rng.normal(0, .03, true.shape)) @ rotation.exp(np.array([.3, -.2, 1.])).T + [3., 1., 0.]
    X[:9] = np.nan
    joints = np.stack([X, X + [1., 0., 0.]], 1)
    joints[20:30, 0, 12:14] = np.nan
    joints[40:60, 1] = np.nan
    base = result_of(clip, X, rig=true_rig(clip, 4., 1.05))
    level = np.repeat(base.level, 2, 1)
    level[:25] = np.minimum(level[:25], 2)
    twice = {n: np.repeat(getattr(base, n), 2, 1) for n in ('sigma', 'confidence', 'views', 'person')}
    return replace(base, joints=joints, level=level, **twice)


@pytest.mark.parametrize('skip', [0., .5])
@pytest.mark.parametrize('rig', [True, False])
def test_figures_are_those_of_the_reference_scorer(clip: Clip, reference: Path, tmp_path: Path, monkeypatch, skip, rig):
    # nobody can find a principal point off the middle: the result assumes another one than the truth has
    K = clip.truth.K.copy()
    K[:, :2, 2] += [[40., -25.], [0., 10.], [-30., 0.], [5., 60.]]
    result = poor_result(clip) if rig else replace(poor_result(clip), rig=NotSolved('no'))
    clip = replace(clip, truth=replace(clip.truth, K=K))
    write_skeletons(tmp_path / 'out.npz', result)
    monkeypatch.syspath_prepend(str(reference))
    spec = importlib.util.spec_from_file_location('reference_score', reference / 'score.py')
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    with np.load(tmp_path / 'out.npz') as out:
        theirs = scorer.one(clip.archive(), dict(out), skip)
    ours = asdict(compare(clip, result).score(skip))
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        # results are stored in single precision
        assert value == pytest.approx(theirs[name], rel=1e-5, nan_ok=True), name


def test_the_summary_is_that_of_the_reference_scorer(motion: Motion, reference: Path, tmp_path: Path):
    scores = []
    for piece in chosen(motion):
        clip = make_clip(motion, piece, 1)
        result = poor_result(clip)
        if piece.number == 3:
            result = replace(result, rig=NotSolved('no'))
        for folder in ('in', 'out'):
            (tmp_path / folder).mkdir(exist_ok=True)
        np.savez(tmp_path / 'in' / f'{piece.number}.npz', **clip.archive())
        write_skeletons(tmp_path / 'out' / f'{piece.number}.npz', result)
        scores.append(compare(clip, result).score())
    done = subprocess.run([sys.executable, str(reference / 'score.py'), str(tmp_path / 'in'), str(tmp_path / 'out'),
                           '--json'], capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout)
    ours = summary(scores)
    assert theirs.pop('missing') == 0
    assert ours == pytest.approx(theirs, rel=1e-5)


def test_the_truth_itself_has_no_error(clip: Clip):
    s = compare(clip, result_of(clip, clip.truth.joints.astype(float), rig=true_rig(clip))).score()
    assert max(s.pa, s.ga) < 1e-3 and s.rot < 1e-3 and s.focal < 1e-6 and s.cover == s.l3 == 1


def test_a_turned_camera_and_a_wrong_focal_length_are_seen(clip: Clip):
    s = compare(clip, result_of(clip, clip.truth.joints.astype(float), rig=true_rig(clip, 2., 1.08))).score()
    assert s.rot == pytest.approx(2., abs=1e-6) and s.focal == pytest.approx(.08, abs=1e-9)


def test_a_mirrored_person_is_not_right(clip: Clip):
    s = compare(clip, result_of(clip, clip.truth.joints * np.array([1., -1., 1.]))).score()
    assert s.pa > 50                                       # measured 109 mm


def test_frames_without_a_skeleton_count_as_the_mean_pose(clip: Clip):
    X = clip.truth.joints.astype(float)
    X[::2] = np.nan
    e = compare(clip, result_of(clip, X))
    s = e.score()
    assert s.cover == .5 and np.nanmax(e.pa[1::2]) < 1e-3 and np.nanmin(e.pa[::2]) > 10
    assert s.pa == pytest.approx(e.pa[::2].mean() / 2, rel=1e-3)


def test_calibrated_triangulation_leaves_out_what_was_not_seen(clip: Clip):
    blind = replace(clip, keypoints=np.where(np.arange(4)[:, None, None] == 2, np.nan, clip.keypoints))
    other = replace(clip, keypoints=np.where(np.arange(4)[:, None, None] == 2, 7., clip.keypoints),
                    confidence=np.where(np.arange(4)[:, None] == 2, 0., clip.confidence))
    assert np.isfinite(triangulated(blind)).all()
    np.testing.assert_allclose(triangulated(blind), triangulated(other))
    off = np.linalg.norm(triangulated(clip) - clip.truth.joints, axis=-1)
    assert np.median(off) < .05                            # measured 21 mm


def test_truth_with_other_joints_is_refused():
    with pytest.raises(EvaluationError, match='names 1 joints'):
        common_joints(['left_hip', 'nose', 'tail'])
    ours, theirs = common_joints(['nose', 'left_hip', 'l_knee', 'right_wrist', 'head', 'thorax', 'pelvis', 'spine'])
    assert ours.tolist() == [4, 5, 16, 10, 8, 0] and theirs.tolist() == [1, 2, 3, 4, 5, 6]


def test_a_rig_without_one_of_the_cameras_has_no_errors_but_its_claim(clip: Clip):
    whole = true_rig(clip)
    three = Rig(CAMERAS[:3], whole.K[:3], np.zeros((3, 5)), whole.image_size[:3], whole.R[:3], whole.t[:3], .7)
    s = compare(clip, result_of(clip, clip.truth.joints.astype(float), rig=three)).score()
    assert np.isnan([s.rot, s.ae, s.fov, s.te]).all() and s.quality == .7


def test_a_room_that_is_too_large_is_seen_in_place_not_in_shape(clip: Clip):
    rig = true_rig(clip)
    larger = replace(rig, t=1.1 * rig.t)
    s = compare(clip, result_of(clip, 1.1 * clip.truth.joints.astype(float), rig=larger)).score()
    assert s.pa < 1e-3 and s.ga < 1e-3 and s.s_te < 1e-6 and s.ae < 1e-3
    assert s.te > .1 and s.w > 10
