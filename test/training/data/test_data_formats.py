# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Public data sets in the files that their users have: small ones made here, read, and broken ones refused."""
from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

pytest.importorskip('torch')
import h5py
from raising import raises
from small_data import K3, T_M, R, cell, human36m, mpi_test_set, people, seen, skipose, train_3dhp

from selfpose_ros.core.skeleton import JOINTS
from selfpose_training.data.arrays import Sampling
from selfpose_training.data.human36m import CAMERAS, read_human36m
from selfpose_training.data.motion import MotionViews
from selfpose_training.data.mpi_inf_3dhp import read_3dhp
from selfpose_training.data.pickled import read_dicts
from selfpose_training.data.skipose import read_skipose
from selfpose_training.data.sources import kind_of, open_data
from selfpose_training.errors import TrainingError


def agrees(data, tolerance=.05):
    """Worst distance, px, between the pixels of batches and where X, R, t, K say that they are."""
    b = next(data.epoch(0).batches(10 ** 6, sampling=Sampling(ordered=True, truth=True, intrinsics=True)))
    x = (b.R[:, :, None].double() @ b.X[:, None, :, :, None].double())[..., 0] + b.t[:, :, None].double()
    h = (b.K[:, :, None].double() @ x[..., None])[..., 0]
    off = (h[..., :2] / h[..., 2:] - b.kp_px).norm(dim=-1)
    return float(off[b.conf > 0].max()) < tolerance


# ---------------------------------------------------------------- Human3.6M

@pytest.mark.parametrize('joints', [32, 17])
def test_human36m(tmp_path, joints):
    X = human36m(tmp_path, joints)
    found = read_human36m(tmp_path)
    assert [(r.subject, r.split, len(r), r.views) for r in found] == [
        ('h36m S1', 'train', 30, 4)] * 2 + [('h36m S9', 'test', 30, 4)] * 2
    assert np.allclose(found[1].X, X['S1']['Eating 1'], atol=1e-6) and found[0].image_size[0].tolist() == [1000, 1002]
    assert found[0].rig == found[1].rig != found[2].rig
    assert np.allclose(found[2].R, R[:4], atol=2e-3) and np.allclose(found[2].t, T_M[:4], atol=.01)
    data = open_data(tmp_path, split='test')
    assert len(data) == 60 and agrees(data, 1.)
    assert len(open_data(tmp_path)) == 120 and len(open_data(tmp_path / 'data_2d_h36m_gt.npz', every=3)) == 40


def test_human36m_scores_and_subjects(tmp_path):
    human36m(tmp_path, score=True, metadata=False)
    r, _ = read_human36m(tmp_path, subjects=['S9'])
    assert np.allclose(r.conf, .7) and r.subject == 'h36m S9'
    with raises(TrainingError, 'no subject S5 in it, but S1, S9', place=tmp_path / 'data_2d_h36m_gt.npz'):
        read_human36m(tmp_path, subjects=['S5'])


def test_human36m_with_camera_file(tmp_path):
    human36m(tmp_path)
    with h5py.File(tmp_path / 'cameras.h5', 'w') as f:
        for s in (1, 9):
            for v, (fx, fy, cx, cy, _, _) in enumerate(CAMERAS.values()):
                g = f.create_group(f'subject{s}/camera{v + 1}')
                g['R'], g['T'] = R[v], (-R[v].T @ T_M[v] * 1000)[:, None]
                g['f'], g['c'] = np.array([[fx], [fy]]), np.array([[cx], [cy]])
    r = read_human36m(tmp_path)[0]
    assert np.allclose(r.R, R[:4]) and np.allclose(r.t, T_M[:4], atol=1e-5) and agrees(open_data(tmp_path))
    with h5py.File(tmp_path / 'cameras.h5', 'a') as f:
        del f['subject9/camera3']
    with raises(TrainingError, 'no cameras of S9', place=tmp_path / 'cameras.h5'):
        read_human36m(tmp_path)


