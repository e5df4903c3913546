# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Small data sets in the formats of Human3.6M, MPI-INF-3DHP and SkiPose-PTZ; our person, our cameras."""
from __future__ import annotations

import h5py
import numpy as np
from scipy.io import savemat

from selfpose_ros.synthetic import walker
from selfpose_ros.synthetic.rigs import draw_rigs
from selfpose_training.data.human36m import CAMERAS, JOINTS_OF_32
from selfpose_training.data.mpi_inf_3dhp import JOINTS_OF_28, JOINTS_OF_TEST

RNG = np.random.default_rng
RIG = draw_rigs(RNG(3), 1, 6)
R, T_M = RIG.R[0].astype(float), RIG.t[0].astype(float)


def people(frames=30, seed=1):
    """(T, 17, 3) m."""
    return walker(frames / 25, 25., seed, 'exercise')[:frames]


def seen(X, K, v):
    """X in the axes of camera v, m, and its pixels."""
    x = X @ R[v].T + T_M[v]
    h = x @ K.T
    return x, h[..., :2] / h[..., 2:]


def human36m(folder, joints=32, more=3, score=False, metadata=True, subjects=('S1', 'S9'),
             actions=('Walking', 'Eating 1'), frames=30):
    """The two files of Human3.6M; returns the poses of subject -> action."""
    X = {s: {a: people(frames, 5 * i + k) for k, a in enumerate(actions)} for i, s in enumerate(subjects)}
    wide, px = {}, {}
    for s, actions in X.items():
        wide[s], px[s] = {}, {}
        for a, x in actions.items():
            full = np.full((len(x), joints, 3), 77., np.float32)
            full[:, list(JOINTS_OF_32) if joints == 32 else slice(None)] = x
            wide[s][a], px[s][a] = full, []
            for v, (fx, fy, cx, cy, _, _) in enumerate(CAMERAS.values()):
                p = seen(x, np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), v)[1]
                p = np.concatenate([p, np.full((more, 17, 2), 5.)])    # the videos go on a little
                p = np.concatenate([p, np.full((*p.shape[:2], 1), .7)], -1) if score else p
                px[s][a].append(p.astype(np.float32))
    np.savez_compressed(folder / 'data_3d_h36m.npz', positions_3d=wide)
    about = {'layout_name': 'h36m', 'num_joints': 17, 'keypoints_symmetry': [[4, 5, 6], [1, 2, 3]]}
    np.savez_compressed(folder / 'data_2d_h36m_gt.npz', positions_2d=px, **({'metadata': about} if metadata else {}))
    return X


K3 = np.array([[1500., 0, 1030], [0, 1500, 1040], [0, 0, 1]])


def cell(values):
    out = np.empty((len(values), 1), object)
    for i, v in enumerate(values):
        out[i, 0] = v
    return out


def train_3dhp(folder, X, cameras=(0, 2, 4, 7, 8, 11), **changes):
    """An annot.mat of these cameras, the rig's first six."""
    folder.mkdir(parents=True)
    px, mm = [], []
    for v in range(len(cameras)):
        full, flat = np.full((len(X), 28, 3), 9e9), np.full((len(X), 28, 2), 9e9)
        x, p = seen(X, K3, v)
        full[:, list(JOINTS_OF_28)], flat[:, list(JOINTS_OF_28)] = 1000 * x, p
        px.append(flat.reshape(len(X), 56)), mm.append(full.reshape(len(X), 84))
    savemat(folder / 'annot.mat', {
        'annot2': cell(px), 'annot3': cell(mm), 'univ_annot3': cell(mm), 'frames': np.arange(len(X))[:, None],
        'cameras': np.array([cameras])} | changes)


def mpi_test_set(folder, X, invalid=12):
    """An annot_data.mat of one camera, with a frame that is not valid; returns (T, 17, 3) m in its axes."""
    folder.mkdir(parents=True)
    x, p = seen(X, K3 / [[2], [2], [1]], 0)
    full, flat = np.full((len(X), 1, 17, 3), 9e9), np.full((len(X), 1, 17, 2), 9e9)
    full[:, 0, list(JOINTS_OF_TEST)], flat[:, 0, list(JOINTS_OF_TEST)] = 1000 * x, p
    with h5py.File(folder / 'annot_data.mat', 'w') as f:
        f['annot2'], f['annot3'], f['univ_annot3'] = flat, full, full
        f['valid_frame'] = (np.arange(len(X)) != invalid).astype(float)[:, None]
    return x


def skipose(folder, X, seqs=((1, 4), (1, 5)), leave_out=(), turning=0., focal=3., **changes):
    """A labels.h5 in which the cameras zoom; the person of the second sequence goes elsewhere.

    turning: by how much all cameras tilt from one instant to the next, rad.  focal: length, shares of the image.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = {k: [] for k in '3D 2D cam_intrinsic R_cam_2_world cam_position seq cam frame subj'.split()}
    for n, (subj, seq) in enumerate(seqs):
        for i, pose in enumerate(X + [n / 5, 0, 0]):
            for v in range(6):
                if (seq, i, v) in leave_out:
                    continue
                f, c, s = focal + .05 * i, np.cos(turning * i), np.sin(turning * i)
                K, tilt = np.array([[f, 0, .5], [0, f, .5], [0, 0, 1]]), np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
                x = seen(pose, K, v)[0] @ tilt.T
                h = x @ K.T
                for k, value in (('3D', x - x[:1]), ('2D', h[:, :2] / h[:, 2:]), ('cam_intrinsic', K),
                                 ('R_cam_2_world', R[v].T @ tilt.T), ('cam_position', -R[v].T @ T_M[v]), ('seq', seq),
                                 ('cam', v), ('frame', i), ('subj', subj)):
                    rows[k].append(np.ravel(value))
    order = RNG(0).permutation(len(rows['seq']))
    with h5py.File(folder / 'labels.h5', 'w') as f:
        for k, value in (rows | changes).items():
            if value is not None:
                f[k] = np.asarray(value)[order] if len(value) == len(order) else np.asarray(value)
