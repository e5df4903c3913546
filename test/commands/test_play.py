# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose play`: one clock for all cameras, images as they are in the files, an end that is clean."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import recorded

from selfpose_ros import cli
from selfpose_ros.io.errors import IoError
from selfpose_ros.nodes.video_pace import Pace

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30


def together(*calls):
    threads = [threading.Thread(target=c) for c in calls]
    for t in threads:
        t.start()
    for t in threads:
        t.join(PATIENCE_S)
    assert not any(t.is_alive() for t in threads)


def test_all_cameras_share_time_zero_and_the_next_pass_begins_at_the_longest_ones_end():
    pace, stop = Pace(2., 2), threading.Event()
    before, wall = time.monotonic(), time.time()
    together(lambda: pace.start(0, stop), lambda: pace.start(0, stop))
    zero = pace.due_s(0)
    assert before <= zero <= time.monotonic() + .02 and pace.due_s(3) == pytest.approx(zero + 1.5)
    assert abs(pace.stamp_ns(0) * 1e-9 - wall - (zero - before)) < .005
    stamps = pace.stamp_ns(0)
    together(lambda: pace.start(100, stop), lambda: pace.start(80, stop))
    assert pace.due_s(0) == pytest.approx(zero + 50) and pace.stamp_ns(0) - stamps == pytest.approx(50e9, abs=1e3)


def test_pass_that_is_not_ready_in_time_begins_late_and_loses_nothing():
    pace, stop = Pace(1., 1), threading.Event()
    pace.start(0, stop)
    pace.slip(-10)                                         # the first pass began ten seconds ago
    before = time.monotonic()
    pace.start(3, stop)
    assert pace.due_s(0) > before


def test_slip_moves_everything():
    pace = Pace(1., 1)
    pace.start(0, threading.Event())
    due, stamp = pace.due_s(1), pace.stamp_ns(1)
    pace.slip(.25)
    assert pace.due_s(1) == pytest.approx(due + .25) and pace.slipped_s == .25
    assert pace.stamp_ns(1) - stamp == pytest.approx(.25e9, abs=1e3)


def test_camera_that_waits_while_another_slips_waits_on_and_gives_no_stamp_from_the_future():
    pace, stop = Pace(1., 1), threading.Event()
    pace.start(0, stop)
    given = []

    def wait():
        stamp = pace.wait(.1, stop)
        given.append((time.time_ns(), stamp))

    def slip():
        pace.slip(.2)
    together(wait, slip)
    ((now, stamp),) = given
    assert stamp == pace.stamp_ns(.1) and now >= stamp - 1_000_000
    stop.set()
    assert pace.wait(1e6, stop) == pace.stamp_ns(1e6)      # nobody waits for the end of the world


def test_camera_that_leaves_and_the_end_are_waited_for_by_nobody():
    pace, stop = Pace(1., 3), threading.Event()
    together(lambda: pace.start(0, stop), pace.leave, lambda: pace.start(0, stop))
    one = threading.Thread(target=pace.start, args=(1, stop))
    one.start()
    stop.set()
    one.join(PATIENCE_S)
    assert not one.is_alive()


@pytest.fixture
def listener():
    """Plays videos and returns (what was played, {topic: messages})."""
    pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')
    import rclpy
    from rclpy.context import Context
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.node import Node
    from sensor_msgs.msg import CompressedImage, Image

    from selfpose_ros.nodes.video_publisher import PlayOptions, VideoPublisher
    context = Context()
    rclpy.init(context=context, args=[])
    executor = SingleThreadedExecutor(context=context)
    node = Node('listener', context=context)
    executor.add_node(node)

    def spin():
        try:
            executor.spin()
        except ExternalShutdownException:
            return
    thread = threading.Thread(target=spin, daemon=True)
    thread.start()

    def play(videos, until=None, **options):
        player = VideoPublisher(node, videos, PlayOptions(wait_s=PATIENCE_S, **options))
        heard = {p.topic: [] for p in player.played.values()}
        for topic, messages in heard.items():
            kind = CompressedImage if options.get('jpeg_quality') else Image
            node.create_subscription(kind, topic, messages.append, 100)
        stop = threading.Event()
        runner = threading.Thread(target=player.run, args=(stop,))
        runner.start()
        end = time.monotonic() + PATIENCE_S
        while until is not None and not until(player.played) and time.monotonic() < end:
            time.sleep(.01)
        if until is not None:
            stop.set()
        runner.join(PATIENCE_S)
        assert not runner.is_alive()
        while any(len(heard[p.topic]) < p.published for p in player.played.values()) and time.monotonic() < end:
            time.sleep(.01)
        return player, heard

    yield play
    context.try_shutdown()
    thread.join(PATIENCE_S)
    node.destroy_node()


def stamps(messages):
    return np.array([m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in messages])


def levels(messages):
    """Brightness / 10 of raw images: the number of the image in its video."""
    images = [np.frombuffer(m.data, np.uint8).reshape(m.height, m.step) for m in messages]
    return np.array([round(i[-10:, -30:].mean() / 10) for i in images])


def test_images_and_stamps_are_those_of_the_videos(tmp_path, listener):
    before = time.time_ns()
    player, heard = listener({'left': recorded.video(tmp_path / 'a.avi', 12, fps=20),
                              'lab/right': recorded.video(tmp_path / 'b.avi', 6, fps=10)})
    assert sorted(heard) == ['/lab/right/image_raw', '/left/image_raw']
    for played, count, step in zip(player.played.values(), (12, 6), (50e6, 100e6), strict=True):
        messages = heard[played.topic]
        assert played.published == len(messages) and played.published + played.dropped == count
        assert played.passes == 1 and played.error == ''
        assert (messages[0].encoding, messages[0].width, messages[0].height) == ('bgr8', 64, 48)
        assert messages[0].header.frame_id in ('left_optical', 'lab_right_optical')
        numbers = levels(messages)
        assert (np.diff(numbers) > 0).all() and numbers[0] == 0
        if not player.pace.slipped_s:                      # else the machine was busy with something else
            assert np.diff(stamps(messages)) == pytest.approx(step * np.diff(numbers), abs=2)
    first = [stamps(m)[0] for m in heard.values()]
    assert first[0] == first[1] and before < first[0] < time.time_ns()


