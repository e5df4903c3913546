# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Virtual views of motion: samples fit together. The 2D network and the rigs have their tests in test/synthetic."""
from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch')
from bodies import walk
from raising import raises

from selfpose_ros.core.skeleton import MIRROR
from selfpose_training.data.arrays import Sampling
from selfpose_training.data.motion import Change, MotionViews, Poses, read_poses
from selfpose_training.errors import TrainingError


class NoNoise:
    """A 2D network that is always right."""

    def observe(self, rng, true_px, start, side_px):
        return true_px.copy(), np.ones(true_px.shape[:3], np.float32)


def test_pixels_are_the_projected_poses():
    e = MotionViews(walk(), noise=NoNoise()).epoch(3)
    f, v = 77, 2
    c = e.camera[f]
    x = (e.X[f] @ e.R[c, v].T + e.t[c, v]) @ e.K[c, v].T
    assert np.allclose(e.kp[f, v], x[:, :2] / x[:, 2:], atol=.02)
    assert (e.X[:, 0, :2].max(0) - e.X[:, 0, :2].min(0) < .61).all()   # kept in place
    assert np.allclose(e.X[:, 0, 2], walk().joints[:, 0, 2], atol=1e-6)


def test_travel_keeps_the_way():
    poses = walk()
    e = MotionViews(poses, travel=True).epoch(0)
    assert np.allclose(e.X, poses.joints)
    assert np.ptp(e.X[160:, 0, 0]) > 1


def test_epochs_differ_and_repeat():
    m = MotionViews(walk(), seed=4)
    a, b, c = m.epoch(0), m.epoch(1), MotionViews(walk(), seed=4).epoch(0)
    assert np.array_equal(a.kp, c.kp) and np.array_equal(a.R, c.R)
    assert not np.allclose(a.R, b.R) and np.abs(a.kp - b.kp).mean() > 20
    assert len(a.R) == 5 and np.array_equal(a.start, [0, 120, 160, 161, 411, 461])    # 300 frames are two clips
    assert np.array_equal(np.unique(a.subj), [0, 1])


def test_batches_hold_no_truth_unless_asked():
    m = MotionViews(walk(), views=3)
    batches = list(m.batches(0, 50))
    assert len(batches) == 461 // 50
    b = batches[0]
    assert b.kp_px.shape == (50, 3, 17, 2) and b.conf.shape == (50, 3, 17) and b.view_mask.all()
    assert b.X is None and b.R is None and b.K is None and b.past_px is None
    b = next(m.batches(0, 50, truth=True))
    assert b.X.shape == (50, 17, 3) and b.R.shape == (50, 3, 3, 3) and b.t.shape == (50, 3, 3) and b.K is None
    x = (b.X[7] @ b.R[7, 1].T + b.t[7, 1])
    k = m.epoch(0).K
    assert (b.image_size == 1000).all()
    # confident joints lie where the pose projects, with the focal length of the sample's rig
    px = x[:, :2] / x[:, 2:] * float(k[int(b.rig[7]), 1, 0, 0]) + 500
    off = (px - b.kp_px[7, 1]).norm(dim=-1)[b.conf[7, 1] > .6]
    assert len(off) == 0 or off.median() < 15


def test_batches_are_a_permutation():
    m = MotionViews(walk(), noise=NoNoise())
    e = m.epoch(0)
    got = np.concatenate([b.kp_px.numpy() for b in e.batches(100, sampling=Sampling(partial=True))])
    assert len(got) == len(e) and not np.array_equal(got, e.kp)
    key = lambda x: x.reshape(len(x), -1)[np.lexsort(x.reshape(len(x), -1)[:, :4].T)]     # noqa: E731
    assert np.array_equal(key(got), key(e.kp))
    ordered = np.concatenate([b.kp_px.numpy() for b in e.batches(100, sampling=Sampling(ordered=True, partial=True))])
    assert np.array_equal(ordered, e.kp)


def test_groups_of_one_rig():
    e = MotionViews(walk((200, 200, 200))).epoch(0)
    b = next(e.batches(40, sampling=Sampling(per_rig=4)))
    same = b.rig.reshape(10, 4)
    assert (same == same[:, :1]).all() and len(b.rig.unique()) == 3


def test_windows_are_causal_and_stay_in_their_clip():
    m = MotionViews(walk(), noise=NoNoise())
    e = m.epoch(2)
    where = {e.kp[i].tobytes(): i for i in range(len(e))}
    for b in m.windows(2, 64, 9):
        assert b.past_px.shape == (64, 9, 4, 17, 2) and (b.past_px[:, -1] == b.kp_px).all()
        for s in range(0, 64, 7):
            now = where[b.kp_px[s].numpy().tobytes()]
            first = e.start[e.clip[now]]
            path = [where[b.past_px[s, k].numpy().tobytes()] for k in range(9)]
            assert path == [max(now - 8 + k, first) for k in range(9)]


