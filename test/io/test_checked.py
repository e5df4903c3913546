# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings through the check: what cannot be used is refused or left out, and noted; what is right stays as it is."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import recorded
from bags import ViewBag

from selfpose_ros.core.check import Kind
from selfpose_ros.core.observation import MultiView
from selfpose_ros.io.archive import read_keypoints
from selfpose_ros.io.bag import read_bag
from selfpose_ros.io.checked import checked
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.openpose import read_openpose
from selfpose_ros.io.recording import Recording
from selfpose_ros.io.video import read_videos

CAMERAS = ('cam1', 'cam2', 'cam3', 'cam4')
BALANCE = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'real' / 'balance' / 'balance.npz'


def views(cameras=CAMERAS, T=20):
    return [recorded.view(c, 100 + i / 10) for i in range(T) for c in cameras]


class OtherClock(ViewBag):
    """Stamps cam3 by another clock; the time of recording is right."""

    off_s = 0.

    def _header(self, stamp_s, camera):
        return super()._header(stamp_s + self.off_s * (camera == 'cam3'), camera)


def bag(path, off_s, cameras=CAMERAS):
    with OtherClock(path) as writer:
        writer.off_s = off_s
        for view in views(cameras):
            writer.view(view)
    return read_bag(path, None)


@pytest.mark.skipif(not BALANCE.exists(), reason=f'the recording {BALANCE} is not here')
def test_a_real_recording_is_clean():
    read = read_keypoints(BALANCE)
    assert checked(read) == read


def test_what_is_right_stays_as_it_is(tmp_path):
    made = Recording.of('r', CAMERAS, views())
    assert checked(made) == made
    read = bag(tmp_path / 'bag', 0.)
    assert read.findings == () and checked(read) == read


@pytest.mark.parametrize('off', [-3600., -2., 1e6])
def test_a_camera_on_another_clock_is_left_out_of_a_bag(tmp_path, off):
    good = checked(bag(tmp_path / 'bag', off))
    assert sorted(good.image_size) == ['cam1', 'cam2', 'cam4'] and good.cameras == CAMERAS
    assert len(good.frames()) == 20 and {len(f.views) for f in good.frames()} == {3}
    (found,) = good.findings
    assert found.kind is Kind.OTHER_CLOCK and found.cameras == ('cam3',)
    (note,) = good.notes
    assert "cam3's stamps" in note and 'another clock' in note and note.endswith('cam3 is left out')
    assert f'({100 + off:.1f} to {101.9 + off:.1f} s)' in note and '(100.0 to 101.9 s)' in note


def test_of_two_cameras_none_is_left_out(tmp_path):
    two = checked(bag(tmp_path / 'bag', -3600., ('cam1', 'cam3')))
    assert sorted(two.image_size) == ['cam1', 'cam3'] and [f.cameras for f in two.findings] == [('cam3',)]
    assert 'left out' not in two.notes[0]


def test_openpose_folders_whose_frame_numbers_do_not_overlap(tmp_path):
    rng = np.random.default_rng(1)
    folders = [recorded.openpose_folder(tmp_path / c, {n + 5000 * (c == 'cam2'): [rng.uniform(50, 400, (25, 3))]
                                                       for n in range(20)}) for c in CAMERAS]
    good = checked(read_openpose(folders, 25, [(640, 480)]))
    assert sorted(good.image_size) == ['cam1', 'cam3', 'cam4'] and len(good.frames()) == 20
    assert "cam2's stamps (200.0 to 200.8 s) have no instant in common with those of cam1, cam3, cam4 (0.0 to 0.8 s)" \
        in good.notes[0]


def test_rows_of_an_archive_with_stamps_of_two_clocks(tmp_path):
    stamp = 5 + np.arange(20)[:, None] / 25 + np.array([0, 1e6, 0])
    read = read_keypoints(recorded.write_archive(tmp_path / 'a.npz', T=20, keypoints=recorded.archive(20)['keypoints'],
                                                 confidence=recorded.archive(20)['confidence'], stamp=stamp))
    good = checked(read)
    assert sorted(good.image_size) == ['cam1', 'cam3']
    assert [f.stamp for f in good.frames()] == pytest.approx(stamp[:, 0])


def test_a_camera_given_twice_counts_once():
    again = [replace(v, camera='cam9') for v in views() if v.camera == 'cam1']
    rows = [MultiView(s, [v for v in (*views(), *again) if v.stamp == s]) for s in sorted({v.stamp for v in again})]
    made = Recording.of('r', (*CAMERAS, 'cam9'), [v for r in rows for v in r.views], rows=rows)
    good = checked(made)
    assert sorted(good.image_size) == list(CAMERAS) and {len(r.views) for r in good.rows} == {4}
    assert 'cam9 is left out' in good.notes[0]
    assert set(checked(made, keep_cameras=True).image_size) == {*CAMERAS, 'cam9'}


@pytest.mark.parametrize('change, sentence', [
    (lambda v: replace(v, keypoints=v.keypoints / v.image_size), 'not in pixels; multiply them by the image size'),
    (lambda v: replace(v, image_size=(200, 150)), 'joints lie outside of 200x150 px'),
])
def test_what_means_nothing_is_refused(change, sentence):
    with pytest.raises(IoError, match=sentence) as error:
        checked(Recording.of('r', CAMERAS, map(change, views())))
    assert str(error.value).startswith('r: ')


def test_black_and_frozen_videos_are_found_and_moving_ones_are_not(tmp_path):
    moving = recorded.video(tmp_path / 'cam1.avi', 20, level=lambda n: 10 + 8 * n)
    frozen = recorded.video(tmp_path / 'cam3.avi', 110, level=lambda n: 90)
    black = tmp_path / 'cam2.avi'
    out = cv2.VideoWriter(str(black), cv2.VideoWriter_fourcc(*'MJPG'), 25., (64, 48))
    for _ in range(20):
        out.write(np.zeros((48, 64, 3), np.uint8))
    out.release()
    found = read_videos([moving, black, frozen], recorded.BrightnessNetwork).findings
    assert [(f.kind, f.cameras) for f in found] == [(Kind.BLACK, ('cam2',)), (Kind.FROZEN, ('cam3',))]
