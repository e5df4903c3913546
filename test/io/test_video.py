# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Video files: stamps, rotation, damage; and people found in several at once."""
from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
import recorded
from raising import raises

from selfpose_ros.io.detect import ImageStream, detect_people
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.video import VideoReader, read_videos


def test_stamps_start_at_zero_and_follow_the_rate(tmp_path):
    with VideoReader(recorded.video(tmp_path / 'v.mp4', 6, fps=25)) as video:
        stamps, images = zip(*video, strict=True)
    assert np.allclose(stamps, np.arange(6) / 25) and images[0].shape == (48, 64, 3) and video.read == 6
    assert [round(i[30, 40].mean() / 10) for i in images] == list(range(6))


def test_given_rate_overrules_the_file(tmp_path):
    with VideoReader(recorded.video(tmp_path / 'v.mp4', 6, fps=25), fps=100) as video:
        assert [s for s, _ in video] == pytest.approx(np.arange(6) / 100)


def test_phone_held_upright(tmp_path):
    with VideoReader(recorded.turn_quarter(recorded.video(tmp_path / 'v.mp4'))) as video:
        _, image = next(iter(video))
    assert image.shape == (64, 48, 3)
    assert image[:8, -8:].mean() > 200 and image[:8, :8].mean() < 50        # clockwise: upper left to upper right


@pytest.mark.parametrize('content', [b'', b'this is no video', b'\x00' * 5000])
def test_file_that_is_no_video(tmp_path, content):
    (tmp_path / 'v.mp4').write_bytes(content)
    with raises(IoError, 'not a video that can be opened', place=tmp_path / 'v.mp4'):
        VideoReader(tmp_path / 'v.mp4')


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_a_picture_is_no_video_of_one_image(tmp_path, suffix):
    """OpenCV opens one as such, and the camera would have seen nobody but in the first instant."""
    _, coded = cv2.imencode(suffix, np.full((48, 64, 3), 90, np.uint8))
    (tmp_path / 'v.mp4').write_bytes(coded.tobytes())
    with raises(IoError, 'is a picture', remedy='give a video', place=tmp_path / 'v.mp4'):
        VideoReader(tmp_path / 'v.mp4')


def test_a_stream_of_jpegs_is_a_video(tmp_path):
    _, coded = cv2.imencode('.jpg', np.full((48, 64, 3), 90, np.uint8))
    (tmp_path / 'v.mp4').write_bytes(5 * coded.tobytes())
    with VideoReader(tmp_path / 'v.mp4', fps=25) as video:
        assert len(list(video)) > 1


def test_file_that_is_not_there(tmp_path):
    with raises(IoError, 'no such file', place=tmp_path / 'v.mp4'):
        VideoReader(tmp_path / 'v.mp4')


def test_rate_that_is_none(tmp_path):
    with raises(IoError, 'frame rate -1 is none', place=tmp_path / 'v.mp4'):
        VideoReader(recorded.video(tmp_path / 'v.mp4'), fps=-1)


def test_one_recording_of_several_videos(tmp_path):
    a = recorded.video(tmp_path / 'left.mp4', 10, fps=30)
    b = recorded.video(tmp_path / 'right.mp4', 8, fps=15, level=lambda n: 200 - 10 * n)
    told = []
    r = read_videos([a, b], recorded.BrightnessNetwork, progress=lambda *x: told.append(x))
    assert (r.name, r.cameras, len(r.views)) == (tmp_path.name, ('left', 'right'), 18)
    right = [v for v in r.views if v.camera == 'right']
    assert [v.stamp for v in right] == pytest.approx(np.arange(8) / 15)
    assert [v.keypoints[0, 0, 0] for v in right] == pytest.approx(200 - 10 * np.arange(8), abs=6)
    assert right[0].image_size == (64, 48) and right[0].person.tolist() == [3]
    assert told[-1] == ('finding people', 18, 18) and sorted(t[1] for t in told) == list(range(1, 19))


def test_video_that_was_cut_off(tmp_path):
    whole = recorded.video(tmp_path / 'whole.avi', 40).read_bytes()
    (tmp_path / 'v.avi').write_bytes(whole[:len(whole) // 2])
    r = read_videos([tmp_path / 'v.avi'], recorded.BrightnessNetwork)
    assert r.name == 'v' and 5 < len(r.views) < 35
    assert r.notes[-1] == f'v.avi: ends after {len(r.views)} of 40 images: damaged?'


def test_bad_video_is_told_before_the_others_are_worked_through(tmp_path):
    (tmp_path / 'b.mp4').write_bytes(b'no video')
    made = recorded.BrightnessNetwork.made
    with raises(IoError, place=tmp_path / 'b.mp4'):
        read_videos([recorded.video(tmp_path / 'a.mp4'), tmp_path / 'b.mp4'], recorded.BrightnessNetwork)
    assert recorded.BrightnessNetwork.made == made


def stream(n=5, size=(48, 64), fail_at=None):
    def frames():
        for i in range(n):
            if i == fail_at:
                raise IoError('the disk is gone')
            yield i / 10, np.full((*size, 3), 10 * i, np.uint8)
    return ImageStream(frames, n)


def test_network_that_refuses_an_image_loses_that_image_only():
    class Network(recorded.BrightnessNetwork):
        def infer(self, image):
            if image[0, 0, 0] == 20:
                raise RuntimeError('too dark')
            return super().infer(image)
    found = detect_people({'a': stream()}, Network)
    assert [v.stamp for v in found.views] == [0, .1, .3, .4]
    assert found.notes == ('camera a: the 2D network refused 1 of 5 images, the first because: too dark',)


def test_network_that_refuses_everything():
    class Network(recorded.BrightnessNetwork):
        def infer(self, image):
            raise RuntimeError('needs 640 px')
    with pytest.raises(IoError, match='a: the 2D network refused all 5 images, the first because: needs 640'):
        detect_people({'a': stream()}, Network)


def test_camera_that_fails_stops_the_others_and_closes_all_networks():
    networks, going = [], threading.Event()

    class Network(recorded.BrightnessNetwork):
        def __init__(self):
            super().__init__()
            networks.append(self)

    def endless():
        i = 0
        while True:
            i += 1
            going.set()
            yield i / 10, np.zeros((48, 64, 3), np.uint8)

    def failing():
        going.wait()
        raise IoError('the disk is gone')
        yield

    with pytest.raises(IoError, match='the disk is gone'):
        detect_people({'a': ImageStream(endless), 'b': ImageStream(failing)}, Network)
    assert len(networks) == 2 and all(n.closed for n in networks)
