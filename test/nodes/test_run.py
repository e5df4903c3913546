# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose run` and the nodes' own commands as processes: they come up, they work, they end, they explain."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from lifecycle_msgs.srv import ChangeState
from ros_world import DotsNetwork, Process, World, raw, values
from sensor_msgs.msg import Image, PointCloud2

from selfpose_ros import cli
from selfpose_ros.nodes import fusion_node, pose2d_node


def _segments(pid: int | str) -> set[str]:
    """Shared memory of the middleware that a process holds."""
    maps = Path(f'/proc/{pid}/maps').read_text().split('\n') if sys.platform == 'linux' else []
    return {line.split()[5] for line in maps if '/dev/shm/fastrtps' in line}


def _send(world: World, camera: str) -> Callable[[], None]:
    publisher = world.node.create_publisher(Image, f'/{camera}/image_raw', 5)
    at, rng = [100.], np.random.default_rng(1)

    def send() -> None:
        at[0] += 1 / 16
        # neither black nor a repetition: a finding on the pictures takes the place of the rate in the diagnostics
        publisher.publish(raw(rng.integers(60, 180, (64, 64, 3)).astype(np.uint8), at[0]))

    return send


@pytest.mark.parametrize(('number', 'times'), [(signal.SIGINT, 2), (signal.SIGTERM, 1)])
def test_run_brings_both_nodes_up_and_ends_cleanly(world: World, start: Callable[..., Process], tmp_path: Path,
                                                   number: int, times: int, default_network: str) -> None:
    file = tmp_path / 'robot.yaml'
    file.write_text('/**/fusion_node:\n  ros__parameters:\n    person_height_m: 2\n    max_waits: 3\n'
                    '/**/pose2d_node:\n  ros__parameters:\n    cameras: [wrong]\n')
    skeletons = world.listen('/fusion_node/skeletons', PointCloud2)
    keypoints = world.listen('/a/keypoints', PointCloud2)
    p = start('-m', 'selfpose_ros', 'run', '--params', str(file), '--cameras', 'a', '--ros-args', '-p',
              'workers:=1')
    image = _send(world, 'a')
    world.until(lambda: (skeletons and keypoints) or p.process.poll() is not None, 'both nodes at work',
                image)
    assert p.process.poll() is None, p.text
    assert keypoints[-1].height == 0, 'nobody in a black image'
    assert 'parameter max_waits is not known here and has no effect; did you mean max_wait_s?' in p.text
    own = _segments(p.process.pid) - _segments('self')
    assert p.end(number, times) == 0, p.text
    assert 'Traceback' not in p.text and 'Error' not in p.text, p.text
    assert not [name for name in own if Path(name).exists()], 'shared memory is given back'


