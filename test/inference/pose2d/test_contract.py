# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The door of the 2D networks: what is let in, what is let out."""
from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from selfpose_ros.inference.checked_image import checked_image
from selfpose_ros.inference.errors import BackendUnavailable, InputError, OutputError
from selfpose_ros.inference.pose2d import POSE2D_NAMES, People2D, make_pose2d, no_people


@pytest.mark.parametrize('keypoints, confidence, person', [
    (np.zeros((1, 17, 3)), np.zeros((1, 17)), []),
    (np.zeros((2, 17, 2)), np.zeros((1, 17)), []),
    (np.zeros((17, 2)), np.zeros(17), []),
    (np.zeros((2, 17, 2)), np.zeros((2, 17)), [1]),
    (np.full((1, 17, 2), np.inf), np.ones((1, 17)), []),
    (np.zeros((1, 17, 2)), np.full((1, 17), 1.01), []),
    (np.zeros((1, 17, 2)), np.full((1, 17), -.01), []),
    (np.zeros((1, 17, 2)), np.full((1, 17), np.nan), []),
])
def test_a_network_that_returns_nonsense_is_stopped_here(keypoints, confidence, person):
    with pytest.raises(OutputError):
        People2D(keypoints, confidence, np.array(person, np.int64))


def test_half_a_position_is_no_position_and_has_no_confidence():
    keypoints = np.zeros((1, 3, 2))
    keypoints[0, 1, 0] = np.nan
    people = People2D(keypoints, np.ones((1, 3)))
    assert np.isnan(people.keypoints[0, 1]).all()
    assert people.confidence.tolist() == [[1, 0, 1]]
    assert people.person.tolist() == [-1]


def test_results_cannot_be_changed_by_a_reader():
    people = People2D(np.zeros((1, 3, 2)), np.ones((1, 3)))
    with pytest.raises(ValueError):
        people.keypoints[0, 0, 0] = 1


def test_nobody_has_the_shape_of_somebody():
    nobody = no_people(33)
    assert len(nobody) == 0 and nobody.keypoints.shape == (0, 33, 2) and nobody.person.shape == (0,)


@pytest.mark.parametrize('image, word', [
    (None, 'NoneType'),
    ([[1, 2], [3, 4]], 'list'),
    (np.zeros((480, 640), np.uint8), '(480, 640)'),
    (np.zeros((480, 640, 4), np.uint8), '(480, 640, 4)'),
    (np.zeros((480, 640, 3), np.float32), 'float32'),
    (np.zeros((480, 640, 3), np.uint16), 'uint16'),
    (np.zeros((1, 1, 3), np.uint8), '1x1'),
    (np.zeros((480, 31, 3), np.uint8), '31x480'),
    (np.zeros((0, 0, 3), np.uint8), '0x0'),
])
def test_what_is_no_image_is_refused_and_named(image, word):
    with pytest.raises(InputError, match=r'^image: ') as error:
        checked_image(image)
    assert word in str(error.value)


def test_a_flipped_view_of_an_image_is_made_contiguous():
    image = np.arange(40 * 50 * 3, dtype=np.uint8).reshape(40, 50, 3)
    out = checked_image(image[:, ::-1])
    assert out.flags.c_contiguous and (out == image[:, ::-1]).all()


def test_a_misspelt_network_names_those_that_exist():
    with pytest.raises(InputError, match='mediapipe'):
        make_pose2d('mediapip')


def test_a_misspelt_option_names_those_that_exist():
    with pytest.raises(InputError, match='has no option complexity.*model_complexity'):
        make_pose2d('mediapipe', complexity=1)


@pytest.mark.parametrize('option', [{'model_complexity': 3}, {'min_detection_confidence': 1.5},
                                    {'min_tracking_confidence': -1.}])
def test_an_option_out_of_range_is_refused(option):
    with pytest.raises(InputError, match=next(iter(option))):
        make_pose2d('mediapipe', **option)


def test_without_mediapipe_the_line_that_installs_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mediapipe', None)
    with pytest.raises(BackendUnavailable, match="pip install 'mediapipe==0.10.21'"):
        make_pose2d('mediapipe')


def test_names_are_known_without_loading_anything_heavy():
    code = ('import sys; from selfpose_ros.inference.pose2d import POSE2D_NAMES; '
            'print(sorted({"mediapipe", "rclpy", "torch", "onnxruntime"} & set(sys.modules)), POSE2D_NAMES)')
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == f'[] {POSE2D_NAMES}'
