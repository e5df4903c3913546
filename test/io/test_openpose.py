# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""OpenPose JSON folders."""
from __future__ import annotations

import json

import numpy as np
import pytest
import recorded
from raising import raises

from selfpose_ros.core.skeleton import BODY25, JOINT_SETS, JOINTS
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.openpose import COCO18, read_openpose

SIZE = [(640, 480)]


def body(seed=0, joints=25):
    rng = np.random.default_rng(seed)
    return np.c_[rng.uniform(50, 400, (joints, 2)).round(2), rng.uniform(.4, 1, joints).round(3)]


def test_frames_of_all_cameras_by_number(tmp_path):
    a = recorded.openpose_folder(tmp_path / 'cam_a', {3: [body(1)], 4: [body(2)], 6: [body(3)]})
    b = recorded.openpose_folder(tmp_path / 'cam_b', {3: [body(4)], 5: [body(5)], 6: []})
    r = read_openpose([a, b], 50, SIZE)
    assert (r.name, r.cameras, r.joint_names) == (tmp_path.name, ('cam_a', 'cam_b'), BODY25)
    frames = r.frames()
    assert [(f.stamp, f.missing) for f in frames] == [(.06, ()), (.08, ('cam_b',)), (.1, ('cam_a',)), (.12, ())]
    knee = frames[0].views[0].keypoints[0, JOINTS.index('l_knee')]
    assert np.allclose(knee, body(1)[BODY25.index('left_knee'), :2])
    assert len(frames[3].views[1].keypoints) == 0


def test_several_people_and_joints_that_were_not_found(tmp_path):
    hidden = body(1)
    hidden[BODY25.index('left_knee')] = 0
    folder = recorded.openpose_folder(tmp_path / 'a', {0: [hidden, body(2), np.zeros((25, 3))]})
    view = read_openpose([folder], 30, SIZE).views[0]
    assert len(view.keypoints) == 2 and np.isnan(view.keypoints[0, JOINTS.index('l_knee')]).all()
    assert np.isfinite(view.keypoints[1]).all()


def test_joint_sets(tmp_path):
    eighteen = recorded.openpose_folder(tmp_path / '18', {0: [body(1, 18)]}, 18)
    r = read_openpose([eighteen], 30, SIZE)
    assert r.joint_names == COCO18
    assert np.allclose(r.views[0].keypoints[0, 16], body(1, 18)[COCO18.index('right_wrist'), :2])
    b = read_openpose([recorded.openpose_folder(tmp_path / 'b', {0: [body(1)]})], 30, SIZE, joints='body25b')
    assert np.allclose(b.views[0].keypoints[0, 16], body(1)[10, :2])         # right wrist of BODY_25B
    odd = recorded.openpose_folder(tmp_path / 'odd', {0: [body(1, 21)]}, 21)
    with raises(IoError, '21 joints belong to no set .* name it with --joints',
                place=tmp_path / 'odd/clip_000000000000_keypoints.json'):
        read_openpose([odd], 30, SIZE)
    with raises(IoError, '54 numbers for a person, expected 3 for each of 25 joints.*--joints coco18',
                place=tmp_path / '18/clip_000000000000_keypoints.json'):
        read_openpose([eighteen], 30, SIZE, joints='body25')


def test_file_cut_off_at_the_end_of_the_recording(tmp_path):
    folder = recorded.openpose_folder(tmp_path / 'a', {i: [body(i)] for i in range(5)})
    last = sorted(folder.iterdir())[-1]
    last.write_text(last.read_text()[:60])
    r = read_openpose([folder], 30, SIZE)
    assert len(r.views) == 4 and r.notes[0].startswith('a: 1 of 5 files left out as damaged')


def test_nothing_that_can_be_read(tmp_path):
    folder = tmp_path / 'a'
    folder.mkdir()
    with raises(IoError, 'no OpenPose JSON files in it', place=tmp_path / 'a'):
        read_openpose([folder], 30, SIZE)
    (folder / 'x_000000000001_keypoints.json').write_text('{')
    with raises(IoError, 'none of 1 files can be read', place=tmp_path / 'a'):
        read_openpose([folder], 30, SIZE)
    (folder / 'x_000000000001_keypoints.json').write_text('{"images": []}')
    with raises(IoError, 'no list of people with pose_keypoints_2d', place=tmp_path / 'a'):
        read_openpose([folder], 30, SIZE)
    (folder / 'annotations.json').write_text('{}')
    with raises(IoError, 'annotations.json: no frame number', place=tmp_path / 'a'):
        read_openpose([folder], 30, SIZE)


def test_two_cameras_in_one_folder(tmp_path):
    folder = recorded.openpose_folder(tmp_path / 'a', {1: [body()]})
    (folder / 'other_000000000001_keypoints.json').write_text('{"people": []}')
    with raises(IoError, 'frame 1 is also', place=tmp_path / 'a/other_000000000001_keypoints.json'):
        read_openpose([folder], 30, SIZE)


