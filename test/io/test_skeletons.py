# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Results as npz, CSV and TRC."""
from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
import recorded
from raising import raises

from selfpose_ros.core.errors import ObservationError
from selfpose_ros.core.observation import Skeleton3D
from selfpose_ros.core.result import Skeletons
from selfpose_ros.core.rig import NotSolved
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.motion_files import write_csv, write_result, write_trc
from selfpose_ros.io.skeletons import read_skeletons, write_skeletons


def result(level=3, rig=None, T=4):
    stamps, people = recorded.skeletons(T, level)
    return Skeletons.of(stamps, people, ('cam1', 'cam2'), recorded.rig() if rig is None else rig)


def somebody(person, stamp=0.):
    return Skeleton3D(person, stamp, np.full((17, 3), float(person)), np.ones(17), np.ones(17), np.ones(17), 1)


def test_round_trip(tmp_path):
    made = result()
    write_skeletons(tmp_path / 'r.npz', made)
    read = read_skeletons(tmp_path / 'r.npz')
    for name in ('stamp', 'joints', 'sigma', 'confidence', 'views', 'level', 'person'):
        assert np.allclose(getattr(read, name), getattr(made, name), atol=1e-5, equal_nan=True), name
    assert read.cameras == made.cameras and read.cover == 1 and read.best_level.tolist() == [3] * 4
    assert read.person.tolist() == [[1, 0], [1, 0], [1, 2], [1, 2]]


def test_what_all_joints_have_in_common_comes_back_beside_the_whole(tmp_path):
    """Of sigmas of 5 cm of which 3 are the place of the body, 4 cm are left; a file of an older version has none."""
    people = [[replace(somebody(1), sigma=np.full(17, .05), place_sigma=.03)], []]
    made = Skeletons.of([0., 1.], people, ('cam1', 'cam2'), recorded.rig())
    write_skeletons(tmp_path / 'r.npz', made)
    read = read_skeletons(tmp_path / 'r.npz')
    assert read.place_sigma[:, 0] == pytest.approx([.03, 0.])
    for own in (people[0][0].own_sigma, made.own_sigma[0, 0], read.own_sigma[0, 0]):
        assert own == pytest.approx(np.full(17, .04), rel=1e-5)
    older = {k: v for k, v in np.load(tmp_path / 'r.npz').items() if k != 'place_sigma'}
    np.savez(tmp_path / 'older.npz', **older)
    assert not read_skeletons(tmp_path / 'older.npz').place_sigma.any()


def test_rig_is_in_the_order_of_the_cameras(tmp_path):
    write_skeletons(tmp_path / 'r.npz', result())
    z = np.load(tmp_path / 'r.npz')
    assert z['camera_names'].tolist() == ['cam1', 'cam2'] and z['t'].tolist() == [[3, 4, 5], [0, 1, 2]]
    assert z['K'][:, 0, 0].tolist() == [901, 900]
    assert z['rig_quality'] == .8 and z['scale_source'] == 'known height'
    assert read_skeletons(tmp_path / 'r.npz').rig.t.tolist() == z['t'].tolist()


def test_expected_errors_and_lenses_of_many_coefficients_come_back(tmp_path):
    rig = replace(recorded.rig(), distortion=np.tile([.1, .2, 0, 0, .3, .4, .5, .6], (2, 1)),
                  focal_sigma=[.01, 0.], centre_sigma_m=[.1, .2], rotation_sigma_deg=[0., .5])
    write_skeletons(tmp_path / 'r.npz', result(rig=rig))
    back = read_skeletons(tmp_path / 'r.npz').rig
    at = [rig.cameras.index(c) for c in back.cameras]
    for name in ('distortion', 'focal_sigma', 'centre_sigma_m', 'rotation_sigma_deg'):
        np.testing.assert_array_equal(getattr(back, name), getattr(rig, name)[at])


def test_no_rig_is_nan_with_the_reason(tmp_path):
    write_skeletons(tmp_path / 'r.npz', result(rig=NotSolved('too little motion')))
    z = np.load(tmp_path / 'r.npz')
    assert all(np.isnan(z[k]).all() for k in 'KRt') and z['rig_quality'] == 0 and z['scale_source'] == ''
    assert read_skeletons(tmp_path / 'r.npz').rig == NotSolved('too little motion')