def test_without_the_default_network_it_says_how_that_comes(capfd: pytest.CaptureFixture[str], tmp_path: Path,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('SELFPOSE_MODELS', str(tmp_path / 'none'))
    assert cli.main(['run', '--cameras', 'a']) == 2
    assert ('cannot configure: 2D network blazepose-full is not here yet: fetch it once with "selfpose model get '
            'blazepose-full"') in capfd.readouterr().err


@pytest.mark.parametrize(('words', 'expected'), [
    (['--params', '/no/such.yaml'], '--params: there is no file /no/such.yaml'),
    (['--cameras', 'a,a'], "cameras: 'a' is given twice"),
    (['--cameras', ' , '], 'name the cameras'),
    (['--cameras', 'a b'], "'a b' cannot name a topic"),
    ([], 'parameter cameras: it is empty; name the cameras'),
    (['--cameras', 'a', '--ros-args', '-p', 'workers:=many'], "workers: 'many' is not a whole number"),
    (['--cameras', 'a', '--ros-args', '--remap', 'x'], 'ROS cannot start with the arguments'),
    (['--camera', 'a', '--fast'], 'unrecognized arguments: --fast'),
])
def test_a_wrong_command_line_says_what_to_do(capfd: pytest.CaptureFixture[str], words: list[str],
                                              expected: str) -> None:
    assert cli.main(['run', *words]) == 2
    said = capfd.readouterr().err
    assert expected in said and 'Traceback' not in said


RUN = ('-m', 'selfpose_ros', 'run', '--cameras', 'a')
NODE = ('-c', 'from selfpose_ros.nodes.start import fusion; raise SystemExit(fusion())')


@pytest.mark.parametrize(('words', 'name', 'value', 'expected'), [
    (RUN, 'HOME', '/proc/nohome', "'/proc/nohome/.ros/log': 2); set ROS_LOG_DIR to a folder that can be written"),
    (NODE, 'ROS_LOG_DIR', '/dev/null/log', 'set ROS_LOG_DIR to a folder that can be written'),
    (NODE, 'ROS_DOMAIN_ID', 'abc', "ROS_DOMAIN_ID is 'abc'; set it to a whole number from 0 to 232"),
    (RUN, 'ROS_DOMAIN_ID', '233', "ROS_DOMAIN_ID is '233'"),
])
def test_an_environment_in_which_ros_cannot_start_is_told_and_not_the_arguments(
        words: tuple[str, ...], name: str, value: str, expected: str) -> None:
    kept = {k: v for k, v in os.environ.items() if not (name == 'HOME' and k == 'ROS_LOG_DIR')}
    done = subprocess.run([sys.executable, *words], env={**kept, name: value}, capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    said = done.stderr.splitlines()[-1]
    assert expected in said and 'ROS cannot start: ' in said and 'argument' not in said, done.stderr


PLAY = ('-m', 'selfpose_ros', 'play', 'film.avi')
RECORD = ('-m', 'selfpose_ros', 'record', '-o', 'bag')


@pytest.mark.parametrize(('words', 'keys'), [(RUN, True), (NODE, True), (PLAY, True), (RECORD, True), (NODE, False)])
def test_security_that_cannot_be_had_is_refused_in_one_sentence(tmp_path: Path, words: tuple[str, ...],
                                                                keys: bool) -> None:
    """No keystore at all; and an enclave without keys, which the middleware finds out with the first node."""
    film = cv2.VideoWriter(str(tmp_path / 'film.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10., (64, 48))
    film.write(np.zeros((48, 64, 3), np.uint8))
    film.release()
    (tmp_path / 'keys' / 'enclaves').mkdir(parents=True)
    env = {k: v for k, v in os.environ.items() if k != 'ROS_SECURITY_KEYSTORE'}
    env |= {'ROS_SECURITY_ENABLE': 'true', 'ROS_SECURITY_STRATEGY': 'Enforce'}
    env |= {'ROS_SECURITY_KEYSTORE': str(tmp_path / 'keys')} if keys else {}
    done = subprocess.run([sys.executable, *words], env=env, capture_output=True, text=True, timeout=60, check=False,
                          cwd=tmp_path)
    assert done.returncode == 2 and 'Traceback' not in done.stderr, done.stderr
    said = done.stderr.splitlines()[-1]
    assert 'ROS cannot start: DDS Security is asked for (' in said and 'set ROS_SECURITY_KEYSTORE' in said, said
    assert not (tmp_path / 'bag').exists()


def test_a_parameter_file_that_is_no_yaml(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / 'broken.yaml'
    file.write_text('cameras: [a, yes')
    assert cli.main(['run', '--params', str(file)]) == 2
    said = capfd.readouterr().err
    assert str(file) in said and 'Traceback' not in said


@pytest.mark.parametrize(('node', 'words', 'expected'), [
    (pose2d_node, [], 'parameter cameras: it is empty'),
    (fusion_node, ['--ros-args', '-p', 'person_height_m:=180'], 'person_height_m: 180 is out of range; give'),
    (fusion_node, ['--ros-args', '-p'], 'ROS cannot start with the arguments')])
def test_a_node_that_cannot_start_says_why(capfd: pytest.CaptureFixture[str], node: Any, words: list[str],
                                           expected: str) -> None:
    assert node.main(['node', *words]) == 2
    said = capfd.readouterr().err
    assert expected in said and 'Traceback' not in said


@pytest.mark.parametrize('autostart', [True, False])
def test_a_node_starts_by_itself_or_waits(world: World, start: Callable[..., Process], autostart: bool) -> None:
    p = start('-c', 'from selfpose_ros.nodes.start import fusion; raise SystemExit(fusion())', '--ros-args', '-p',
              f'autostart:={str(autostart).lower()}', '-p', 'startup_s:=0.0')
    if autostart:
        world.says('fusion_node: fusion', 'no camera publishes keypoints')
    else:
        world.until(lambda: 'waits to be configured' in p.text, 'the line that says so')
    status: Any = p.end(signal.SIGTERM)
    assert status == 0 and 'Traceback' not in p.text, p.text


def test_the_composed_process_gives_each_node_its_own_parameters(world: World, start: Callable[..., Process],
                                                                 tmp_path: Path) -> None:
    """As launch starts it: parameters that name their node, a namespace for both."""
    file = tmp_path / 'own.yaml'
    file.write_text('/**/pose2d_node:\n  ros__parameters: {cameras: [a], workers: 1, model: rendered_pose}\n'
                    '/**/fusion_node:\n  ros__parameters: {cameras: [a], lifter: none}\n')
    p = start('-c', 'import sys; from selfpose_ros.nodes.start import composed as run; sys.exit(run())', '--ros-args',
              '-r', '__ns:=/robot', '--params-file', str(file))
    image = _send(world, 'robot/a')
    world.says('robot/pose2d_node: camera a', 'images/s', image)
    entry = world.says('robot/fusion_node: camera a', 'sees nobody', image)
    assert {v.key: v.value for v in entry.values}['topic'] == 'this process', p.text
    assert 'is not known here' not in p.text
    assert p.end(signal.SIGTERM) == 0, p.text


def test_the_fusion_lives_on_when_the_other_process_dies_and_takes_the_next_one(
        world: World, start: Callable[..., Process]) -> None:
    """As with `respawn:=true`."""
    fusion = world.make(fusion_node.FusionNode, cameras=['a'], lifter='none', rig_solver='thread', stale_after_s=.5)
    first = start('-c', 'import sys; from selfpose_ros.nodes.start import pose2d; sys.exit(pose2d())', '--ros-args',
                  '-p', 'cameras:=["a"]', '-p', 'model:=rendered_pose')
    image = _send(world, 'a')
    world.says('fusion_node: camera a', 'sees nobody', image)
    first.process.kill()
    first.process.wait()
    before = int(values(world.says('fusion_node: camera a', 'no keypoints for', image))['views'])
    world.make(pose2d_node.Pose2DNode, cameras=['a'], args={'make_network': lambda *_: DotsNetwork()})
    # by the count: the sentence is that of two publishers, until the middleware has missed the dead one for 20 s
    world.until(lambda: int(values(world.status['fusion_node: camera a'])['views']) > before, 'more views', image)
    assert fusion.error is None and not fusion.finished


def test_a_node_that_is_shut_down_ends_its_process(world: World, start: Callable[..., Process]) -> None:
    """`ros2 lifecycle set /fusion_node shutdown`: the answer comes, then the process ends."""
    p = start('-c', 'from selfpose_ros.nodes.start import fusion; raise SystemExit(fusion())', '--ros-args',
              '-p', 'lifter:=none', '-p', 'rig_solver:=thread')
    request = ChangeState.Request()
    request.transition.label = 'shutdown'
    world.until(lambda: 'fusion_node: fusion' in world.status, 'the first report')
    assert world.call(ChangeState, '/fusion_node/change_state', request).success
    assert p.wait() == 0 and 'Traceback' not in p.text, p.text


@pytest.mark.parametrize(('module', 'name', 'words'), [
    ('selfpose_ros.nodes.start', 'fusion', ['node', '--ros-args', '-p', 'person_height_m:=180']),
    ('selfpose_ros.cli', 'entry', ['selfpose', 'run'])])
def test_a_signal_after_the_work_is_done_changes_nothing(start: Callable[..., Process], module: str, name: str,
                                                         words: list[str]) -> None:
    """`ros2 launch` sends Ctrl-C twice: a node that had ended cleanly counted as killed by the second one."""
    p = start('-c', f'import os, signal, sys; from {module} import {name} as run; status = run()\n'
              'for number in (signal.SIGINT, signal.SIGTERM): os.kill(os.getpid(), number)\n'
              'sys.exit(status)', *words[1:])
    assert p.wait() == 2 and 'Traceback' not in p.text, p.text