def test_human36m_without_3d(tmp_path):
    human36m(tmp_path)
    (tmp_path / 'data_3d_h36m.npz').unlink()
    r = read_human36m(tmp_path)[0]
    assert r.X is None and r.R is None and r.K is not None and len(r) == 33


def test_human36m_files_that_do_not_fit(tmp_path):
    with raises(TrainingError, r'no data_2d_h36m_\*.npz', place=tmp_path):
        read_human36m(tmp_path)
    human36m(tmp_path)
    np.savez(tmp_path / 'data_2d_h36m_cpn.npz', positions_2d={'S1': {'a': [np.zeros((3, 17, 2))] * 3}})
    with raises(TrainingError, r'several kinds \(cpn, gt\)', place=tmp_path):
        read_human36m(tmp_path)
    with raises(TrainingError, '2D joints must be 4 arrays', place=f'{tmp_path / "data_2d_h36m_cpn.npz"}: S1 a'):
        read_human36m(tmp_path, 'cpn')
    for wrong, sentence in (({'S1': {'a': [np.zeros((3, 16, 2))] * 4}}, r'S1 a camera 0: expected numbers \(T, 17'),
                            ({'S1': 5}, 'must be a dict subject -> action'), ({}, 'must be a dict'),
                            ({'S1': {'a': [np.zeros((0, 17, 2))] * 4}}, 'no frame')):
        np.savez(tmp_path / 'data_2d_h36m_cpn.npz', positions_2d=wrong)
        with pytest.raises(TrainingError, match=sentence):
            read_human36m(tmp_path, 'cpn')
    np.savez(tmp_path / 'data_2d_h36m_cpn.npz', positions_2d={'S1': {}}, metadata={'num_joints': 16})
    with raises(TrainingError, 'layout is h36m with 16 joints', place=tmp_path / 'data_2d_h36m_cpn.npz'):
        read_human36m(tmp_path, 'cpn')
    path = tmp_path / 'data_2d_h36m_gt.npz'
    path.write_bytes(path.read_bytes()[:-200])
    with raises(TrainingError, 'cannot be read', place=tmp_path / 'data_2d_h36m_gt.npz'):
        read_human36m(tmp_path, 'gt')


