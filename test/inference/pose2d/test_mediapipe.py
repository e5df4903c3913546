# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""MediaPipe on rendered people whose joints are known."""
from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from selfpose_ros.core.camera import project
from selfpose_ros.core.skeleton import JOINTS, joint_map
from selfpose_ros.inference.errors import InferenceError, InputError
from selfpose_ros.inference.native_log import without_native_noise
from selfpose_ros.inference.pose2d import make_pose2d
from selfpose_ros.inference.pose2d.contract import Pose2D
from selfpose_ros.inference.pose2d.mediapipe_pose import _pixels
from selfpose_ros.synthetic import ring_rig, walker
from selfpose_ros.synthetic.figure import drawn_joints
from selfpose_ros.synthetic.renderer import VirtualCamera

pytest.importorskip('mediapipe', reason='MediaPipe is not installed: pip install mediapipe==0.10.21')

SIZE = (640, 480)
ROOM = np.full((480, 640, 3), 170, np.uint8)
_J = {name: i for i, name in enumerate(JOINTS)}


@pytest.fixture(scope='module')
def scene():
    """4 views x 15 instants over 24 s of a person who walks and exercises: images, true px, px per metre."""
    motion = walker(24., .625, seed=3)
    rig = ring_rig(4, seed=3, image_size=SIZE, focal_px=(480, 700), distance_m=(3.2, 4.5))
    images, truth, scale = [], [], []
    for v in range(4):
        camera = VirtualCamera(rig.K[v], rig.R[v], rig.t[v], SIZE, seed=v)
        drawn = drawn_joints(motion)
        images.append([camera.image([j]) for j in motion])
        truth.append(project(drawn, rig.K[v], rig.R[v], rig.t[v]))
        scale.append(rig.K[v, 0, 0] / (drawn @ rig.R[v, 2] + rig.t[v, 2]))
    return images, np.array(truth), np.array(scale)


@pytest.fixture(scope='module')
def network():
    net = make_pose2d('mediapipe')
    yield net
    net.close()


@pytest.fixture(scope='module')
def found(scene):
    """(4, T, 17, 2) px and (4, T, 17) of the first person found; NaN: nobody."""
    keypoints = np.full(scene[1].shape, np.nan)
    confidence = np.zeros(keypoints.shape[:3])
    for v, images in enumerate(scene[0]):
        net = make_pose2d('mediapipe')
        mapping = joint_map(net.joint_names)
        for k, image in enumerate(images):
            people = net.infer(image)
            if len(people):
                px, conf = mapping.apply(people.keypoints, people.confidence)
                keypoints[v, k], confidence[v, k] = px[0], conf[0]
        net.close()
    return keypoints, confidence


def test_a_rendered_person_is_found_from_all_sides(found):
    # measured: 60 of 60; the images are 1.6 s apart, so the tracker loses and detects again
    assert np.isfinite(found[0][:, :, 0, 0]).mean() >= .95


def test_shoulders_and_hips_are_where_they_were_drawn(scene, found):
    # measured: medians of 23 mm at the person; the joints of a network and of a drawing are not quite the same
    trunk = [_J[n] for n in ('l_shoulder', 'r_shoulder', 'l_hip', 'r_hip')]
    error = np.linalg.norm(found[0] - scene[1], axis=-1) / scene[2]
    assert np.nanmedian(error[:, :, trunk]) < .035
    assert np.nanmedian(error) < .035


def test_left_and_right_are_the_persons_own(scene, found):
    truth = scene[1]
    for left, right in (('l_shoulder', 'r_shoulder'), ('l_hip', 'r_hip')):
        true = truth[:, :, _J[left], 0] - truth[:, :, _J[right], 0]
        seen = found[0][:, :, _J[left], 0] - found[0][:, :, _J[right], 0]
        clear = (np.abs(true) > 12) & np.isfinite(seen)    # px: seen from the side there is no left and right
        assert clear.sum() > 40
        assert (np.sign(true) == np.sign(seen))[clear].mean() > .95            # measured: 1.0


def test_an_empty_room_holds_nobody(network):
    network.reset()
    assert len(network.infer(ROOM)) == 0