def test_loop_goes_on_in_time_until_it_is_stopped(tmp_path, listener):
    videos = {'a': recorded.video(tmp_path / 'a.mp4', 5), 'b': recorded.video(tmp_path / 'b.mp4', 3)}
    player, heard = listener(videos, lambda played: all(p.passes > 2 for p in played.values()), loop=True)
    for played in player.played.values():
        assert played.published == len(heard[played.topic]) and (np.diff(stamps(heard[played.topic])) > 0).all()
    starts = [stamps(heard[f'/{c}/image_raw'])[levels(heard[f'/{c}/image_raw']) == 0] for c in 'ab']
    together_again = set(starts[0]) & set(starts[1])
    assert len(together_again) >= 3                        # both begin each pass at the same time


def test_compressed_small_and_few(tmp_path, listener):
    import cv2
    player, heard = listener({'a': recorded.video(tmp_path / 'a.mp4', 20, fps=20)}, jpeg_quality=95, max_fps=5.,
                             max_side=32)
    played = player.played['a']
    assert played.topic == '/a/image_raw/compressed' and played.published + played.dropped == 5
    message = heard[played.topic][0]
    assert 'jpeg' in message.format
    assert cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR).shape == (24, 32, 3)


def test_video_that_breaks_off_is_told_and_the_others_go_on(tmp_path, listener, monkeypatch):
    good, bad = recorded.video(tmp_path / 'a.mp4', 5), recorded.video(tmp_path / 'b.mp4', 5)
    from selfpose_ros.nodes import video_publisher

    class Reader(video_publisher.VideoReader):
        def grab(self):
            if self.path == bad and self.read == 3:
                raise IoError(f'{self.path}: the disk is gone')
            return super().grab()
    monkeypatch.setattr(video_publisher, 'VideoReader', Reader)
    player, _ = listener({'a': good, 'b': bad}, lambda played: played['a'].passes > 1, loop=True)
    assert player.played['b'].error == f'{bad}: the disk is gone' and player.played['a'].error == ''


def play(*args, **kwargs):
    return subprocess.Popen([sys.executable, '-m', 'selfpose_ros', 'play', *map(str, args)], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)


def shared_memory(pid):
    """Segments of Fast DDS that a process has open; those named after ports belong to several processes."""
    lines = Path(f'/proc/{pid}/maps').read_text().splitlines()
    return {Path(line.split()[-1]) for line in lines if '/dev/shm/fastrtps_' in line and 'port' not in line}


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_the_normal_end_of_a_loop(tmp_path, number):
    pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')
    before = set(Path('/dev/shm').iterdir())                # others' may outlive this process
    process = play(recorded.video(tmp_path / 'a.mp4'), '--loop', '--wait', 0, '--namespace', 'robot')
    try:
        assert process.stderr.readline() == 'selfpose play: /robot/a/image_raw; Ctrl-C ends\n'
        segments = shared_memory(process.pid) - before
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, '') and out.startswith('/robot/a/image_raw  ')
    assert segments and not any(s.exists() for s in segments)


def test_profile_for_large_images_is_found_and_the_users_own_is_kept(monkeypatch):
    from selfpose_ros.nodes.fastdds_profile import profile_file, use_profile
    names = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
    monkeypatch.setenv(names[0], '/my/own.xml')
    monkeypatch.delenv(names[1], raising=False)
    assert not use_profile() and os.environ[names[0]] == '/my/own.xml' and names[1] not in os.environ
    monkeypatch.setenv(names[0], '')
    assert use_profile() and os.environ[names[1]] == str(profile_file())
    assert '<segment_size>33554432</segment_size>' in profile_file().read_text()


@pytest.mark.parametrize('args, sentence', [
    (['none.mp4'], 'none.mp4: no such file; check the path'),
    (['bad.mp4'], 'bad.mp4: not a video that can be opened'),
    (['a.mp4', '--cameras', 'left,right'], '2 names for 1 videos; give one name for each'),
    (['a.mp4', '--cameras', 'left eye'], "cameras: 'left eye' cannot name a topic"),
    (['a.mp4', '--rate', '0'], "argument --rate: '0' must be a number from 0.01 to 100"),
    (['a.mp4', '--namespace', 'my robot'], '--namespace /my robot: '),
    ([], 'the following arguments are required: VIDEO'),
])
def test_bad_command_lines_are_one_sentence_and_status_2(tmp_path, monkeypatch, capsys, args, sentence):
    pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('selfpose_ros.nodes.fastdds_profile.use_profile', lambda: False)
    recorded.video(Path('a.mp4'))
    Path('bad.mp4').write_bytes(b'no video')
    assert cli.main(['play', *args]) == 2
    err = capsys.readouterr().err
    assert err.startswith('selfpose play: error: ') and err.count('\n') == 1 and sentence in err


def test_files_of_any_name_become_topics(tmp_path):
    from selfpose_ros.commands.play import _cameras
    paths = [tmp_path / n for n in ('left eye.mp4', '2.mp4', 'Größe-1.mp4')]
    for p in paths:
        p.touch()
    assert _cameras(paths, None) == ('left_eye', 'cam_2', 'Gr_e_1')