def test_views_are_dropped_and_two_are_kept():
    e = MotionViews(walk(), noise=NoNoise()).epoch(0)
    b = next(e.batches(400, sampling=Sampling(drop_views=.5)))
    left = b.view_mask.sum(1)
    assert left.min() == 2 and (left == 4).float().mean() > .4 and (left < 4).float().mean() > .4
    assert (b.conf[~b.view_mask] == 0).all()
    assert b.view_mask[left == 2].float().mean(0).min() > .3           # no view is always kept


def test_poses_are_turned_mirrored_and_scaled():
    poses = walk((30,) * 200)
    poses = Poses(poses.joints, poses.start, sigma=np.tile(np.arange(17) / 100, (len(poses), 1)))
    plain, changed = (MotionViews(poses, travel=True, noise=NoNoise(), change=c).epoch(0)
                      for c in (None, Change(turn=True, mirror=True, scale=(.8, 1.2))))
    bone = lambda X, a, b: np.linalg.norm(X[:, a] - X[:, b], axis=-1)   # noqa: E731
    ratio = bone(changed.X, 8, 0) / bone(plain.X, 8, 0)
    assert .8 <= ratio.min() < .85 and 1.15 < ratio.max() <= 1.2 + 1e-5
    side = changed.X_sigma[:, 3] / ratio                               # sigma goes along with joint and size
    assert np.allclose(np.sort(np.unique(side.round(3))), [.03, .06], atol=2e-3)
    flipped = np.abs(side - .06) < .005
    assert .3 < flipped.mean() < .7
    back = np.where(flipped[:, None, None], changed.X[:, list(MIRROR)], changed.X)
    assert np.allclose(bone(back, 1, 3) / ratio, bone(plain.X, 1, 3), atol=1e-5)
    # the knee bends forwards still: triple product of a body's own axes keeps its sign
    def sense(X):
        return np.einsum('fi,fi->f', np.cross(X[:, 4] - X[:, 1], X[:, 8] - X[:, 0]), X[:, 9] - X[:, 8]) > 0
    assert np.array_equal(sense(changed.X), sense(plain.X))


def test_unknown_joints_are_not_seen():
    poses = walk()
    joints = poses.joints.copy()
    joints[5:20, 13] = np.nan
    joints[30:40, 0] = np.nan
    joints[50:60] = np.nan
    e = MotionViews(Poses(joints, poses.start)).epoch(0)
    assert np.isfinite(e.kp).all() and np.isfinite(e.X).all() and np.isfinite(e.conf).all()
    assert np.isinf(e.X_sigma[5:20, 13]).all() and (e.X_sigma[100] == 0).all()
    assert (e.conf[50:60] == 0).all() and (e.conf[5:20, :, 13] > 0).mean() < .05      # but for exchanged sides
    assert (np.abs(e.X[30:40, (1, 4), :2].mean(1)) < .6).all()         # kept in place by the hips


def test_motion_file(tmp_path):
    poses = walk((30, 40, 50))
    path = tmp_path / 'm.npz'
    arrays = {'pos': poses.joints, 'seq_start': poses.start, 'seq_name': np.array(['a', 'b', 'c']), 'fps': 25.}
    np.savez(path, subject=np.array(['9', '7', '9']), **arrays)
    assert read_poses(path).subject.tolist() == [1, 0, 1] and read_poses(path).fps == 25
    np.savez(path, subject=np.array(['9']), **arrays)
    with raises(TrainingError, '1 subjects for 3 sequences', place=tmp_path / 'm.npz'):
        read_poses(path)
    path.write_bytes(b'no npz')
    with raises(TrainingError, place=tmp_path / 'm.npz'):
        MotionViews(path)


@pytest.mark.parametrize(('change', 'sentence'), [
    ({'joints': np.zeros((5, 16, 3))}, 'must have shape'), ({'start': [0, 4]}, 'must rise from 0 to 5'),
    ({'sigma': np.zeros(5)}, 'sigma must have shape'), ({'subject': [1, 2]}, '2 subjects for 1 sequences'),
])
def test_bad_poses(change, sentence):
    with pytest.raises(TrainingError, match=sentence):
        Poses(**{'joints': np.zeros((5, 17, 3)), 'start': [0, 5]} | change)


def test_bad_wishes():
    with pytest.raises(TrainingError, match='has 500 frames or more'):
        MotionViews(walk(), shortest=500)
    with pytest.raises(TrainingError, match='0 views'):
        MotionViews(walk(), views=0)
    with pytest.raises(TrainingError, match='from 0 to 1'):
        Sampling(drop_views=2)
    with pytest.raises(TrainingError, match='1 or more samples'):
        next(MotionViews(walk()).epoch(0).batches(0))
