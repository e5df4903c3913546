# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings: which views belong together, doubles, cameras that give nothing."""
from __future__ import annotations

import pytest
from recorded import view

from selfpose_ros.io.errors import IoError
from selfpose_ros.io.recording import Recording, names_of


def test_triggered_cameras_are_instants_from_the_first_image_on():
    views = [view(c, i / 30 + d) for i in range(10) for c, d in (('a', 0), ('b', 3e-4), ('c', 0))]
    frames = Recording.of('r', 'abc', views[::-1]).frames()
    assert len(frames) == 10 and all(len(f.views) == 3 for f in frames)


def test_slow_camera_beside_a_fast_one():
    views = [*(view('a', i / 60) for i in range(20)), *(view('b', i / 30) for i in range(10))]
    assert [len(f.views) for f in Recording.of('r', 'ab', views).frames()] == [2, 1] * 10


def test_free_running_cameras_go_through_the_buffer():
    views = [*(view('a', i / 30) for i in range(60)), *(view('b', .012 + i / 29.3) for i in range(60))]
    frames = Recording.of('r', 'ab', views).frames()
    stamps = [f.stamp for f in frames]
    assert stamps == sorted(stamps) and sum(len(f.views) for f in frames) >= 118
    assert sum(len(f.views) == 2 for f in frames) > 50


def test_second_view_with_the_same_stamp_is_left_out_and_told():
    r = Recording.of('r', 'ab', [view('a', 0.), view('b', 0.), view('a', 0., seed=1), view('a', 1.)])
    assert len(r.views) == 3 and 'r: 1 views had the stamp of another' in r.notes[0]


def test_camera_that_gives_nothing_is_told():
    assert Recording.of('r', 'ab', [view('a', 0.)]).notes == ('r: camera b gave nothing',)


def test_no_views_at_all():
    with pytest.raises(IoError, match='r: holds no view of any camera'):
        Recording.of('r', 'ab', [])


def test_image_that_changes_its_size():
    with pytest.raises(IoError, match='image of a changes from 640x480 to 320x240 px at 1.000 s'):
        Recording.of('r', 'a', [view('a', 0.), view('a', 1., size=(320, 240))])


def test_names_take_as_many_folders_as_tell_them_apart(tmp_path):
    paths = [tmp_path / d / f for d, f in (('l', 'v.mp4'), ('r', 'v.mp4'))]
    for p in paths:
        p.parent.mkdir()
        p.touch()
    assert names_of(paths) == ('l_v', 'r_v') and names_of(paths[:1]) == ('v',)
    assert names_of([tmp_path / 'l', tmp_path / 'r']) == ('l', 'r')
