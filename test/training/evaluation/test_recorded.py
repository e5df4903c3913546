# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Evaluation on recordings that come with 3D joints: lifters that are told the truth, joints that are not known."""
from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip('torch')
from small_data import human36m, mpi_test_set, people, seen, skipose, train_3dhp

from selfpose_ros.core.lifting import norm2d, pinhole
from selfpose_ros.core.skeleton import JOINTS
from selfpose_training import metrics
from selfpose_training.data.people import poses_of, up_of, upright
from selfpose_training.data.recordings import Recorded
from selfpose_training.data.sources import open_data, read_data
from selfpose_training.errors import TrainingError
from selfpose_training.evaluation.figures import figures, sigma_calibration
from selfpose_training.evaluation.recorded import evaluate_recorded, measured
from selfpose_training.metrics import EVAL16

K = np.array([[1100., 0, 500], [0, 1100, 500], [0, 0, 1]])


def recording(T=40, V=3, seed=1, **changes) -> Recorded:
    """Our person before cameras that stand still."""
    from small_data import T_M, R
    X = people(T, seed)
    kp = np.stack([seen(X, K, v)[1] for v in range(V)], 1)
    values = {'name': 'r', 'kp': kp, 'conf': np.ones(kp.shape[:3]), 'stamp': np.arange(T) / 25, 'X': X, 'R': R[:V],
              't': T_M[:V], 'image_size': np.full((V, 2), 1000.)}
    return Recorded(**values | changes)


class Told:
    """Knows the truth of the instants that count, in the order in which it is asked; `wrong` joints are moved."""

    @staticmethod
    def worse(r):
        """Longer recordings are worse."""
        return len(r) / 20

    def __init__(self, recordings, every=1, frames=1, wrong=(), turn=(1, 1, 1)) -> None:
        self.frames, self.interval_s, self.given, answers = frames, 1 / 25, [], []
        for r in recordings:
            size = [tuple(int(s) for s in wh) for wh in r.image_size]
            n = norm2d(r.kp.astype(float), r.conf.astype(float), np.stack([pinhole(None, s) for s in size]))
            for i in range(0, len(r), every):
                R = r.R[i] if r.R.ndim == 4 else r.R
                y = np.nan_to_num(r.X[i] - r.X[i, :1]) @ np.nan_to_num(R).swapaxes(-1, -2) * turn
                y[:, list(wrong)] += .2 * self.worse(r)
                answers.append(y @ n.ray_rot[i])
        self.answers = [a for a, counts in zip(answers, self._counting(recordings, every), strict=True) if counts]

    @staticmethod
    def _counting(recordings, every):
        for r in recordings:
            for i in range(0, len(r), every):
                yield np.isfinite(r.X[i, 0]).all() and np.isfinite(r.X[i]).all(-1)[list(EVAL16)].sum() >= 8

    def lift(self, pose):
        self.given.append(pose.copy())
        y = np.concatenate(self.answers)
        y, rest = y[:len(pose)], y[len(pose):]
        self.answers = [rest]
        assert len(y) == len(pose)
        return y / np.sqrt((y**2).sum((1, 2)).clip(1e-9) / 17)[:, None, None], np.full(y.shape[:2], .1)


def all_told(path, name):
    kept, notes = measured(read_data(path, split='held out', truth=True), name)
    found = evaluate_recorded(Told(kept), kept)
    assert found.single.n_mpjpe == pytest.approx(0, abs=1e-3) and found.single.cps == 300
    assert found.depth_reversed == 0 and found.within_sigma == 1 and found.sigma_ratio < 1e-4
    return found, notes


def test_who_knows_the_truth_of_human36m_makes_no_error(tmp_path):
    human36m(tmp_path)
    found, notes = all_told(tmp_path, 'h36m')
    assert notes == [] and (found.clips, found.frames, found.poses, found.views) == (2, 60, 240, 4)     # S9 alone
    assert found.fused.pa_mpjpe == pytest.approx(0, abs=1e-3)
    human36m(tmp_path, subjects=('S1', 'S5'))
    found, notes = all_told(tmp_path, 'h36m')
    assert found.clips == 4 and 'no recording there is meant for the test' in notes[0]


def test_who_knows_the_truth_of_mpi_inf_3dhp_makes_no_error(tmp_path):
    train_3dhp(tmp_path / 'S1' / 'Seq1', people())
    for name in ('TS1', 'TS6'):
        mpi_test_set(tmp_path / name, people())
    found, notes = all_told(tmp_path, '3dhp')
    assert (found.clips, found.frames, found.poses, found.views) == (2, 58, 58, 1) and found.fused is None
    assert notes == [] and len(open_data(tmp_path, split='train')) == 30


def test_who_knows_the_truth_of_skipose_makes_no_error_where_cameras_move(tmp_path):
    skipose(tmp_path / 'train', people(6))
    skipose(tmp_path / 'test', people(12), seqs=((2, 0),), leave_out={(0, 3, 2)}, turning=.004, focal=1.3)
    found, notes = all_told(tmp_path, 'ski')
    assert notes == [] and (found.clips, found.frames, found.poses, found.unseen) == (1, 12, 71, 0)
    assert found.fused.n_mpjpe == pytest.approx(0, abs=1e-3)
    r, = read_data(tmp_path, split='test')
    still = dataclasses.replace(r, R=np.broadcast_to(r.R[0], r.R.shape))
    assert evaluate_recorded(Told([still]), [r]).single.n_mpjpe > 5             # of each instant its own rotation


