# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""OpenPose JSON folders."""
from __future__ import annotations

import numpy as np
import pytest
import recorded

from selfpose_ros.core.skeleton import BODY25, JOINTS
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
    with pytest.raises(IoError, match='21 joints belong to no set .* name it with --joints'):
        read_openpose([odd], 30, SIZE)
    with pytest.raises(IoError, match='54 numbers for a person, expected 3 for each of 25 joints'):
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
    with pytest.raises(IoError, match='no OpenPose JSON files in it'):
        read_openpose([folder], 30, SIZE)
    (folder / 'x_000000000001_keypoints.json').write_text('{')
    with pytest.raises(IoError, match='none of 1 files can be read'):
        read_openpose([folder], 30, SIZE)
    (folder / 'x_000000000001_keypoints.json').write_text('{"images": []}')
    with pytest.raises(IoError, match='no list of people with pose_keypoints_2d'):
        read_openpose([folder], 30, SIZE)
    (folder / 'annotations.json').write_text('{}')
    with pytest.raises(IoError, match='annotations.json: no frame number'):
        read_openpose([folder], 30, SIZE)


def test_two_cameras_in_one_folder(tmp_path):
    folder = recorded.openpose_folder(tmp_path / 'a', {1: [body()]})
    (folder / 'other_000000000001_keypoints.json').write_text('{"people": []}')
    with pytest.raises(IoError, match='frame 1 is also'):
        read_openpose([folder], 30, SIZE)


@pytest.mark.parametrize('fps, sizes, sentence', [
    (0, SIZE, 'frame rate 0 is none'), (float('nan'), SIZE, 'frame rate nan is none'),
    (30, SIZE * 2, '2 image sizes for 1 folders')])
def test_what_the_files_do_not_tell(tmp_path, fps, sizes, sentence):
    with pytest.raises(IoError, match=sentence):
        read_openpose([recorded.openpose_folder(tmp_path / 'a', {1: [body()]})], fps, sizes)