class _Program:
    """Pickles as a call."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_file_that_wants_to_run_something_is_refused(tmp_path):
    np.savez(tmp_path / 'data_2d_h36m_x.npz', positions_2d={'S1': {'a': _Program(tmp_path / 'made')}})
    with raises(TrainingError, 'it asks for posix.mkdir, which is no array', place=tmp_path / 'data_2d_h36m_x.npz'):
        read_human36m(tmp_path)
    assert not (tmp_path / 'made').exists()
    # the same file does run something when it is read without care: the test is about a real danger
    with np.load(tmp_path / 'data_2d_h36m_x.npz', allow_pickle=True) as z:
        assert z['positions_2d'] is not None
    assert (tmp_path / 'made').exists()


def test_dicts_of_all_that_is_allowed(tmp_path):
    value = {'a': [np.arange(6.).reshape(2, 3), np.float32(1.5), 'text', None, 3, (True, b'x')],
             'b': {'c': np.array(['x', 'yy']), 'd': np.asfortranarray(np.ones((2, 2)))}}
    for protocol in (2, 4):
        path = tmp_path / f'{protocol}.npz'
        np.savez(path, value=value, plain=np.arange(4))
        read = read_dicts(path, 'value', 'plain', 'none?')
        assert np.array_equal(read['value']['a'][0], value['a'][0]) and read['value']['a'][1:] == value['a'][1:]
        assert read['value']['b']['c'].tolist() == ['x', 'yy'] and read['plain'].tolist() == [0, 1, 2, 3]
    assert pickle.loads(pickle.dumps(value))['a'][2] == 'text'
    with raises(TrainingError, 'none is missing, it holds value, plain', place=tmp_path / '4.npz'):
        read_dicts(path, 'none')
    with raises(TrainingError, 'no such file', place=tmp_path / 'x.npz'):
        read_dicts(tmp_path / 'x.npz', 'a')


# ---------------------------------------------------------------- MPI-INF-3DHP

def test_3dhp_train(tmp_path):
    X = people()
    train_3dhp(tmp_path / 'S1' / 'Seq1', X)
    train_3dhp(tmp_path / 'S1' / 'Seq2', X)
    a, b = read_3dhp(tmp_path)
    assert (a.views, a.split, a.subject) == (5, 'train', '3dhp S1') and b.subject == a.subject and b.rig != a.rig
    assert np.allclose(np.diff(a.stamp), .04) and np.allclose(np.diff(b.stamp), .02)
    assert np.allclose(a.K, K3, atol=.01) and np.allclose(a.image_size, 2048)
    assert np.allclose(a.R @ R[0], R[:5], atol=1e-6) and np.allclose(a.X, seen(X, K3, 0)[0], atol=1e-6)
    assert agrees(open_data(tmp_path)) and kind_of(tmp_path / 'S1' / 'Seq1' / 'annot.mat') == 'mpi_inf_3dhp'
    with raises(TrainingError, 'none of its 2 recordings belongs to test, but to train', place=tmp_path):
        open_data(tmp_path, split='test')
    c, _ = read_3dhp(tmp_path, cameras=[11, 0])
    assert np.allclose(c.kp[:, 1], a.kp[:, 0]) and c.views == 2
    with raises(TrainingError, place=tmp_path / 'S1/Seq1/annot.mat'):
        read_3dhp(tmp_path, cameras=[3])


def test_3dhp_joint_outside_of_the_image(tmp_path):
    train_3dhp(tmp_path / 'S2' / 'Seq1', people() * [1, 1, 3])
    r, = read_3dhp(tmp_path)
    out = (r.conf == 0)
    assert 0 < out.mean() < .9 and np.isnan(r.kp[out]).all() and r.kp[~out].min() >= 0 and r.kp[~out].max() <= 2047


def test_3dhp_test(tmp_path):
    X = people()
    for ts in ('TS1', 'TS6'):
        x = mpi_test_set(tmp_path / ts, X)
    a, b = read_3dhp(tmp_path)
    assert len(a) == 29 and a.views == 1 and a.split == 'test' and b.subject == '3dhp TS6'
    assert a.image_size.tolist() == [[2048, 2048]] and b.image_size.tolist() == [[1920, 1080]]
    assert np.allclose(a.X, np.delete(x, 12, 0)) and agrees(open_data(tmp_path, split='test'))
    assert open_data(tmp_path).epoch(0).start.tolist()[:2] == [0, 29]          # one frame left out is no pause
    with h5py.File(tmp_path / 'TS1' / 'annot_data.mat', 'a') as f:
        del f['annot3']
        f['annot3'] = np.zeros((29, 1, 17, 3))
    with raises(TrainingError, r'expected annot2 \(30, 1, 17, 2\)', place=tmp_path / 'TS1/annot_data.mat'):
        read_3dhp(tmp_path)


def test_3dhp_files_that_do_not_fit(tmp_path):
    with raises(TrainingError, 'neither annot.mat', place=tmp_path):
        read_3dhp(tmp_path)
    for i, (change, sentence) in enumerate((
            ({'annot2': cell([np.zeros((30, 50))] * 6)}, r'annot2 of camera 0: expected \(T, 56\)'),
            ({'annot3': cell([np.zeros((30, 84))] * 3)}, 'name cameras that are there'),
            ({'annot2': 'text'}, 'cannot be read as an annot.mat'))):
        train_3dhp(tmp_path / str(i), people(), **change)
        with pytest.raises(TrainingError, match=sentence):
            read_3dhp(tmp_path / str(i))
    for name in ('annot.mat', 'annot_data.mat'):
        (tmp_path / name).write_bytes(b'this is no mat file, but some text that goes on for a while' * 9)
        with pytest.raises(TrainingError, match='cannot be read as'):
            read_3dhp(tmp_path / name)


# ---------------------------------------------------------------- SkiPose

def test_skipose(tmp_path):
    X = people(12) * .5
    skipose(tmp_path / 'train', X, leave_out={(4, 3, 2)})
    skipose(tmp_path / 'test', X, seqs=((2, 0),))
    a, b, c = read_skipose(tmp_path)
    assert [(r.subject, r.split, r.views, len(r)) for r in (a, b, c)] == [
        ('skipose 1', 'train', 6, 12), ('skipose 1', 'train', 6, 12), ('skipose 2', 'test', 6, 12)]
    assert np.allclose(a.X, X, atol=1e-4) and np.allclose(b.X, X + [.2, 0, 0], atol=1e-4)
    assert a.K.shape == (12, 6, 3, 3) and np.isclose(a.K[3, 0, 0, 0], 256 * 3.15) and (a.conf[3, 2] == 0).all()
    data = open_data(tmp_path, split='train')
    e = data.epoch(0)
    assert len(set(e.rig)) == 24 and agrees(data, .1) and kind_of(tmp_path / 'test' / 'labels.h5') == 'skipose'
    batch = next(e.batches(24, sampling=Sampling(ordered=True)))
    assert not batch.view_mask[3, 2] and batch.view_mask.sum() == 24 * 6 - 1
    assert (batch.image_size == 256).all()


def test_skipose_files_that_do_not_fit(tmp_path):
    with raises(TrainingError, 'no labels.h5 there', place=tmp_path):
        read_skipose(tmp_path)
    for change, sentence in (({'cam': None}, 'cam missing, it holds 2D'),
                             ({'2D': np.zeros((144, 32))}, '2D must hold 34'),
                             ({'seq': np.zeros((144, 1))}, 'occurs twice'), ({'seq': np.zeros((0, 1))}, 'must hold')):
        skipose(tmp_path, people(12), **change)
        with raises(TrainingError, sentence, place=tmp_path / 'labels.h5'):
            read_skipose(tmp_path)
    (tmp_path / 'labels.h5').write_bytes(b'no h5')
    with raises(TrainingError, 'cannot be read', place=tmp_path / 'labels.h5'):
        read_skipose(tmp_path)


# ---------------------------------------------------------------- what a path is

def test_motion_file_is_opened(tmp_path):
    X = people()
    path = tmp_path / 'm.npz'
    np.savez(path, pos=X, seq_start=[0, 30], seq_name=['a'], fps=25., joints=np.array(JOINTS))
    data = open_data(str(path), seed=3, travel=True, views=2)
    assert isinstance(data, MotionViews) and data.views == 2 and np.allclose(data.epoch(0).X, X)
    with raises(TrainingError, 'motion data has no option wings', place=tmp_path / 'm.npz'):
        open_data(path, wings=2)


def test_paths_that_are_nothing(tmp_path):
    with raises(TrainingError, 'no such file or folder', place=tmp_path / 'x'):
        open_data(tmp_path / 'x')
    with raises(TrainingError, 'nothing in this folder is known', place=tmp_path):
        open_data(tmp_path)
    (tmp_path / 'a.txt').write_text('x')
    with raises(TrainingError, 'not known as data to learn from; give motion capture', place=tmp_path / 'a.txt'):
        open_data(tmp_path / 'a.txt')
    np.savez(tmp_path / 'b.npz', stuff=1)
    with raises(TrainingError, 'holds stuff, neither motion', place=tmp_path / 'b.npz'):
        open_data(tmp_path)
    np.savez(tmp_path / 'b.npz', pos=1)
    np.savez(tmp_path / 'c.npz', keypoints=1)
    with raises(TrainingError, r'not all keypoint archives \(archive, motion\)', place=tmp_path):
        open_data(tmp_path)
    np.savez(tmp_path / 'd.npz', positions_3d=1)
    with raises(TrainingError, 'only 3D joints', place=tmp_path / 'd.npz'):
        open_data(tmp_path / 'd.npz')
    (tmp_path / 'e.npz').write_text('x')
    with raises(TrainingError, place=tmp_path / 'e.npz'):
        open_data(tmp_path / 'e.npz')
