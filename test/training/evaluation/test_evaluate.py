# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Evaluation of lifters: the protocol's own figures, oracles with known errors, and no look into the future."""
from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from selfpose_ros.synthetic import walker
from selfpose_ros.synthetic.clips import Conditions, make_clip
from selfpose_ros.synthetic.errors import SyntheticError
from selfpose_ros.synthetic.motion_capture import Motion, pieces
from selfpose_training.evaluation import lifting as evaluation
from selfpose_training.evaluation.lifter import evaluate
from selfpose_training.evaluation.lifting import lift_clip
from selfpose_training.metrics import EVAL16

LENGTHS = (90, 1, 260)


@pytest.fixture(scope='module')
def motion() -> Motion:
    """Three sequences, of which one is a single frame and one is cut into two clips."""
    parts = [walker(n / 25., 25., seed, style)[:n].astype(np.float32).astype(float)
             for n, seed, style in zip(LENGTHS, (1, 2, 3), ('mixed', 'walk', 'exercise'), strict=True)]
    return Motion(np.concatenate(parts), np.cumsum([0, *map(len, parts)]), ('a', 'b', 'c'), 25.)


def towards_pelvis(kp: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) of the optical axis onto the pelvis of 2D poses (..., 17, 2), with the guessed focal
    length of the protocol's 1000 px images.
    """
    ray = np.concatenate([(kp[..., 0, :] - 500) / 950, np.ones((*kp.shape[:-2], 1))], -1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    axis = np.cross([0., 0., 1.], ray)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine, ray[..., 2:])
    return Rotation.from_rotvec((axis / np.maximum(sine, 1e-12) * angle).reshape(-1, 3)).as_matrix().reshape(
        *kp.shape[:-2], 3, 3)


class Rule:
    """A lifter that is a simple function of the pose: depth from the confidence. Bad, but not useless."""

    frames = 1

    def lift(self, pose):
        joints = np.concatenate([pose[..., :2], .1 * (pose[..., 2:] - .5)], -1).astype(float)
        joints -= joints[:, :1]
        return joints / np.sqrt((joints**2).sum((1, 2)) / 17)[:, None, None], np.full(joints.shape[:2], .3)


class Oracle:
    """A lifter that knows the truth of the clips in the order of the protocol, and errs as it is told."""

    frames = 1

    def __init__(self, motion: Motion, seed: int, noise: float = 0., told: float = .1, turn: tuple = (1, 1, 1)) -> None:
        self.answers = []
        self.rng = np.random.default_rng(0)
        for piece in pieces(motion):
            clip = make_clip(motion, piece, seed)
            X = clip.truth.joints.astype(float)
            y = np.einsum('vij,tkj->tvki', clip.truth.R, X - X[:, :1]) * turn
            y = (y @ towards_pelvis(clip.keypoints.astype(float))).reshape(-1, 17, 3)
            self.answers.append(y / np.sqrt((y**2).sum((1, 2)) / 17)[:, None, None])
        self.noise, self.told = noise, told

    def lift(self, pose):
        y = self.answers.pop(0)
        assert len(y) == len(pose)
        y = y + self.noise * self.rng.normal(size=y.shape) * (np.arange(17) > 0)[:, None]
        return y, np.full(y.shape[:2], self.told)


class Watching:
    """A temporal lifter that remembers what it was given."""

    def __init__(self, frames: int) -> None:
        self.frames, self.interval_s, self.given = frames, 1 / 25, []

    def lift(self, pose):
        self.given.append(pose.copy())
        return Rule().lift(pose[:, -1])


@pytest.mark.parametrize(('travel', 'views'), [(False, 4), (True, 2)])
def test_the_figures_of_the_reference_protocol(motion: Motion, travel: bool, views: int):
    file = Path(__file__).resolve().parents[4] / 'shared' / 'bench' / 'mocap_views.py'
    if not file.is_file():
        pytest.skip(f'the reference protocol is not at {file}')
    spec = importlib.util.spec_from_file_location('mocap_views', file)
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    made = bench.make({'pos': motion.joints, 'seq_start': motion.start, 'seq_name': np.array(motion.name),
                       'subject': np.array(['x'] * 3)}, seed=5, views=views, cfg={'recentre': not travel})
    kp = made['kp'].astype(float)
    S = towards_pelvis(kp)
    turned = np.concatenate([(kp - 500) / 950, np.ones((*kp.shape[:-1], 1))], -1) @ S
    w = turned[..., :2] / turned[..., 2:]
    w /= np.sqrt((w**2).sum((-1, -2), keepdims=True))
    poses = np.concatenate([w, made['conf'][..., None]], -1).reshape(-1, 17, 3)
    joints = Rule().lift(poses)[0].reshape(*kp.shape[:3], 3) @ S.swapaxes(-1, -2)
    wanted = bench.report(joints, bench.camera_pose(made))
    found = evaluate(Rule(), motion, 5, travel=travel, views=views)
    assert found.frames * found.views == wanted['n'] and found.clips == 4
    for ours, theirs in (('n_mpjpe', 'n_mpjpe'), ('pa_mpjpe', 'pa_mpjpe'), ('n_pck', 'n_pck150'), ('cps', 'cps')):
        assert getattr(found.single, ours) == pytest.approx(wanted[theirs], rel=1e-4), ours
    assert 50 < found.single.n_mpjpe < 300


def test_the_joints_of_the_reference_protocol():
    assert len(EVAL16) == 16 and EVAL16[0] == 0 and 7 not in EVAL16


def test_who_knows_the_truth_makes_no_error(motion: Motion):
    found = evaluate(Oracle(motion, 1), motion, 1)
    assert found.single.n_mpjpe == pytest.approx(0, abs=1e-6) and found.fused.n_mpjpe == pytest.approx(0, abs=1e-6)
    assert found.single.n_pck == 100 and found.single.cps == 300
    assert found.depth_reversed == 0 and found.frames == sum(LENGTHS)
    assert found.within_sigma == 1 and found.sigma_ratio == pytest.approx(0, abs=1e-6)


def test_other_cameras_for_another_seed(motion: Motion):
    assert evaluate(Oracle(motion, 1), motion, 2).single.n_mpjpe > 50


def test_reversed_depth_is_seen_and_only_the_mirrored_figure_forgives_it(motion: Motion):
    found = evaluate(Oracle(motion, 1, turn=(1, 1, -1)), motion, 1)
    assert found.depth_reversed == 1
    assert found.single.pa_mpjpe_mirrored == pytest.approx(0, abs=1e-6) and found.single.pa_mpjpe > 30


def test_honest_sigmas_are_found_honest(motion: Motion):
    honest = evaluate(Oracle(motion, 1, noise=.05, told=.05), motion, 1)
    assert honest.within_sigma == pytest.approx(.683, abs=.02) and honest.sigma_ratio == pytest.approx(1, abs=.03)
    boasting = evaluate(Oracle(motion, 1, noise=.05, told=.025), motion, 1)
    assert boasting.within_sigma == pytest.approx(.383, abs=.02) and boasting.sigma_ratio == pytest.approx(2, abs=.06)


def test_four_views_with_errors_of_their_own_are_twice_as_good(motion: Motion):
    found = evaluate(Oracle(motion, 1, noise=.05), motion, 1)
    assert found.fused.pa_mpjpe == pytest.approx(found.single.pa_mpjpe / 2, rel=.1)


def test_views_weigh_by_their_sigma(motion: Motion):
    y = Oracle(motion, 1).answers[0].reshape(-1, 4, 17, 3)
    noise = np.array([.2, .02, .02, .02])[:, None, None]
    noisy = y + noise * np.random.default_rng(0).normal(size=y.shape)
    noisy -= noisy[:, :, :1]
    off = [np.abs(evaluation.fused_views(noisy, np.broadcast_to(s, y.shape[:3])) - y)[:, 1:].mean()
           for s in (noise[..., 0], np.ones((4, 1)))]
    assert off[0] < .5 * off[1]


def test_one_view_has_nothing_to_fuse(motion: Motion):
    found = evaluate(Rule(), motion, 1, views=1)
    assert found.fused is None and found.to_dict()['fused'] is None


def test_a_temporal_lifter_gets_the_past_of_the_same_view_and_nothing_else(motion: Motion, monkeypatch):
    monkeypatch.setattr(evaluation, '_BATCH', 64)          # several calls for a clip
    clip = make_clip(motion, pieces(motion)[0], 1, Conditions(3))
    frame, past = Watching(1), Watching(9)
    frame_lifted, past_lifted = lift_clip(_Newest(frame), clip), lift_clip(past, clip)
    poses = np.concatenate(frame.given).reshape(-1, 3, 17, 3)
    windows = np.concatenate(past.given).reshape(-1, 3, 9, 17, 3)
    assert len(past.given) > 2 and len(windows) == LENGTHS[0]
    for t in (0, 1, 5, 8, 20, 21, 22, 50, LENGTHS[0] - 1):
        for v in range(3):
            assert (windows[t, v] == poses[np.maximum(np.arange(t - 8, t + 1), 0), v]).all()
    assert (frame_lifted.joints == past_lifted.joints).all()


class _Newest:
    """A frame lifter that remembers, too."""

    frames = 1

    def __init__(self, watching: Watching) -> None:
        self.watching = watching

    def lift(self, pose):
        return self.watching.lift(pose[:, None])


def test_progress_is_told(motion: Motion):
    told: list[tuple] = []
    evaluate(Rule(), motion, 1, views=1, progress=lambda *a: told.append(a))
    assert told == [('clips lifted', i, 4) for i in (1, 2, 3, 4)]


def test_five_cameras_are_refused(motion: Motion):
    with pytest.raises(SyntheticError, match='5 views'):
        evaluate(Rule(), motion, 1, views=5)


def test_evaluation_loads_without_torch():
    code = 'import sys; import selfpose_training.evaluation.lifter; print("torch" in sys.modules)'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True,
                          env={'PYTHONPATH': ':'.join(filter(None, sys.path)), 'PATH': ''})
    assert done.stdout.strip() == 'False'