@pytest.mark.parametrize('fps, sizes, sentence', [
    (0, SIZE, 'frame rate 0 is none'), (float('nan'), SIZE, 'frame rate nan is none'),
    (30, SIZE * 2, '2 image sizes for 1 folders')])
def test_what_the_files_do_not_tell(tmp_path, fps, sizes, sentence):
    with pytest.raises(IoError, match=sentence):
        read_openpose([recorded.openpose_folder(tmp_path / 'a', {1: [body()]})], fps, sizes)


def named(folder, *names, joints=25):
    """A folder of files with these names and a body each."""
    folder.mkdir(parents=True)
    for seed, name in enumerate(names):
        people = [{'pose_keypoints_2d': body(seed, joints).ravel().tolist()}]
        (folder / name).write_text(json.dumps({'people': people}))
    return folder


@pytest.mark.parametrize('pattern', [
    '{:06d}_cam1.json', 'cam1_{:06d}.json', 'clip_{:012d}_keypoints.json', '{}.json', 'frame{:04d}_halpe26.json',
    '2024-05-01_12-30-00_cam2_{:05d}_pose3d.json', 'img_{:05d}.jpg_17.json', 'GX010123_{:04d}_rtmw-133.json'])
def test_the_frame_is_the_number_that_counts(tmp_path, pattern):
    frames = [9, 10, 11, 13, 100]
    r = read_openpose([named(tmp_path / 'a', *(pattern.format(n) for n in frames))], 1, SIZE)
    assert [v.stamp for v in r.views] == frames
    taken = [n for n in r.notes if 'frames are numbered by' in n]
    assert len(taken) == (pattern not in ('cam1_{:06d}.json', 'clip_{:012d}_keypoints.json', '{}.json'))


def test_frames_beside_times(tmp_path):
    r = read_openpose([named(tmp_path / 'a', *(f'{n:06d}_{1714567000 + 40 * n}.json' for n in range(5)))], 1, SIZE)
    assert [v.stamp for v in r.views] == [0, 1, 2, 3, 4]


def test_the_number_taken_is_told_once(tmp_path):
    folders = [named(tmp_path / c, *(f'{n:06d}_{c}.json' for n in range(3, 6))) for c in ('cam1', 'cam2')]
    r = read_openpose(folders, 1, SIZE)
    assert [f.stamp for f in r.frames()] == [3, 4, 5] and not any(f.missing for f in r.frames())
    assert r.notes == ('cam1: frames are numbered by 000003 in 000003_cam1.json, which changes from file to file; the '
                       'last number of the name does not count them',)


def test_a_camera_with_one_file_is_numbered_as_the_others(tmp_path):
    a = named(tmp_path / 'a', *(f'{n:06d}_cam1.json' for n in range(3)))
    r = read_openpose([a, named(tmp_path / 'b', '000002_cam2.json')], 1, SIZE)
    assert [len(f.views) for f in r.frames()] == [1, 1, 2]


def test_cameras_agree_on_the_place_of_the_number(tmp_path):
    """In one camera two numbers change, because its run number happened to."""
    a = named(tmp_path / 'a', *(f'run{9 - n}_{n:04d}.json' for n in range(3)))
    b = named(tmp_path / 'b', *(f'run7_{n:04d}.json' for n in range(3)))
    assert not any(f.missing for f in read_openpose([a, b], 1, SIZE).frames())


def test_times_in_place_of_frame_numbers(tmp_path):
    folder = named(tmp_path / 'a', *(f'{1714567000000 + 40000 * n}.json' for n in range(4)))
    with raises(IoError, 'go up by 40000, as times do and frames do not, .* number the files by frame',
                place=tmp_path / 'a'):
        read_openpose([folder], 30, SIZE)


@pytest.mark.parametrize('entry, why', [
    ({}, 'no pose_keypoints_2d'), (None, 'null in place of a person'), ([], 'a list in place of a person'),
    (3, 'a number in place of a person'), ({'pose_keypoints_2d': []}, 'pose_keypoints_2d is empty'),
    ({'pose_keypoints_2d': None}, 'no pose_keypoints_2d'), ({'pose_keypoints_2d': 'x'}, 'is text, not a list'),
    ({'pose_keypoints_2d': [1., 2., .5]}, '3 numbers, expected 3 for each of 25 joints'),
    ({'pose_keypoints_2d': [.5] * 74}, '74 numbers, expected 3 for each of 25 joints'),
    ({'pose_keypoints_2d': [.5] * 51}, '51 numbers, expected 3 for each of 25 joints'),
    ({'pose_keypoints_2d': ['x'] * 75}, 'holds something else than numbers'),
    ({'pose_keypoints_2d': [[1], [2, 3]]}, 'holds something else than numbers'),
    ({'pose_keypoints_2d': [10 ** 400] * 75}, 'holds something else than numbers')])
