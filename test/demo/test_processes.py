# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The film on disk, the demo's processes, its bag."""
from __future__ import annotations

import os
import time

import numpy as np
import pytest

from selfpose_ros.demo import children
from selfpose_ros.demo.bag import write_bag
from selfpose_ros.demo.cameras import image_topic
from selfpose_ros.demo.children import Child
from selfpose_ros.demo.errors import DemoError
from selfpose_ros.demo.film import make_film
from selfpose_ros.demo.show import Options, environment


def test_free_running_cameras_take_images_at_their_own_moments():
    film = make_film(cameras=3, seconds=2., seed=7, rate_hz=5., size=(64, 48), workers=0)
    assert len(film.jpeg) == 30 and (np.diff(film.time_s) >= 0).all()
    first = [film.time_s[film.camera == c][0] for c in range(3)]
    assert len({round(t, 6) for t in first}) == 3
    for c in range(3):
        np.testing.assert_allclose(np.diff(film.time_s[film.camera == c]), .2)


def test_the_film_is_the_same_with_and_without_other_processes():
    alone, together = (make_film(2, 1., 3, 4., (64, 48), workers=w) for w in (0, 2))
    assert alone.jpeg == together.jpeg and (alone.time_s == together.time_s).all()


def test_the_publishing_process_gets_every_image(tmp_path):
    film = make_film(2, 1., 3, 4., (64, 48), workers=0)
    film.save_images(tmp_path / 'images.npz')
    with np.load(tmp_path / 'images.npz') as saved:
        ends, data = saved['ends'], saved['data'].tobytes()
        assert list(saved['names']) == ['cam1', 'cam2']
        assert (saved['time_s'] == film.time_s).all() and (saved['camera'] == film.camera).all()
    begins = [0, *ends[:-1]]
    assert tuple(data[a:b] for a, b in zip(begins, ends, strict=True)) == film.jpeg
    assert film.image(3).shape == (48, 64, 3)


@pytest.mark.parametrize('numbers', [(0, 5., 12.), (17, 5., 12.), (4, .5, 12.), (4, 5., .1), (4, 5., 100.)])
def test_impossible_numbers_are_refused(numbers):
    cameras, seconds, rate = numbers
    with pytest.raises(DemoError, match='use 1 to 16 cameras'):
        make_film(cameras, seconds, 0, rate, workers=0)


def test_more_cameras_take_fewer_images_each(tmp_path):
    rates = [Options(tmp_path, cameras=n).camera_rate_hz for n in (1, 2, 4, 8, 16)]
    assert rates == sorted(rates, reverse=True) and rates[2] == 18.
    assert Options(tmp_path, cameras=4, model='mediapipe').camera_rate_hz == 12.
    assert Options(tmp_path, cameras=4, model='blazepose-full').camera_rate_hz == 12.
    assert Options(tmp_path, cameras=8, rate_hz=30.).camera_rate_hz == 30.


def test_the_domain_is_the_users_or_one_of_this_run(monkeypatch):
    monkeypatch.delenv('ROS_DOMAIN_ID', raising=False)
    assert 1 <= int(environment()['ROS_DOMAIN_ID']) <= 100
    monkeypatch.setenv('ROS_DOMAIN_ID', '42')
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')
    assert environment()['ROS_DOMAIN_ID'] == '42'
    assert environment()['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'SUBNET'


def test_a_process_that_dies_is_reported_with_its_last_words(tmp_path):
    code = 'import sys; sys.stderr.write("loading\\nno such camera\\n\\n"); sys.exit(7)'
    with Child('the nodes', ['-c', code], tmp_path / 'log', os.environ) as child:
        while child.status is None:
            time.sleep(.02)
        with pytest.raises(DemoError, match=r'the nodes ended with status 7 \(no such camera\); see .*log'):
            child.check()


def test_a_process_that_will_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(children, '_PATIENCE_S', (.2, .2))
    code = ('import signal, time\nfor s in (2, 15): signal.signal(s, signal.SIG_IGN)\n'
            'print("ready", flush=True)\ntime.sleep(60)')
    with Child('the stubborn one', ['-c', code], tmp_path / 'log', os.environ, lines=True) as child:
        assert child.stdout.readline() == 'ready\n'
        child.check()
    assert child.status == -9


def test_a_process_is_interrupted_first_so_that_it_can_clean_up(tmp_path):
    code = ('import time\ntry:\n    print("ready", flush=True)\n    time.sleep(60)\nexcept KeyboardInterrupt:\n'
            '    open("cleaned", "w").close()')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        with Child('the tidy one', ['-c', code], tmp_path / 'log', os.environ, lines=True) as child:
            assert child.stdout.readline() == 'ready\n'
    assert (tmp_path / 'cleaned').exists() and child.status == 0


def test_images_go_where_image_transport_looks_for_them():
    assert image_topic('cam1') == '/cam1/image_raw/compressed'


def _string(text: str) -> bytes:
    data = text.encode() + b'\0'
    return b'\0\1\0\0' + len(data).to_bytes(4, 'little') + data


def test_the_bag_holds_what_came(tmp_path):
    from rosbags.highlevel import AnyReader
    messages = [('/fusion_node/rig', 'std_msgs/msg/String', 10 + k, _string(f'rig {k}')) for k in range(3)]
    messages += [('/cam1/keypoints_info', 'std_msgs/msg/String', 20, _string('info'))]
    for _ in range(2):                                     # an older bag of the demo is replaced
        write_bag(tmp_path / 'bag', messages)
    with AnyReader([tmp_path / 'bag']) as reader:
        got = [(c.topic, t, reader.deserialize(raw, c.msgtype).data) for c, t, raw in reader.messages()]
        assert all(c.ext.offered_qos_profiles for c in reader.connections)
    assert sorted(got) == sorted([('/fusion_node/rig', 10 + k, f'rig {k}') for k in range(3)]
                                 + [('/cam1/keypoints_info', 20, 'info')])


def test_a_folder_that_is_no_bag_is_not_deleted(tmp_path):
    (tmp_path / 'bag').mkdir()
    (tmp_path / 'bag' / 'thesis.tex').write_text('years of work')
    with pytest.raises(DemoError, match='is no bag'):
        write_bag(tmp_path / 'bag', [])
    assert (tmp_path / 'bag' / 'thesis.tex').exists()