def test_a_person_who_left_and_another_who_came_are_two(network, scene):
    network.reset()
    first = network.infer(scene[0][0][3]).person
    again = network.infer(scene[0][0][3]).person
    assert first.tolist() == again.tolist()
    for _ in range(3):
        network.infer(ROOM)
    assert network.infer(scene[0][0][3]).person.tolist() != first.tolist()


def test_a_jump_of_the_clock_starts_a_new_track(network, scene):
    network.reset()
    first = network.infer(scene[0][1][0])
    network.reset()
    second = network.infer(scene[0][1][0])
    assert len(first) == len(second) == 1 and first.person[0] != second.person[0]
    np.testing.assert_allclose(first.keypoints, second.keypoints, atol=1.)


def test_a_broken_image_is_refused_and_the_next_one_served(network, scene):
    for bad in (np.zeros((1, 1, 3), np.uint8), np.zeros((480, 640), np.uint8), np.zeros((480, 640, 3))):
        with pytest.raises(InputError):
            network.infer(bad)
    assert len(network.infer(scene[0][0][0])) == 1


def test_other_image_sizes_may_follow_each_other(network, scene):
    image = scene[0][2][5]
    network.reset()
    assert len(network.infer(np.ascontiguousarray(image[:, ::2][::2]))) == 1
    assert len(network.infer(image)) == 1


def test_the_contract_is_kept(network, scene):
    assert isinstance(network, Pose2D)
    assert 'MediaPipe' in network.device and network.name == 'mediapipe' and len(network.joint_names) == 33
    people = network.infer(scene[0][0][0])
    assert people.keypoints.shape == (1, 33, 2)


def test_a_closed_network_says_so():
    net = make_pose2d('mediapipe')
    net.close()
    net.close()
    net.reset()
    with pytest.raises(InferenceError, match='closed'):
        net.infer(ROOM)


def test_extrapolated_joints_outside_the_image_count_less_the_farther_they_are():
    landmarks = np.array([[.5, .5, .9, 1.], [1.02, .5, .9, 1.], [1.08, .5, .9, 1.], [1.2, .5, .9, 1.],
                          [.5, -.5, .9, 1.]])
    px, conf = _pixels(landmarks, 1000, 1000)
    assert conf[0] == pytest.approx(.9) and px[0].tolist() == [499.5, 499.5]
    assert .9 / 2 > conf[1] > conf[2] > 0
    assert conf[3] == conf[4] == 0 and np.isnan(px[3:]).all()


def test_an_unsure_presence_lowers_the_confidence():
    _, conf = _pixels(np.array([[.5, .5, 1., .2], [.5, .5, .3, 1.]]), 640, 480)
    assert conf.tolist() == pytest.approx([.2, .3])


def test_start_up_writes_nothing_to_stderr():
    code = ('import numpy as np\nfrom selfpose_ros.inference.pose2d import make_pose2d\n'
            'n = make_pose2d("mediapipe")\nn.infer(np.full((480, 640, 3), 90, np.uint8))\nn.close()')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stderr == ''


def test_only_the_named_lines_are_kept_from_stderr(capfd):
    with without_native_noise(('chatter',)):
        os.write(2, b'some chatter\nE1234 a real problem\nmore chatter here\n')
    os.write(2, b'afterwards chatter\n')
    assert capfd.readouterr().err == 'E1234 a real problem\nafterwards chatter\n'


def test_what_was_said_before_a_failure_is_not_lost(capfd):
    with pytest.raises(RuntimeError), without_native_noise(('chatter',)):
        os.write(2, b'chatter\nthe reason\n')
        raise RuntimeError
    assert capfd.readouterr().err == 'the reason\n'


def test_two_threads_that_keep_quiet_do_not_swallow_each_others_lines(capfd):
    def work(k: int) -> None:
        for i in range(20):
            with without_native_noise(('chatter',)):
                os.write(2, f'thread {k} line {i}\nchatter\n'.encode())

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(capfd.readouterr().err.splitlines()) == sorted(
        f'thread {k} line {i}' for k in range(3) for i in range(20))
