# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Keypoint archives: what is written is read, and what is wrong is named."""
from __future__ import annotations

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import recorded
from raising import raises

from selfpose_ros.core.noise import Accuracy
from selfpose_ros.core.observation import MultiView
from selfpose_ros.core.skeleton import BODY25B, JOINT_SETS, JOINTS
from selfpose_ros.io import npz
from selfpose_ros.io.archive import read_keypoints, write_keypoints
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.recording import Recording


def test_rows_are_the_instants(tmp_path):
    path = recorded.write_archive(tmp_path / 'a.npz')
    r = read_keypoints(path)
    z = np.load(path)
    assert (r.name, r.cameras, r.image_size['cam2']) == ('a', ('cam1', 'cam2', 'cam3'), (1000, 800))
    frames = r.frames()
    assert [f.stamp for f in frames] == z['stamp'].tolist()
    for t, f in enumerate(frames):
        for v, view in enumerate(f.views):
            assert np.array_equal(view.keypoints[0], z['keypoints'][t, v])


def test_free_running_cameras_keep_their_own_stamps(tmp_path):
    stamp = np.arange(6)[:, None] / 25 + np.array([0, .004, -.007])
    frames = read_keypoints(recorded.write_archive(tmp_path / 'a.npz', stamp=stamp)).frames()
    assert np.allclose([f.stamp for f in frames], stamp.mean(1))
    assert [[v.stamp for v in f.views] for f in frames] == stamp.tolist()


def test_nan_joint_is_not_seen_and_nan_person_is_nobody(tmp_path):
    a = recorded.archive()
    a['keypoints'][0, 0, 3] = np.nan
    a['keypoints'][1, 0] = np.nan
    np.savez(tmp_path / 'a.npz', **a)
    frames = read_keypoints(tmp_path / 'a.npz').frames()
    assert np.isnan(frames[0].views[0].keypoints[0, 3]).all() and frames[0].views[0].confidence[0, 3] == 0
    assert len(frames[1].views[0].keypoints) == 0 and frames[1].missing == ()


def test_nan_stamp_is_no_image(tmp_path):
    stamp = np.repeat(np.arange(6.)[:, None], 3, 1)
    stamp[2, 1] = np.nan
    frames = read_keypoints(recorded.write_archive(tmp_path / 'a.npz', stamp=stamp)).frames()
    assert frames[2].missing == ('cam2',) and frames[2].stamp == 2. and len(frames[2].views) == 2


def test_rows_with_the_same_stamp_are_people(tmp_path):
    stamp, person = np.array([0., 0, 1, 1, 2, 2]), np.tile([4, 9], 3)[:, None].repeat(3, 1)
    frames = read_keypoints(recorded.write_archive(tmp_path / 'a.npz', stamp=stamp, person=person)).frames()
    assert [f.stamp for f in frames] == [0, 1, 2]
    assert all(v.person.tolist() == [4, 9] for f in frames for v in f.views)


def several(T=4, V=2, D=3, **changes):
    """Arrays of an archive with up to D detections of each camera."""
    rng = np.random.default_rng(3)
    a = recorded.archive(T, V, keypoints=rng.uniform(100, 900, (T, V, D, 17, 2)),
                         confidence=rng.uniform(.3, 1, (T, V, D, 17)), **changes)
    a['keypoints'][0, 0, 1], a['keypoints'][2, 1] = np.nan, np.nan
    return a


def test_several_detections_of_each_camera(tmp_path):
    a = several()
    np.savez(tmp_path / 'a.npz', **a)
    r = read_keypoints(tmp_path / 'a.npz')
    assert [[len(v.keypoints) for v in f.views] for f in r.frames()] == [[2, 3], [3, 3], [3, 0], [3, 3]]
    view = r.frames()[0].views[0]
    assert np.array_equal(view.keypoints, a['keypoints'][0, 0, [0, 2]]) and view.person.tolist() == [-1, -1]
    np.savez(tmp_path / 'b.npz', **several(person=np.arange(24).reshape(4, 2, 3)))
    assert read_keypoints(tmp_path / 'b.npz').frames()[0].views[0].person.tolist() == [0, 2]
    for D in (0, 1):
        np.savez(tmp_path / 'c.npz', **several() | {
            k: a[k][:, :, :D] for k in ('keypoints', 'confidence')})
        assert {len(v.keypoints) for v in read_keypoints(tmp_path / 'c.npz').views} <= {0, D}