def test_truth_of_keypoint_archives(tmp_path):
    from small_data import T_M, R
    r = recording(V=2)
    other = [JOINTS.index(n) for n in reversed(JOINTS) if n != 'spine']        # in another order, one is not told
    X = r.X[:, other].copy()
    X[3:5] = np.nan
    arrays = {'keypoints': r.kp, 'confidence': r.conf, 'stamp': r.stamp, 'image_size': r.image_size,
              'joint_names': np.array(JOINTS), 'truth_joints': X, 'truth_R': R[:2], 'truth_t': T_M[:2],
              'truth_joint_names': np.array([JOINTS[j] for j in other])}
    np.savez(tmp_path / 'a.npz', **arrays)
    found, notes = all_told(tmp_path / 'a.npz', 'a')
    assert notes == [] and (found.frames, found.poses) == (38, 76)
    assert read_data(tmp_path / 'a.npz')[0].X is None                           # trainings are not told
    np.savez(tmp_path / 'a.npz', **arrays | {'truth_joints': X[1:]})
    with pytest.raises(TrainingError, match='truth is of 39 instants and 2 cameras, but there are 40 instants of 2'):
        read_data(tmp_path / 'a.npz', truth=True)
    arrays.pop('truth_joints')
    np.savez(tmp_path / 'a.npz', **arrays)
    with pytest.raises(TrainingError, match='none of its 1 recordings has 3D joints to compare with; give Human3.6M'):
        measured(read_data(tmp_path / 'a.npz', truth=True), 'a')


def test_joints_that_are_not_known_do_not_count():
    r = recording()
    X = r.X.copy()
    X[::2, [3, 6]], X[5, 9:], X[7, 0], X[9] = np.nan, np.nan, np.nan, np.nan
    X[11, 8:], X[11, 1] = np.nan, np.nan                                        # the spine is no eighth one
    lacking = dataclasses.replace(r, X=X)
    found = evaluate_recorded(Told([lacking], wrong=()), [lacking])
    assert found.frames == 37 and found.single.n_mpjpe == pytest.approx(0, abs=1e-3)
    moved = Told([r], wrong=[3, 6])
    moved.answers = [a for i, a in enumerate(moved.answers) if i not in (7, 9, 11)]
    part = evaluate_recorded(moved, [lacking]).single
    whole = evaluate_recorded(Told([r], wrong=[3, 6]), [r]).single
    assert 0 < part.n_mpjpe < .7 * whole.n_mpjpe and part.n_pck > whole.n_pck


def test_figures_of_a_joint_that_is_never_known_are_those_of_the_others():
    rng = np.random.default_rng(0)
    true = 300 * rng.normal(size=(50, 16, 3))
    poses = true + 60 * rng.normal(size=true.shape)
    sigma = rng.uniform(30, 90, true.shape[:2])
    lacking = true.copy()
    lacking[:, 5] = np.nan
    others = np.delete(np.arange(16), 5)
    for a, b in ((figures(poses, lacking), figures(poses[:, others], true[:, others])),
                 (sigma_calibration(poses, sigma, lacking),
                  sigma_calibration(poses[:, others], sigma[:, others], true[:, others]))):
        assert (dataclasses.astuple(a) if dataclasses.is_dataclass(a) else tuple(a)) == pytest.approx(
            dataclasses.astuple(b) if dataclasses.is_dataclass(b) else tuple(b), rel=1e-9)
    assert figures(poses, true).n_mpjpe == pytest.approx(
        metrics.n_mpjpe(poses, true).mean(), rel=1e-12)


def test_recordings_of_several_lengths_count_by_their_joints():
    parts = [recording(10), recording(30, seed=2)]
    one, two = (evaluate_recorded(Told([r], wrong=[3]), [r]) for r in parts)
    both = evaluate_recorded(Told(parts, wrong=[3]), parts)
    assert (both.clips, both.frames, both.poses) == (2, 40, 120)
    for name in ('n_mpjpe', 'pa_mpjpe', 'n_pck', 'auc', 'cps'):
        a, b, c = (getattr(e.single, name) for e in (one, two, both))
        assert c == pytest.approx((a + 3 * b) / 4, rel=1e-9), name
        assert name == 'auc' or a != b
    assert both.within_sigma == pytest.approx((one.within_sigma + 3 * two.within_sigma) / 4)


def test_reversed_depth_is_seen():
    r = recording()
    X = r.X.copy()
    X[::3, 12] = np.nan
    for truth in (r, dataclasses.replace(r, X=X)):
        found = evaluate_recorded(Told([r], turn=(1, 1, -1)), [truth])
        assert found.depth_reversed == 1 and found.single.n_mpjpe > 30
        assert found.single.pa_mpjpe_mirrored == pytest.approx(0, abs=1e-3)