def test_camera_that_the_rig_lacks_is_nan(tmp_path):
    write_skeletons(tmp_path / 'r.npz', result(rig=recorded.rig(('cam2',))))
    z = np.load(tmp_path / 'r.npz')
    assert np.isnan(z['R'][0]).all() and np.isfinite(z['R'][1]).all()
    assert read_skeletons(tmp_path / 'r.npz').rig.cameras == ('cam2',)


def test_nobody_at_all_is_still_a_result(tmp_path):
    made = Skeletons.of([0., .1], [[], []], ('cam1',), NotSolved('nobody'))
    assert made.joints.shape == (2, 1, 17, 3) and np.isnan(made.joints).all() and made.cover == 0
    files = write_result(tmp_path / 'r', made, ('npz', 'csv', 'trc'))
    assert [f.name for f in files] == ['r.npz', 'r.csv', 'r.trc'] and all(f.exists() for f in files)
    assert (read_skeletons(tmp_path / 'r.npz').person == 0).all()


def test_people_that_come_and_go_take_over_columns():
    people = [[somebody(1)], [somebody(1), somebody(2)], [somebody(2)], [somebody(3), somebody(2)], [somebody(4)]]
    made = Skeletons.of(range(5), people, ('cam1',), NotSolved(''))
    assert made.person.tolist() == [[1, 0], [1, 2], [0, 2], [3, 2], [4, 0]]
    assert np.nanmax(np.abs(made.joints[..., 0, 0] - np.where(made.person, made.person, np.nan))) == 0


def test_unequal_lists_are_refused():
    with pytest.raises(ObservationError, match='2 stamps but 1 lists of people'):
        Skeletons.of([0, 1], [[]], (), NotSolved(''))


def test_keypoint_archive_is_no_result(tmp_path):
    with raises(IoError, 'joints is missing', place=tmp_path / 'a.npz'):
        read_skeletons(recorded.write_archive(tmp_path / 'a.npz'))


def test_csv_has_a_row_for_each_person_and_instant(tmp_path):
    made = result()
    made.joints[0, 0, 5] = np.nan
    write_csv(tmp_path / 'r.csv', made)
    with (tmp_path / 'r.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(r['stamp_s'], r['person']) for r in rows] == [
        ('0.000000', '1'), ('0.100000', '1'), ('0.200000', '1'), ('0.200000', '2'), ('0.300000', '1'),
        ('0.300000', '2')]
    assert float(rows[3]['r_knee_y_m']) == pytest.approx(made.joints[2, 1, 2, 1], abs=1e-5)
    assert rows[0][f'{JOINTS[5]}_x_m'] == '' and rows[0]['r_knee_views'] == '3' and rows[0]['level'] == '3'


def trc(path):
    lines = path.read_text().split('\n')
    return lines, np.array([[float(c) if c else np.nan for c in line.split('\t')] for line in lines[6:-1]])


def test_trc_is_y_up_with_one_file_for_each_person(tmp_path):
    made = result()
    files = write_trc(tmp_path / 'r.trc', made)
    assert [f.name for f in files] == ['r.trc', 'r_person2.trc']
    lines, table = trc(files[0])
    assert lines[2].split('\t') == ['10.00', '10.00', '4', '17', 'm', '10.00', '1', '4']
    assert [n for n in lines[3].split('\t') if n] == ['Frame#', 'Time', *JOINTS] and lines[4].split('\t')[2:5] == [
        'X1', 'Y1', 'Z1']
    assert table.shape == (4, 2 + 51) and table[:, 0].tolist() == [1, 2, 3, 4]
    x, y, z = made.joints[1, 0, 3]
    assert table[1, 2 + 9:2 + 12] == pytest.approx([x, z, -y], abs=1e-5)
    assert np.isnan(trc(files[1])[1][:2, 2:]).all()
    _, millimetres = trc(write_trc(tmp_path / 'mm.trc', made, millimetres=True)[0])
    assert np.allclose(millimetres[:, 2:], 1e3 * table[:, 2:], atol=.02)


def test_trc_holds_one_frame_of_coordinates(tmp_path):
    made = result()
    made.level[0] = 1
    assert np.isnan(trc(write_trc(tmp_path / 'r.trc', made)[0])[1][0, 2:]).all()
    made.level[made.level > 0] = 1
    assert np.isfinite(trc(write_trc(tmp_path / 'r.trc', made)[0])[1]).all()


def test_unknown_format(tmp_path):
    with pytest.raises(IoError, match='format fbx: choose from npz, csv, trc'):
        write_result(tmp_path / 'r', result(), ('npz', 'fbx'))
    assert not list(tmp_path.iterdir())