@pytest.mark.parametrize('changes, sentence', [
    ({'confidence': np.ones((4, 2, 17))}, 'confidence must have shape (T, V, D, J) = (4, 2, 3, 17), got (4, 2, 17)'),
    ({'person': np.zeros((4, 2))}, 'person must have shape (T, V, D) = (4, 2, 3), got (4, 2)'),
    ({'stamp': np.array([0., 1, 1, 2])}, 'rows 1 and 2 have the same stamp')])
def test_several_detections_that_do_not_fit(tmp_path, changes, sentence):
    np.savez(tmp_path / 'a.npz', **several() | changes)
    with pytest.raises(IoError) as error:
        read_keypoints(tmp_path / 'a.npz')
    assert sentence in str(error.value)


def test_rows_and_detections_hold_the_same_people(tmp_path):
    """The two forms of several people, and the one that is written."""
    a = several()
    np.savez(tmp_path / 'a.npz', **a)
    rows = {k: a[k].swapaxes(1, 2).reshape(12, 2, *a[k].shape[3:]) for k in ('keypoints', 'confidence')}
    np.savez(tmp_path / 'b.npz', **a | rows | {'stamp': a['stamp'].repeat(3), 'person': np.full((12, 2), -1)})
    one, other = read_keypoints(tmp_path / 'a.npz'), read_keypoints(tmp_path / 'b.npz')
    assert recorded.same_views(one.views, other.views)
    assert recorded.instants(one.frames()) == recorded.instants(other.frames())
    write_keypoints(tmp_path / 'c.npz', other)
    with np.load(tmp_path / 'c.npz') as z:
        assert z['keypoints'].shape == (4, 2, 3, 17, 2) and z['person'].shape == (4, 2, 3)
    assert recorded.same_views(one.views, read_keypoints(tmp_path / 'c.npz').views)


@pytest.mark.parametrize('name', ['wholebody133', 'halpe136', 'body135', 'coco18', 'mpii16'])
def test_archives_name_their_joint_set_or_all_joints(tmp_path, name):
    J = len(JOINT_SETS[name])
    a = recorded.archive(T=3, J=J, joint_names=np.array(JOINT_SETS[name]))
    np.savez(tmp_path / 'a.npz', **a)
    np.savez(tmp_path / 'b.npz', **a | {'joint_names': np.array(name.upper())})
    one, other = read_keypoints(tmp_path / 'a.npz'), read_keypoints(tmp_path / 'b.npz')
    assert one.joint_names == other.joint_names == JOINT_SETS[name] and recorded.same_views(one.views, other.views)
    wrist = JOINT_SETS[name].index('right_wrist')
    assert np.array_equal(one.views[0].keypoints[0, 16], a['keypoints'][0, 0, wrist])


def test_archive_that_declares_more_than_it_holds_is_not_allocated(tmp_path):
    """A header is 128 bytes; what it declares would take the memory of any machine."""
    path = recorded.write_archive(tmp_path / 'a.npz')
    for shape in ((10 ** 9, 3, 17, 2), (10 ** 14, 3, 17, 2)):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {'descr': '<f8', 'fortran_order': False, 'shape': shape})
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / 'b.npz', 'w') as new:
            for name in old.namelist():
                new.writestr(name, header.getvalue() if name == 'keypoints.npy' else old.read(name))
        with raises(IoError, 'keypoints cannot be read .*but is shorter', place=tmp_path / 'b.npz'):
            read_keypoints(tmp_path / 'b.npz')


def test_archive_too_large_to_be_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, '_MOST_NUMBERS', 600)
    with raises(IoError, r'keypoints is too large, \(6, 3, 17, 2\) of float64; cut the recording',
                place=tmp_path / 'a.npz'):
        read_keypoints(recorded.write_archive(tmp_path / 'a.npz'))