@pytest.mark.parametrize('frame', [0, 1])
def test_somebody_who_cannot_be_read_costs_nobody_else(tmp_path, entry, why, frame):
    folder = recorded.openpose_folder(tmp_path / 'a', {i: [body(i)] for i in range(3)})
    path = sorted(folder.iterdir())[frame]
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {'people': [entry, *content['people']]}))
    r = read_openpose([folder], 30, SIZE)
    assert [len(v.keypoints) for v in r.views] == [1, 1, 1] and len(r.notes) == 1
    assert r.notes[0].startswith('a: 1 person who cannot be read counts as not there, in 1 of 3 images; the first in '
                                 f'{path.name}: ') and r.notes[0].endswith(why)


@pytest.mark.parametrize('people', [None, {}, 'x', 7])
def test_people_that_are_no_list(tmp_path, people):
    folder = recorded.openpose_folder(tmp_path / 'a', {i: [body(i)] for i in range(3)})
    for path in sorted(folder.iterdir())[:2]:
        path.write_text(json.dumps({'people': people}))
    r = read_openpose([folder], 30, SIZE)
    assert [len(v.keypoints) for v in r.views] == [0, 0, 1]
    assert '2 people who cannot be read count as not there, in 2 of 3 images' in r.notes[0]


@pytest.mark.parametrize('text', [b'', b'[]', b'null', b'7', b'{"images": []}', b'\xff\xfe\x00', b'[' * 100_000])
def test_file_that_is_none_is_an_image_that_was_not_given(tmp_path, text):
    folder = recorded.openpose_folder(tmp_path / 'a', {i: [body(i)] for i in range(3)})
    sorted(folder.iterdir())[0].write_bytes(text)
    (folder / 'calibration.json').write_text('{}')
    r = read_openpose([folder], 30, SIZE)
    assert len(r.views) == 2 and r.notes[0].startswith('a: 2 of 4 files left out as damaged')


def test_a_camera_of_which_nothing_can_be_read_costs_no_other(tmp_path):
    good = recorded.openpose_folder(tmp_path / 'a', {i: [body(i)] for i in range(3)})
    bad = recorded.openpose_folder(tmp_path / 'b', {0: []})
    next(bad.iterdir()).write_text('{')
    r = read_openpose([good, bad], 30, SIZE)
    assert len(r.views) == 3 and any('camera b gave nothing' in n for n in r.notes)


@pytest.mark.parametrize('name', ['wholebody133', 'wholebody134', 'halpe136', 'body135', 'coco18', 'mpii16', 'mpi15'])
def test_sets_by_their_number_of_joints(tmp_path, name):
    J = len(JOINT_SETS[name])
    folder = recorded.openpose_folder(tmp_path / 'a', {0: [body(1, J)]}, J)
    for joints in (None, name):
        r = read_openpose([folder], 30, SIZE, joints=joints)
        assert r.joint_names == JOINT_SETS[name]
        for joint, at in (('right_wrist', 16), ('left_knee', 5)):
            assert np.allclose(r.views[0].keypoints[0, at], body(1, J)[JOINT_SETS[name].index(joint), :2])


def test_cameras_with_different_sets(tmp_path):
    a = recorded.openpose_folder(tmp_path / 'a', {0: [body(1)], 1: [body(2)]})
    b = recorded.openpose_folder(tmp_path / 'b', {0: [body(1, 17)]}, 17)
    r = read_openpose([a, b], 30, SIZE)
    wrist = [v.keypoints[0, 16] for v in r.rows[0].views]
    assert np.allclose(wrist, [body(1)[4, :2], body(1, 17)[10, :2]]) and not r.notes


def scaled(people, between):
    low, high = between
    return [np.c_[low + (high - low) * p[:, :2] / SIZE[0], p[:, 2]] for p in people]


@pytest.mark.parametrize('between, flag', [((0, 1), 3), ((-1, 1), 4)])
def test_normalised_keypoints_are_scaled_by_the_image_size(tmp_path, between, flag):
    hidden = body(0)
    hidden[7] = 0
    frames = {i: [hidden if i == 0 else body(i)] for i in range(6)}
    a = recorded.openpose_folder(tmp_path / 'a', {i: scaled(p, between) for i, p in frames.items()})
    hidden_too = json.loads(sorted(a.iterdir())[0].read_text())
    hidden_too['people'][0]['pose_keypoints_2d'][21:24] = [0, 0, 0]
    sorted(a.iterdir())[0].write_text(json.dumps(hidden_too))
    b = recorded.openpose_folder(tmp_path / 'b', frames)
    r = read_openpose([a, b], 30, SIZE)
    by = {c: [v.keypoints for v in r.views if v.camera == c] for c in 'ab'}
    assert np.allclose(by['a'], by['b'], equal_nan=True) and np.isnan(by['a'][0][0, 13]).all()
    assert len(r.notes) == 1 and r.notes[0].startswith('a: keypoints lie between') and f'scale {flag}' in r.notes[0]


def test_normalised_keypoints_of_either_kind_are_refused(tmp_path):
    points = np.random.default_rng(0).uniform(-.2, .9, (25, 2))
    folder = recorded.openpose_folder(tmp_path / 'a', {0: [np.c_[points, np.ones(25)]]})
    with pytest.raises(IoError, match='a: keypoints lie between -0.* not in pixels; multiply them by the image size'):
        read_openpose([folder], 30, SIZE)