def test_views_in_which_hardly_anything_is_seen_do_not_count():
    r = recording(20)
    conf = r.conf.copy()
    conf[4, 1], conf[5, :], conf[6, 2, 7:] = 0, 0, 0
    hidden = dataclasses.replace(r, conf=conf)
    told = Told([hidden])
    del told.answers[5]                                                         # nobody sees anything
    found = evaluate_recorded(told, [hidden])
    assert (found.frames, found.poses, found.unseen) == (19, 55, 5)
    assert found.single.n_mpjpe == pytest.approx(0, abs=1e-3) and found.fused.n_mpjpe == pytest.approx(0, abs=1e-3)


def test_every_nth_frame_counts_and_a_temporal_lifter_sees_the_frames_before():
    r = recording(20, V=2)
    whole, past = Told([r]), Told([r], every=6, frames=3)
    evaluate_recorded(whole, [r])
    found = evaluate_recorded(past, [r], every=6)
    assert (found.frames, found.poses, found.every) == (4, 8, 6) and found.single.n_mpjpe == pytest.approx(0, abs=1e-3)
    poses = np.concatenate(whole.given).reshape(20, 2, 17, 3)
    windows = np.concatenate(past.given).reshape(4, 2, 3, 17, 3)
    for k, t in enumerate((0, 6, 12, 18)):
        assert (windows[k] == poses[np.maximum(np.arange(t - 2, t + 1), 0)].swapaxes(0, 1)).all()


def test_the_past_does_not_reach_over_a_pause():
    stamp = np.arange(12) / 25
    stamp[7:] += 1
    r = recording(12, V=1, stamp=stamp)
    told = Told([r], frames=4)
    evaluate_recorded(told, [r])
    windows = np.concatenate(told.given)
    assert (windows[8, :3] == windows[7, 3]).all() and not (windows[8, 3] == windows[7, 3]).all()


def test_views_of_cameras_that_are_not_known_are_left_out_and_a_note_says_so():
    r = recording(8)
    R = r.R.copy()
    R[1] = np.nan
    (lacking,), notes = measured([dataclasses.replace(r, R=R)], 'r')
    assert notes == ['how the cameras are turned is not known of 1 of 3 views, which are left out']
    found = evaluate_recorded(Told([r]), [lacking])
    assert (found.frames, found.poses, found.unseen) == (8, 16, 0)
    assert found.single.n_mpjpe == pytest.approx(0, abs=1e-3) and np.isfinite(found.fused.n_mpjpe)
    assert measured([r], 'r')[1] == []


def test_nothing_that_counts_is_one_sentence():
    r = recording(5)
    with pytest.raises(TrainingError, match='none of 1 recordings has an instant with 8 joints known in 3D'):
        evaluate_recorded(Told([]), [dataclasses.replace(r, X=np.full_like(r.X, np.nan))])


# -- people to render

def test_people_of_the_data_sets_stand_upright(tmp_path):
    from small_data import R
    (tmp_path / 'h').mkdir()
    human36m(tmp_path / 'h')
    train_3dhp(tmp_path / 'm' / 'S1' / 'Seq1', people())
    skipose(tmp_path / 's' / 'train', people(12), focal=1.3)
    for name in 'hms':
        found = read_data(tmp_path / name, split='train')
        stood = upright(found)
        poses = poses_of(stood)
        assert len(poses) == sum(len(r) for r in found) and np.allclose(poses[..., 2].min(1), .07, atol=1e-4)
        assert .95 < np.median(poses[:, 8, 2] - poses[:, [3, 6], 2].mean(1)) < 1.6
    for name in 'hs':
        assert up_of(read_data(tmp_path / name, split='train')[:1]).tolist() == [0, 0, 1]
    up = up_of(read_data(tmp_path / 'm'))
    assert np.rad2deg(np.arccos(up @ R[0][:, 2])) < 5                            # the first camera's axes
    # people keep their shape, and left stays left
    X, stood = read_data(tmp_path / 'm')[0].X, upright(read_data(tmp_path / 'm'))[0].X
    assert np.allclose(np.linalg.norm(X[:, 1:] - X[:, :-1], axis=-1), np.linalg.norm(stood[:, 1:] - stood[:, :-1],
                                                                                     axis=-1))
    assert np.allclose(np.linalg.det(X[:, [1, 8, 3]] - X[:, :1]), np.linalg.det(stood[:, [1, 8, 3]] - stood[:, :1]))


def test_instants_that_lack_a_joint_are_not_rendered():
    r = recording(10)
    X = r.X.copy()
    X[4, 12] = np.nan
    assert len(poses_of(upright([dataclasses.replace(r, X=X)]))) == 9
    with pytest.raises(TrainingError, match='but not all 17 joints in 3D, so that there is nobody to render'):
        upright([dataclasses.replace(r, X=np.where(np.arange(17)[:, None] == 7, np.nan, r.X))])
    with pytest.raises(TrainingError, match='but not 3D joints, so that there is nobody to render; give motion'):
        upright([dataclasses.replace(r, X=None)])