@pytest.mark.parametrize('low, high', [(0, 1), (-1, 1)])
def test_normalised_keypoints_are_refused_beside_odd_joints(tmp_path, low, high):
    points = np.random.default_rng(0).uniform(low, high, (40, 3, 17, 2))
    points[3, :, 4] = 300.
    path = recorded.write_archive(tmp_path / 'a.npz', T=40, keypoints=points)
    with raises(IoError, 'not in pixels; multiply them by the image size', place=tmp_path / 'a.npz'):
        read_keypoints(path)


def test_other_joint_sets_are_mapped(tmp_path):
    a = recorded.archive(J=25, joint_names=np.array(BODY25B))
    np.savez(tmp_path / 'a.npz', **a)
    view = read_keypoints(tmp_path / 'a.npz').frames()[0].views[0]
    assert np.array_equal(view.keypoints[0, JOINTS.index('r_knee')],
                          a['keypoints'][0, 0, BODY25B.index('right_knee')])
    del a['joint_names']
    np.savez(tmp_path / 'b.npz', **a)
    named = read_keypoints(tmp_path / 'b.npz', 'body25b')
    assert np.array_equal(named.frames()[0].views[0].keypoints, view.keypoints)
    assert named.approximate == ('spine', 'neck_nose')


def test_intrinsics_only_where_known(tmp_path):
    K = np.tile(np.array([[900., 0, 500], [0, 910, 400], [0, 0, 1]]), (3, 1, 1))
    K[0], K[1, 0, 0] = np.nan, 0
    views = read_keypoints(recorded.write_archive(tmp_path / 'a.npz', K=K, distortion=np.full((3, 5), .1))).views
    known = {v.camera: v.intrinsics for v in views}
    assert known['cam1'] is None and known['cam2'] is None
    assert known['cam3'].focal_px == pytest.approx(905, abs=1) and known['cam3'].distortion[0] == .1


def test_the_accuracy_of_the_networks_is_kept(tmp_path):
    first = read_keypoints(recorded.write_archive(tmp_path / 'a.npz'))
    told = {'cam1': Accuracy((.2, .9), (.04, .01)), 'cam3': Accuracy((1.,), (.02,))}
    known = [replace(v, accuracy=told.get(v.camera)) for v in first.views]
    write_keypoints(tmp_path / 'b.npz', Recording.of('b', first.cameras, known, joint_names=first.joint_names))
    again = read_keypoints(tmp_path / 'b.npz')
    assert {v.camera: v.accuracy for v in again.views} == {c: told.get(c) for c in first.cameras}
    a = dict(np.load(tmp_path / 'b.npz'))
    a['accuracy'][2, 0] = [.5, 7.]
    np.savez(tmp_path / 'c.npz', **a)
    with raises(IoError, r'camera cam3: accuracy: sigmas are shares', place=tmp_path / 'c.npz'):
        read_keypoints(tmp_path / 'c.npz')


def test_truth_is_never_touched(tmp_path):
    path = tmp_path / 'a.npz'
    np.savez(path, **recorded.archive(), truth_joints=np.array([object()], dtype=object))
    assert len(read_keypoints(path).frames()) == 6


BAD = {
    'keypoints missing': ({'keypoints': None}, 'keypoints is missing, expected with shape (T, V, J, 2)'),
    'keypoints 3D': ({'keypoints': np.zeros((6, 3, 17, 3))},
                     'keypoints must have shape (T, V, J, 2), got (6, 3, 17, 3)'),
    'confidence of other joints': ({'confidence': np.ones((6, 3, 16))},
                                   'confidence must have shape (T, V, J) = (6, 3, 17), got (6, 3, 16)'),
    'stamp too short': ({'stamp': np.arange(5.)},
                        'stamp must have shape (T,) = (6,) or (T, V) = (6, 3), got (5,)'),
    'image size of one camera': ({'image_size': np.array([1000, 800])},
                                 'image_size must have shape (V, 2) = (3, 2)'),
    'image size zero': ({'image_size': np.zeros((3, 2))}, 'image_size must be at least 1x1 px'),
    'joint names missing': ({'joint_names': None}, 'joint_names is missing'),
    'joint names too few': ({'joint_names': np.array(JOINTS[:16])},
                            'joint_names must have shape (J,) = (17,), got (16,)'),
    'joint names that are numbers': ({'joint_names': np.arange(17)}, 'joint_names must hold text, got int64'),
    'no body': ({'joint_names': np.array([f'point{i}' for i in range(17)])}, 'l_hip, r_hip, l_knee'),
    'time goes back': ({'stamp': np.array([0., 1, 2, 1.5, 4, 5])},
                       'goes back from 2.000000 s in row 2 to 1.500000 s in row 3'),
    'time stands': ({'stamp': np.array([0., 1, 1, 2, 3, 4])}, 'rows 1 and 2 have the same stamp 1.000000 s'),
    'time unknown': ({'stamp': np.array([0., 1, np.nan, 3, 4, 5])}, 'stamp of row 2 is [nan, nan, nan]'),
    'normalised': ({'keypoints': np.random.default_rng(0).random((6, 3, 17, 2))}, 'not in pixels'),
    'confidence in percent': ({'confidence': np.full((6, 3, 17), 87.)},
                              'confidence must lie in 0..1, got 87 to 87'),
    'impossible camera': ({'K': np.full((3, 3, 3), -1.)}, 'camera cam1: K must be'),
    'no rows': ({'keypoints': np.zeros((0, 3, 17, 2)), 'confidence': np.zeros((0, 3, 17)), 'stamp': np.zeros(0)},
                'keypoints has no rows'),
    'pickled': ({'stamp': np.array([object()] * 6, dtype=object)}, 'stamp cannot be read'),
}


@pytest.mark.parametrize('changes, sentence', BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_named_with_file_and_key(tmp_path, changes, sentence):
    path = recorded.write_archive(tmp_path / 'bad.npz', **changes)
    with pytest.raises(IoError) as error:
        read_keypoints(path)
    assert str(error.value).startswith(str(path)) and sentence in str(error.value), error.value


def test_joint_set_of_another_size(tmp_path):
    with raises(IoError, '17 joints, but the joint set body25 has 25', place=tmp_path / 'a.npz'):
        read_keypoints(recorded.write_archive(tmp_path / 'a.npz'), 'body25')
    with pytest.raises(IoError, match="'body99' is not known; choose one of: body25, "):
        read_keypoints(recorded.write_archive(tmp_path / 'a.npz'), 'body99')


@pytest.mark.parametrize('share', [0., .3, .9, .999])
def test_truncated_file(tmp_path, share):
    whole = recorded.write_archive(tmp_path / 'a.npz', T=40).read_bytes()
    bad = tmp_path / 'bad.npz'
    bad.write_bytes(whole[:int(share * len(whole))])
    with raises(IoError, 'not a readable npz', place=tmp_path / 'bad.npz'):
        read_keypoints(bad)


def test_bit_rot_inside_the_file(tmp_path):
    path = recorded.write_archive(tmp_path / 'a.npz', T=40)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 255
    path.write_bytes(content)
    with raises(IoError, 'cannot be read', place=tmp_path / 'a.npz'):
        read_keypoints(path)


def test_other_files(tmp_path):
    with raises(IoError, 'no such file', place=tmp_path / 'none.npz'):
        read_keypoints(tmp_path / 'none.npz')
    np.save(tmp_path / 'one.npy', np.zeros(3))
    (tmp_path / 'one.npy').rename(tmp_path / 'one.npz')
    with raises(IoError, 'a single array', place=tmp_path / 'one.npz'):
        read_keypoints(tmp_path / 'one.npz')


def test_round_trip_of_rows(tmp_path):
    K = np.array([[900., 0, 320], [0, 900, 240], [0, 0, 1]])
    rows = [MultiView(t, tuple(recorded.view(c, t, p, K=K if c == 'left' else None) for c, p in
                               (('left', 1 + t), ('right', t)))) for t in (0, 1, 2)]
    made = Recording.of('r', ('left', 'right'), (v for r in rows for v in r.views), rows=rows)
    write_keypoints(tmp_path / 'r.npz', made)
    read = read_keypoints(tmp_path / 'r.npz')
    assert read.cameras == ('left', 'right') and recorded.same_views(made.views, read.views)
    assert recorded.instants(read.frames()) == recorded.instants(made.frames())
    assert {v.camera: v.intrinsics is not None for v in read.views} == {'left': True, 'right': False}


def test_round_trip_of_cameras_that_ran_free(tmp_path):
    views = [*(recorded.view('a', i / 30) for i in range(20)),
             *(recorded.view('b', .011 + i / 24.7) for i in range(15))]
    made = Recording.of('r', ('a', 'b'), views)
    write_keypoints(tmp_path / 'r.npz', made)
    read = read_keypoints(tmp_path / 'r.npz')
    assert recorded.same_views(made.views, read.views)
    assert recorded.instants(read.frames()) == recorded.instants(made.frames())


def test_nothing_is_left_of_a_write_that_fails(tmp_path):
    recording = read_keypoints(recorded.write_archive(tmp_path / 'a.npz'))
    (tmp_path / 'file').write_text('')
    with raises(IoError, 'cannot be written', place=tmp_path / 'file/b.npz'):
        write_keypoints(tmp_path / 'file' / 'b.npz', recording)
    (tmp_path / 'taken.npz').mkdir()
    with raises(IoError, place=tmp_path / 'taken.npz'):
        write_keypoints(tmp_path / 'taken.npz', recording)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.npz', 'file', 'taken.npz']


# -- units of stamps

SECONDS = np.arange(20)[:, None] / 30 + np.array([0, .004, -.003])


@pytest.mark.parametrize('begin', [0., 1.7e9])
@pytest.mark.parametrize(('unit', 'per_s'), [('milliseconds', 1e3), ('microseconds', 1e6), ('nanoseconds', 1e9)])
def test_stamps_that_are_plainly_in_another_unit_are_divided(tmp_path, unit, per_s, begin):
    stamp = ((SECONDS + begin) * per_s).round().astype(np.int64)
    stamp[7:] += round(2 * per_s)                          # a pause
    r = read_keypoints(recorded.write_archive(tmp_path / 'a.npz', T=20, stamp=stamp))
    assert np.allclose([v.stamp for f in r.frames() for v in f.views if v.camera == 'cam2'], stamp[:, 1] / per_s,
                       rtol=0, atol=1e-6)
    note, = r.notes
    assert note.startswith('a.npz: stamps lie 33') and f'taken for {unit} (30' in note
    assert note.endswith(f', divided by {per_s:.0f}; write them in seconds')


@pytest.mark.parametrize('stamp', [
    SECONDS, SECONDS * 30, SECONDS * 30 * 2.,              # frame numbers, every half a second
    SECONDS * 1e3 + 1.7e9,                                 # dates in seconds, half a minute apart
    SECONDS * 1e3 * 60., SECONDS[:8] * 1e3,               # no rate of any camera; too few
    SECONDS * np.array([1., 1e3, 1.]),                     # one camera alone: nobody can say
    np.cumsum(10. ** np.arange(20) % 97 + 3)[:, None] + np.zeros(3),    # no rhythm
])
def test_stamps_that_may_be_seconds_stay(tmp_path, stamp):
    stamp = stamp - min(0., np.nanmin(stamp))
    order = np.argsort(stamp.mean(1))
    r = read_keypoints(recorded.write_archive(tmp_path / 'a.npz', T=len(stamp), stamp=stamp[order]))
    assert not r.notes
    assert {v.stamp for v in r.views if v.camera == 'cam2'} == set(stamp[:, 1])


def test_rows_of_several_people_in_milliseconds(tmp_path):
    stamp, person = np.repeat(np.arange(20.) * 40, 2), np.tile([4, 9], 20)[:, None].repeat(3, 1)
    r = read_keypoints(recorded.write_archive(tmp_path / 'a.npz', T=40, stamp=stamp, person=person))
    assert np.allclose([f.stamp for f in r.frames()], np.arange(20) * .04) and 'milliseconds (25' in r.notes[0]
